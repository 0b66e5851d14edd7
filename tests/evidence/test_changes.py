import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from wreckognize.evidence.changes import area_change, rate_change


def alone(count, start=0):
    return np.arange(start, start + count)


def test_a_rate_moves_by_the_photos_that_changed():
    before = np.arange(100) < 10
    after = np.arange(100) < 40
    change = rate_change(before, after, alone(100), 0.95)
    assert (change.before, change.after, change.change) == pytest.approx((0.1, 0.4, 0.3))
    assert change.low < 0.3 < change.high
    assert change.beyond_chance


def test_no_photo_that_changed_is_no_certainty():
    called = np.arange(50) < 10
    change = rate_change(called, called, alone(50), 0.95)
    assert change.change == 0
    assert change.low < -0.01
    assert change.high > 0.01
    assert not change.beyond_chance


def test_three_copies_of_each_photo_say_no_more_than_one():
    before, after = np.arange(60) < 6, np.arange(60) < 12
    one = rate_change(before, after, alone(60), 0.95)
    copied = rate_change(*(np.repeat(side, 3) for side in (before, after)), np.repeat(alone(60), 3), 0.95)
    assert (copied.photos, copied.groups) == (180, 60)
    assert copied.high - copied.low == pytest.approx(one.high - one.low, rel=0.05)


def test_a_few_photos_say_nothing():
    for count in (0, 1, 9):
        change = rate_change(np.ones(count, bool), np.zeros(count, bool), alone(count), 0.95)
        assert change.change is None
        assert "too few" in change.why
        scores = np.linspace(0, 1, count)
        area = area_change(
            scores, scores, np.ones(99), alone(count), alone(99, 100), level=0.95, altered_are_vehicles=True
        )
        assert area.change is None
        assert not area.beyond_chance


def naive(vehicles, altered, backgrounds):
    """DeLong's variance of the difference, pair by pair."""
    wins = [
        [(v > backgrounds).astype(float) + (v == backgrounds) / 2 for v in scores]
        for scores in (vehicles, altered)
    ]
    difference = np.array(wins[1]) - np.array(wins[0])
    rows, columns = difference.mean(axis=1), difference.mean(axis=0)
    variance = rows.var(ddof=1) / rows.size + columns.var(ddof=1) / columns.size
    return difference.mean(), np.sqrt(variance)


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_and_its_interval_are_those_of_delong(ties):
    rng = np.random.default_rng(4)
    vehicles, backgrounds = rng.normal(1, 1, 70), rng.normal(0, 1, 40)
    altered = vehicles - rng.normal(0.4, 0.5, 70)
    if ties:
        vehicles, backgrounds, altered = (np.round(scores, 1) for scores in (vehicles, backgrounds, altered))
    vehicles, backgrounds, altered = (scores.astype(np.float32) for scores in (vehicles, backgrounds, altered))
    change = area_change(
        vehicles, altered, backgrounds, alone(70), alone(40, 70), level=0.95, altered_are_vehicles=True
    )
    truth = np.arange(110) < 70
    assert change.before == pytest.approx(roc_auc_score(truth, np.concatenate([vehicles, backgrounds])))
    assert change.after == pytest.approx(roc_auc_score(truth, np.concatenate([altered, backgrounds])))
    moved, deviation = naive(vehicles, altered, backgrounds)
    assert change.change == pytest.approx(moved)
    assert change.high - change.change == pytest.approx(norm.ppf(0.975) * deviation, rel=1e-6)


def test_altered_backgrounds_are_the_mirror_of_altered_vehicles():
    rng = np.random.default_rng(8)
    one, two, rest = (rng.random(30).astype(np.float32) for _ in range(3))
    groups, others = alone(30), alone(30, 30)
    upright = area_change(one, two, rest, groups, others, level=0.9, altered_are_vehicles=True)
    mirrored = area_change(-one, -two, -rest, groups, others, level=0.9, altered_are_vehicles=False)
    for name in ("before", "after", "change", "low", "high"):
        assert getattr(mirrored, name) == pytest.approx(getattr(upright, name))


def test_groups_widen_the_interval_of_an_area():
    rng = np.random.default_rng(5)
    before, rest = rng.normal(1, 1, 60), rng.normal(0, 1, 60)
    after = before - rng.normal(0.5, 1, 60)
    one = area_change(before, after, rest, alone(60), alone(60, 60), level=0.95, altered_are_vehicles=True)
    copied = area_change(
        *(np.repeat(scores, 3) for scores in (before, after, rest)),
        np.repeat(alone(60), 3),
        np.repeat(alone(60, 60), 3),
        level=0.95,
        altered_are_vehicles=True,
    )
    assert copied.change == pytest.approx(one.change)
    assert copied.high - copied.low == pytest.approx(one.high - one.low, rel=0.02)


def test_scores_that_did_not_change_leave_chance_open():
    scores = np.linspace(0, 1, 20)
    change = area_change(
        scores, scores, scores - 0.2, alone(20), alone(20, 20), level=0.95, altered_are_vehicles=True
    )
    assert change.change == 0
    assert change.low is None
    assert "no photo changed places" in change.why


def test_scores_that_are_not_numbers_are_refused():
    scores = np.linspace(0, 1, 20)
    with pytest.raises(ValueError, match="NaN"):
        area_change(
            scores, scores * np.nan, scores, alone(20), alone(20, 20), level=0.95, altered_are_vehicles=True
        )


def test_the_intervals_cover():
    """200 groups of two shots an accident that agree more often than not; a true change of -5 points."""
    rng = np.random.default_rng(11)
    held = {"rate": 0, "area": 0}
    draws, groups, others = 300, np.repeat(alone(150), 2), alone(100, 150)
    true_area = norm.cdf((1.5 - 0.3) / np.sqrt(2)) - norm.cdf(1.5 / np.sqrt(2))
    true_rate = norm.sf(0.3 - 1.5 + 0.3) - norm.sf(0.3 - 1.5)
    for _ in range(draws):
        shared = np.repeat(rng.normal(0, np.sqrt(0.5), 150), 2)
        before = 1.5 + shared + rng.normal(0, np.sqrt(0.3), 300)
        noise = rng.normal(0, np.sqrt(0.2), (2, 300))
        before, after = before + noise[0], before + noise[1] - 0.3
        rate = rate_change(before > 0.3, after > 0.3, groups, 0.95)
        held["rate"] += rate.low <= true_rate <= rate.high
        area = area_change(
            before, after, rng.normal(0, 1, 100), groups, others, level=0.95, altered_are_vehicles=True
        )
        held["area"] += area.low <= true_area <= area.high
    assert 0.92 <= held["rate"] / draws <= 0.985
    assert 0.92 <= held["area"] / draws <= 0.985


@given(st.data())
def test_a_change_is_the_difference_and_lies_within_its_interval(data):
    count = data.draw(st.integers(10, 40))
    flags = st.lists(st.booleans(), min_size=count, max_size=count).map(np.array)
    groups = np.array(data.draw(st.lists(st.integers(0, 9), min_size=count, max_size=count)))
    change = rate_change(data.draw(flags), data.draw(flags), groups, 0.95)
    assert change.change == pytest.approx(change.after - change.before)
    assert -1 <= change.low <= change.change + 1e-12
    assert change.change - 1e-12 <= change.high <= 1
