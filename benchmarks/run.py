"""Speed against the usual way, both sides in one run: ``make bench``.

Each row is a ratio (peer seconds / our seconds), because absolute times on a shared machine say little. Results go to
``benchmarks/results/latest.json``. Real weights and photos are used where WRECKOGNIZE_PHOTOS has them, else the drawn
ones of the demo.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl

from wreckognize import images
from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, PREDICTION_SCHEMA
from wreckognize.detectors.ultralytics import open_detector
from wreckognize.evaluation.box_level import box_figures
from wreckognize.inference.stream import PhotoFile, StreamSettings, look_at

HERE = Path(__file__).parent
REPEATS = 3
PACKAGES = ("torch", "ultralytics-opencv-headless", "hotcoco", "pycocotools")


@dataclass(frozen=True)
class Row:
    """One line of the table; ``ratio`` is peer / ours, or goal / ours where the goal is a limit."""

    name: str
    device: str
    ours: float
    peer: float | None
    unit: str
    ratio: float
    goal: float | None
    met: bool | None


def main() -> None:
    """Measure every row, print the table, write the results."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for measure in (predictions, label_files, average_precision, help_text):
            rows.append(row := measure(Path(name)))
            peer = "-" if row.peer is None else f"{row.peer:.3g}"
            verdict = {None: "", True: "met", False: "short"}[row.met]
            goal = "-" if row.goal is None else f"{row.goal:g}x"
            print(
                f"{row.name:<62} ours {row.ours:.3g}, usual {peer} {row.unit}: {row.ratio:.2f}x (goal {goal}) {verdict}"
            )
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    result = {
        "commit": commit,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {
            name: version(name) for name in ("torch", "ultralytics-opencv-headless", "hotcoco", "pycocotools")
        },
        "rows": [asdict(row) for row in rows],
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "latest.json").write_text(json.dumps(result, indent=1) + "\n")


def seconds(*works: Callable[[], object]) -> list[float]:
    """Median time of each, taken in turn so that a drifting machine meets all of them alike; after one warm-up."""
    for work in works:
        work()
    times: list[list[float]] = [[] for _ in works]
    for _ in range(REPEATS):
        for taken, work in zip(times, works, strict=True):
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in times]


def row(name: str, ours: float, peer: float, unit: str, goal: float | None) -> Row:
    """A row of two sides."""
    ratio = peer / ours
    return Row(name, "cpu", ours, peer, unit, ratio, goal, None if goal is None else ratio >= goal)


def predictions(folder: Path) -> Row:
    """Photos to vehicle boxes, against the library called for one photo at a time."""
    from ultralytics import YOLO

    weights, photos, imgsz, what = _weights_and_photos(folder)
    detector = open_detector(str(weights), classes=("car", "bus", "truck"), device="cpu")
    headers = [images.read_header(photo) for photo in photos]
    files = [PhotoFile(p.name, p, h.width, h.height) for p, h in zip(photos, headers, strict=True)]
    library = YOLO(_as_checkpoint(weights, folder))

    def ours() -> object:
        return list(look_at(files, detector, StreamSettings(imgsz)))

    def usual() -> object:
        return [library.predict(photo, imgsz=imgsz, conf=0.001, verbose=False, device="cpu") for photo in photos]

    own, peer = (time / len(photos) * 1000 for time in seconds(ours, usual))
    return row(f"photos to predictions, {what}", own, peer, "ms/photo", 2.5)


def _weights_and_photos(folder: Path) -> tuple[Path, list[Path], int, str]:
    root = Path(os.environ.get("WRECKOGNIZE_PHOTOS") or HERE.parents[1] / "shared")
    if (root / "data").is_dir():
        photos = sorted((root / "data" / "normal" / "images").iterdir())[:40]
        photos += sorted((root / "data" / "damaged" / "images").iterdir())[:40]
        return root / "weights" / "yolov8n-coco.pt", photos, 640, "YOLOv8n 640, real photos"
    from wreckognize.demo.collection import make
    from wreckognize.study import resolve_weights

    collection = make(folder / "photos", scale=0.2)
    weights = Path(resolve_weights("starter", folder))
    return weights, sorted(collection.folder.rglob("*.jpg"))[:80], 192, "starter 192, drawn photos"


def _as_checkpoint(weights: Path, folder: Path) -> Path:
    """The library reads its own pickles only."""
    if weights.suffix == ".pt":
        return weights
    import torch

    from wreckognize.detectors.ultralytics import load_network

    target = folder / "peer.pt"
    torch.save({"model": load_network(str(weights)).model, "train_args": {"task": "detect"}}, target)
    return target


