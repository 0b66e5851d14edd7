"""The spread between trainings in a comparison."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from wreckognize.evidence.trainings import p_with_trainings, pooled_spread, variance_of_mean


def test_spreads_are_pooled_by_their_degrees_of_freedom():
    first, second, once = np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.9]), np.array([0.7])
    spread = pooled_spread([first, second, once])
    assert spread.freedom == 3
    assert spread.variance == pytest.approx((2 * first.var(ddof=1) + second.var(ddof=1)) / 3)
    assert variance_of_mean(first, spread) == pytest.approx(spread.variance / 3)
    assert variance_of_mean(second, spread) == pytest.approx(second.var(ddof=1) / 2)  # larger than the pooled one
    assert variance_of_mean(once, spread) == 0
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
        p_value = p_with_trainings(value, error, 150, variance_of_mean(trainings, spread), spread.freedom)
        false += p_value <= 0.05
    assert false / runs <= 0.06
