from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from services import Lines
from wreckognize.exporting.reference import BRIGHTNESS_EDGES, SCORE_EDGES, reference_of
from wreckognize.exporting.verdicts import Rule
from wreckognize.serving.distances import (
    coarse,
    distance_of,
    kolmogorov_smirnov,
    stability_by_chance,
    stability_index,
)
from wreckognize.serving.drift import Drift

RULE = Rule(0.1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def scores(count, seed=0, tilt=2.0):
    return np.random.default_rng(seed).beta(tilt, 2.0, count)


def brightness(count, seed=0, mean=120.0):
    return np.clip(np.random.default_rng(seed).normal(mean, 20, count), 0, 255)


@pytest.fixture(scope="module")
def manifest(served):
    reference = reference_of(scores(2000), brightness(2000), np.full(2000, 640), RULE)
    return served.manifest.model_copy(update={"reference": reference})


def fill(drift, count, seed=1, tilt=2.0, mean=120.0):
    for score, light in zip(scores(count, seed, tilt), brightness(count, seed, mean), strict=True):
        drift.add(float(score), float(light), 640, RULE.verdict(score))


@pytest.mark.parametrize("tilt", [2.0, 2.4, 4.0])
def test_kolmogorov_smirnov_agrees_with_scipy_on_the_values(tilt):
    """Values lie on a grid of bins, so nothing is lost by binning."""
    left, right = (np.floor(100 * scores(900, seed, t)) / 100 for seed, t in ((0, 2.0), (1, tilt)))
    counts = [np.histogram(values, bins=np.asarray(SCORE_EDGES) - 1e-9)[0] for values in (left, right)]
    expected = stats.ks_2samp(left, right, method="asymp")
    distance, p = kolmogorov_smirnov(*counts)
    assert distance == pytest.approx(expected.statistic, abs=1e-12)
    assert p == pytest.approx(stats.kstwobign.sf(np.sqrt(450) * expected.statistic), rel=1e-9)
    assert p == pytest.approx(expected.pvalue, rel=0.25)  # scipy's is for finite samples


def test_the_binned_distance_is_short_of_the_true_one_by_at_most_one_bin():
    left, right = brightness(500, 0), brightness(400, 1, mean=126)
    counts = [np.histogram(values, bins=BRIGHTNESS_EDGES)[0] for values in (left, right)]
    true = stats.ks_2samp(left, right).statistic
    distance, _ = kolmogorov_smirnov(*counts)
    fullest = max((count / count.sum()).max() for count in counts)
    assert true - fullest <= distance <= true + 1e-12


def test_the_stability_index_is_the_sum_of_both_entropies_of_scipy():
    left, right = np.array([120, 300, 80, 0]), np.array([100, 250, 140, 30])
    shares = [(counts + 0.5) / (counts + 0.5).sum() for counts in (left, right)]
    assert stability_index(left, right) == pytest.approx(
        stats.entropy(shares[0], shares[1]) + stats.entropy(shares[1], shares[0])
    )
    assert stability_index(left, right) == pytest.approx(stability_index(right, left))
    assert stability_index(left, left) == 0


def test_what_chance_gives_is_exceeded_once_in_a_hundred_times():
    rng = np.random.default_rng(4)
    shares, n, m = np.full(10, 0.1), 300, 500
    found = [stability_index(rng.multinomial(n, shares), rng.multinomial(m, shares)) for _ in range(4000)]
    exceeded = np.mean(np.array(found) > stability_by_chance(10, n, m))
    assert 0.004 < exceeded < 0.02


def test_coarse_bins_hold_about_the_same_share():
    counts = np.histogram(scores(5000), bins=SCORE_EDGES)[0]
    shares = np.add.reduceat(counts, coarse(counts)) / 5000
    assert len(shares) == 10
    assert shares.max() < 0.13
    assert distance_of(counts, counts).psi == 0


def test_photos_like_the_reference_are_as_expected_and_others_a_warning(manifest):
    for change, warned in (
        ({}, set()),
        ({"tilt": 6.0}, {"score"}),
        ({"mean": 60.0}, {"brightness"}),
    ):
        drift = Drift(manifest, Lines(), now=lambda: NOON)
        fill(drift, 800, **change)
        summary = drift.summary()
        assert set(summary["warnings"]) - {"verdicts"} == warned
        assert summary["state"] == ("drift" if warned else "as expected")
        assert summary["photos"] == 800


def test_a_few_photos_say_nothing(manifest):
    drift = Drift(manifest, Lines(), now=lambda: NOON)
    fill(drift, 199, tilt=9.0)
    assert drift.summary()["state"] == "too few photos"
    assert drift.summary()["warnings"] == []


def test_a_small_reference_does_not_warn_by_chance(served):
    rng = np.random.default_rng(2)
    warned = 0
    for seed in range(20):
        small = reference_of(scores(40, 100 + seed), brightness(40, 100 + seed), np.full(40, 640), RULE)
        drift = Drift(served.manifest.model_copy(update={"reference": small}), Lines(), now=lambda: NOON)
        fill(drift, 300, seed=int(rng.integers(1_000_000)))
        warned += bool(drift.summary()["warnings"])
    assert warned <= 2


def test_several_processes_are_added_up_and_survive_their_end(manifest, tmp_path):
    first, second = (Drift(manifest, Lines(), folder=tmp_path, now=lambda: NOON) for _ in range(2))
    fill(first, 150, seed=1)
    fill(second, 100, seed=2)
    first.flush()
    second.flush()
    assert first.summary()["photos"] == second.summary()["photos"] == 250
    fill(second, 10, seed=3)  # not written yet
    assert (first.summary()["photos"], second.summary()["photos"]) == (250, 260)
    second.flush()
    third = Drift(manifest, Lines(), folder=tmp_path, now=lambda: NOON)  # after a restart
    assert third.summary()["photos"] == 260
    assert third.summary() == first.summary()


@pytest.mark.parametrize("kept", [True, False])
def test_a_day_that_is_over_has_one_summary_in_the_log(manifest, tmp_path, kept):
    now = [NOON]
    logs = [Lines(), Lines()]
    processes = [Drift(manifest, log, folder=tmp_path if kept else None, now=lambda: now[0]) for log in logs]
    if not kept:
        processes.pop()
    for drift in processes:
        fill(drift, 200, tilt=6.0)
        drift.flush()
    now[0] = NOON + timedelta(days=1)
    for drift in processes:
        drift.flush()
        drift.flush()
    lines = [line for log in logs for line in log.of("drift")]
    assert len(lines) == 1
    assert lines[0]["photos"] == 200 * len(processes)
    assert lines[0]["level"] == "warning"
    assert processes[0].summary()["photos"] == 0
    if kept:
        (file,) = tmp_path.rglob("2026-03-01.json")
        assert json.loads(file.read_text())["warnings"] == lines[0]["warnings"]
        assert not [path for path in tmp_path.rglob("*") if path.name == "2026-03-01"]


def test_a_broken_file_of_counts_is_left_out(manifest, tmp_path):
    drift = Drift(manifest, Lines(), folder=tmp_path, now=lambda: NOON)
    fill(drift, 5)
    drift.flush()
    folder = tmp_path / manifest.version / "2026-03-01"
    (folder / "other.json").write_text("{broken")
    (folder / "short.json").write_text('{"score":[1],"brightness":[1],"longest_side":[1],"verdicts":[1]}')
    assert drift.summary()["photos"] == 5


def test_a_bundle_without_reference_counts_nothing(served):
    drift = Drift(served.manifest.model_copy(update={"reference": None}), Lines(), now=lambda: NOON)
    drift.add(0.5, 100, 640, "vehicle")
    drift.flush()
    assert drift.summary()["state"] == "no reference"
