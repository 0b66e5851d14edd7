from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from wreckognize.evidence.intervals import (
    effective_groups,
    logit_limits,
    paired_difference,
    proportion,
    proportion_of_groups,
    ratio_error,
    recovered,
    roc_area_limits,
    square_and_add,
    wilson,
)


def photos_of(sizes: np.ndarray, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One entry a photo: the first ``hits`` of each group's ``sizes`` photos are hits."""
    groups = np.repeat(np.arange(sizes.size), sizes)
    place = np.arange(groups.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return place < np.repeat(hits, sizes), groups


def agreeing(rng: np.random.Generator, sizes: np.ndarray, share: float, correlation: float) -> np.ndarray:
    """Hits of each group, beta-binomial: photos of one group correlate."""
    if not correlation:
        return rng.binomial(sizes, share)
    scale = (1 - correlation) / correlation
    return rng.binomial(sizes, rng.beta(share * scale, (1 - share) * scale, sizes.size))


@given(st.integers(1, 500), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_agrees_with_statsmodels(photos, data, level):
    hits = data.draw(st.integers(0, photos))
    expected = proportion_confint(hits, photos, alpha=1 - level, method="wilson")
    assert wilson(hits, photos, level) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_with_a_photo_a_group_it_is_plain_wilson(hit):
    found = proportion(np.array(hit), np.arange(len(hit)))
    assert found.limits == pytest.approx(proportion_confint(sum(hit), len(hit), method="wilson"), abs=1e-12)
    assert found.design_effect == pytest.approx(1)
    assert found.groups == found.photos == len(hit)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=40))
def test_an_interval_holds_its_share_and_groups_never_narrow_it(groups):
    sizes = np.array([size for size, _ in groups])
    hit, owner = photos_of(sizes, np.array([min(hits, size) for size, hits in groups]))
    found = proportion(hit, owner)
    plain = wilson(int(hit.sum()), hit.size)
    assert 0 <= found.low <= found.share <= found.high <= 1
    assert found.high - found.low >= plain[1] - plain[0] - 1e-12
    assert found.low < found.high


@given(st.permutations(range(12)))
def test_the_order_and_names_of_groups_do_not_matter(order):
    hit, groups = photos_of(np.array([3, 1, 4, 2, 2]), np.array([3, 0, 2, 2, 1]))
    shuffled = proportion(hit[list(order)], np.array(list("zyxwv"))[groups[list(order)]])
    straight = proportion(hit, groups)
    assert shuffled.limits == pytest.approx(straight.limits, abs=1e-12)


@pytest.mark.parametrize("share", [0, 1])
def test_nothing_missed_is_judged_on_groups_not_on_photos(share):
    groups = np.repeat(np.arange(50), 4)
    found = proportion(np.full(200, bool(share)), groups)
    assert found.limits == pytest.approx(wilson(50 * share, 50), abs=1e-12)
    assert found.design_effect == pytest.approx(4)


def test_one_group_is_one_observation_and_no_photo_is_none():
    one = proportion(np.array([True, True, False]), np.zeros(3))
    assert one.limits == pytest.approx(wilson(2 / 3, 1))
    none = proportion(np.zeros(0, dtype=bool), np.zeros(0))
    assert (none.photos, none.share, none.limits, none.design_effect) == (0, None, None, None)


def test_one_group_with_half_the_photos_widens_the_interval():
    # A hundred photos of one accident and a hundred of as many others.
    groups = np.concatenate([np.zeros(100, dtype=int), np.arange(1, 101)])
    hit = np.concatenate([np.ones(100, dtype=bool), np.arange(100) % 10 > 0])
    found = proportion(hit, groups)
    plain = wilson(int(hit.sum()), hit.size)
    assert found.high - found.low > 3 * (plain[1] - plain[0])
    assert effective_groups(groups) < 4


@pytest.mark.parametrize("hit", [[np.nan, 1.0], [0.5, 1.5], [-0.1, 0.0]])
def test_what_is_no_hit_is_refused(hit):
    with pytest.raises(ValueError, match="from 0 to 1"):
        proportion(np.array(hit), np.arange(2))


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match="same photos"):
        proportion(np.ones(3, dtype=bool), np.arange(2))
    with pytest.raises(ValueError, match="level"):
        proportion(np.ones(3, dtype=bool), np.arange(3), level=95)
    with pytest.raises(ValueError, match="hits"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="level"):
        wilson(1, 2, level=1.0)


