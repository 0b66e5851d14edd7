"""Every reader against spoilt bytes, for seconds: nothing but our own refusals, and no input takes long."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fuzz.mutate import mutate
from fuzz.targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SECONDS = 10
"""One input may take so long on a loaded machine; usual ones take less than a thousandth of it."""
GROWTH = 700_000_000
"""Bytes by which the process may grow over all inputs of one target: a photo of 200 megapixels is 600."""


def seeds_of(name: str) -> list[bytes]:
    return [path.read_bytes() for path in TARGETS[name].seeds()]


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """An input that takes longer is a defect like any other; also where it waits for something."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s for one input")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    began = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < seconds


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_taken_or_refused(name):
    taken = []
    for path in TARGETS[name].seeds():
        with at_most(SECONDS):
            if TARGETS[name](path.read_bytes()):
                taken.append(path.name)
    assert taken, "not even one file of the corpus can be read: the target tests nothing"


@pytest.mark.parametrize("name", TARGETS)
def test_spoilt_files_are_refused_by_our_own_errors_only(name):
    seeds = seeds_of(name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(max_examples=120, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**40))
    def spoilt(seed: int) -> None:
        with at_most(SECONDS):
            TARGETS[name](mutate(seeds, seed))

    @settings(max_examples=30)
    @given(st.binary(max_size=300))
    def anything(data: bytes) -> None:
        with at_most(SECONDS):
            TARGETS[name](data)

    spoilt()
    anything()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < GROWTH
