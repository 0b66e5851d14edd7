"""Tiny real trainings, in a child process as users have them."""

import json
from pathlib import Path

import polars as pl
from photographs import draw_photo

from wreckognize.catalog import LABEL_SCHEMA
from wreckognize.progress import Silent
from wreckognize.settings import TrainSettings
from wreckognize.training.fine_tune import fine_tune
from wreckognize.training.layout import write_layout

TRAIN, VAL = 8, 4


def lay_out(folder, *, train=TRAIN, val=VAL, empty_every=0):
    """A training folder of small photos with a box each (but none in every ``empty_every``-th), laid out."""
    rows, labels = [], []
    for number in range(train + val):
        vehicle = not empty_every or number % empty_every != empty_every - 1
        path = draw_photo(folder / "photos" / f"{number}.jpg", number, vehicle=vehicle)
        split = "train" if number < train else "val"
        rows.append((f"s/{number:02}", split, str(path), True, 96, 64))
        if vehicle:
            labels.append((f"s/{number:02}", split, 24, 16, 72, 48, "vehicle", "teacher", 0.9))
    photos = pl.DataFrame(rows, schema=["photo", "split", "path", "plain", "width", "height"], orient="row")
    training = folder / "systems" / "tiny" / "training"
    training.mkdir(parents=True)
    table = pl.DataFrame(labels, schema=LABEL_SCHEMA, orient="row")
    return write_layout(photos, table, training / "data", progress=Silent())


class Telling(Silent):
    """Keeps the lines that stay on the screen."""

    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def go(layout, weights, settings, *, seed=0, progress=None, **more):
    return fine_tune(
        str(weights),
        layout,
        TrainSettings(**{"imgsz": 32, "batch": 4, "freeze": 2, "lr0": 1e-3, "device": "cpu", **settings}),
        layout.folder.parent,
        seed=seed,
        name="tiny",
        progress=progress or Silent(),
        **more,
    )


def processes_of(folder):
    """Ids of running processes of trainings that have ``folder`` on their command line, workers included."""
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


def events_of(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
