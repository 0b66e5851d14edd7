"""Fine-tuning against the library's own trainer with the same settings, on the same photos and labels.

The epochs after the first are timed on both sides, validation included, and their median counts: the first one holds
what is done once (imports, caches).
Whether the speed costs accuracy is seen over three seeds, on drawn photos whose boxes are known.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from material import Material
from table import NO_GPU, Row, against, gpu, not_measured
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
    "epochs": 5,
    "imgsz": 320,
    "batch": 16,
    "freeze": 10,
    "lr0": 1e-4,
    "optimizer": "AdamW",
    "patience": 15,
}
DRAWN = {"train": 240, "val": 120}
SEEDS = (0, 1, 2)
ACCURACY_SETTINGS = {
    "epochs": 8,
    "imgsz": 128,
    "batch": 16,
    "freeze": None,
    "lr0": 5e-4,
    "optimizer": "AdamW",
    "patience": 15,
    "close_mosaic": 3,
}
_USUAL = """
import json, sys
from ultralytics import YOLO
weights, settings = sys.argv[1], json.loads(sys.argv[2])
YOLO(weights).train(**settings)
"""


def rows(material: Material, folder: Path, long: bool) -> Iterator[Row]:
    """Fine-tuning on a CPU, as the study does it and as ``yolo train`` does."""
    folder.mkdir()
    if material.weights.suffix != ".pt":
        yield not_measured("fine-tuning YOLOv8n 320", "cpu", "s/epoch", 1.9, "no YOLOv8n weights at hand")
    else:
        layout = _layout(material.photos, folder / "data", PHOTOS)
        usual = _later_epochs(_usual(material.weights, layout, folder / "usual", SETTINGS))
        ours = _later_epochs(_ours(material.weights, layout, folder / "ours", SETTINGS))
        name = f"fine-tuning YOLOv8n 320, same settings, an epoch of {PHOTOS['train']} photos"
        yield against(name, ours, usual, "s/epoch", 1.9)
        kept, read = _loading(layout, folder)
        name = "the same: photos to augmented batches, decoded once (cache: auto) and each epoch (off)"
        yield against(name, kept, read, "ms/photo", None, note="time of one core; both ours")
        yield from _on_gpu(material, folder)
    if long:
        yield _accuracy(folder / "accuracy")


def _on_gpu(material: Material, folder: Path) -> Iterator[Row]:
    """The same at 640 on a GPU, with the precision that both sides choose there, on all photos that there are."""
    device = gpu()
    name = "fine-tuning YOLOv8n 640, same settings"
    if device is None:
        yield not_measured(name, "gpu", "s/epoch", 1.5, NO_GPU)
        return
    photos = len(material.photos)
    layout = _layout(material.photos, folder / "gpu-data", {"train": photos - photos // 5, "val": photos // 5})
    settings = {**SETTINGS, "imgsz": 640}
    usual = _usual(material.weights, layout, folder / "gpu-usual", settings, device=device)
    ours = _ours(material.weights, layout, folder / "gpu-ours", settings, device=device)
    yield against(f"{name}, an epoch of {photos} photos", *map(_later_epochs, (ours, usual)), "s/epoch", 1.5,
                  device="gpu")  # fmt: skip


def _loading(layout: Layout, folder: Path, epochs: int = 5) -> tuple[float, float]:
    """Milliseconds of processor time a photo, to load and augment it: kept in memory, and read from its file."""
    from wreckognize.detectors.ultralytics import import_library

    import_library()
    from ultralytics.cfg import get_cfg
    from ultralytics.data import build_yolo_dataset
    from ultralytics.data.utils import check_det_dataset

    from wreckognize.training.photos import Photos
    from wreckognize.training.store import fill

    data = check_det_dataset(str(layout.data_file))
    settings = get_cfg(overrides={"imgsz": SETTINGS["imgsz"], "task": "detect"})
    kept, read = (build_yolo_dataset(settings, data["train"], SETTINGS["batch"], data) for _ in range(2))
    for photos in (kept, read):
        photos.__class__ = Photos
    kept.store = fill("ram", folder, kept.kept_sizes(), kept.reader())
    taken: list[list[float]] = [[], []]
    for epoch in range(epochs):
        for photos, times in zip((kept, read), taken, strict=True):
            photos.begin_epoch(epoch)
            random.seed(epoch)
            np.random.seed(epoch)
            began = time.process_time()
            for number in range(len(photos)):
                photos[number]
            times.append(1000 * (time.process_time() - began) / len(photos))
    return statistics.median(taken[0]), statistics.median(taken[1])


def _accuracy(folder: Path) -> Row:
    """Our trainer and the library's from the same start, three seeds each: the best mAP50-95 on validation photos."""
    from wreckognize.study import resolve_weights

    folder.mkdir()
    layout = _drawn(folder / "data")
    start = Path(resolve_weights("starter", folder))
    start_of_library = folder / "start.pt"  # it reads no safetensors
    _as_checkpoint(start, start_of_library)
    ours, usual = [], []
    for seed in SEEDS:
        ours.append(_best(_ours(start, layout, folder / f"ours-{seed}", ACCURACY_SETTINGS, seed)))
        usual.append(_best(_usual(start_of_library, layout, folder / f"usual-{seed}", ACCURACY_SETTINGS, seed)))
    mean, peer = statistics.mean(ours), statistics.mean(usual)
    spread = max(max(values) - min(values) for values in (ours, usual))
    told = "; ".join(
        f"{name} {', '.join(f'{value:.3f}' for value in values)}"
        for name, values in (("ours", ours), ("usual", usual))
    )
    name = f"accuracy of fine-tuning, same settings, {len(SEEDS)} seeds, {sum(DRAWN.values())} drawn photos"
    note = f"ratio ours / usual; met if not below by more than the spread of a side, {spread:.3f}; {told}"
    return Row(name, "cpu", mean, peer, "mAP50-95", mean / peer, None, mean >= peer - spread, note)


