"""Who gets the cores: several photos at the same time with a share each, or one photo with all of them.

Several at a time get most through; one after the other each is answered soonest while few wait. Where a detector looks
at several at the same time (OpenVINO on a CPU does), a second one of the same model that looks at one stands beside it,
and the length of the queue says which is used. Both are timed before the first request.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wreckognize.detectors.port import Detector
from wreckognize.inference.stream import Engine
from wreckognize.serving.warming import best_time, paying_batch


class Lane(Enum):
    """How the next photos are looked at."""

    TOGETHER = "together"  # beside others
    ALONE = "alone"  # one photo, with all cores and nobody beside it
    WAIT = "wait"  # a photo has all cores now


class Lanes:
    """A model's one or two detectors.

    Args:
        together: looks at ``info.requests`` batches at the same time.
        alone: the same model with all cores for one batch; None: there is no such choice.

    Attributes:
        requests: batches that may be looked at at the same time.
        one_by_one: photos that may wait, the next one included, for the next one to have all cores; known once warm.
    """

    def __init__(self, together: Detector, alone: Detector | None = None) -> None:
        self.requests = max(1, together.info.requests)
        self.one_by_one = 0
        self._together = Engine(together)
        self._alone = Engine(alone) if alone is not None and self.requests > 1 else None

    def engine(self, lane: Lane) -> Engine:
        """The engine of a lane."""
        return self._alone if lane is Lane.ALONE and self._alone is not None else self._together

    def choose(self, waiting: int, running: int, *, alone: bool) -> Lane:
        """How to look at the next photo.

        Args:
            waiting: photos in the queue that are not being looked at, the next one included.
            running: batches that are being looked at.
            alone: one of these has all cores.
        """
        if alone:
            return Lane.WAIT
        return Lane.ALONE if running == 0 and waiting <= self.one_by_one else Lane.TOGETHER

    def warm_up(self, blank: Callable[[int], NDArray[np.uint8]], batch: int | None) -> int:
        """Look at grey photos: loads what loads itself at first use, and times both lanes.

        Args:
            blank: makes a batch of so many photos.
            batch: photos looked at in one go; None: measured.

        Returns:
            Photos to look at in one go, at most.

        Raises:
            EngineError: the engine does not work.
        """
        self._together.infer(blank(1), _GREY)
        if self._alone is not None:
            self.one_by_one = photos_one_by_one(*self._times(self._alone, blank(1)), self.requests)
            if self.one_by_one == 0:
                self._alone = None  # frees its memory
        return batch or paying_batch(lambda size: self._together.infer(blank(size), _GREY))

    def _times(self, alone: Engine, photo: NDArray[np.uint8]) -> tuple[float, float]:
        """Seconds that a photo takes alone, and beside as many others as there can be."""

        def beside(pool: ThreadPoolExecutor) -> None:
            for done in [pool.submit(self._together.infer, photo, _GREY) for _ in range(self.requests)]:
                done.result()

        alone.infer(photo, _GREY)
        with ThreadPoolExecutor(self.requests) as pool:
            return best_time(lambda: alone.infer(photo, _GREY)), best_time(lambda: beside(pool))


_GREY = "a grey photo"


def photos_one_by_one(alone: float, together: float, requests: int) -> int:
    """How many photos may wait, the next one included, for the next one to have all cores.

    One at a time wins for a photo that comes alone and loses throughput once others come, which then wait for longer.
    In simulated queues (photos at random moments, 20 to 70 % load, all cores 1.5 to 5 times as fast as a share) a
    quarter of the photos that are looked at together shortened the median of a light load by a third and more, and
    moved the 99th percentile little; more of them lengthened it (`tests/serving/test_lanes.py`).

    Args:
        alone: seconds for a photo that has all cores.
        together: seconds for ``requests`` photos that share them.
        requests: see there.
    """
    return max(1, requests // 4) if alone < together else 0