def label_files(folder: Path) -> Row:
    """AI-Hub labels to catalog candidates, against ``json.load`` alone, file by file."""
    from wreckognize.collect.aihub_label import LabelRequest, read_labels

    labels = folder / "labels"
    labels.mkdir()
    annotation = {
        "id": 2, "image_id": 1, "category_id": "sc-226797", "area": 19507.0, "bbox": [3, 360, 957, 39],
        "segmentation": [[[[x, 360 + x % 40] for x in range(0, 960, 12)]]], "damage": "Separated", "part": None,
        "year": 2018, "color": "White", "level": None, "repair": [],
    }  # fmt: skip
    content = {"info": {"name": "socar"}, "images": {"id": 1, "width": 960, "height": 720, "file_name": "a.jpg"}}
    files = []
    for number in range(5000):
        path = labels / f"{number:07}_sc-226797.json"
        path.write_text(json.dumps(content | {"annotations": [annotation] * (1 + number % 3)}))
        files.append(path)

    def ours() -> object:
        nothing = [-1] * len(files)
        return read_labels(LabelRequest([os.fsencode(file) for file in files], nothing, nothing))

    def usual() -> object:
        loaded = []
        for file in files:
            with file.open() as opened:
                loaded.append(json.load(opened))
        return loaded

    own, peer = (time / len(files) * 1e6 for time in seconds(ours, usual))
    return row("5,000 AI-Hub label files, read and mapped, one process", own, peer, "us/file", 4)


def average_precision(_folder: Path) -> Row:
    """Mean average precision of one system on 2,000 photos, against pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    photos, boxes, predicted = _random_boxes(2000)

    def ours() -> object:
        return box_figures(photos, boxes, predicted)

    number = {photo: index for index, photo in enumerate(photos["photo"])}
    drawn = COCO()
    drawn.dataset = {
        "images": [{"id": index} for index in number.values()],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": index + 1, "image_id": number[photo], "category_id": 1, "iscrowd": 0, "area": (x2 - x1) * (y2 - y1),
             "bbox": [x1, y1, x2 - x1, y2 - y1]}
            for index, (photo, x1, y1, x2, y2) in enumerate(boxes.select("photo", "x1", "y1", "x2", "y2").iter_rows())
        ],
    }  # fmt: skip
    found = [
        {"image_id": number[photo], "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": confidence}
        for photo, x1, y1, x2, y2, confidence in predicted.iter_rows()
    ]

    def usual() -> object:
        with contextlib.redirect_stdout(io.StringIO()):
            drawn.createIndex()
            judge = COCOeval(drawn, drawn.loadRes(found), "bbox")
            judge.evaluate()
            judge.accumulate()
            judge.summarize()
        return judge.stats

    own, peer = seconds(ours, usual)
    return row("mAP of 2,000 photos, 40 boxes each", own, peer, "s", 30)


def _random_boxes(count: int) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(0)
    names = [f"s/{index:05}" for index in range(count)]

    def corners(photos: Sequence[str]) -> dict[str, object]:
        start, side = rng.uniform(0, 400, (len(photos), 2)), rng.uniform(40, 200, (len(photos), 2))
        far = start + side
        return {"photo": list(photos), "x1": start[:, 0], "y1": start[:, 1], "x2": far[:, 0], "y2": far[:, 1]}

    truth = pl.DataFrame(corners(names * 2)).with_columns(
        kind=pl.lit("vehicle"), origin=pl.lit("human"), confidence=pl.lit(None), crowd=pl.lit(False)
    )
    found = corners(names * 40)
    predicted = pl.DataFrame(found).with_columns(confidence=pl.Series(rng.uniform(0.001, 1, count * 40)))
    known = {"role": "normal", "has_vehicle": True, "box_truth": True, "damage_types": []}
    photos = pl.DataFrame([known | {"photo": name} for name in names], schema=PHOTO_SCHEMA)
    return photos, truth.cast(dict(BOX_SCHEMA)), predicted.cast(dict(PREDICTION_SCHEMA)).sort("photo")


def help_text(_folder: Path) -> Row:
    """``wreckognize --help``, a limit of 0.3 s."""

    def ask() -> object:
        return subprocess.run([sys.executable, "-m", "wreckognize", "--help"], capture_output=True, check=True)

    [taken] = seconds(ask)
    return Row("wreckognize --help", "cpu", taken, None, "s", 0.3 / taken, 1, taken <= 0.3)


if __name__ == "__main__":
    main()
