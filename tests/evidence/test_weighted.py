from __future__ import annotations

import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from wreckognize.evaluation.image_level import SCORE_SCHEMA, found_at_false_alarms
from wreckognize.evidence.weighted import DECISION_FIGURES, Counts, Ranking, Table, best_kept_out, from_rates

RATES = (0.01, 0.025, 0.05, 0.29)

seeds = st.integers(0, 10_000)


def collection(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Role, score (with ties), group and weights ``(G, draws)`` of some 150 photos."""
    rng = np.random.default_rng(seed)
    role = rng.choice(["damaged", "normal", "background"], 150, p=[0.4, 0.2, 0.4])
    score = np.round(np.clip(rng.normal(0.3 + 0.3 * (role != "background"), 0.25), 0, 1), 1 + seed % 3)
    groups = rng.integers(0, 60, 150)
    return role, score.astype(np.float32), groups, rng.integers(0, 4, (60, 4)).astype(np.uint8)


ORACLES = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "f1": metrics.f1_score,
    "mcc": metrics.matthews_corrcoef,
    "precision": metrics.precision_score,
    "recall": metrics.recall_score,
}


@given(seeds)
@settings(max_examples=8)
def test_figures_agree_with_scikit_learn(seed):
    role, score, groups, weights = collection(seed)
    truth, called = role != "background", score >= 0.4
    counts = Table.of(truth, called, groups, 60).counts(weights)
    assert DECISION_FIGURES.keys() == ORACLES.keys()
    for figure, make in DECISION_FIGURES.items():
        for draw, value in enumerate(make(counts)):
            expected = ORACLES[figure](truth, called, sample_weight=weights[groups, draw])
            assert value == pytest.approx(expected, abs=1e-9), figure


@given(seeds)
@settings(max_examples=20)
def test_the_roc_area_agrees_with_scikit_learn(seed):
    role, score, groups, weights = collection(seed)
    positive, negative = role == "damaged", role == "background"
    area, _ = Ranking.of(score, positive, negative, groups, 60).figures(weights)
    either = positive | negative
    for draw, value in enumerate(area):
        expected = metrics.roc_auc_score(
            positive[either], score[either], sample_weight=weights[groups[either], draw]
        )
        assert value == pytest.approx(expected, abs=1e-9)


@given(seeds)
@settings(max_examples=15)
def test_what_is_found_at_false_alarms_agrees_with_the_table_of_figures(seed):
    role, score, groups, weights = collection(seed)
    _, found = Ranking.of(score, role == "damaged", role == "background", groups, 60).figures(weights, RATES)
    for draw in range(weights.shape[1]):
        times = weights[groups, draw]
        copies = pl.DataFrame({"role": np.repeat(role, times), "score": np.repeat(score, times)})
        table = copies.select(
            *(
                pl.lit(None, dtype=kind).alias(name)
                for name, kind in SCORE_SCHEMA.items()
                if name not in copies.columns
            ),
            "role",
            "score",
        )
        for rate in RATES:
            expected = found_at_false_alarms(table, rate)
            if expected is None:
                assert np.isnan(found[rate][draw])
            else:
                assert found[rate][draw] == pytest.approx(expected.damaged, abs=1e-9)


@given(seeds, st.sampled_from(RATES))
def test_the_best_score_kept_out_gives_the_same_share(seed, rate):
    role, score, groups, _ = collection(seed)
    _, found = Ranking.of(score, role == "damaged", role == "background", groups, 60).figures(
        np.ones((60, 1)), (rate,)
    )
    held = best_kept_out(score[role == "background"], rate)
    if not np.isnan(found[rate][0]):
        assert found[rate][0] == pytest.approx(float((score[role == "damaged"] > held).mean()))
    assert best_kept_out(score[:5], 1.0) == -np.inf


def test_zero_by_zero_is_nan_without_a_warning():
    nothing = np.zeros(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure, make in DECISION_FIGURES.items():
            assert np.isnan(make(Counts(nothing, nothing, nothing, nothing))).all(), figure
        missed = Counts(np.array([0.0]), np.array([0.0]), np.array([3.0]), np.array([2.0]))
        assert np.isnan(DECISION_FIGURES["precision"](missed)).all()
        assert np.isnan(DECISION_FIGURES["mcc"](missed)).all()
        assert DECISION_FIGURES["f1"](missed) == 0


@pytest.mark.parametrize("lacking", ["damaged", "background"])
def test_a_draw_without_one_side_is_nan(lacking):
    role, score, groups, weights = collection(3)
    there = role != lacking
    ranking = Ranking.of(score[there], role[there] == "damaged", role[there] == "background", groups[there], 60)
    area, found = ranking.figures(weights, (0.05,))
    assert np.isnan(area).all()
    assert np.isnan(found[0.05]).all()


def test_equal_scores_order_nothing():
    role, _, groups, weights = collection(4)
    ranking = Ranking.of(np.full(150, 0.5, np.float32), role == "damaged", role == "background", groups, 60)
    area, found = ranking.figures(weights, (0.05,))
    assert area == pytest.approx(0.5)
    assert found[0.05] == pytest.approx(0)


def test_rates_give_counts():
    counts = from_rates(80, 20)(0.9, 0.1)
    assert [float(part) for part in (counts.tp, counts.fp, counts.fn, counts.tn)] == pytest.approx([72, 2, 8, 18])


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.5])
def test_a_rate_outside_is_refused(rate):
    with pytest.raises(ValueError, match="rate of false alarms"):
        best_kept_out(np.zeros(3, np.float32), rate)
