from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower

from wreckognize.evidence.paired import holm, mcnemar_exact, photos_for_power, sign_flip

counts = st.integers(0, 400)


@given(counts, counts)
def test_mcnemar_agrees_with_statsmodels_and_scipy(first, second):
    ours = mcnemar_exact(first, second)
    assert (
        ours == pytest.approx(mcnemar([[5, first], [second, 5]], exact=True).pvalue, abs=1e-10)
        or not first + second
    )
    assert ours == pytest.approx(binomtest(first, first + second).pvalue if first + second else 1, abs=1e-10)


def test_a_negative_number_of_photos_is_refused():
    with pytest.raises(ValueError, match="not negative"):
        mcnemar_exact(-1, 2)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
def test_flipping_single_photos_is_mcnemar(first, second, equal):
    differences = np.concatenate([np.ones(first, int), -np.ones(second, int), np.zeros(equal, int)])
    assert sign_flip(differences) == pytest.approx(mcnemar_exact(first, second), abs=1e-10)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=11))
def test_the_exact_distribution_is_that_of_all_patterns(differences):
    values = np.array(differences)
    patterns = ((np.arange(2**values.size)[:, None] >> np.arange(values.size)) & 1) * 2 - 1
    expected = np.mean(np.abs(patterns @ np.abs(values)) >= abs(values.sum()))
    assert sign_flip(values) == pytest.approx(expected, abs=1e-12)
    assert sign_flip(values / 7) == pytest.approx(expected, abs=1e-12)  # enumerated
    assert sign_flip(-values) == pytest.approx(expected, abs=1e-12)


def test_drawn_patterns_come_close_to_the_exact_value():
    rng = np.random.default_rng(0)
    whole = rng.integers(-5, 6, 200)
    exact = sign_flip(whole)
    drawn = sign_flip(whole / 3, draws=40_000, seed=1)
    assert 0.01 < exact < 0.5
    assert drawn == pytest.approx(exact, abs=0.012)
    assert drawn == sign_flip(whole / 3, draws=40_000, seed=1)


def test_a_drawn_p_value_is_never_zero():
    assert sign_flip(np.full(100, 0.5), draws=500) == pytest.approx(1 / 501)


def test_no_difference_is_no_evidence_and_nan_is_refused():
    assert sign_flip(np.zeros(9)) == 1
    assert sign_flip(np.zeros(0)) == 1
    with pytest.raises(ValueError, match="finite"):
        sign_flip(np.array([0.5, np.nan]))


def test_the_sign_flip_is_as_rarely_wrong_as_it_says():
    rng = np.random.default_rng(3)
    # Groups of three photos that change sides together, no true difference.
    wrong = sum(sign_flip(3 * rng.choice([-1, 0, 1], 200, p=[0.1, 0.8, 0.1])) <= 0.05 for _ in range(1000))
    assert wrong / 1000 <= 0.065


@pytest.mark.parametrize("p_values", [[0.2], [0.03, 0.01, 0.01, 0.9, 0.0], [0.5, 0.04, 1.0, 0.6]])
def test_holm_agrees_with_statsmodels(p_values):
    # Few cases: the reference collects garbage at every call.
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist(), abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values):
    corrected = holm(p_values)
    assert all(raw <= value <= 1 for raw, value in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_what_was_not_tested_does_not_count():
    assert holm([None, 0.02, None, 0.01]) == pytest.approx([None, 0.02, None, 0.02])
    assert holm([]) == holm([]) == []
    assert holm([None]) == [None]


def test_the_photos_needed_have_the_power():
    # One-sample z-test with effect value / spread; statsmodels solves for the number of observations.
    value, photos, error = 0.02, 400, 0.015
    expected = NormalIndPower(ddof=0).solve_power(
        value / (error * np.sqrt(photos)), alpha=0.05, power=0.8, ratio=0
    )
    assert photos_for_power(photos, value, error, 0.95) == pytest.approx(expected, rel=0.01)
    assert photos_for_power(400, 0.0, 0.015, 0.95) is None
    assert photos_for_power(400, 0.1, 0.0, 0.95) is None
