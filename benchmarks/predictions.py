"""Photos to predictions: every engine against ``YOLO(weights)(path, verbose=False)``, one photo at a time.

Each side runs in a process of its own, as a user's would, and the sides take turns. Time is the clock's, from the first
photo read to the last box, after a warm-up on other photos; start-up and conversion are not in it. Speed does not hang
on what weights know, so YOLOv8x is timed with random ones where no file is at hand; decisions are compared by
``engines.py``, with real ones only.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from material import Material
from table import Row, against, not_measured

WARM_UP = 4
SIDES = {
    "torch float32": ("torch", "float32"),
    "onnxruntime float32": ("onnxruntime", "float32"),
    "openvino float32": ("openvino", "float32"),
    "openvino bfloat16 and a second look": ("openvino", "bfloat16"),
    "openvino int8": ("openvino", "int8"),
}
NO_GPU = "no GPU; these sections measure the CPU only"
GOALS = {"YOLOv8n 640": (2.5, None), "YOLOv8x 640": (3.5, 5.5)}
"""Least ratio wanted of the best engine without loss, and of int8."""


def rows(material: Material, folder: Path, long: bool) -> Iterator[Row]:
    """The small network on photos from files, the large one on few, and what only a GPU can show."""
    yield from _rows("YOLOv8n 640", str(material.weights), material, folder, photos=48, rounds=3)
    photos, rounds = (32, 3) if long else (16, 1)  # at least a batch for each of two streams
    yield from _rows("YOLOv8x 640", "yolov8x.yaml", material, folder, photos=photos, rounds=rounds)
    for name in ("YOLOv8x 640", "YOLOv8n 640"):
        yield not_measured(f"photos to predictions, {name}", "gpu", "ms/photo", 8, NO_GPU)
    yield not_measured("photos a second from JPEG files, YOLOv8x 640: at least 600", "gpu", "photos/s", 1, NO_GPU)


def _rows(name: str, weights: str, material: Material, folder: Path, *, photos: int, rounds: int) -> Iterator[Row]:
    from wreckognize import processor

    # int8 is timed even where it gains little, which is what the row then says; imitated bfloat16 takes for ever.
    here = {side: "bfloat16" not in side or processor.has_bfloat16() for side in SIDES}
    files = [str(photo) for photo in material.photos[: photos + WARM_UP]]
    taken: dict[str, list[float]] = {side: [] for side in ("usual", *(side for side in SIDES if here[side]))}
    for _ in range(rounds):
        for side, times in taken.items():
            job = {"side": side, "weights": weights, "files": files, "imgsz": material.imgsz, "cache": str(folder)}
            done = subprocess.run(
                [sys.executable, __file__, json.dumps(job)], check=True, capture_output=True, text=True
            )
            times.append(float(done.stdout.split()[-1]) / photos * 1000)
    usual = statistics.median(taken["usual"])
    whole, narrow = GOALS[name]
    whole_ones = [side for side in taken if side not in ("usual", "openvino int8")]
    best = min(whole_ones, key=lambda side: statistics.median(taken[side]))
    for side in SIDES:
        what = f"photos to predictions, {name}, {side}"
        goal = narrow if "int8" in side else whole if side == best else None
        if side not in taken:
            yield not_measured(what, "cpu", "ms/photo", goal, "the processor lacks the format")
        else:
            note = "the processor has no int8 dot products" if "int8" in side and not processor.has_int8() else ""
            yield against(what, statistics.median(taken[side]), usual, "ms/photo", goal, note=note)


def _usual(weights: str, files: list[str], imgsz: int) -> float:
    """The library as it comes."""
    from ultralytics import YOLO

    library = YOLO(weights)
    for file in files[:WARM_UP]:
        library(file, imgsz=imgsz, verbose=False, device="cpu")
    began = time.perf_counter()
    for file in files[WARM_UP:]:
        library(file, imgsz=imgsz, verbose=False, device="cpu")
    return time.perf_counter() - began


def _ours(side: str, weights: str, files: list[str], imgsz: int, cache: Path) -> float:
    from wreckognize import images
    from wreckognize.detectors.engines import Choice, open_engine
    from wreckognize.detectors.port import Calibration
    from wreckognize.inference.samples import letterboxed
    from wreckognize.inference.stream import PhotoFile, StreamSettings, look_at

    photos = []
    for file in files:
        header = images.read_header(Path(file))
        photos.append(PhotoFile(file, Path(file), header.width, header.height))
    engine, precision = SIDES[side]
    detector = open_engine(
        weights,
        Choice(engine, precision, (0.10, 0.25) if precision == "bfloat16" else ()),
        classes=("car", "bus", "truck"),
        device="cpu",
        cache=cache,
        calibration=Calibration(lambda: letterboxed(photos[:WARM_UP], imgsz), "benchmark"),
    )
    list(look_at(photos[:WARM_UP], detector, StreamSettings(imgsz)))
    began = time.perf_counter()
    list(look_at(photos[WARM_UP:], detector, StreamSettings(imgsz)))
    return time.perf_counter() - began


def main() -> None:
    """One side's work, in this process; prints its seconds last."""
    job = json.loads(sys.argv[1])
    side, weights, files, imgsz = (job[key] for key in ("side", "weights", "files", "imgsz"))
    if side == "usual":
        import os
        import tempfile

        from wreckognize.detectors.ultralytics import fence

        with (
            tempfile.TemporaryDirectory() as config
        ):  # no telemetry, no downloads; threads as the library chooses them
            fenced = fence(Path(config))
            del fenced["OMP_NUM_THREADS"]
            os.environ.update(fenced)
            print(_usual(weights, files, imgsz))
    else:
        print(_ours(side, weights, files, imgsz, Path(job["cache"])))


if __name__ == "__main__":
    main()
