"""Fine-tuning against the library's own trainer with the same settings, on the same photos and labels.

The second epoch is timed on both sides, validation included: the first one holds what is done once (imports, caches).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from material import Material
from table import Row, against, not_measured
from wreckognize import images
from wreckognize.catalog import LABEL_SCHEMA
from wreckognize.detectors.ultralytics import fence
from wreckognize.progress import Silent
from wreckognize.settings import TrainSettings
from wreckognize.training.curves import read_curves
from wreckognize.training.fine_tune import fine_tune
from wreckognize.training.layout import Layout, write_layout

PHOTOS = {"train": 128, "val": 32}
SETTINGS = {
    "epochs": 2,
    "imgsz": 320,
    "batch": 16,
    "freeze": 10,
    "lr0": 1e-4,
    "optimizer": "AdamW",
    "patience": 15,
}
_USUAL = """
import json, sys
from ultralytics import YOLO
weights, settings = sys.argv[1], json.loads(sys.argv[2])
YOLO(weights).train(**settings)
"""


def rows(material: Material, folder: Path) -> Iterator[Row]:
    """Fine-tuning on a CPU, as the study does it and as ``yolo train`` does."""
    if material.weights.suffix != ".pt":
        yield not_measured("fine-tuning YOLOv8n 320", "cpu", "s/epoch", 1.9, "no YOLOv8n weights at hand")
        return
    layout = _layout(material.photos, folder / "data")
    ours = _ours(material.weights, layout, folder / "ours")
    usual = _usual(material.weights, layout, folder / "usual")
    name = f"fine-tuning YOLOv8n 320, same settings, an epoch of {PHOTOS['train']} photos"
    yield against(name, ours, usual, "s/epoch", 1.9)


def _layout(photos: list[Path], folder: Path) -> Layout:
    """The first photos, each with one box over most of it: what is in a box does not change the cost."""
    chosen = photos[: sum(PHOTOS.values())]
    table, labels = [], []
    for number, path in enumerate(chosen):
        header = images.read_header(path)
        split = "train" if number < PHOTOS["train"] else "val"
        table.append({"photo": path.name, "split": split, "path": str(path), "plain": True, "width": header.width,
                      "height": header.height})  # fmt: skip
        labels.append({"photo": path.name, "x1": 0.1 * header.width, "y1": 0.1 * header.height,
                       "x2": 0.9 * header.width, "y2": 0.9 * header.height, "kind": "vehicle", "origin": "teacher",
                       "confidence": 0.9})  # fmt: skip
    drawn = pl.DataFrame(labels).cast({name: LABEL_SCHEMA[name] for name in labels[0]})
    return write_layout(pl.DataFrame(table), drawn, folder, progress=Silent())


def _ours(weights: Path, layout: Layout, folder: Path) -> float:
    folder.mkdir()
    fine_tune(
        str(weights),
        layout,
        TrainSettings(**SETTINGS, device="cpu"),
        folder,
        seed=0,
        name="ours",
        progress=Silent(),
    )
    return _second_epoch(folder / "work" / "results.csv")


def _usual(weights: Path, layout: Layout, folder: Path) -> float:
    """The library in a process of its own, with none of our settings of threads."""
    settings = {
        **SETTINGS, "data": str(layout.data_file), "device": "cpu", "project": str(folder), "name": "work",
        "plots": False, "seed": 0,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as config:
        fenced = {name: value for name, value in fence(Path(config)).items() if name != "OMP_NUM_THREADS"}
        subprocess.run(
            [sys.executable, "-c", _USUAL, str(weights), json.dumps(settings)],
            env={**os.environ, **fenced},
            check=True,
            capture_output=True,
        )
    return _second_epoch(folder / "work" / "results.csv")


def _second_epoch(results: Path) -> float:
    first, second = read_curves(results)["time"].head(2)
    return float(second - first)
