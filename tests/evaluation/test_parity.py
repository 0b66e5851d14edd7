import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.boxes import iou
from wreckognize.catalog import PREDICTION_SCHEMA
from wreckognize.evaluation.parity import ParityLimits, compare_predictions, near_thresholds

CUTS = (0.10, 0.25)


def table(scores, width=10.0):
    rows = [(f"p{n}", 0.0, 0.0, width, 10.0, score) for n, score in enumerate(scores) if score is not None]
    return pl.DataFrame(rows, schema=PREDICTION_SCHEMA, orient="row")


def names(scores):
    return [f"p{n}" for n in range(len(scores))]


def compared(left, right, *, width=10.0, photos=1, **more):
    limits = ParityLimits(photos=photos)
    return compare_predictions(
        names(left), table(left), table(right, width), thresholds=CUTS, limits=limits, **more
    )


def test_flips_shift_and_overlap_are_counted():
    parity = compared([0.09, 0.11, 0.30, None, 0.9], [0.11, 0.09, 0.31, None, 0.9], width=9.5)
    assert parity.flipped == {0.10: 2, 0.25: 0}
    assert parity.score_shift_max == pytest.approx(0.02, abs=1e-6)
    assert parity.box_iou_p1 == pytest.approx(0.95)
    assert parity.passed is False
    assert "2 of 5 decisions flipped at 0.1" in parity.why
    assert json.loads(json.dumps(parity.to_dict()))["flipped"] == {"0.1": 2, "0.25": 0}


def test_a_photo_found_by_one_engine_only_counts_as_zero_for_the_other():
    parity = compared([0.5, None], [None, 0.05])
    assert parity.flipped == {0.10: 1, 0.25: 1}
    assert parity.score_shift_max == pytest.approx(0.5)
    assert parity.box_iou_p1 is None


def test_boxes_that_lie_elsewhere_fail():
    parity = compared([0.9], [0.9], width=5.0)
    assert parity.flipped == {0.10: 0, 0.25: 0}
    assert parity.passed is False
    assert "0.500 at the 1st percentile" in parity.why


def test_random_weights_and_few_photos_say_nothing():
    assert compared([0.9], [0.9], random_weights=True).passed is None
    few = compared([0.9], [0.9], photos=2)
    assert few.passed is None
    assert "1 photos are too few" in few.why
    assert compared([0.9, 0.2], [0.1, 0.2], photos=20).passed is False  # a flip is a flip, however few photos


scores = st.lists(st.none() | st.floats(0.0078125, 1, width=32), min_size=1, max_size=30)


@given(scores)
def test_predictions_agree_with_themselves(found):
    parity = compared(found, found)
    assert parity.passed
    assert parity.score_shift_max == 0
    assert parity.box_iou_p1 in (None, 1.0)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-0.02, 0.02)), min_size=1, max_size=30))
def test_a_second_look_at_least_as_wide_as_the_shift_flips_nothing(pairs):
    exact = [score for score, _ in pairs]
    fast = [min(1.0, max(0.0, score + shift)) for score, shift in pairs]
    near = near_thresholds(names(fast), table(fast), thresholds=CUTS, margin=0.0201)
    again = [exact[n] if f"p{n}" in near else score for n, score in enumerate(fast)]
    assert set(compared(exact, again).flipped.values()) == {0}


def test_overlap_is_that_of_boxes():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 50, (40, 2, 2)).astype(np.float32)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    moved = boxes + rng.uniform(-3, 3, boxes.shape).astype(np.float32)
    made = [
        pl.DataFrame(
            {"photo": [f"p{n}" for n in range(40)], **dict(zip(("x1", "y1", "x2", "y2"), b.T, strict=True))}
        )
        .with_columns(confidence=pl.lit(0.5))
        .cast(dict(PREDICTION_SCHEMA))
        for b in (boxes, moved)
    ]
    parity = compare_predictions([f"p{n}" for n in range(40)], *made, thresholds=CUTS)
    assert parity.box_iou_p1 == pytest.approx(np.percentile(np.diag(iou(boxes, moved)), 1), abs=1e-5)


def test_a_threshold_is_needed():
    with pytest.raises(ValueError, match="at least one threshold"):
        compare_predictions([], table([]), table([]), thresholds=())
