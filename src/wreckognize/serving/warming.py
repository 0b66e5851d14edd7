"""How many photos a batch should hold, measured before the first request.

Twice as many only where that saves at least a tenth of the time for each photo. On a CPU one photo at a time is usually
as fast as several, and then nobody waits for others; on a GPU large batches pay.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_LARGEST = 32
_WORTH = 0.9
_TRIES = 3  # the best counts, as other work on the machine only ever adds to a time


def paying_batch(infer: Callable[[int], object], clock: Callable[[], float] = time.perf_counter) -> int:
    """The largest batch that pays.

    Args:
        infer: looks at a batch of so many photos.
        clock: seconds; for tests.
    """

    def each(size: int) -> float:
        return best_time(lambda: infer(size), clock) / size

    size, best = 1, each(1)
    while size < _LARGEST and (doubled := each(2 * size)) <= _WORTH * best:
        size, best = 2 * size, doubled
    return size


def best_time(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that some work takes, the best of a few tries."""
    times = []
    for _ in range(_TRIES):
        began = clock()
        work()
        times.append(clock() - began)
    return min(times)
