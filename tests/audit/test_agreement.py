"""Labels and predictions of one photo side by side."""

from itertools import permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.audit.agreement import agree, outside_crowds, share_inside
from wreckognize.boxes import as_boxes, iou
from wreckognize.catalog import BOX_SCHEMA, PREDICTION_SCHEMA

CAR = [10, 10, 50, 40]


def conf(*values):
    return np.array(values, dtype=np.float32)


def test_a_label_that_its_prediction_meets_has_the_confidence_as_support():
    found = agree(as_boxes([CAR]), as_boxes([[60, 60, 70, 70], CAR]), conf(0.9, 0.8))
    assert found.support == pytest.approx([0.8])
    assert found.nearest_prediction.tolist() == [1]
    assert found.nearest_label.tolist() == [-1, 0]


def test_of_two_labels_on_one_vehicle_one_is_supported():
    found = agree(as_boxes([[11, 10, 51, 40], CAR]), as_boxes([CAR]), conf(0.9))
    assert found.support == pytest.approx([0, 0.9])
    assert found.nearest_prediction.tolist() == [0, 0]


@pytest.mark.parametrize("labels", [[], [CAR]])
@pytest.mark.parametrize("predictions", [[], [CAR]])
def test_nothing_on_a_side_is_no_trouble(labels, predictions):
    found = agree(as_boxes(labels), as_boxes(predictions), conf(*[0.5] * len(predictions)))
    both = bool(labels and predictions)
    assert found.support.tolist() == [0.5 if both else 0.0] * len(labels)
    assert found.nearest_prediction.tolist() == [0 if both else -1] * len(labels)
    assert found.nearest_label.tolist() == [0 if both else -1] * len(predictions)


box = st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(1, 8)] * 2).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)
some_boxes = st.lists(box, min_size=1, max_size=4)


@given(some_boxes, some_boxes, st.randoms(use_true_random=False))
def test_the_supports_are_the_best_assignment(labels, predictions, random):
    labels, predictions = as_boxes(labels), as_boxes(predictions)
    confidence = conf(*(random.random() for _ in predictions))
    gain = np.zeros((len(labels), len(predictions) + len(labels)))  # with room to be assigned to nothing
    gain[:, : len(predictions)] = iou(labels, predictions).astype(float) * confidence
    best = max(
        sum(gain[row, column] for row, column in enumerate(columns))
        for columns in permutations(range(gain.shape[1]), len(labels))
    )
    found = agree(labels, predictions, confidence)
    assert found.support.sum() == pytest.approx(best)
    assert found.support.min() >= 0
    assert found.support.max() <= 1


def test_share_inside_of_a_box_without_area_is_zero():
    assert share_inside(as_boxes([[1, 1, 1, 5]]), as_boxes([CAR])).tolist() == [[0.0]]


def test_predictions_in_a_crowd_are_left_out():
    predictions = pl.DataFrame(
        [("a", 0, 0, 10, 10, 0.9), ("a", 45, 45, 65, 65, 0.8), ("b", 0, 0, 10, 10, 0.7)],
        schema=PREDICTION_SCHEMA,
        orient="row",
    )
    boxes = pl.DataFrame(
        [
            ("a", 0, 0, 50, 50, "vehicle", "human", None, True),
            ("b", 0, 0, 50, 50, "vehicle", "human", None, False),
        ],
        schema=BOX_SCHEMA,
        orient="row",
    )
    assert outside_crowds(predictions, boxes)["photo"].to_list() == ["a", "b"]
    assert outside_crowds(predictions, boxes)["confidence"].to_list() == pytest.approx([0.8, 0.7])
    assert outside_crowds(predictions, boxes.filter(~pl.col("crowd"))).equals(predictions)
