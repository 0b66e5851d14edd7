import math

import pytest

from wreckognize.errors import UsageError
from wreckognize.search.records import best_of, count_outcomes
from wreckognize.search.store import BEFORE_PRUNING, open_store
from wreckognize.settings import Dimension

SPACE = (
    Dimension(field="train.lr0", low=1e-5, high=1e-2, log=True),
    Dimension(field="train.freeze", choices=(0, 10, [1, 2])),
    Dimension(field="labels.confidence", low=0.05, high=0.5, step=0.05),
    Dimension(field="train.epochs", low=2, high=9, whole=True),
)
NOW = {"train.lr0": 1e-4, "train.freeze": "10", "labels.confidence": 0.1, "train.epochs": 3}


def opened(folder, **changes):
    given = {
        "name": "study/ver6/1",
        "identity": {"photos": "1"},
        "space": SPACE,
        "seed": 3,
        "pruner": "median",
        "warmup": 1,
    } | changes
    return open_store(f"sqlite:///{folder / 'search.db'}", **given)


def worth(values):
    return 1 - abs(math.log10(values["train.lr0"]) + 3) / 4 + values["labels.confidence"] / 10


def go_on(store, folder, trials, killed=()):
    """Make trials as the stage does; those whose number is in ``killed`` are given up and the store is opened anew."""
    made = []
    while sum(trial.counts for trial in store.trials()) < trials:
        asked = store.ask("here")
        if asked.number in killed:
            store = opened(folder)
            assert [number for number, _ in store.running_in("here")] == [asked.number]
            assert store.running_in("elsewhere") == []
            assert store.interrupted(asked.number)
            assert not store.interrupted(asked.number)
            continue
        value = worth(asked.values)
        if store.report(asked.number, 1, value) or store.report(asked.number, 2, value):
            store.prune(asked.number, "after epoch 2")
        else:
            store.complete(asked.number, value, figures={"roc_area": value}, seconds=1.5)
        made.append(dict(asked.values))
    return store, made


def test_the_same_seed_tries_the_same_settings_whether_or_not_the_search_is_killed(tmp_path):
    tried = []
    for name, killed in (("a", ()), ("b", (0, 5, 6, 11))):
        (tmp_path / name).mkdir()
        store = opened(tmp_path / name)
        store.begin_with(NOW)
        store, made = go_on(store, tmp_path / name, 14, killed)
        tried.append(made)
    assert tried[0] == tried[1]
    assert tried[0][0] == {"train.lr0": 1e-4, "train.freeze": 10, "labels.confidence": 0.1, "train.epochs": 3}
    assert len({str(values) for values in tried[0]}) == 14
    counts = count_outcomes(store.trials())
    assert counts["interrupted"] == 4
    assert counts["complete"] >= BEFORE_PRUNING
    assert counts["pruned"] == 14 - counts["complete"]
    retried = [trial for trial in store.trials() if trial.origin is not None]
    assert [trial.origin for trial in retried] == [0, 5, 5, 11]
    assert [trial.number for trial in store.trials() if trial.as_it_stands] == [0, 1]
    (tmp_path / "c").mkdir()
    assert go_on(opened(tmp_path / "c", seed=4), tmp_path / "c", 3)[1] != tried[0][1:4]


def test_what_is_learnt_pays_and_importance_names_the_field_that_matters(tmp_path):
    store = opened(tmp_path, pruner="none")
    assert store.importances() == {}
    store, made = go_on(store, tmp_path, 20)
    assert sum(map(worth, made[10:])) > sum(map(worth, made[:10]))
    best = best_of(store.trials())
    assert best.value == max(map(worth, made))
    assert best.figures == {"roc_area": best.value}
    assert best.seconds == 1.5
    importances = store.importances()
    assert set(importances) == {dimension.field for dimension in SPACE}
    assert sum(importances.values()) == pytest.approx(1)
    assert max(importances, key=importances.get) == "train.lr0"


def test_a_failed_trial_says_why_and_is_not_tried_again(tmp_path):
    store = opened(tmp_path)
    asked = store.ask("here")
    store.fail(asked.number, "out of memory")
    other = store.ask("here")
    assert other.number == other.origin == 1
    failed, running = store.trials()
    assert (failed.outcome, failed.reason, failed.counts, failed.value) == ("failed", "out of memory", True, None)
    assert (running.outcome, running.counts) == ("running", False)
    assert store.has_ended(0)
    assert not store.has_ended(1)


def test_another_search_in_the_same_storage_is_seen_and_what_differs(tmp_path):
    go_on(opened(tmp_path), tmp_path, 2)
    identity = {"photos": "2", "seed": "0"}
    opened(tmp_path, name="study/small/1", identity=identity)
    store = opened(tmp_path, name="study/ver6/2", identity=identity)
    assert store.others("study/ver6/") == [(2, ("photos", "seed"))]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "no storage URL"),
        ("sqlite:////nowhere/at/all/search.db", "cannot be opened"),
        ("postgresql+nodriver://me:secret@localhost/x", "no driver"),
        ("oddbase://me:secret@localhost/x", "no driver"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_told_without_its_password(url, message):
    with pytest.raises(UsageError, match=message) as caught:
        open_store(url, name="a", identity={}, space=SPACE, seed=0, pruner="none", warmup=1)
    assert "secret" not in str(caught.value)
    assert caught.value.exit_code == 2
