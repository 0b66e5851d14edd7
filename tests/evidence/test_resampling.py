from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.evidence.resampling import (
    draw_groups,
    in_chunks,
    majority_strata,
    number_groups,
    percentile_interval,
    sign_share,
)


def test_groups_are_numbered_in_the_order_of_their_names():
    numbers, count = number_groups(np.array(["b", "a", "b", "c"]))
    assert numbers.tolist() == [1, 0, 1, 2]
    assert count == 3


def test_a_group_is_of_the_kind_that_most_of_its_photos_are():
    truth = np.array([True, False, True, False, False, True])
    assert majority_strata(truth, np.array([0, 0, 1, 2, 2, 2])).tolist() == [True, True, False]


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 5))
def test_every_draw_holds_as_many_groups_of_each_kind_as_the_test_set(strata, seed):
    strata = np.array(strata)
    weights = draw_groups(strata, 20, seed)
    assert weights.shape == (20, strata.size)
    assert (weights[:, strata].sum(axis=1) == strata.sum()).all()
    assert (weights[:, ~strata].sum(axis=1) == (~strata).sum()).all()


def test_the_same_seed_gives_the_same_draws_everywhere():
    weights = draw_groups(np.arange(100) < 70, 600, 42)
    assert hashlib.sha256(weights.tobytes()).hexdigest()[:16] == "df8ad6929b046458"
    assert not np.array_equal(weights, draw_groups(np.arange(100) < 70, 600, 43))


def test_every_group_is_drawn_once_on_average():
    weights = draw_groups(np.ones(300, dtype=bool), 2000, 1)
    assert weights.mean(axis=0) == pytest.approx(1, abs=0.12)
    assert weights.var() == pytest.approx(299 / 300, abs=0.01)  # multinomial


def test_chunks_are_all_the_draws_in_their_places():
    weights = draw_groups(np.ones(5, dtype=bool), 23, 0)
    again = np.zeros_like(weights)
    for place, rows in in_chunks(weights, 10):
        again[place] = rows
    assert np.array_equal(again, weights)


def test_the_percentiles_are_ranks():
    assert percentile_interval(np.arange(1, 2000, dtype=float), 0.95) == (50, 1950)
    with pytest.raises(ValueError, match="too few"):
        percentile_interval(np.arange(10.0), 0.95)


@given(st.integers(0, 999), st.floats(-1, 1), st.integers(39, 400), st.sampled_from([0.8, 0.9, 0.95]))
def test_the_p_value_and_the_interval_say_the_same(seed, shift, draws, level):
    values = np.round(np.random.default_rng(seed).normal(shift, 0.5, draws), 1)
    low, high = percentile_interval(values, level)
    leaves_out_zero = low > 0 or high < 0
    assert (sign_share(values) <= 1 - level + 1e-12) == leaves_out_zero
