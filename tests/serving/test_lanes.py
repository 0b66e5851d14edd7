from __future__ import annotations

import math
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services import PATIENCE, Engine, until

from wreckognize.serving.inspector import Inspector
from wreckognize.serving.lanes import Lane, Lanes, photos_one_by_one
from wreckognize.serving.measures import Measures
from wreckognize.serving.settings import ServiceSettings

SETTINGS = ServiceSettings(batch=1, decoders=1)


def means(photos: int, alone: float, together: float, requests: int) -> tuple[float, float]:
    """Mean seconds until an answer, of so many photos that are there at once, by counting."""
    one_by_one = [(number + 1) * alone for number in range(photos)]
    in_rounds = [math.ceil((number + 1) / requests) * together for number in range(photos)]
    return sum(one_by_one) / photos, sum(in_rounds) / photos


@given(
    requests=st.integers(2, 16),
    together=st.floats(0.01, 1),
    share=st.floats(0.05, 1.2),
    rounds=st.integers(1, 5),
)
def test_whole_rounds_are_answered_sooner_one_by_one_up_to_the_length_that_is_said(
    requests, together, share, rounds
):
    alone = share * together
    limit = photos_one_by_one(alone, together, requests)
    assert 0 <= limit <= 2 * requests
    photos = rounds * requests
    one_by_one, in_rounds = means(photos, alone, together, requests)
    if photos <= limit:
        assert one_by_one <= in_rounds * (1 + 1e-9)
    elif photos > limit + 1 and limit < 2 * requests:
        assert one_by_one >= in_rounds * (1 - 1e-9)


def test_two_cores_as_measured():
    assert photos_one_by_one(0.060, 0.112, 2) == 4
    assert photos_one_by_one(0.100, 0.112, 2) == 0, "all cores that gain next to nothing"
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
    assert lanes.one_by_one == 4, "what was measured"
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
