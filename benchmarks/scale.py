"""What a Ray cluster costs and gives, on two nodes of this machine.

This cannot show how inference scales: both nodes share the machine's cores. It shows what can be shown here: how many
parts one driver takes over in a second (which bounds how many machines it can feed), whether two workers that wait
for something other than a core take half the time of one, and how long a killed node holds a run up.

    python benchmarks/scale.py        (after `make cluster`)
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import numpy as np
import polars as pl
from clusters import TwoNodes

from wreckognize.catalog import PREDICTION_SCHEMA, QUARANTINE_SCHEMA
from wreckognize.inference.executor import Doing, Executor, Here, Tables, Tick, run_in_parts
from wreckognize.inference.passes import EMBEDDING_SCHEMA, PART_PHOTOS
from wreckognize.progress import Silent
from wreckognize.scale.cluster import import_ray
from wreckognize.scale.executor import RayExecutor
from wreckognize.settings import ScaleSettings

BOXES, EMBEDDING = 40, 512  # boxes a photo above 0.001, numbers of an embedding (YOLOv8x: 640, YOLOv8n: 256)


@dataclass(frozen=True)
class StandIn:
    """A part that takes so many seconds without using a core, and gives tables of the usual size."""

    seconds: float
    files: Sequence[Path] = ()

    @property
    def schemas(self) -> Mapping[str, pl.Schema]:
        """Those of a pass."""
        return {"predictions": PREDICTION_SCHEMA, "embeddings": EMBEDDING_SCHEMA, "unread": QUARANTINE_SCHEMA}

    def moved(self, folder: Path) -> Self:
        """The same."""
        return self

    def start(self) -> Doing:
        """Nothing is loaded."""
        rng = np.random.default_rng(0)

        def do(rows: pl.DataFrame, tick: Tick) -> Tables:
            time.sleep(self.seconds)
            boxes = rng.random((rows.height * BOXES, 5), dtype=np.float32)
            names = rows["photo"].to_numpy().repeat(BOXES).tolist()
            columns = dict(zip(("x1", "y1", "x2", "y2", "confidence"), boxes.T, strict=True))
            embeddings = list(rng.random((rows.height, EMBEDDING), dtype=np.float32))
            tick(rows.height)
            return {
                "predictions": pl.DataFrame({"photo": names, **columns}, schema=PREDICTION_SCHEMA),
                "embeddings": pl.DataFrame(
                    {"photo": rows["photo"], "embedding": embeddings}, schema=EMBEDDING_SCHEMA
                ),
                "unread": QUARANTINE_SCHEMA.to_frame(),
            }

        return do


class Clock(Silent):
    """When parts were finished; may do something at one of them."""

    def __init__(self) -> None:
        self.at: list[float] = []

    @contextmanager
    def task(self, *_: object, **__: object) -> Iterator[Self]:
        """Itself."""
        yield self

    def advance(self, count: int = 1) -> None:
        """Note the time."""
        if count:
            self.at.append(time.monotonic())
            self.finished(len(self.at))

    def finished(self, parts: int) -> None:
        """For those who want to do something then."""


def parts_of(count: int) -> pl.DataFrame:
    """A table of so many parts; its photos are this file."""
    names = [f"s/{number:07}.jpg" for number in range(count * PART_PHOTOS)]
    return pl.DataFrame({"photo": names, "path": __file__, "source": "s"})


def seconds_a_part(count: int, work: StandIn, executor: Executor, clock: Clock | None = None) -> float:
    """Between the first finished part and the last: starting workers is not in it."""
    clock, folder = clock or Clock(), Path(tempfile.mkdtemp())
    run_in_parts(
        parts_of(count),
        work,
        executor,
        size=PART_PHOTOS,
        folder=folder,
        key="k",
        progress=clock,
        description="parts",
    )
    shutil.rmtree(folder)
    return (clock.at[-1] - clock.at[0]) / (len(clock.at) - 1)


def main() -> None:
    """Measure and print."""
    ray = import_ray()
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    nodes = TwoNodes()
    try:
        nodes.wait_for(1)
        cluster = RayExecutor(ScaleSettings(address=nodes.address), say=print)
        feed = {"here": [], "one worker": []}  # type: dict[str, list[float]]
        for _ in range(2):
            feed["here"].append(seconds_a_part(16, StandIn(0.0), Here()))
            feed["one worker"].append(seconds_a_part(16, StandIn(0.0), cluster))
        for name, seconds in feed.items():
            rate = 1 / median(seconds)
            print(
                f"parts that take no time, {name}: {rate:.1f} a second = {rate * PART_PHOTOS:,.0f} photos a second"
            )
        one: list[float] = []
        two: list[float] = []
        for _ in range(2):
            one.append(seconds_a_part(8, StandIn(1.0), cluster))
            nodes.start_second()
            nodes.wait_for(2)
            two.append(seconds_a_part(16, StandIn(1.0), cluster))
            nodes.kill_second()
        print(f"parts that wait a second: one worker {median(one):.2f} s a part, two workers {median(two):.2f} s")
        print(f"two workers are {median(one) / median(two):.2f} times as fast")
        nodes.start_second()
        nodes.wait_for(2)

        class Killer(Clock):
            def finished(self, parts: int) -> None:
                if parts == 6:
                    nodes.kill_second()

        clock = Killer()
        seconds_a_part(16, StandIn(1.0), cluster, clock)
        gaps = np.diff(clock.at)
        print("a node killed after 6 of 16 parts: longest wait for a finished part")
        print(f"{gaps.max():.1f} s, else {median(gaps):.1f} s")
        cluster.close()
    finally:
        nodes.kill_second()
        nodes.first.kill()
        nodes.close()


if __name__ == "__main__":
    main()
