from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, PREDICTION_SCHEMA
from wreckognize.evidence.intervals import wilson
from wreckognize.exporting.gate import Comparison, GateLimits, compare

NO_BOXES = pl.DataFrame(schema=BOX_SCHEMA)
CUTS = {"threshold": 0.1, "low": 0.05, "high": 0.5}
scores = st.sampled_from([0.0, 0.04, 0.05, 0.09, 0.1, 0.3, 0.5, 0.9])
pairs = st.lists(st.tuples(scores, scores), min_size=1, max_size=25)


def photos_of(count):
    row = {
        "path": "x",
        "source": "s",
        "role": "normal",
        "has_vehicle": True,
        "width": 100,
        "height": 100,
        "damage_types": [],
        "claim": None,
        "sha256": "0" * 64,
        "pinned": None,
        "box_truth": False,
        "plain": True,
    }
    rows = [{"photo": f"s/{number:03}", **row} for number in range(count)]
    return pl.DataFrame(rows, schema=PHOTO_SCHEMA)


def predictions(values, box=(10, 10, 50, 50)):
    rows = [(f"s/{number:03}", *box, value) for number, value in enumerate(values) if value > 0]
    return pl.DataFrame(rows, schema=PREDICTION_SCHEMA, orient="row", strict=False)


def compared(left, right, **changes):
    count = len(left)
    options = {"thresholds": CUTS, "shown": 0.05} | changes
    photos = photos_of(count)
    tables = (predictions(left), changes.pop("tested", None))
    options.pop("tested", None)
    tested = predictions(right) if tables[1] is None else tables[1]
    return compare(photos, np.arange(count).astype(str), NO_BOXES, tables[0], tested, **options)


@given(pairs)
def test_a_flip_is_a_photo_on_another_side_of_any_threshold(values):
    left, right = zip(*values, strict=True)
    found = compared(left, right)
    expected = [
        number
        for number, (a, b) in enumerate(values)
        if any((np.float32(a) >= np.float32(cut)) != (np.float32(b) >= np.float32(cut)) for cut in CUTS.values())
    ]
    assert [flip.photo for flip in found.flips] == [f"s/{number:03}" for number in expected]
    assert found.flipped.share == pytest.approx(len(expected) / len(values))
    assert found.passed == (len(expected) <= 0.005 * len(values))
    assert max(at.flipped for at in found.thresholds.values()) <= len(expected)
    back = compared(right, left)
    assert [flip.photo for flip in back.flips] == [flip.photo for flip in found.flips]
    assert back.score_shift_mean == pytest.approx(-found.score_shift_mean)
    assert Comparison.from_dict(found.to_dict()) == found


@given(st.lists(scores, min_size=1, max_size=25))
def test_the_same_predictions_pass_with_nothing_shifted(values):
    found = compared(values, values)
    assert found.passed
    assert (found.flips, found.score_shift_max) == ((), 0.0)
    assert found.box_iou_median in (None, 1.0)
    assert found.agreement is None or found.agreement.bundle == pytest.approx(1.0)


def test_exactly_the_allowed_share_passes_and_one_more_does_not():
    left = [0.9] * 200
    for flipped, passed in ((1, True), (2, False)):
        right = [0.2] * flipped + [0.9] * (200 - flipped)
        found = compared(left, right, limits=GateLimits(max_flips=0.005))
        assert found.passed == passed
        assert [flip.at for flip in found.flips] == [("high",)] * flipped
    assert "2 of 200 photos are decided otherwise" in found.why


def test_few_photos_are_said_to_be_few_and_enough_are_not():
    few = compared([0.9] * 20, [0.9] * 20)
    assert few.passed
    assert few.flipped.high == pytest.approx(wilson(0, 20)[1])
    assert "about 765 photos" in few.remark
    enough = compared([0.9] * 765, [0.9] * 765)
    assert enough.remark is None


def test_no_photo_and_random_weights_are_refused():
    nothing = compared([], [])
    assert not nothing.passed
    assert "no validation photo" in nothing.why
    random = compared([0.9], [0.9], random_weights=True)
    assert not random.passed
    assert "random weights" in random.why
    with pytest.raises(ValueError, match="at least one threshold"):
        compared([0.9], [0.9], thresholds={})


def test_boxes_elsewhere_are_refused_though_every_score_agrees():
    moved = compared([0.9] * 10, [], tested=predictions([0.9] * 10, box=(30, 30, 90, 90)))
    assert moved.flips == ()
    assert not moved.passed
    assert "overlap" in moved.why
    assert moved.agreement.bundle == 0


def test_map_is_against_people_s_boxes_where_they_drew_some():
    photos = photos_of(4).with_columns(box_truth=pl.Series([True, True, False, False]))
    drawn = pl.DataFrame(
        [(f"s/{n:03}", 10, 10, 50, 50, "vehicle", "human", None, False) for n in range(2)],
        schema=BOX_SCHEMA,
        orient="row",
        strict=False,
    )
    good, worse = predictions([0.9] * 4), predictions([0.9, 0.0, 0.9, 0.9])
    found = compare(
        photos, np.arange(4).astype(str), drawn, good, worse, thresholds=CUTS, shown=0.1, unread=("s/gone",)
    )
    assert (found.human.photos, found.human.boxes) == (2, 2)
    assert found.human.original == pytest.approx(1.0)
    assert found.human.bundle < 0.6
    assert found.unread == ("s/gone",)
