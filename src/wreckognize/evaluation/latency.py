"""How long a system takes for one photo: read, preprocess, inference and NMS together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np

WARMUP = 3
"""Untimed looks before the first timed one."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Time of one photo at a time, after warm-up.

    Attributes:
        median_ms: half of the photos took at most this long.
        p95_ms: 95 % of the photos took at most this long (linear interpolation).
        fps: photos a second, ``photos / total seconds``.
        photos: how many were timed.
    """

    median_ms: float
    p95_ms: float
    fps: float
    photos: int


@dataclass(frozen=True, slots=True)
class LatencyContext:
    """What a time means nothing without.

    Attributes:
        device: name of the processor or GPU.
        threads: CPU threads the engine may use.
        precision: number format of the network, such as ``fp32``.
        imgsz: longest side in pixels that photos are scaled to.
        engine: what runs the network.
    """

    device: str
    threads: int
    precision: str
    imgsz: int
    engine: str


def measure(
    look: Callable[[Path], object],
    paths: Sequence[Path],
    *,
    warmup: int = WARMUP,
    clock: Callable[[], float] = time.perf_counter,
) -> Latency:
    """Time ``look`` on each photo, one after the other.

    Args:
        look: does the whole work on one photo: read, preprocess, inference, NMS. It must wait for its device.
        paths: the photos.
        warmup: untimed looks before the first timed one, over the first photos (again from the start where there
            are fewer photos than that).
        clock: seconds, rising.

    Raises:
        ValueError: there is no photo.
    """
    if not paths:
        raise ValueError("no photos to time; give at least one path")
    for path in islice(cycle(paths), warmup):
        look(path)
    seconds = np.empty(len(paths))
    for number, path in enumerate(paths):
        start = clock()
        look(path)
        seconds[number] = clock() - start
    median, p95 = np.percentile(seconds, [50, 95]) * 1000
    return Latency(float(median), float(p95), len(paths) / float(seconds.sum()), len(paths))
