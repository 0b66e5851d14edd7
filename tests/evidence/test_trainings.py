"""The spread between trainings in a comparison."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from wreckognize.evidence.intervals import proportion
from wreckognize.evidence.rows import with_seeds
from wreckognize.evidence.trainings import (
    least_variance,
    p_with_trainings,
    pooled_spread,
    variance_of_mean,
)
from wreckognize.evidence.verdicts import Estimate


def test_spreads_are_pooled_by_their_degrees_of_freedom():
    first, second, once = np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.9]), np.array([0.7])
    spread = pooled_spread([first, second, once])
    assert spread.freedom == 3
    assert spread.variance == pytest.approx((2 * first.var(ddof=1) + second.var(ddof=1)) / 3)
    assert variance_of_mean(first, spread, 0.0) == pytest.approx(spread.variance / 3)
    assert variance_of_mean(second, spread, 0.0) == pytest.approx(
        second.var(ddof=1) / 2
    )  # larger than the pooled one
    assert variance_of_mean(once, spread, 0.1) == 0
    assert pooled_spread([once, once]) is None


@pytest.mark.parametrize("value", [0.02, 0.1, -0.3])
def test_with_one_source_of_variance_it_is_students_t(value):
    photos = p_with_trainings(value, 0.08, 120, 0.0, 2)
    assert photos == pytest.approx(2 * stats.t.sf(abs(value) / 0.08, 119), rel=1e-6)
    trainings = p_with_trainings(value, 0.0, 120, 0.08**2, 2)
    assert trainings == pytest.approx(2 * stats.t.sf(abs(value) / 0.08, 2), rel=1e-6)


def test_trainings_that_differ_make_a_difference_less_certain():
    p_values = [p_with_trainings(0.3, 0.05, 100, variance, 4) for variance in (0.0, 0.001, 0.004, 0.02)]
    assert p_values == sorted(p_values)
    assert len(set(p_values)) == 4


def test_no_difference_and_no_spread_are_said_without_dividing_by_zero():
    assert p_with_trainings(0.0, 0.0, 10, 0.0, 2) == 1
    assert p_with_trainings(0.4, 0.0, 10, 0.0, 2) == 0
    assert p_with_trainings(0.0, 0.1, 10, 0.01, 2) == 1


def test_where_nothing_differs_few_verdicts_are_made():
    """Three trainings against none, spread between trainings as large as that between photos."""
    rng = np.random.default_rng(5)
    runs, error = 2000, 0.05
    false = 0
    for _ in range(runs):
        trainings = rng.normal(0, error * np.sqrt(3), 3)
        value = rng.normal(0, error) + trainings.mean()
        spread = pooled_spread([trainings])
        p_value = p_with_trainings(value, error, 150, variance_of_mean(trainings, spread, 0.0), spread.freedom)
        false += p_value <= 0.05
    assert false / runs <= 0.06


def interval(called: np.ndarray, step: float) -> tuple[float, float]:
    """Of the share called by trainings, ``(k, N)``, photos independent of each other."""
    found = proportion(called.mean(axis=0), np.arange(called.shape[1]))
    over_photos = Estimate(
        value=found.share, low=found.low, high=found.high, method="", photos=found.photos, groups=found.groups
    )
    both = with_seeds(over_photos, called.mean(axis=1), 0.95, "recall", step=step)
    return both.low, both.high


def test_a_lucky_tie_is_no_surer_than_trainings_that_differ_by_one_photo():
    """26 of 27 found by each of two trainings."""
    called = np.arange(27)[None] < np.array([[26], [26]])
    low, high = interval(called, 1 / 27)
    near = interval(np.arange(27)[None] < np.array([[26], [25]]), 1 / 27)
    assert low < 0.75 < interval(called, 0.0)[0]  # with photos alone it would end at 81.7 %
    assert high - low == pytest.approx(near[1] - near[0], abs=0.1)
    tied, spread = np.array([26.0, 26.0]) / 27, pooled_spread([np.array([26.0, 26.0]) / 27])
    assert variance_of_mean(tied, spread, 1 / 27) == pytest.approx(least_variance(1 / 27, 2) / 2)
    by_photos_alone = p_with_trainings(0.1, 0.03, 27, variance_of_mean(tied, spread, 0.0), 1)
    assert by_photos_alone < 0.01
    assert p_with_trainings(0.1, 0.03, 27, variance_of_mean(tied, spread, 1 / 27), 1) > 0.05


def test_intervals_of_trainings_that_tie_by_luck_hold_the_true_share():
    """Two trainings whose true shares differ by photos, the counts alike: Wilson's alone covers too rarely."""
    rng = np.random.default_rng(3)
    photos, share, ties = 100, 0.8, 0
    inside = np.zeros(2)
    while ties < 300:
        trained = np.clip(share + rng.normal(0, 4 / photos, 2), 0, 1)
        called = rng.random(photos)[None] < trained[:, None]
        if called[0].sum() != called[1].sum():
            continue
        ties += 1
        limits = [interval(called, step) for step in (0.0, 1 / photos)]
        inside += [low <= share <= high for low, high in limits]
    assert inside[0] / ties < 0.92
    assert inside[1] / ties > 0.95
