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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from material import Material
from table import NO_GPU, Row, against, gpu, limit, not_measured

WARM_UP = 4
SIDES = {
    "torch float32": ("torch", "float32"),
    "onnxruntime float32": ("onnxruntime", "float32"),
    "openvino float32": ("openvino", "float32"),
    "openvino bfloat16 and a second look": ("openvino", "bfloat16"),
    "openvino int8": ("openvino", "int8"),
}
GPU_SIDES = {
    "torch float16 and a second look": ("torch", "float16"),
    "compiled float16 and a second look": ("compiled", "float16"),
    "tensorrt float16 and a second look": ("tensorrt", "float16"),
}
GOALS = {"YOLOv8n 640": (2.5, None), "YOLOv8x 640": (3.5, 5.5)}
"""Least ratio wanted of the best engine without loss, and of int8."""
GPU_GOAL = 8
GPU_PHOTOS_PER_SECOND = 600


def rows(material: Material, folder: Path, long: bool) -> Iterator[Row]:
    """The small network on photos from files, the large one on few; the same on a GPU where there is one."""
    from wreckognize import processor

    small, large = (f"{name} {material.imgsz}" for name in ("YOLOv8n", "YOLOv8x"))
    # int8 is timed even where it gains little, which is what the row then says; imitated bfloat16 takes for ever.
    here = [side for side in SIDES if "bfloat16" not in side or processor.has_bfloat16()]
    nano, extra = str(material.weights), "yolov8x.yaml"
    times = _times(nano, here, "cpu", material, folder, photos=48, rounds=3)
    yield from _rows(small, SIDES, times, *GOALS.get(small, (None, None)))
    photos, rounds = (32, 3) if long else (16, 1)  # at least a batch for each of two streams
    times = _times(extra, here, "cpu", material, folder, photos=photos, rounds=rounds)
    yield from _rows(large, SIDES, times, *GOALS.get(large, (None, None)))
    yield from gpu_rows({small: nano, large: extra}, material, folder, gpu())


def gpu_rows(
    networks: Mapping[str, str], material: Material, folder: Path, device: str | None, *, photos: int = 1024
) -> Iterator[Row]:
    """Each network (name, weights) on a GPU (``cuda:0``; None: there is none)."""
    from wreckognize.processor import tensorrt_here

    most = f"{GPU_PHOTOS_PER_SECOND} photos/s"
    for name, weights in networks.items():
        what = f"photos to predictions, {name}"
        if device is None:
            yield not_measured(what, "gpu", "ms/photo", GPU_GOAL, NO_GPU)
            if "8x" in name:
                yield not_measured(f"{what}: at least {most}", "gpu", "ms/photo", 1, NO_GPU)
            continue
        here = [side for side in GPU_SIDES if "tensorrt" not in side or tensorrt_here()]
        times = _times(weights, here, device, material, folder, photos=photos, rounds=3)
        yield from _rows(name, GPU_SIDES, times, GPU_GOAL, None, device="gpu")
        if "8x" in name:
            best = min(statistics.median(times[side]) for side in here)
            yield limit(f"{what}: at least {most}", best, 1000 / GPU_PHOTOS_PER_SECOND, "ms/photo", device="gpu")


def _times(
    weights: str, sides: Sequence[str], device: str, material: Material, folder: Path, *, photos: int, rounds: int
) -> dict[str, list[float]]:
    """Milliseconds a photo of the usual way and of each side, taken in turn."""
    known = [str(photo) for photo in material.photos]
    files = [known[number % len(known)] for number in range(photos + WARM_UP)]
    taken: dict[str, list[float]] = {side: [] for side in ("usual", *sides)}
    for _ in range(rounds):
        for side, times in taken.items():
            job = {
                "side": side,
                "weights": weights,
                "files": files,
                "imgsz": material.imgsz,
                "device": device,
                "cache": str(folder),
            }
            done = subprocess.run(
                [sys.executable, __file__, json.dumps(job)], check=True, capture_output=True, text=True
            )
            times.append(float(done.stdout.split()[-1]) / photos * 1000)
    return taken


