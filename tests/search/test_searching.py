"""A search on a small real study. Trainings are stood in for but where processes and their ends are what is tested."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from studies import tree, write_study

from wreckognize import pipeline
from wreckognize.catalog import PREDICTION_SCHEMA
from wreckognize.cli.searching import search_study
from wreckognize.errors import LeakError, MissingExtraError, TrainingError, UsageError, WorkspaceError
from wreckognize.progress import Silent
from wreckognize.stages import data, results, searching
from wreckognize.stages.run import Run
from wreckognize.study import Study
from wreckognize.training import fine_tune
from wreckognize.workspace import open_workspace

SPACE = {
    "train.lr0": {"low": 1e-5, "high": 1e-2, "log": True},
    "labels.confidence": {"low": 0.05, "high": 0.5},
}
SPLIT = {"train": 0.4, "val": 0.4, "test": 0.2}


@pytest.fixture(scope="module")
def prepared(tiny_weights, tmp_path_factory):
    """A study with a search, and its run up to the split."""
    root = tmp_path_factory.mktemp("search")
    systems = {
        "baseline": {"recipe": "baseline", "weights": tiny_weights.name, "predict": {"imgsz": 64}},
        "ver6": {
            "recipe": "ver6",
            "weights": tiny_weights.name,
            "train": {"imgsz": 64, "epochs": 4, "batch": 4, "device": "cpu"},
        },
    }
    search = {"trials": 5, "space": SPACE}
    file = write_study(root / "study", tiny_weights, split=SPLIT, systems=systems, search=search)
    pipeline.run(Study.load(file), out=root / "run", until="split")
    return file, root / "run"


@pytest.fixture
def run_folder(prepared, tmp_path):
    shutil.copytree(prepared[1], tmp_path / "run")
    return tmp_path / "run"


class Trainings:
    """Stands in for training and looking: a network is as good as its learning rate is near 1e-3."""

    def __init__(self):
        self.done = []
        self.photos = set()
        self.descriptors = []
        self.break_at = None  # (trial, error)

    def train(self, weights, layout, settings, folder, *, name, inherited, each_epoch, **_):
        number = int(name.split()[1])
        self.done.append((number, settings.lr0))
        self.descriptors.append(inherited)
        self.photos |= {path.resolve() for path in (layout.folder / "images").rglob("*.*")}
        if self.break_at is not None and self.break_at[0] == len(self.done):
            (folder / "train.log").write_text("all was well\nRuntimeError: loss is NaN\n")
            raise self.break_at[1]
        quality = float(np.clip(1 - abs(np.log10(settings.lr0) + 3) / 2, 0, 1))
        for epoch in range(1, settings.epochs + 1):
            each_epoch(epoch, quality * epoch / settings.epochs)
        (folder.parent / "weights").mkdir(exist_ok=True)
        (folder.parent / "weights" / "best.safetensors").write_text(str(quality))
        result = fine_tune.TrainResult(
            epochs_run=settings.epochs, best_epoch=1, seconds=1, weights_sha256="", device="cpu", precision="",
            versions={},
        )  # fmt: skip
        (folder / "result.json").write_text(result.model_dump_json())

    def look(self, looker, photos, parts, **_):
        self.photos |= {Path(path) for path in photos["path"]}
        quality = float(Path(looker.weights).read_text())
        names = photos.sort("has_vehicle")["photo"].to_list()
        vehicles = int(photos["has_vehicle"].sum())
        spread = np.linspace(0.1, 0.9, len(names) - vehicles)
        scores = [*spread, *np.full(vehicles, 0.1 + 0.85 * quality)]
        rows = [(photo, 1, 1, 9, 9, score) for photo, score in zip(names, scores, strict=True)]
        return pl.DataFrame(rows, schema=PREDICTION_SCHEMA, orient="row")


@pytest.fixture
def trainings(monkeypatch):
    stand_in = Trainings()
    monkeypatch.setattr(fine_tune, "fine_tune", stand_in.train)
    monkeypatch.setattr(searching, "look", stand_in.look)
    return stand_in


def search(prepared, folder, *overrides, progress=None):
    return pipeline.search(Study.load(prepared[0], overrides=overrides), out=folder, progress=progress)


class Told(Silent):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def test_a_search_leaves_a_page_a_table_and_an_entry_that_the_study_takes(prepared, run_folder, trainings):
    told = Told()
    before = tree(prepared[0].parent)
    result = search(prepared, run_folder, progress=told)
    assert [trial.outcome for trial in result.trials] == ["complete"] * 5
    assert result.trials[0].as_it_stands
    assert result.trials[0].values == {"train.lr0": 1e-4, "labels.confidence": 0.1}
    assert trainings.done[0] == (0, 1e-4)
    assert result.best.value == max(trial.value for trial in result.trials)
    assert [line.split(" (")[0] for line in told.lines if line.startswith("trial")] == [
        f"trial {n}" for n in range(5)
    ]
    page = result.page.read_text(encoding="utf-8")
    assert f"Best of 5 trials: {result.best.value:.4f}" in page
    assert str(run_folder) not in page
    table = pl.read_csv(run_folder / "search" / "trials.csv")
    assert table["roc_area"].to_list() == [trial.value for trial in result.trials]
    assert table["train.lr0"][0] == 1e-4
    # what it says is what was trained
    entry = yaml.safe_load(result.entry.read_text(encoding="utf-8"))
    study = yaml.safe_load(prepared[0].read_text(encoding="utf-8"))
    study["systems"] |= entry
    pasted = Study.from_mapping(study, prepared[0].parent).system("ver6-best")
    assert pasted.train.lr0 == dict(trainings.done)[result.best.number]
    assert pasted.labels.confidence == result.best.values["labels.confidence"]
    # only what is worth keeping is kept, and each trial in a folder of its own
    (key,) = [path for path in (run_folder / "search").iterdir() if path.is_dir()]
    assert sorted(path.name for path in (key / "trials").iterdir()) == [f"{n:04d}" for n in range(5)]
    assert sorted(path.name for path in (key / "trials" / "0003").iterdir()) == [
        "key.txt", "predictions.parquet", "trial.json",
    ]  # fmt: skip
    record = json.loads((key / "trials" / "0003" / "trial.json").read_text())
    assert record["figures"]["roc_area"] == result.trials[3].value
    assert tree(prepared[0].parent) == before
    # the report can tell of it
    with open_workspace(run_folder) as workspace:
        told_in_report = results._search_in_words(Run(Study.load(prepared[0]), workspace, Silent()))
    assert f"5 trials on {result.judged} validation photos, best ROC area" in told_in_report
    # the same again does nothing
    done = len(trainings.done)
    assert search(prepared, run_folder) == result
    assert len(trainings.done) == done
    # more trials go on where it stood
    assert len(search(prepared, run_folder, "search.trials=6").trials) == 6
    assert [number for number, _ in trainings.done[done:]] == [5]


def test_the_test_set_stays_shut(prepared, run_folder, trainings, monkeypatch):
    """Nothing of the test set is read by a trial: no photo, no label, no prediction, not even a row about one."""
    predicted = run_folder / "systems" / "ver6" / "predictions" / "test.parquet"
    predicted.parent.mkdir(parents=True)
    predicted.write_text("not to be opened")
    split = pl.read_parquet(run_folder / "split.parquet")
    test = set(split.filter(split="test")["photo"])
    calibration = set(pl.read_parquet(run_folder / "validation.parquet").filter(part="calibration")["photo"])
    photos = pl.read_parquet(run_folder / "catalog" / "photos.parquet")
    shut = {Path(path) for path in photos.filter(pl.col("photo").is_in(list(test)))["path"]}
    kept_for_thresholds = {Path(path) for path in photos.filter(pl.col("photo").is_in(list(calibration)))["path"]}
    opened, labelled = [], []
    watching = True

    def note(event, arguments):
        if watching and event == "open":
            opened.append(str(arguments[0]))

    def make_labels(photos, split, boxes, teacher, *rest, **named):
        for table in (photos, split, boxes, teacher):
            labelled.extend(table["photo"].to_list())
        return real(photos, split, boxes, teacher, *rest, **named)

    real = searching.make_labels
    monkeypatch.setattr(searching, "make_labels", make_labels)
    sys.addaudithook(note)
    try:
        search(prepared, run_folder, "search.trials=2")
    finally:
        watching = False
    assert len(trainings.done) == 2
    assert len(trainings.photos) > 10
    assert not trainings.photos & (shut | {path.resolve() for path in shut})
    assert not trainings.photos & {path.resolve() for path in kept_for_thresholds}
    assert len(labelled) > 20
    assert not test & set(labelled)
    assert not {str(path) for path in shut} & set(opened)
    assert [name for name in opened if name.endswith("test.parquet")] == []
    assert not (run_folder / "test.looks.jsonl").exists()


def test_a_photo_of_the_test_set_that_came_to_train_stops_the_search(prepared, run_folder, trainings, monkeypatch):
    split = pl.read_parquet(run_folder / "split.parquet")
    test = split.filter(split="test")["photo"][0]
    moved = split.with_columns(
        split=pl.when(pl.col("photo") == test).then(pl.lit("train")).otherwise(pl.col("split"))
    )
    monkeypatch.setattr(data, "split", lambda *_, **__: None)
    monkeypatch.setattr(pipeline.Run, "split", moved)
    with pytest.raises(LeakError):
        search(prepared, run_folder)
    assert trainings.done == []


def test_a_trial_that_fails_costs_only_itself(prepared, run_folder, trainings):
    trainings.break_at = (
        2,
        TrainingError("ended with exit code 1\n    | RuntimeError: loss is NaN", where="/tmp/x"),
    )
    told = Told()
    result = search(prepared, run_folder, progress=told)
    assert [trial.outcome for trial in result.trials] == ["complete", "failed", *["complete"] * 3]
    assert result.trials[1].reason == "ended with exit code 1; RuntimeError: loss is NaN"
    assert any("trial 1 (train.lr0=" in line and "failed: ended with" in line for line in told.lines)
    assert "Trial 1: ended with exit code 1" in result.page.read_text(encoding="utf-8")
    (log,) = run_folder.glob("search/*/trials/0001/train.log")
    assert "loss is NaN" in log.read_text()
    assert not list(run_folder.glob("search/*/trials/*/training"))


def test_values_that_do_not_go_together_fail_their_trial_only(prepared, run_folder, trainings, monkeypatch):
    real = Study.system_with

    def system_with(study, name, values):
        return real(study, name, {**values, **({"train.lr0": -1.0} if trainings.done else {})})

    monkeypatch.setattr(Study, "system_with", system_with)
    result = search(prepared, run_folder, "search.trials=2")
    assert [trial.outcome for trial in result.trials] == ["complete", "failed"]
    assert result.trials[1].reason == "systems.ver6.train.lr0: -1.0; expected more than 0"


def test_settings_that_were_tried_are_not_trained_again(prepared, run_folder, trainings):
    result = search(
        prepared, run_folder, "search.space={train.lr0: [0.0001, 0.001], train.epochs: [4, 5]}", "search.trials=12"
    )
    twins = [trial for trial in result.trials if trial.same_as is not None]
    assert len(trainings.done) == 12 - len(twins) <= 4  # settings that were tried are not trained again
    assert all(trial.values == result.trials[trial.same_as].values for trial in twins)
    assert all(trial.value == result.trials[trial.same_as].value for trial in twins)


def test_a_search_in_which_all_trials_fail_says_so_and_exits_with_1(prepared, run_folder, trainings):
    trainings.train = None
    with pytest.MonkeyPatch.context() as patch:

        def no_memory(*_, **__):
            raise RuntimeError("CUDA out of memory")

        patch.setattr(fine_tune, "fine_tune", no_memory)
        with pytest.raises(
            TrainingError, match=r"all 3 trials failed(?s:.*)trial 2: CUDA out of memory"
        ) as caught:
            search(prepared, run_folder, "search.trials=3")
    assert caught.value.exit_code == 1
    assert "No trial has come to its end" in (run_folder / "search" / "index.html").read_text()
    assert not (run_folder / "search" / "best.yaml").exists()


def test_a_trial_that_does_badly_is_ended_early(prepared, run_folder, trainings):
    told = Told()
    result = search(prepared, run_folder, "search.trials=14", progress=told)
    pruned = [trial for trial in result.trials if trial.outcome == "pruned"]
    assert pruned
    for trial in pruned:
        assert max(trial.curve) < 4
        earlier = [
            other.curve[max(trial.curve)] for other in result.trials[: trial.number] if len(other.curve) == 4
        ]
        assert max(trial.curve.values()) < np.median(earlier)
        assert re.search(r"after epoch \d", trial.reason)
    assert any("ended early" in line for line in told.lines)
    result = search(prepared, run_folder, "search.trials=16", "search.pruner=none")
    assert [trial.outcome for trial in result.trials[14:]] == ["complete"] * 2


def test_a_search_that_was_broken_off_goes_on_with_the_same_settings(prepared, run_folder, trainings):
    trainings.break_at = (3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        search(prepared, run_folder)
    trainings.break_at = None
    assert list(run_folder.glob("search/*/trials/0002/training"))  # kept, to be gone on with
    result = search(prepared, run_folder)
    assert [trial.outcome for trial in result.trials] == ["complete"] * 2 + ["interrupted"] + ["complete"] * 3
    assert result.trials[3].origin == 2
    assert result.trials[3].values == result.trials[2].values
    assert [number for number, _ in trainings.done] == [0, 1, 2, 3, 4, 5]
    assert len(list(run_folder.glob("search/*/trials/*"))) == 5
    assert not list(run_folder.glob("search/*/trials/*/training"))
    whole = [lr0 for number, lr0 in trainings.done if number != 2]
    shutil.rmtree(run_folder / "search")
    trainings.done.clear()
    search(prepared, run_folder)
    assert [lr0 for _, lr0 in trainings.done] == whole  # as if it had not been broken off


def test_a_storage_that_fails_is_told_and_the_trial_gone_on_with(prepared, run_folder, trainings):
    from sqlalchemy.exc import OperationalError

    trainings.break_at = (2, OperationalError("INSERT", {}, Exception("server closed the connection")))
    with pytest.raises(
        UsageError, match=r"storage of the search failed(?s:.*)server closed(?s:.*)goes on"
    ) as caught:
        search(prepared, run_folder, "search.trials=2")
    assert caught.value.exit_code == 2
    trainings.break_at = None
    outcomes = [trial.outcome for trial in search(prepared, run_folder, "search.trials=2").trials]
    assert outcomes == ["complete", "interrupted", "complete"]


def test_epochs_of_a_broken_trial_are_told_to_the_pruner_again(prepared, run_folder, trainings, monkeypatch):
    seen = []
    monkeypatch.setattr(fine_tune, "epochs_so_far", lambda folder: {1: 0.25, 2: 0.5})
    real = Trainings.train

    def train(weights, layout, settings, folder, *, each_epoch, **named):
        real(trainings, weights, layout, settings, folder, each_epoch=each_epoch, **named)
        seen.append(named["name"])

    monkeypatch.setattr(fine_tune, "fine_tune", train)
    result = search(prepared, run_folder, "search.trials=1")
    assert seen
    assert result.trials[0].curve[1] == 0.25
    assert set(result.trials[0].curve) == {1, 2, 3, 4}


def test_time_is_a_limit_too(prepared, run_folder, trainings):
    told = Told()
    result = search(prepared, run_folder, "search.minutes=1e-9", progress=told)
    assert result.trials[0].outcome == "waiting"
    assert result.best is None
    assert any("minutes are over" in line for line in told.lines)


def test_another_teacher_is_asked_once_for_each_of_its_settings(prepared, run_folder, trainings):
    asked = []
    real = trainings.look

    def look(looker, photos, parts, **named):
        if "teacher" in named["description"]:
            asked.append(looker.imgsz)
            return pl.DataFrame(schema=PREDICTION_SCHEMA)
        return real(looker, photos, parts, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "look", look)
        space = "search.space={teacher.imgsz: [64, 96], train.lr0: {low: 0.0001, high: 0.01}}"
        result = search(prepared, run_folder, space)
    assert {trial.values["teacher.imgsz"] for trial in result.trials} == {64, 96}
    assert asked == [96]


def test_what_cannot_be_judged_is_refused_before_anything_is_trained(prepared, run_folder, trainings):
    with pytest.raises(UsageError, match=r"damaged found at 5 % false alarms cannot be said(?s:.*)20 must"):
        search(prepared, run_folder, "search.objective=found_at_5_percent")
    assert trainings.done == []


def test_other_data_or_another_space_is_another_search_and_said(prepared, run_folder, trainings):
    first = search(prepared, run_folder, "search.trials=2")
    found = first.entry.read_bytes()
    other = search(prepared, run_folder, "search.trials=2", "systems.ver6.train.imgsz=96")
    assert len(trainings.done) == 4
    assert "(2 trials), which is not shared: it differs in system" in other.notes[0]
    kept = [file for file in (run_folder / "search").glob("*/best.yaml") if file.read_bytes() == found]
    assert len(kept) == 1  # what the first one found, beside its trials
    assert (kept[0].parent / "index.html").is_file()
    assert (kept[0].parent / "trials").is_dir()
    assert search(prepared, run_folder, "search.trials=2", "systems.ver6.train.device=0").trials == first.trials
    assert len(trainings.done) == 4


def test_while_others_search_nothing_of_the_run_may_change(prepared, run_folder, trainings):
    study = Study.load(prepared[0], overrides=["seed=1", "split.calibration=0.4"])
    with open_workspace(run_folder) as workspace:
        workspace.share()
        with pytest.raises(WorkspaceError, match="'part' would have to be done anew"):
            pipeline.search(study, out=run_folder)
        with pytest.raises(WorkspaceError, match="another run holds this folder"):
            pipeline.run(study, out=run_folder)
        assert len(search(prepared, run_folder, "search.trials=2").trials) == 2  # beside the other one
    assert all(len(descriptors) == 2 for descriptors in trainings.descriptors)


def test_without_optuna_nothing_is_begun(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"wreckognize\[search\]"):
        search(prepared, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command_prints_the_best_trial_and_where_it_stands(prepared, run_folder, trainings, capsys):
    trainings.break_at = (2, RuntimeError("no memory"))
    url = f"sqlite:///{run_folder / 'elsewhere.db'}"
    search_study(prepared[0], trials=3, minutes=60.0, storage=url, out=run_folder, overrides=[])
    printed = capsys.readouterr().out
    assert "search for ver6: 2 complete, 1 failed" in printed
    assert "trial 1 failed: no memory" in printed
    assert re.search(
        r"best: trial \d, ROC area, damaged against background 0\.\d{4} on \d+ validation photos", printed
    )
    assert "the test set stayed shut" in printed
    assert f"for the study file: {run_folder / 'search' / 'best.yaml'}" in printed
    assert (run_folder / "elsewhere.db").exists()
    assert not (run_folder / "search" / "search.db").exists()


# Real processes and real trainings.


def start(file, folder, *options, log):
    command = [sys.executable, "-m", "wreckognize", "search", str(file), "--out", str(folder), *options]
    with log.open("w") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


def children_of(folder):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(folder).encode() in command and b"wreckognize.training.child" in command:
                found.append(int(entry.name))
    return found


def wait_for(what, process, log, seconds=240):
    deadline = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.mark.slow
def test_two_processes_share_the_trials_and_go_on_with_what_a_killed_one_left(prepared, run_folder, tmp_path):
    one = ["--trials", "3", "--set", "systems.ver6.train.epochs=1", "--set", "systems.ver6.weights=yolov8n.yaml"]
    killed = start(prepared[0], run_folder, *one, log=tmp_path / "killed.log")
    wait_for(lambda: children_of(run_folder), killed, tmp_path / "killed.log")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    deadline = time.monotonic() + 30
    while children_of(run_folder):
        assert time.monotonic() < deadline, "the training outlived its parent"
        time.sleep(0.1)
    logs = [tmp_path / "a.log", tmp_path / "b.log"]
    workers = [start(prepared[0], run_folder, *one, log=log) for log in logs]
    assert [worker.wait(300) for worker in workers] == [0, 0], "\n".join(log.read_text() for log in logs)
    texts = [log.read_text() for log in logs]
    result = pl.read_csv(run_folder / "search" / "trials.csv")
    assert result["outcome"].to_list() == ["interrupted", "complete", "complete", "complete"], texts
    assert result.filter(outcome="complete")["epochs_run"].to_list() == [1, 1, 1]
    assert result["goes_on_with"].to_list() == [None, 0, None, None]
    made = [re.findall(r"^trial (\d+) \(.*ROC area", text, re.MULTILINE) for text in texts]
    assert sorted(made[0] + made[1]) == ["1", "2", "3"]
    assert made[0]
    assert made[1]
    assert "1 interrupted" in texts[0]
    assert "Best of 3 trials" in (run_folder / "search" / "index.html").read_text()
    assert children_of(run_folder) == []
    assert not list(run_folder.glob("search/*/trials/*/training"))


@pytest.mark.slow
def test_a_pruned_trial_ends_its_training_and_all_its_processes(prepared, run_folder, monkeypatch):
    from wreckognize.search.store import Store

    monkeypatch.setattr(Store, "report", lambda store, number, epoch, value: epoch >= 1)
    result = search(prepared, run_folder, "search.trials=1", "systems.ver6.train.epochs=300")
    (trial,) = result.trials
    assert trial.outcome == "pruned"
    assert re.fullmatch(r"after epoch 1, where its ROC area was 0\.\d+", trial.reason)
    assert children_of(run_folder) == []
    assert not list(run_folder.glob("search/*/trials/*/training"))
    assert (run_folder / "search" / "index.html").exists()


@pytest.mark.parametrize("storage", ["foo", "postgresql+nodriver://me:secret@localhost/x"])
def test_a_storage_that_cannot_be_spoken_to_is_refused_before_photos_are_looked_at(prepared, tmp_path, storage):
    study = Study.load(prepared[0], overrides=[f"search.storage={storage}"])
    with pytest.raises(UsageError, match=r"no storage URL|no driver") as refused:
        pipeline.search(study, out=tmp_path / "run")
    assert "secret" not in str(refused.value)
    assert not (tmp_path / "run").exists()
