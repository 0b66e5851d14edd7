"""Killed at any moment, a training ends with the weights of one that was left alone, to the bit."""

import json

import pytest

from training.conftest import Telling, events_of, go, lay_out
from wreckognize.errors import TrainingError
from wreckognize.training.curves import read_curves

pytestmark = pytest.mark.slow


def outcome(layout):
    """All that a finished training leaves, without times."""
    folder = layout.folder.parent
    weights = folder.parent / "weights"
    result = json.loads((folder / "result.json").read_text())
    told = {
        event["epoch"]: (event["map50_95"], event["roc_area"])
        for event in events_of(folder)
        if event["event"] == "epoch"
    }
    return {
        "weights": (weights / "best.safetensors").read_bytes(),
        "card": (weights / "model.json").read_text(),
        "curves": read_curves(folder / "work" / "results.csv").drop("time").to_dicts(),
        "result": {name: value for name, value in result.items() if name != "seconds"},
        "told": told,
    }


def left_alone(folder, weights, settings, seed):
    layout = lay_out(folder, train=10, val=4, empty_every=4)
    go(layout, weights, settings, seed=seed)
    return outcome(layout)


def killed(folder, weights, settings, seed, moments, die_at):
    """Train through kills at these moments, one a process; what came out, and what was told."""
    layout = lay_out(folder, train=10, val=4, empty_every=4)
    progress = Telling()
    training = layout.folder.parent
    for moment in moments:
        die_at(moment)
        with pytest.raises(TrainingError, match=r"ended by signal 9 \(SIGKILL\)(?s:.*)memory ran out"):
            go(layout, weights, settings, seed=seed, progress=progress)
        assert len(list(training.glob("state.safetensors"))) <= 1
    die_at("")
    go(layout, weights, settings, seed=seed, progress=progress)
    assert not list(training.glob("*state*")), "the state is left behind"
    assert not list(training.glob("best-*"))
    return (
        outcome(layout),
        progress.said,
        [event["epoch"] for event in events_of(training) if event["event"] == "start"],
    )


# 3 batches an epoch and, once warmed up, a step every 2: gradients are pending at the end of every other epoch.
COMMON = {"imgsz": 32, "nbs": 8, "freeze": 2}


def test_killed_in_batches_and_while_writing_it_ends_the_same(tmp_path, tiny_weights, die_at):
    settings = {**COMMON, "epochs": 4, "warmup_epochs": 1.5, "close_mosaic": 1, "mixup": 0.3, "cache": "off"}
    alone = left_alone(tmp_path / "alone", tiny_weights, settings, seed=3)
    resumed = {**settings, "cache": "ram"}  # photos that are kept change nothing
    moments = {
        "batch:5": 0,  # in the second epoch
        "sync:7": 1,  # while the state of the second is written
        "sync:8": 1,  # when it is written and was not told of
        "batch:6": 2,  # in the last, without mosaics
        "sync:13": 3,  # when only the result is missing
    }
    ended, said, starts = killed(tmp_path / "killed", tiny_weights, resumed, 3, moments, die_at)
    assert starts == list(moments.values())
    assert said == []
    assert ended == alone
