"""Labels and predictions of one photo side by side."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.audit.agreement import LOOSE_IOU, TIGHT_IOU, agree, share_inside
from wreckognize.boxes import as_boxes, iou

CAR = [10, 10, 50, 40]


def conf(*values):
    return np.array(values, dtype=np.float32)


def test_a_label_that_the_prediction_meets_has_its_confidence_as_support():
    found = agree(as_boxes([CAR]), as_boxes([CAR]), conf(0.8))
    assert found.support == pytest.approx([0.8])
    assert found.overlap == pytest.approx([1.0])
    assert found.nearest.tolist() == [0]
    assert found.unlabelled.tolist() == [False]


def test_of_two_labels_on_one_vehicle_one_is_supported():
    found = agree(as_boxes([CAR, [11, 10, 51, 40]]), as_boxes([CAR]), conf(0.9))
    assert sorted(found.support > 0) == [False, True]
    assert found.support[0] == pytest.approx(0.9)


def test_a_prediction_elsewhere_is_unlabelled_one_within_a_label_is_not():
    predictions = as_boxes([[60, 60, 80, 80], [20, 20, 30, 30], [5, 5, 90, 90]])
    found = agree(as_boxes([CAR]), predictions, conf(0.9, 0.9, 0.9))
    assert found.unlabelled.tolist() == [True, False, True]


@pytest.mark.parametrize("labels", [[], [CAR]])
@pytest.mark.parametrize("predictions", [[], [CAR]])
def test_nothing_on_a_side_is_no_trouble(labels, predictions):
    found = agree(as_boxes(labels), as_boxes(predictions), conf(*[0.5] * len(predictions)))
    assert len(found.support) == len(found.nearest) == len(found.overlap) == len(labels)
    assert len(found.unlabelled) == len(predictions)
    if not labels:
        assert found.unlabelled.all()
    if labels and not predictions:
        assert found.nearest.tolist() == [-1]


box = st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(1, 8)] * 2).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)


@given(
    st.lists(box, min_size=1, max_size=4), st.lists(box, min_size=1, max_size=4), st.randoms(use_true_random=False)
)
def test_the_supports_are_the_best_assignment(labels, predictions, random):
    labels, predictions = as_boxes(labels), as_boxes(predictions)
    confidence = conf(*(random.random() for _ in predictions))
    gain = (
        np.clip((iou(labels, predictions).astype(float) - LOOSE_IOU) / (TIGHT_IOU - LOOSE_IOU), 0, 1) * confidence
    )
    padded = np.zeros((len(labels), len(predictions) + len(labels)))
    padded[:, : len(predictions)] = gain
    best = max(
        sum(padded[row, column] for row, column in enumerate(columns))
        for columns in permutations(range(padded.shape[1]), len(labels))
    )
    found = agree(labels, predictions, confidence)
    assert found.support.sum() == pytest.approx(best)
    assert ((found.support >= 0) & (found.support <= 1)).all()


def test_share_inside_of_a_box_without_area_is_zero():
    assert share_inside(as_boxes([[1, 1, 1, 5]]), as_boxes([CAR])).tolist() == [[0.0]]
