"""Engines: the decisions that they flip on real photos, and where the time goes.

``python benchmarks/engines.py [TIMED [JUDGED [NAME...]]]``: how many photos are timed and judged, and which engines, by
the beginnings of their names; default all. It wants real photos and weights (``WRECKOGNIZE_PHOTOS``, else the folder
``shared`` beside the checkout). Times are CPU seconds of this process, all its threads together. How fast engines are:
``predictions.py``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from wreckognize import images, processor
from wreckognize.detectors.engines import Choice, open_engine
from wreckognize.detectors.port import Calibration, Detector
from wreckognize.errors import InputError
from wreckognize.evaluation.parity import Parity, compare_predictions
from wreckognize.inference.passes import predictions_table
from wreckognize.inference.samples import letterboxed
from wreckognize.inference.stream import PhotoFile, StreamSettings, look_at

ROOT = Path(os.environ.get("WRECKOGNIZE_PHOTOS") or Path(__file__).parents[2] / "shared")
WEIGHTS = ROOT / "weights" / "yolov8n-coco.pt"
CLASSES = ("car", "bus", "truck")
THRESHOLDS = (0.10, 0.25)
LEARN_FROM = 64


def choices(wanted: Sequence[str] = ("",)) -> dict[str, tuple[Choice, bool]]:
    """What is compared (names that begin with one of ``wanted``), and whether this processor has it."""
    known = {
        "torch float32": (Choice(), True),
        "onnxruntime float32": (Choice("onnxruntime"), True),
        "openvino float32": (Choice("openvino"), True),
        "openvino bfloat16, second look": (Choice("openvino", "bfloat16", THRESHOLDS), processor.has_bfloat16()),
        "openvino int8": (Choice("openvino", "int8"), True),
        "openvino int8, second look": (Choice("openvino", "int8", THRESHOLDS), True),
    }
    return {name: known[name] for name in known if name.startswith(tuple(wanted))}


def photos(count: int, skip: int = 0) -> list[PhotoFile]:
    """Real photos, half damaged, a quarter intact, a quarter without a vehicle; every n-th, from the ``skip``-th."""
    parts = (("damaged", count // 2), ("normal", count // 4), ("coco", count - count // 2 - count // 4))
    found = []
    for folder, wanted in parts:
        paths = sorted(
            path for path in (ROOT / "data" / folder).rglob("*") if path.suffix.lower() in (".jpg", ".png")
        )
        for path in paths[skip :: max(1, len(paths) // wanted)][:wanted]:
            try:
                header = images.read_header(path)
            except InputError:  # the stream's business, not this table's
                continue
            found.append(PhotoFile(str(path), path, header.width, header.height))
    return found


def opened(choice: Choice, cache: Path) -> Detector:
    """A detector for one of the `choices`; int8 learns from other photos than those that are timed or judged."""
    learn_from = photos(LEARN_FROM, skip=1)
    calibration = Calibration(lambda: letterboxed(learn_from, 640), "benchmark")
    return open_engine(str(WEIGHTS), choice, classes=CLASSES, device="cpu", cache=cache, calibration=calibration)


def parities(cache: Path, judged: int = 200, wanted: Sequence[str] = ("",)) -> dict[str, Parity]:
    """Every engine's decisions, boxes and scores on real photos against torch in float32."""
    files, settings = photos(judged), StreamSettings(640)
    names = [file.photo for file in files]

    def seen(choice: Choice) -> pl.DataFrame:
        return predictions_table(list(look_at(files, opened(choice, cache), settings)))

    reference = seen(Choice())
    return {
        name: compare_predictions(names, reference, seen(choice), thresholds=THRESHOLDS)
        for name, (choice, here) in choices(wanted).items()
        if here and choice != Choice()
    }


def share_of_time(cache: Path, count: int = 32) -> dict[str, float]:
    """CPU milliseconds a photo of each step, for torch's sake one step after the other on one thread."""
    from wreckognize.inference.letterbox import Fit
    from wreckognize.inference.stream import suppress

    files, settings = photos(count), StreamSettings(640)
    taken: dict[str, float] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = work()
        taken[name] = (time.process_time() - began) / len(files) * 1000
        return result

    fits = [Fit.of(file.width, file.height, 640, 32) for file in files]
    pixels = step("decode", lambda: [images.decode(file.path) for file in files])
    inputs = step("letterbox", lambda: [fit.apply(one) for fit, one in zip(fits, pixels, strict=True)])
    for name in ("torch float32", "openvino float32"):
        detector = opened(choices()[name][0], cache)
        detector.infer(inputs[0][None])
        raws = step(f"infer, {name}", lambda d=detector: [d.infer(one[None]) for one in inputs])
    step("check of numbers", lambda: [np.isfinite(raw.boxes).all() for raw in raws])
    step("NMS", lambda: [suppress(raw.boxes[0], raw.confidences[0], settings) for raw in raws])
    return taken


def main() -> None:
    """Print all of it."""
    timed, judged = (*map(int, sys.argv[1:3]), *(32, 200)[len(sys.argv[1:3]) :])
    wanted = sys.argv[3:] or ("",)
    with tempfile.TemporaryDirectory() as folder:
        if timed:
            print(json.dumps(share_of_time(Path(folder), timed)), flush=True)
        if judged:
            for name, parity in parities(Path(folder), judged, wanted).items():
                print(name, json.dumps(parity.to_dict()), flush=True)


if __name__ == "__main__":
    main()
