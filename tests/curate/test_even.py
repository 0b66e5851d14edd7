"""Groups move until every stratum has its shares; what is left over could hardly be had."""

from __future__ import annotations

import itertools
import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.curate.even import even_out, tolerance

SHARES = np.array([0.7, 0.2, 0.1])


def excess(counts, splits, target):
    """Photos beyond the tolerance."""
    placed = np.stack([counts[splits == split].sum(axis=0) for split in range(3)], axis=1)
    return np.clip(np.abs(placed - target) - tolerance(target), 0, None).sum()


@given(
    counts=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(any), min_size=1, max_size=8),
    data=st.data(),
)
def test_it_never_makes_it_worse_and_nothing_simple_would_make_it_better(counts, data):
    counts = np.array(counts)
    splits = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(counts), max_size=len(counts))))
    target = counts.sum(axis=0)[:, None] * SHARES
    improved = even_out(counts, splits, target)
    left = excess(counts, improved, target)
    assert left <= excess(counts, splits, target) + 1e-9
    for group, goal in itertools.product(range(len(counts)), range(3)):
        moved = improved.copy()
        moved[group] = goal
        assert excess(counts, moved, target) >= left - 1e-6
    for one, other in itertools.combinations(range(len(counts)), 2):
        swapped = improved.copy()
        swapped[[one, other]] = swapped[[other, one]]
        assert excess(counts, swapped, target) >= left - 1e-6


def test_an_even_split_is_left_alone():
    counts, splits = np.ones((10, 1), np.int64), np.array([0] * 7 + [1] * 2 + [2])
    assert even_out(counts, splits, 10 * SHARES[None]) is splits


def test_a_split_without_a_share_is_given_nothing():
    counts = np.array([[2], [2], [2], [5]])
    improved = even_out(counts, np.array([1, 1, 1, 1]), 11 * np.array([[0.8, 0.2, 0.0]]))
    assert 2 not in improved
    assert sorted(improved.tolist()) == [0, 0, 0, 1]


def test_nearly_as_good_as_the_best_of_all_splits():
    rng = np.random.default_rng(0)
    found = possible = 0.0
    for _ in range(40):
        counts = rng.integers(1, 6, (7, 1))
        target = counts.sum() * SHARES[None]
        every = np.array(list(itertools.product(range(3), repeat=7)))
        best = min(excess(counts, splits, target) for splits in every)
        started = even_out(counts, rng.integers(0, 3, 7), target)
        found, possible = found + excess(counts, started, target), possible + best
    assert found - possible < 0.1 * 40  # photos a split of seven groups


def test_a_group_that_holds_half_of_many_photos_does_not_take_long():
    rng = np.random.default_rng(0)
    counts = rng.multinomial(4, [0.3, 0.3, 0.2, 0.2], size=3000)
    counts[0] = counts.sum(axis=0)
    began = time.process_time()
    even_out(counts, rng.choice(3, 3000, p=SHARES), counts.sum(axis=0)[:, None] * SHARES)
    assert time.process_time() - began < 10
