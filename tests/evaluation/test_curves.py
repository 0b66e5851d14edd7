from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from wreckognize.evaluation.curves import confidence_curves, precision_recall, precision_recall_of, roc
from wreckognize.evaluation.image_level import figures_at

both_classes = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]) | st.floats(0, 1, width=32)),
    min_size=2,
    max_size=40,
).filter(lambda rows: 0 < sum(truth for truth, _ in rows) < len(rows))


def arrays(rows: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([truth for truth, _ in rows]), np.array([score for _, score in rows], dtype=np.float32)


@settings(max_examples=60, deadline=None)
@given(both_classes)
def test_roc_agrees_with_scikit_learn(rows):
    truth, score = arrays(rows)
    curve = roc(truth, score)
    assert curve is not None
    false_alarms, found, thresholds = roc_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(curve.false_alarm_rate, false_alarms, atol=1e-12)
    np.testing.assert_allclose(curve.found_rate, found, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    assert curve.area == pytest.approx(roc_auc_score(truth, score), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(both_classes)
def test_precision_recall_agrees_with_scikit_learn(rows):
    truth, score = arrays(rows)
    curve = precision_recall(truth, score)
    assert curve is not None
    precision, recall, thresholds = precision_recall_curve(truth, score)
    np.testing.assert_allclose(curve.precision, precision[:-1][::-1], atol=1e-12)
    np.testing.assert_allclose(curve.recall, recall[:-1][::-1], atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, thresholds[::-1])


@settings(max_examples=60, deadline=None)
@given(both_classes)
def test_confidence_curves_agree_with_the_figures_at_each_threshold(rows):
    truth, score = arrays(rows)
    curves = confidence_curves(truth, score, [0.0, 0.1, 0.25, 0.3, 0.99, 1.0])
    for number, threshold in enumerate(curves.thresholds):
        figures = figures_at(truth, score, float(threshold))
        for curve, values in (
            (curves.precision, figures.precision),
            (curves.recall, figures.recall),
            (curves.f1, figures.f1),
        ):
            expected = np.nan if values.vehicle is None else values.vehicle
            np.testing.assert_allclose(curve[number], expected, atol=1e-12)


def test_the_default_grid_holds_the_usual_thresholds():
    curves = confidence_curves(np.array([True]), np.float32([0.1]))
    assert len(curves.thresholds) == 1001
    assert curves.recall[100] == 1.0
    assert curves.recall[101] == 0.0


@pytest.mark.parametrize("truth", [[], [True, True], [False]])
def test_roc_needs_both_classes(truth):
    assert roc(np.array(truth, dtype=bool), np.full(len(truth), 0.5)) is None


def test_precision_recall_needs_something_to_find():
    assert precision_recall(np.array([False]), np.array([0.5])) is None


def test_what_was_never_found_lowers_recall_only():
    curve = precision_recall_of(np.array([True, False]), np.array([0.9, 0.2]), to_find=4)
    assert curve.recall.tolist() == [0.25, 0.25]
    assert curve.precision.tolist() == [1.0, 0.5]
    assert curve.f1.tolist() == pytest.approx([0.4, 1 / 3])


def test_f1_is_0_where_nothing_is_right():
    assert precision_recall_of(np.array([False]), np.array([0.9]), to_find=1).f1.tolist() == [0.0]


def test_a_curve_without_finds_has_no_points():
    curve = precision_recall_of(np.zeros(0, dtype=bool), np.zeros(0), to_find=3)
    assert curve.precision.size == curve.recall.size == curve.thresholds.size == curve.f1.size == 0


@pytest.mark.parametrize("curve", [roc, precision_recall, confidence_curves])
def test_a_score_that_is_not_a_number_is_refused(curve):
    with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
        curve(np.array([True, False]), np.array([np.nan, 0.5]))
