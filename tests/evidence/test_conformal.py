from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wreckognize.evidence.conformal import (
    LOWEST,
    group_share,
    groups_needed,
    promise_false_alarms,
    promise_misses,
)

# Few different values, so that ties are common; 0 is "no prediction".
confidences = st.sampled_from([0.0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0])
judged = st.lists(st.tuples(st.booleans(), confidences, st.integers(0, 9)), min_size=1, max_size=60)
rates = st.sampled_from([0.05, 0.1, 0.2, 0.25, 0.5, 0.75])


def arrays(rows: list[tuple[bool, float, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, scores, groups = zip(*rows, strict=True)
    return np.array(scores, np.float32), np.array(truth, bool), np.array(groups)


def bound(lost: np.ndarray, groups: np.ndarray) -> Fraction:
    """The left side of the theorem's condition, from its definition, in exact fractions."""
    names = np.unique(groups)
    losses = [Fraction(int(lost[groups == name].sum()), int((groups == name).sum())) for name in names]
    n = len(losses)
    return Fraction(n, n + 1) * (sum(losses) / n) + Fraction(1, n + 1)


class TestGroupsNeeded:
    @pytest.mark.parametrize(("at_most", "needed"), [(0.01, 99), (0.05, 19), (0.03, 33), (0.5, 1), (1.0, 1)])
    def test_is_the_smallest_n_that_the_theorem_allows(self, at_most, needed):
        assert groups_needed(at_most) == needed

        exactly = promise_misses(np.full(needed, 0.5), np.ones(needed, bool), np.arange(needed), at_most)
        assert exactly.threshold is not None

    def test_one_group_fewer_cannot_be_said(self):
        promise = promise_misses(np.full(98, 0.9), np.ones(98, bool), np.arange(98), 0.01)

        assert promise.threshold is None
        assert promise.why == (
            "cannot be said: too few calibration groups with a vehicle photo: 1 % takes at least 99, there are 98"
        )

    def test_a_rate_of_0_cannot_be_promised(self):
        promise = promise_misses(np.full(500, 0.9), np.ones(500, bool), np.arange(500), 0.0)

        assert promise.threshold is None
        assert "cannot be promised with any number of groups" in promise.why

    def test_many_photos_of_few_accidents_are_few_groups(self):
        promise = promise_misses(np.full(900, 0.9), np.ones(900, bool), np.repeat(np.arange(9), 100), 0.05)

        assert (promise.threshold, promise.groups, promise.photos, promise.groups_needed) == (None, 9, 900, 19)


class TestPromiseMisses:
    def test_at_99_groups_one_percent_allows_no_miss(self):
        scores = np.linspace(0.2, 0.9, 99, dtype=np.float32)
        promise = promise_misses(scores, np.ones(99, bool), np.arange(99), 0.01)

        assert promise.threshold == 0.2

    def test_at_199_groups_one_percent_allows_one_group(self):
        scores = np.linspace(0.2, 0.9, 199, dtype=np.float32)
        promise = promise_misses(scores, np.ones(199, bool), np.arange(199), 0.01)

        assert promise.threshold == pytest.approx(float(scores[1]), abs=1e-5)
        assert np.float32(promise.threshold) <= scores[1]

    def test_photos_of_one_group_share_its_loss(self):
        # Nineteen groups of one, and one of four photos that are the four lowest: they may be lost together.
        scores = np.concatenate([np.full(4, 0.01), np.linspace(0.5, 0.9, 38)]).astype(np.float32)
        groups = np.concatenate([np.zeros(4, int), np.arange(1, 39)])

        assert promise_misses(scores, np.ones(42, bool), groups, 0.05).threshold == 0.5

    def test_backgrounds_have_no_say(self):
        scores = np.linspace(0.2, 0.9, 40, dtype=np.float32)
        alone = promise_misses(scores, np.ones(40, bool), np.arange(40), 0.05)
        both = promise_misses(
            np.append(scores, np.full(7, 0.01)),
            np.append(np.ones(40, bool), np.zeros(7, bool)),
            np.arange(47),
            0.05,
        )

        assert alone == both

    def test_vehicles_in_which_nothing_is_found(self):
        scores = np.append(np.zeros(10), np.full(90, 0.9))
        promise = promise_misses(scores, np.ones(100, bool), np.arange(100), 0.05)

        assert promise.threshold is None
        assert "in 10 of 100 calibration photos with a vehicle nothing at all was found" in promise.why

    @given(judged, rates)
    def test_condition_holds_at_the_threshold_and_breaks_just_above(self, rows, at_most):
        scores, truth, groups = arrays(rows)
        threshold = promise_misses(scores, truth, groups, at_most).threshold
        found, names, alpha = scores[truth], groups[truth], Fraction(str(at_most))
        if threshold is not None:
            assert LOWEST <= threshold <= 1
            assert bound(found < np.float32(threshold), names) <= alpha
            higher = np.float32(threshold + 2e-5)
            assert higher > 1 or bound(found < higher, names) > alpha
        elif names.size:
            assert bound(found < np.float32(LOWEST), names) > alpha

    @given(judged, rates, st.randoms(use_true_random=False))
    def test_order_of_photos_and_names_of_groups_do_not_matter(self, rows, at_most, random):
        renamed = dict(zip(range(10), random.sample(range(100, 200), 10), strict=True))
        shuffled = [(truth, score, renamed[group]) for truth, score, group in rows]
        random.shuffle(shuffled)

        assert promise_misses(*arrays(rows), at_most) == promise_misses(*arrays(shuffled), at_most)

    @given(judged)
    def test_more_allowed_never_lowers_the_threshold(self, rows):
        found = [promise_misses(*arrays(rows), rate).threshold for rate in (0.1, 0.2, 0.3, 0.5, 0.9, 1.0)]
        said = [threshold for threshold in found if threshold is not None]

        assert said == sorted(said)
        assert found[: len(found) - len(said)] == [None] * (len(found) - len(said))


class TestPromiseFalseAlarms:
    def test_threshold_stands_above_the_backgrounds_that_must_stay_out(self):
        scores = np.linspace(0.01, 0.4, 39, dtype=np.float32)
        promise = promise_false_alarms(scores, np.zeros(39, bool), np.arange(39), 0.05)

        # 0.05 * 40 - 1 = 1 group may be called a vehicle.
        assert (scores >= np.float32(promise.threshold)).sum() == 1

    def test_backgrounds_without_predictions_leave_the_lowest_threshold(self):
        promise = promise_false_alarms(np.zeros(40), np.zeros(40, bool), np.arange(40), 0.05)

        assert promise.threshold == LOWEST

    def test_backgrounds_of_the_highest_score_cannot_stay_out(self):
        promise = promise_false_alarms(np.ones(40), np.zeros(40, bool), np.arange(40), 0.05)

        assert promise.threshold is None
        assert "highest score" in promise.why

    @pytest.mark.parametrize("score", [0.00101, 0.99999, 0.5, np.nextafter(np.float32(1), np.float32(0)), 0.12345])
    def test_equal_scores_stay_out_together(self, score):
        scores = np.full(40, score, np.float32)
        promise = promise_false_alarms(scores, np.zeros(40, bool), np.arange(40), 0.05)

        assert not (scores >= np.float32(promise.threshold)).any()
        assert promise.threshold <= 1

    @given(judged, rates)
    def test_condition_holds_at_the_threshold_and_breaks_just_below(self, rows, at_most):
        scores, truth, groups = arrays(rows)
        threshold = promise_false_alarms(scores, truth, groups, at_most).threshold
        background, names, alpha = scores[~truth], groups[~truth], Fraction(str(at_most))
        if threshold is not None:
            assert LOWEST <= threshold <= 1
            assert bound(background >= np.float32(threshold), names) <= alpha
            lower = np.float32(threshold - 2e-5)
            assert lower < np.float32(LOWEST) or bound(background >= lower, names) > alpha
        elif names.size:
            assert bound(background >= np.float32(1), names) > alpha


class TestBadInput:
    def test_nan_scores_are_refused(self):
        with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
            promise_misses(np.array([0.1, np.nan]), np.ones(2, bool), np.arange(2), 0.5)

    def test_scores_outside_are_refused(self):
        with pytest.raises(ValueError, match="1 of 2 scores lie outside 0 to 1"):
            promise_misses(np.array([0.1, 1.5]), np.ones(2, bool), np.arange(2), 0.5)

    def test_other_lengths_are_refused(self):
        with pytest.raises(ValueError, match="same photos"):
            promise_misses(np.array([0.1, 0.2]), np.ones(3, bool), np.arange(2), 0.5)

    def test_a_promise_outside_is_refused(self):
        with pytest.raises(ValueError, match=r"the promise is 1\.5"):
            promise_misses(np.array([0.1]), np.ones(1, bool), np.arange(1), 1.5)

    @pytest.mark.parametrize("promise", [promise_misses, promise_false_alarms])
    def test_no_photo_at_all(self, promise):
        empty = promise(np.zeros(0), np.zeros(0, bool), np.zeros(0, str), 0.5)

        assert (empty.threshold, empty.photos, empty.groups) == (None, 0, 0)


def test_group_share_weighs_groups_alike():
    lost = np.array([True, True, True, True, False])

    assert group_share(lost, np.array(["a", "a", "a", "a", "b"])) == 0.5
    assert group_share(lost[:0], np.zeros(0, str)) is None


def clustered(rng: np.random.Generator, groups: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of vehicle photos in groups of 1 to 5 that resemble each other; larger groups are harder."""
    sizes = rng.integers(1, 6, groups)
    names = np.repeat(np.arange(groups), sizes)
    shared = np.sqrt(correlation) * rng.standard_normal(groups) - 0.2 * sizes
    value = shared[names] + np.sqrt(1 - correlation) * rng.standard_normal(names.size) + 1.5
    return (1 / (1 + np.exp(-value))).astype(np.float32), names


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("groups", "at_most"), [(25, 0.05), (120, 0.05), (120, 0.2)])
def test_the_promise_holds_in_simulation(groups, at_most, correlation):
    # Theorem 1: E[loss] <= alpha. Theorem 2: E[loss] >= alpha - 2 / (n + 1) where losses change by one group at a time.
    rng = np.random.default_rng(7)
    unseen, names = clustered(rng, 20_000, correlation)
    order = np.argsort(unseen)
    weight = (1 / np.bincount(names))[names][order] / 20_000
    risk_below = np.concatenate([[0.0], np.cumsum(weight)])
    risks = []
    for _ in range(400):
        scores, calibration = clustered(rng, groups, correlation)
        promise = promise_misses(scores, np.ones(scores.size, bool), calibration, at_most)
        risks.append(risk_below[np.searchsorted(unseen[order], np.float32(promise.threshold), side="left")])
    mean, error = np.mean(risks), np.std(risks) / np.sqrt(len(risks))

    assert mean <= at_most + 3 * error
    assert mean >= at_most - 2 / (groups + 1) - 3 * error


@settings(max_examples=25)
@given(st.integers(2, 400))
def test_whole_numbers_hold_at_the_edge(groups):
    """With ``k / (n + 1)`` promised, exactly ``k - 1`` groups may be lost: no rounding decides it."""
    scores = np.linspace(0.1, 0.9, groups, dtype=np.float32)
    for promised in (Fraction(1, 10), Fraction(1, 4), Fraction(3, 10), Fraction(7, 100)):
        allowed = promised * (groups + 1) - 1
        promise = promise_misses(scores, np.ones(groups, bool), np.arange(groups), float(promised))
        if allowed >= 0:
            assert (scores < np.float32(promise.threshold)).sum() == int(allowed)
        else:
            assert promise.threshold is None
