from __future__ import annotations

import heapq
import random
import threading
import time
from collections import deque
from dataclasses import replace
from itertools import accumulate

import numpy as np
import pytest
from services import PATIENCE, Engine, until

from wreckognize.serving.inspector import Inspector
from wreckognize.serving.lanes import Lane, Lanes, photos_one_by_one
from wreckognize.serving.measures import Measures
from wreckognize.serving.settings import ServiceSettings

SETTINGS = ServiceSettings(batch=1, decoders=1)


def answered(
    arrivals: list[float], alone: float, together: float, requests: int, limit: int
) -> tuple[float, float]:
    """Median and 99th percentile of the seconds until an answer, of a queue that goes by `Lanes.choose`."""
    seconds, busy, waiting, coming = [], [], deque(), deque(arrivals)
    one_alone = False
    while len(seconds) < len(arrivals):
        if coming and (not busy or coming[0] < busy[0][0]):
            now = coming.popleft()
            waiting.append(now)
        else:
            now, came = heapq.heappop(busy)
            seconds.append(now - came)
            one_alone = False
        while waiting and not one_alone and len(busy) < requests:
            one_alone = not busy and len(waiting) <= limit
            heapq.heappush(busy, (now + (alone if one_alone else together), waiting.popleft()))
    return tuple(np.percentile(seconds, (50, 99)))


@pytest.mark.parametrize(("requests", "faster"), [(2, 1.5), (2, 1.8), (8, 3.0), (8, 5.0)])
@pytest.mark.parametrize("load", [0.2, 0.5, 0.7])
def test_cores_for_one_photo_shorten_the_median_of_a_light_load_and_cost_the_slowest_little(
    requests, faster, load
):
    together = 0.1
    dice = random.Random(1)
    arrivals = list(accumulate(dice.expovariate(load * requests / together) for _ in range(20_000)))
    limit = photos_one_by_one(together / faster, together, requests)
    never = answered(arrivals, together / faster, together, requests, 0)
    found = answered(arrivals, together / faster, together, requests, limit)
    assert found[0] <= 1.15 * never[0]
    assert found[1] <= 1.1 * never[1] or found[1] <= 1.5 * together
    if load == 0.2:
        assert found[0] < 0.7 * never[0]


def test_cores_that_gain_nothing_are_not_given_to_one_photo():
    assert photos_one_by_one(0.060, 0.112, 2) == 1
    assert photos_one_by_one(0.015, 0.060, 16) == 4
    assert photos_one_by_one(0.120, 0.112, 2) == 0


@pytest.fixture
def pair(detector):
    """The same detector twice: one that is slow and looks at two photos at a time, one that has all the cores."""
    together, alone = Engine(detector), Engine(detector)
    together.info = replace(detector.info, requests=2)
    together.before = lambda batch: time.sleep(0.05)
    lanes = Lanes(together, alone)
    return lanes, together, alone


def started(served, lanes):
    inspector = Inspector(served, lanes, SETTINGS, Measures())
    inspector.start()
    return inspector


class Doors:
    """Counts who is inside an engine, and holds them there."""

    def __init__(self, engine):
        self.inside = self.most = 0
        self.go = threading.Event()
        self._lock = threading.Lock()
        engine.before = self._enter
        infer = engine.infer

        def leaving(batch):
            try:
                return infer(batch)
            finally:
                with self._lock:
                    self.inside -= 1

        engine.infer = leaving

    def _enter(self, batch):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.go.wait(PATIENCE)


def test_a_photo_that_comes_alone_has_all_cores_and_the_next_waits_for_them(served, pair, drawn):
    lanes, together, alone = pair
    inspector = started(served, lanes)
    assert lanes.one_by_one == 1, "what was measured"
    shared, own = Doors(together), Doors(alone)
    first = inspector.enter([("first", drawn[0].read_bytes())])
    until(lambda: own.inside == 1)
    second = inspector.enter([("second", drawn[1].read_bytes())])
    time.sleep(0.1)
    assert (own.inside, shared.inside) == (1, 0)
    own.go.set()
    for future in first + second:
        future.result(PATIENCE)
    assert (own.most, shared.most) == (1, 0)
    assert inspector.stop(PATIENCE)


def test_a_long_queue_is_looked_at_by_both_and_whoever_comes_later_too(served, pair, drawn):
    lanes, together, alone = pair
    inspector = started(served, lanes)
    shared, own = Doors(together), Doors(alone)
    data = [file.read_bytes() for file in drawn]
    futures = inspector.enter([(str(number), data[number % len(data)]) for number in range(12)])
    until(lambda: shared.inside == 2)
    assert own.inside == 0
    shared.go.set()
    own.go.set()
    scores = [future.result(PATIENCE).look.score for future in futures]
    assert (shared.most, own.most <= 1) == (2, True)
    assert len(data) < len(scores)
    assert scores[len(data) :] == pytest.approx(scores[: len(scores) - len(data)], abs=1e-6), "in both lanes"
    assert inspector.stop(PATIENCE)


def test_a_photo_beside_one_that_shares_the_cores_shares_them_too(pair):
    lanes, *_ = pair
    lanes.one_by_one = 4
    assert lanes.choose(1, 0, alone=False) is Lane.ALONE
    assert lanes.choose(5, 0, alone=False) is Lane.TOGETHER
    assert lanes.choose(1, 1, alone=False) is Lane.TOGETHER
    assert lanes.choose(1, 1, alone=True) is Lane.WAIT


def test_a_detector_that_gains_nothing_alone_is_let_go(served, pair):
    lanes, together, alone = pair
    together.before, alone.before = lambda batch: None, lambda batch: time.sleep(0.05)
    inspector = started(served, lanes)
    assert lanes.one_by_one == 0
    assert lanes.engine(Lane.ALONE) is lanes.engine(Lane.TOGETHER)
    assert inspector.stop(PATIENCE)


def test_photos_that_failed_alone_leave_the_cores_to_others(served, pair, drawn):
    lanes, _, alone = pair
    inspector = started(served, lanes)

    def fail(batch):
        raise RuntimeError("no")

    alone.before = fail
    with pytest.raises(Exception, match="RuntimeError"):
        inspector.enter([("x", drawn[0].read_bytes())])[0].result(PATIENCE)
    alone.before = lambda batch: None
    assert inspector.enter([("x", drawn[0].read_bytes())])[0].result(PATIENCE).look.score >= 0
    assert inspector.stop(PATIENCE)