def test_the_error_of_a_share_agrees_with_the_sandwich_of_statsmodels():
    # With groups of one size, leaving out a group and the linearised sandwich are the same.
    rng = np.random.default_rng(2)
    hit, groups = photos_of(np.full(40, 3), rng.integers(0, 4, 40))
    fit = sm.OLS(hit.astype(float), np.ones(hit.size)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    total = np.bincount(groups, weights=hit)
    assert ratio_error(total, np.full(40, 3.0)) == pytest.approx(fit.bse[0], abs=1e-12)


def covered(cell: tuple[str, float, float], repeats: int, groups: int = 200) -> tuple[float, float]:
    """Share of clustered and of plain intervals that hold the true share, in one cell of the grid."""
    sizes_named, share, correlation = cell
    rng = np.random.default_rng(5)
    clustered = plain = 0
    for _ in range(repeats):
        sizes = rng.integers(1, 6, groups) if sizes_named == "1-5" else np.full(groups, int(sizes_named))
        hits = agreeing(rng, sizes, share, correlation)
        found = proportion_of_groups(hits.astype(float), sizes)
        low, high = wilson(int(hits.sum()), int(sizes.sum()))
        clustered += found.low <= share <= found.high
        plain += low <= share <= high
    return clustered / repeats, plain / repeats


@pytest.mark.parametrize("cell", [("3", 0.5, 0.5), ("1-5", 0.9, 0.3), ("2", 0.95, 0.1), ("1-5", 0.05, 0.5)])
def test_clustered_intervals_cover(cell):
    clustered, _ = covered(cell, repeats=1500)
    assert 0.93 <= clustered <= 0.97  # the standard error of this simulation is 0.6 %


def test_plain_wilson_covers_far_too_rarely_with_three_shots_an_accident():
    clustered, plain = covered(("3", 0.8, 0.5), repeats=1500)
    assert plain < 0.87
    assert clustered > 0.93


@pytest.mark.slow
@pytest.mark.parametrize("sizes", ["1", "2", "3", "1-5"])
def test_clustered_intervals_cover_over_the_grid(sizes):
    # benchmarks/evidence.py goes over more group sizes and numbers, with more repeats.
    cells = [(sizes, share, rho) for share in (0.05, 0.2, 0.5, 0.8, 0.95, 0.97) for rho in (0.0, 0.1, 0.3, 0.5)]
    coverage = {cell: covered(cell, repeats=1200)[0] for cell in cells}
    # Two standard errors of this simulation around the 93 to 97 % that the benchmark finds.
    assert {cell: value for cell, value in coverage.items() if not 0.92 <= value <= 0.98} == {}


def test_squares_are_added_and_cut_at_what_is_possible():
    low, high = square_and_add(0.9, (0.9, (0.6, 0.95)), (0.0, (-0.4, 0.4)), within=(0, 1))
    assert low == pytest.approx(0.4)
    assert high == 1


def test_a_recovered_interval_has_width_where_no_error_was_seen():
    recall = proportion(np.ones(30, dtype=bool), np.arange(30))
    alarms = proportion(np.zeros(10, dtype=bool), np.arange(10))
    low, high = recovered(lambda one, other: (one + 1 - other) / 2, recall, alarms, within=(0, 1))
    assert high == 1
    assert 0.8 < low < 0.9
    nobody = proportion(np.zeros(0, dtype=bool), np.zeros(0))
    assert recovered(lambda one, other: one - other, recall, nobody, within=(0, 1)) is None
    assert recovered(lambda one, other: float("nan"), recall, alarms, within=(0, 1)) is None


@given(st.floats(0.001, 0.999), st.floats(1e-6, 0.2))
def test_log_odds_limits_stay_within_a_share(share, error):
    low, high = logit_limits(share, error, 0.95)
    assert 0 <= low <= share <= high <= 1


@given(st.floats(0, 1), st.integers(2, 400), st.integers(2, 400))
def test_limits_of_a_roc_area_hold_it_and_mirror(area, positives, negatives):
    low, high = roc_area_limits(area, positives, negatives, 0.95)
    assert 0 <= low <= area <= high <= 1
    assert low < high


def test_a_perfect_roc_area_is_not_certain():
    low, high = roc_area_limits(1.0, 40, 15, 0.95)
    assert high == 1
    assert 0.8 < low < 0.97


def test_a_paired_difference_covers():
    rng = np.random.default_rng(8)
    sizes, inside, repeats = np.full(150, 3), 0, 800
    for _ in range(repeats):
        # A tenth of the groups is gained whole, a twentieth lost whole.
        gain = np.repeat(rng.choice([1, -1, 0], 150, p=[0.10, 0.05, 0.85]), sizes)
        low, high = paired_difference(gain, np.repeat(np.arange(150), sizes))
        inside += low <= 0.05 <= high
    assert 0.925 <= inside / repeats <= 0.975


def test_no_disagreement_is_an_interval_that_shrinks_with_groups():
    few, many = (paired_difference(np.zeros(count), np.arange(count)) for count in (20, 2000))
    assert few[0] == pytest.approx(-few[1])
    assert few[1] > 0.1
    assert 0 < many[1] < 0.01
    assert paired_difference(np.zeros(0), np.zeros(0)) is None
