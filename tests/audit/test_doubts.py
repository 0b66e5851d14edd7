"""Each kind of doubt with its reason, the order of photos, and what is refused."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.spoil import spoil
from wreckognize.audit.doubts import DOUBT_SCHEMA, KINDS, MIN_SCORE, RANK_SCHEMA, find_doubts
from wreckognize.catalog import LABEL_SCHEMA, PHOTO_SCHEMA, PREDICTION_SCHEMA
from wreckognize.errors import UsageError

CAR, AWAY = (20.0, 20.0, 80.0, 60.0), (120.0, 80.0, 180.0, 99.0)


def photos_of(**roles):
    rows = [(name, role, role != "background", 200, 100, True) for name, role in roles.items()]
    schema = pl.Schema({name: PHOTO_SCHEMA[name] for name in ("photo", "role", "has_vehicle", "width", "height")})
    return pl.DataFrame(rows, schema={**schema, "labelled": pl.Boolean}, orient="row")


def labels_of(*rows, origin="teacher"):
    full = [(photo, "train", *box, "vehicle", origin, 0.5) for photo, box in rows]
    return pl.DataFrame(full, schema=LABEL_SCHEMA, orient="row")


def seen(*rows):
    return pl.DataFrame(
        [(photo, *box, confidence) for photo, box, confidence in rows], schema=PREDICTION_SCHEMA, orient="row"
    )


def only(found):
    """The one row of a table of doubts."""
    (row,) = found.table.iter_rows(named=True)
    return row


def test_a_label_that_the_student_confirms_is_not_doubted():
    found = find_doubts(photos_of(a="normal"), labels_of(("a", CAR)), seen(("a", CAR, 0.97)))
    assert found.table.is_empty()
    assert found.table.schema == DOUBT_SCHEMA
    assert found.photos.rows() == [("a", 1, pytest.approx(0.03))]


def test_a_vehicle_in_a_background():
    row = only(find_doubts(photos_of(a="background"), labels_of(), seen(("a", CAR, 0.94))))
    assert row["kind"] == "vehicle_in_background"
    assert row["score"] == pytest.approx(0.94)
    assert row["box"] is None
    assert (row["x1"], row["y1"], row["x2"], row["y2"]) == CAR
    assert (
        row["reason"] == "given as background, without a vehicle; the student sees a vehicle with confidence 0.94"
    )


@pytest.mark.parametrize("role", ["normal", "damaged"])
@pytest.mark.parametrize(
    ("predictions", "words"),
    [((), "the student sees none"), ((("a", CAR, 0.04),), "the student sees one with confidence 0.04 at most")],
)
def test_a_vehicle_photo_with_none(role, predictions, words):
    photos = photos_of(a=role).with_columns(labelled=pl.lit(False))
    row = only(find_doubts(photos, labels_of(), seen(*predictions)))
    assert row["kind"] == "no_vehicle"
    assert row["score"] >= 0.95
    assert row["reason"] == f"given as {role}, with a vehicle; {words}"
    assert row["x1"] is None


def test_a_label_where_nothing_is_seen_and_a_vehicle_without_label():
    found = find_doubts(photos_of(a="normal"), labels_of(("a", AWAY)), seen(("a", CAR, 0.9)))
    assert dict(found.table.select("kind", "score").rows()) == {
        "unconfirmed": 1.0,
        "overlooked": pytest.approx(0.9),
    }
    assert found.table["reason"].to_list() == [
        "labelled as a vehicle; the student sees none there",
        "the student sees a vehicle with confidence 0.90 where there is no label",
    ]


def test_a_moved_label_is_listed_once():
    moved = (CAR[0] + 20, *CAR[1:])
    row = only(find_doubts(photos_of(a="normal"), labels_of(("a", moved)), seen(("a", CAR, 0.95))))
    assert row["kind"] == "misplaced"
    assert row["box"] == 0
    assert row["score"] == pytest.approx(1 / 3)
    assert row["reason"] == "the student sees a vehicle of another place or size: IoU 0.67"


def test_the_more_a_label_is_moved_the_more_it_is_doubted():
    photos = photos_of(**{f"p{step}": "normal" for step in range(5)})
    labels = labels_of(*((f"p{step}", (CAR[0] + 10 * step, *CAR[1:])) for step in range(5)))
    found = find_doubts(photos, labels, seen(*((f"p{step}", CAR, 0.9) for step in range(5))))
    assert found.photos["photo"].to_list() == ["p4", "p3", "p2", "p1", "p0"]


def test_a_damage_box_that_is_only_a_part():
    part = labels_of(("a", (30.0, 30.0, 40.0, 40.0)), origin="damage")
    row = only(find_doubts(photos_of(a="damaged"), part, seen(("a", CAR, 0.97))))
    assert row["kind"] == "part"
    assert row["reason"] == "a damage box; the vehicle that the student sees is 24.0 times as large"


def test_two_labels_on_one_vehicle():
    double = (CAR[0] + 3, *CAR[1:])
    row = only(find_doubts(photos_of(a="normal"), labels_of(("a", double), ("a", CAR)), seen(("a", CAR, 0.97))))
    assert (row["kind"], row["box"]) == ("double", 0)
    assert row["score"] == pytest.approx(0.95)
    assert row["reason"] == "two labels on what may be one vehicle: IoU 0.95"


def test_two_labels_that_the_student_confirms_both_are_no_double():
    other = (CAR[0] + 10, *CAR[1:])
    labels = labels_of(("a", CAR), ("a", other))
    found = find_doubts(photos_of(a="normal"), labels, seen(("a", CAR, 0.97), ("a", other, 0.9)))
    assert found.table.is_empty()


def test_a_label_that_reaches_out_of_the_photo():
    out = (-60.0, 20.0, 40.0, 60.0)
    row = only(
        find_doubts(photos_of(a="normal"), labels_of(("a", out)), seen(("a", (0.0, 20.0, 40.0, 60.0), 0.97)))
    )
    assert row["kind"] == "outside"
    assert row["score"] == pytest.approx(0.6)
    assert row["reason"] == "the label reaches 60 pixels out of the photo"
    rounding = (-0.5, 20.0, 40.0, 60.0)
    assert find_doubts(
        photos_of(a="normal"), labels_of(("a", rounding)), seen(("a", rounding, 0.97))
    ).table.is_empty()


def test_a_label_without_area():
    found = find_doubts(photos_of(a="normal"), labels_of(("a", (50.0, 20.0, 50.0, 60.0))), seen(("a", CAR, 0.1)))
    row = found.table.filter(box=0).row(0, named=True)
    assert (row["kind"], row["score"], row["reason"]) == ("outside", 1.0, "the label has no area")


def test_the_teacher_is_a_second_witness():
    photos = photos_of(a="background", b="normal")
    labels, student = labels_of(("b", CAR)), seen(("b", CAR, 0.97))
    teacher = seen(("a", CAR, 0.8), ("b", CAR, 0.9), ("b", AWAY, 0.7))
    assert find_doubts(photos, labels, student).table.is_empty()
    found = find_doubts(photos, labels, student, teacher)
    assert found.table.select("photo", "kind").rows() == [("a", "vehicle_in_background"), ("b", "overlooked")]
    assert all("the teacher sees a vehicle" in reason for reason in found.table["reason"])


def test_in_a_background_one_detector_can_gainsay_the_other():
    photos, student = photos_of(a="background"), seen(("a", CAR, 0.9))
    alone = only(find_doubts(photos, labels_of(), student, seen()))
    assert alone["score"] == pytest.approx(0.45)
    assert alone["reason"].endswith("the student sees a vehicle with confidence 0.90, the teacher sees none")
    both = find_doubts(photos, labels_of(), student, seen(("a", CAR, 0.8)))
    assert both.table["score"].to_list() == pytest.approx([0.9 * 0.9, 0.8 * 0.95])


def test_only_the_role_of_a_photo_without_labels_is_doubted():
    photos = photos_of(a="normal").with_columns(labelled=pl.lit(False))
    found = find_doubts(photos, labels_of(), seen(("a", CAR, 0.97)))
    assert found.table.is_empty()


def test_nothing_at_all():
    found = find_doubts(photos_of(), labels_of(), seen())
    assert found.table.schema == DOUBT_SCHEMA
    assert found.photos.schema == RANK_SCHEMA
    assert found.photos.is_empty()


@pytest.mark.parametrize("confidence", [math.nan, -0.1, 1.5, None])
def test_a_confidence_that_is_no_number_is_refused(confidence):
    with pytest.raises(UsageError, match="'a'") as refused:
        find_doubts(photos_of(a="normal"), labels_of(), seen(("a", CAR, confidence)))
    assert "not a number from 0 to 1" in str(refused.value)


def test_predictions_of_other_photos_are_refused():
    with pytest.raises(UsageError, match="'z'"):
        find_doubts(photos_of(a="normal"), labels_of(), seen(("a", CAR, 0.9)), seen(("z", CAR, 0.9)))


side = st.integers(0, 9).map(lambda x: 10.0 * x)
some_box = st.tuples(side, side, st.integers(1, 9), st.integers(1, 9)).map(
    lambda b: (b[0], b[1], b[0] + 10 * b[2], b[1] + 10 * b[3])
)
names = st.sampled_from(["a", "b", "c"])


@settings(max_examples=25)
@given(
    st.lists(st.tuples(names, some_box), max_size=6),
    st.lists(st.tuples(names, some_box, st.floats(0, 1, width=32)), max_size=8),
    st.sampled_from(["damage", "teacher", "frame"]),
)
def test_laws(labels, predictions, origin):
    photos = photos_of(a="normal", b="damaged", c="background")
    found = find_doubts(photos, labels_of(*labels, origin=origin), seen(*predictions))
    assert found.photos["rank"].to_list() == [1, 2, 3]
    assert found.photos["score"].is_sorted(descending=True)
    assert found.photos["score"].is_between(0, 1).all()
    assert set(found.table["kind"]) <= set(KINDS)
    assert found.table["score"].is_between(MIN_SCORE, 1).all()
    worst = found.table.group_by("photo").agg(pl.col("score").max().alias("worst")).join(found.photos, on="photo")
    assert (worst["score"] >= worst["worst"] - 1e-9).all()  # a photo is no less doubtful than its worst box
    assert found.table.drop_nulls("box").select("photo", "box").is_unique().all()
    assert found.table.equals(
        find_doubts(photos.reverse(), labels_of(*labels, origin=origin), seen(*predictions)).table
    )


def test_spoilt_labels_come_first_where_the_student_is_good():
    rng = np.random.default_rng(3)
    roles = {f"p{number:03}": ("damaged", "normal", "background")[number % 3] for number in range(300)}
    photos = photos_of(**roles).with_columns(split=pl.lit("train"))
    truth = []
    for name, role in roles.items():
        if role != "background":
            corner, size = rng.uniform(0, 40, 2) * (2, 1), rng.uniform(30, 60, 2) * (2, 1)
            truth.append((name, (*corner, *(corner + size))))
    bad, spoilt = spoil(photos, labels_of(*truth), 0.1, seed=0)
    jitter = [(name, tuple(np.array(box) + rng.normal(0, 1.5, 4)), rng.uniform(0.5, 1)) for name, box in truth]
    alarms = [(name, CAR, rng.uniform(0, 0.3)) for name, role in roles.items() if role == "background"]
    found = find_doubts(photos, bad, seen(*jitter, *alarms))
    first = set(found.photos.head(60)["photo"])
    assert len(first & set(spoilt["photo"])) >= 0.9 * spoilt.height
