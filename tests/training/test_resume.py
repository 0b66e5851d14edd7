"""Killed at any moment, a training ends with the weights of one that was left alone, to the bit."""

import json
import time
from pathlib import Path

import pytest
from trainings import Telling, events_of, go, lay_out, processes_of

from wreckognize.errors import TrainingError
from wreckognize.study import resolve_weights
from wreckognize.training.curves import read_curves

pytestmark = pytest.mark.slow

STATE = "state.safetensors"
# 3 batches an epoch and, once warmed up, a step every 2: gradients are pending at the end of the first epoch, and in the
# third the first step is taken with the second batch.
COMMON = {"nbs": 8, "cache": "off"}


def prepared(folder):
    return lay_out(folder, train=10, val=4, empty_every=4)


def outcome(layout):
    """All that a finished training leaves, without times; and it leaves no more."""
    folder = layout.folder.parent
    assert {path.name for path in folder.iterdir()} <= {
        "data", "work", "job.json", "events.jsonl", "train.log", "result.json",
    }  # fmt: skip
    weights = folder.parent / "weights"
    result = json.loads((folder / "result.json").read_text())
    epochs = [event for event in events_of(folder) if event["event"] == "epoch"]
    return {
        "weights": (weights / "best.safetensors").read_bytes(),
        "card": (weights / "model.json").read_text(),
        "curves": read_curves(folder / "work" / "results.csv").drop("time").to_dicts(),
        "result": {name: value for name, value in result.items() if name != "seconds"},
        "told": [(event["epoch"], event["map50_95"], event["roc_area"]) for event in epochs],
    }


def left_alone(folder, weights, settings, seed):
    layout = prepared(folder)
    go(layout, weights, settings, seed=seed)
    return outcome(layout)


def killed(folder, weights, settings, seed, moments, fate):
    """What comes out of a training whose processes are killed at these moments; the epochs they started from."""
    layout, progress = prepared(folder), Telling()
    training = layout.folder.parent
    for moment in moments:
        fate(moment)
        with pytest.raises(TrainingError, match=r"ended by signal 9 \(SIGKILL\)(?s:.*)memory ran out"):
            go(layout, weights, settings, seed=seed, progress=progress)
        wait_for_the_end_of_all(training)
        assert len(list(training.glob("best-*"))) <= 2, "weights pile up"
    fate("")
    go(layout, weights, settings, seed=seed, progress=progress)
    assert progress.said == []
    starts = [event["epoch"] for event in events_of(training) if event["event"] == "start"]
    return outcome(layout), starts


def wait_for_the_end_of_all(training):
    deadline = time.monotonic() + 20
    while processes_of(training):
        assert time.monotonic() < deadline, "a process of the training went on"
        time.sleep(0.05)


def test_killed_in_batches_and_while_writing(tmp_path, tiny_weights, fate):
    settings = {**COMMON, "imgsz": 32, "epochs": 4, "warmup_epochs": 1.5, "close_mosaic": 1, "mixup": 0.3}
    alone = left_alone(tmp_path / "alone", tiny_weights, settings, seed=3)
    moments = {
        "batch 5": 0,  # in the second epoch
        f"after {STATE} 1": 1,  # at its end, before it was told of
    }
    kept = {**settings, "cache": "ram"}  # changes nothing
    ended, starts = killed(tmp_path / "killed", tiny_weights, kept, 3, moments, fate)
    assert starts == [*moments.values(), 2]
    assert ended == alone


def test_killed_with_workers_and_when_it_stops_early(tmp_path, fate):
    """From weights that see something, so that the best epoch is not the last; the mosaic ends on the way."""
    weights = Path(resolve_weights("starter", tmp_path))
    settings = {
        **COMMON, "imgsz": 64, "epochs": 8, "patience": 2, "close_mosaic": 6, "lr0": 0.01, "freeze": 3,
        "warmup_epochs": 0, "workers": 2,
    }  # fmt: skip
    alone = left_alone(tmp_path / "alone", weights, settings, seed=3)
    assert alone["result"]["best_epoch"] < alone["result"]["epochs_run"] < 8
    moments = {"batch 8": 0, "before result.json 1": 2}  # in the third epoch, and when only the result is missing
    kept = {**settings, "cache": "disk"}
    ended, starts = killed(tmp_path / "killed", weights, kept, 3, moments, fate)
    assert starts == list(moments.values())
    assert ended == alone


def test_a_torn_state_is_refused_in_words_and_a_loss_that_is_no_number_costs_its_epoch_only(
    training, tiny_weights, fate
):
    folder, settings = training.folder.parent, {"imgsz": 32, "epochs": 3, "cache": "off"}
    fate(f"before {STATE} 3")  # the first is written before the first epoch
    with pytest.raises(TrainingError):
        go(training, tiny_weights, settings)
    assert len(list(folder.glob(f"{STATE}.*.part"))) == 1
    state = folder / STATE
    state.write_bytes(state.read_bytes()[:-1])
    fate("nan 4")  # in the last batch of the second epoch
    progress = Telling()
    go(training, tiny_weights, settings, progress=progress)
    anew, again = progress.said
    assert "note: tiny: training begins anew: its stored state cannot be gone on from (it is torn" in anew
    assert again == "  note: tiny: the loss is no number in epoch 2; the epoch is done again with other draws"
    events = [
        (event["event"], event["epoch"]) for event in events_of(folder) if event["event"] in ("start", "epoch")
    ]
    assert events == [("start", 0), ("epoch", 1), ("start", 0), ("epoch", 1), ("epoch", 2), ("epoch", 3)]
    assert not list(folder.glob("*.part"))
    assert read_curves(folder / "work" / "results.csv")["epoch"].to_list() == [1, 2, 3]
