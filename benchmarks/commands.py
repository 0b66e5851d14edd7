"""What a user waits for when nothing is to be done: the help text, and a study that has not changed."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from table import Row, limit

TIMES = 5
_SMALL = [
    "--only",
    "baseline",
    "--only",
    "ver6",
    "--set",
    "systems.ver6.train.epochs=1",
    "--set",
    "teacher.imgsz=96",
]


def rows(folder: Path) -> Iterator[Row]:
    """Limits, start of the interpreter included."""
    yield limit("wreckognize --help", _median([sys.executable, "-m", "wreckognize", "--help"]), 0.3, "s")
    from wreckognize.demo.collection import make

    study = make(folder / "collection", scale=0.2).study
    again = [sys.executable, "-m", "wreckognize", "run", str(study), "--out", str(folder / "run"), *_SMALL]
    yield limit("rerun of an unchanged study", _median(again), 2, "s", note="the demo's photos, two systems")


def _median(command: Sequence[str]) -> float:
    subprocess.run(command, check=True, capture_output=True)  # once, so that files are in memory
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