def _rows(
    name: str,
    sides: Mapping[str, object],
    taken: Mapping[str, Sequence[float]],
    whole: float | None,
    narrow: float | None,
    *,
    device: str = "cpu",
) -> Iterator[Row]:
    """A row for each side; the fastest one of whole precision has the goal ``whole``, int8 has ``narrow``."""
    from wreckognize import processor

    usual = statistics.median(taken["usual"])
    whole_ones = [side for side in taken if side not in ("usual", "openvino int8")]
    best = min(whole_ones, key=lambda side: statistics.median(taken[side]))
    for side in sides:
        what = f"photos to predictions, {name}, {side}"
        goal = narrow if "int8" in side else whole if side == best else None
        if side not in taken:
            why = "it is not installed" if "tensorrt" in side else "the processor lacks the format"
            yield not_measured(what, device, "ms/photo", goal, why)
        else:
            note = "the processor has no int8 dot products" if "int8" in side and not processor.has_int8() else ""
            yield against(what, statistics.median(taken[side]), usual, "ms/photo", goal, device=device, note=note)


def _warm_up(photos: list[Any], device: str) -> list[Any]:
    """A few on a CPU; on a GPU all, as `compiled` and TensorRT prepare each shape of photo when it first comes."""
    return photos[:WARM_UP] if device == "cpu" else photos


def _usual(weights: str, files: list[str], imgsz: int, device: str) -> float:
    """The library as it comes."""
    from ultralytics import YOLO

    library = YOLO(weights)
    for file in _warm_up(files, device):
        library(file, imgsz=imgsz, verbose=False, device=device)
    began = time.perf_counter()
    for file in files[WARM_UP:]:
        library(file, imgsz=imgsz, verbose=False, device=device)
    return time.perf_counter() - began


def _ours(side: str, weights: str, files: list[str], imgsz: int, device: str, cache: Path) -> float:
    from wreckognize import images
    from wreckognize.detectors.engines import Choice, open_engine
    from wreckognize.detectors.port import Calibration
    from wreckognize.inference.samples import letterboxed
    from wreckognize.inference.stream import PhotoFile, StreamSettings, look_at

    photos = []
    for file in files:
        header = images.read_header(Path(file))
        photos.append(PhotoFile(file, Path(file), header.width, header.height))
    engine, precision = {**SIDES, **GPU_SIDES}[side]
    detector = open_engine(
        weights,
        Choice(engine, precision, (0.10, 0.25) if precision in ("bfloat16", "float16") else ()),
        classes=("car", "bus", "truck"),
        device=device,
        cache=cache,
        calibration=Calibration(lambda: letterboxed(photos[:WARM_UP], imgsz), "benchmark"),
    )
    list(look_at(_warm_up(photos, device), detector, StreamSettings(imgsz)))
    began = time.perf_counter()
    list(look_at(photos[WARM_UP:], detector, StreamSettings(imgsz)))
    return time.perf_counter() - began


def main() -> None:
    """One side's work, in this process; prints its seconds last."""
    job = json.loads(sys.argv[1])
    side, weights, files, imgsz, device = (job[key] for key in ("side", "weights", "files", "imgsz", "device"))
    if side == "usual":
        import os
        import tempfile

        from wreckognize.detectors.ultralytics import fence

        with (
            tempfile.TemporaryDirectory() as config
        ):  # no telemetry, no downloads; threads as the library chooses them
            fenced = fence(Path(config))
            for name in ("OMP_NUM_THREADS", "GOMP_SPINCOUNT"):
                fenced.pop(name, None)
            os.environ.update(fenced)
            print(_usual(weights, files, imgsz, device))
    else:
        print(_ours(side, weights, files, imgsz, device, Path(job["cache"])))


if __name__ == "__main__":
    main()