def _drawn(folder: Path) -> Layout:
    """Drawn damaged vehicles, half of them close-ups, and places without one."""
    from wreckognize.boxes import as_boxes
    from wreckognize.demo.collection import random_size
    from wreckognize.demo.draw import random_case, render_background, render_vehicle_photo

    photos = folder.with_name("photos")
    photos.mkdir()
    table, labels = [], []
    for number in range(sum(DRAWN.values())):
        rng, path = np.random.default_rng([9, number]), photos / f"{number:04}.jpg"
        size = random_size(rng)
        if number % 4:
            close = number % 2 == 0
            drawn = render_vehicle_photo(rng, random_case(rng, damaged=True), size=size, close_up=close)
            image, boxes = drawn.image, drawn.vehicles
        else:
            image, boxes = render_background(rng, size=size, hard=number % 8 == 0).image, as_boxes([])
        cv2.imwrite(str(path), image)
        split = "train" if number < DRAWN["train"] else "val"
        table.append((path.name, split, str(path), True, size[0], size[1]))
        labels += [(path.name, split, *box, "vehicle", "human", None) for box in boxes.tolist()]
    columns = ["photo", "split", "path", "plain", "width", "height"]
    frame = pl.DataFrame(table, schema=columns, orient="row")
    return write_layout(frame, pl.DataFrame(labels, LABEL_SCHEMA, orient="row"), folder, progress=Silent())


def _as_checkpoint(weights: Path, file: Path) -> None:
    import torch

    from wreckognize.detectors.ultralytics import load_network

    torch.save({"epoch": -1, "model": load_network(str(weights)).model, "ema": None, "train_args": {}}, file)


def _layout(photos: list[Path], folder: Path, counts: Mapping[str, int]) -> Layout:
    """The first photos, each with one box over most of it: what is in a box does not change the cost."""
    chosen = photos[: sum(counts.values())]
    table, labels = [], []
    for number, path in enumerate(chosen):
        header = images.read_header(path)
        split = "train" if number < counts["train"] else "val"
        table.append({"photo": path.name, "split": split, "path": str(path), "plain": True, "width": header.width,
                      "height": header.height})  # fmt: skip
        labels.append({"photo": path.name, "x1": 0.1 * header.width, "y1": 0.1 * header.height,
                       "x2": 0.9 * header.width, "y2": 0.9 * header.height, "kind": "vehicle", "origin": "teacher",
                       "confidence": 0.9})  # fmt: skip
    drawn = pl.DataFrame(labels).cast({name: LABEL_SCHEMA[name] for name in labels[0]})
    return write_layout(pl.DataFrame(table), drawn, folder, progress=Silent())


def _ours(
    weights: Path, layout: Layout, folder: Path, settings: dict[str, Any], seed: int = 0, device: str = "cpu"
) -> pl.DataFrame:
    folder.mkdir()
    training = folder / "training"  # the weights go beside it
    training.mkdir()
    fine_tune(
        str(weights),
        layout,
        TrainSettings(**settings, device=device),
        training,
        seed=seed,
        name="ours",
        progress=Silent(),
    )
    return read_curves(training / "work" / "results.csv")


def _usual(
    weights: Path, layout: Layout, folder: Path, settings: dict[str, Any], seed: int = 0, device: str = "cpu"
) -> pl.DataFrame:
    """The library in a process of its own, with none of our settings of threads."""
    asked = {
        **settings, "data": str(layout.data_file), "device": device, "project": str(folder), "name": "work",
        "plots": False, "seed": seed,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as config:
        ours = ("OMP_NUM_THREADS", "GOMP_SPINCOUNT")
        fenced = {name: value for name, value in fence(Path(config)).items() if name not in ours}
        subprocess.run(
            [sys.executable, "-c", _USUAL, str(weights), json.dumps(asked)],
            env={**os.environ, **fenced},
            check=True,
            capture_output=True,
        )
    return read_curves(folder / "work" / "results.csv")


def _later_epochs(curves: pl.DataFrame) -> float:
    """Median seconds of an epoch."""
    ended = curves["time"].to_list()
    return statistics.median(later - earlier for earlier, later in pairwise(ended))


def _best(curves: pl.DataFrame) -> float:
    return float(curves["metrics/mAP50-95(B)"].max())  # type: ignore[arg-type]
