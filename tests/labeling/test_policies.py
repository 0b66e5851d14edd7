"""Policies: which boxes a photo gets, from where, and what is left out for which reason."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from wreckognize.catalog import LABEL_SCHEMA
from wreckognize.labeling.policies import OUTCOME_SCHEMA, make_labels
from wreckognize.settings import LabelSettings

WHOLE, LEFT, RIGHT = (0, 0, 100, 50), (10, 10, 20, 20), (60, 5, 90, 45)
LAW = settings(deadline=None, max_examples=60)


@pytest.fixture(scope="session")
def label(tables):
    """Label photos given as ``{photo: (role, split)}``."""

    def run(study, boxes=(), teacher=(), limits=None, seed=0, **policy):
        return make_labels(
            tables.photos((photo, role) for photo, (role, _) in study.items()),
            tables.split((photo, split) for photo, (_, split) in study.items()),
            tables.boxes(boxes),
            tables.predictions(teacher),
            LabelSettings(**policy),
            limits or {},
            seed=seed,
        )

    return run


def boxes_of(result, photo):
    """``(origin, corners)`` of a photo's labels, in the order of the table."""
    rows = result.labels.filter(pl.col("photo") == photo)
    return [(row["origin"], (row["x1"], row["y1"], row["x2"], row["y2"])) for row in rows.to_dicts()]


def reason_of(result, photo):
    return result.photos.row(by_predicate=pl.col("photo") == photo, named=True)["reason"]


class TestBackground:
    def test_an_empty_label_whatever_the_teacher_sees(self, label):
        result = label(
            {"b/1.jpg": ("background", "train")},
            teacher=[("b/1.jpg", LEFT, 0.9)],
            fallback="frame",
            human=True,
        )
        assert len(result.labels) == 0
        assert result.labels.schema == LABEL_SCHEMA
        assert result.photos.to_dicts() == [
            {
                "photo": "b/1.jpg",
                "split": "train",
                "role": "background",
                "outcome": "background",
                "reason": "",
                "origin": None,
                "boxes": 0,
            }
        ]


class TestNormal:
    @pytest.mark.parametrize("policy", ["damage", "hybrid"])
    @pytest.mark.parametrize("fallback", ["damage", "union", "frame"])
    def test_teacher_boxes_or_nothing(self, label, policy, fallback):
        result = label(
            {"n/1.jpg": ("normal", "train"), "n/2.jpg": ("normal", "val")},
            boxes=[("n/2.jpg", LEFT, "Crushed"), ("n/2.jpg", LEFT, "vehicle")],
            teacher=[("n/1.jpg", LEFT, 0.3), ("n/1.jpg", RIGHT, 0.8), ("n/2.jpg", LEFT, 0.2)],
            policy=policy,
            fallback=fallback,
        )
        assert boxes_of(result, "n/1.jpg") == [("teacher", RIGHT), ("teacher", LEFT)]
        assert result.labels.get_column("confidence").to_list() == pytest.approx([0.8, 0.3])
        assert set(result.labels.get_column("kind")) == {"vehicle"}
        assert boxes_of(result, "n/2.jpg") == []
        assert reason_of(result, "n/2.jpg") == "normal photo without a teacher box"

    @pytest.mark.parametrize("confidence", [0.1, 0.25, 0.3, 0.7])
    def test_a_box_at_exactly_the_confidence_is_in(self, label, confidence):
        below = float(np.nextafter(np.float32(confidence), np.float32(0)))
        result = label(
            {"n/1.jpg": ("normal", "train")},
            teacher=[("n/1.jpg", LEFT, confidence), ("n/1.jpg", RIGHT, below)],
            confidence=confidence,
        )
        assert boxes_of(result, "n/1.jpg") == [("teacher", LEFT)]


class TestDamaged:
    def test_policy_damage_takes_damage_boxes_and_never_the_teacher(self, label):
        result = label(
            {"d/1.jpg": ("damaged", "train"), "d/2.jpg": ("damaged", "train")},
            boxes=[("d/1.jpg", RIGHT, "Crushed"), ("d/1.jpg", LEFT, "Scratched"), ("d/1.jpg", WHOLE, "vehicle")],
            teacher=[("d/1.jpg", WHOLE, 0.9), ("d/2.jpg", WHOLE, 0.9)],
            policy="damage",
            fallback="frame",
        )
        assert boxes_of(result, "d/1.jpg") == [("damage", LEFT), ("damage", RIGHT)]
        assert result.labels.get_column("confidence").null_count() == 2
        assert set(result.labels.get_column("kind")) == {"vehicle"}
        assert reason_of(result, "d/2.jpg") == "damaged photo without a damage box"

    @pytest.mark.parametrize("fallback", ["damage", "union", "frame"])
    def test_hybrid_prefers_the_teacher(self, label, fallback):
        result = label(
            {"d/1.jpg": ("damaged", "train")},
            boxes=[("d/1.jpg", LEFT, "Crushed")],
            teacher=[("d/1.jpg", RIGHT, 0.26)],
            fallback=fallback,
        )
        assert boxes_of(result, "d/1.jpg") == [("teacher", RIGHT)]

    @pytest.mark.parametrize(
        ("fallback", "expected"),
        [
            ("damage", [("damage", LEFT), ("damage", RIGHT)]),
            ("union", [("damage", (10, 5, 90, 45))]),
            ("frame", [("frame", WHOLE)]),
            ("leave_out", []),
        ],
    )
    def test_hybrid_falls_back_where_the_teacher_is_unsure(self, label, fallback, expected):
        result = label(
            {"d/1.jpg": ("damaged", "train")},
            boxes=[("d/1.jpg", LEFT, "Crushed"), ("d/1.jpg", RIGHT, "Breakage")],
            teacher=[("d/1.jpg", WHOLE, 0.24)],
            fallback=fallback,
        )
        assert boxes_of(result, "d/1.jpg") == expected

    @pytest.mark.parametrize("fallback", ["damage", "union"])
    def test_hybrid_leaves_out_what_nobody_boxed(self, label, fallback):
        result = label({"d/1.jpg": ("damaged", "val")}, fallback=fallback)
        assert len(result.labels) == 0
        assert reason_of(result, "d/1.jpg") == "damaged photo without a teacher or damage box"

    def test_a_photo_left_out_says_that_only_the_teacher_was_asked(self, label):
        boxes = [("d/1.jpg", LEFT, "Crushed")]
        result = label({"d/1.jpg": ("damaged", "train")}, boxes=boxes, fallback="leave_out")
        assert reason_of(result, "d/1.jpg") == "damaged photo without a teacher box"

    def test_the_frame_leaves_nothing_out(self, label):
        result = label({"d/1.jpg": ("damaged", "val")}, fallback="frame")
        assert boxes_of(result, "d/1.jpg") == [("frame", WHOLE)]


ONE_OF_EACH = {"d/1.jpg": ("damaged", "train"), "n/1.jpg": ("normal", "train")}
SURE_TEACHER = [("d/1.jpg", RIGHT, 0.9), ("n/1.jpg", RIGHT, 0.9)]


class TestHuman:
    @pytest.mark.parametrize("policy", ["damage", "hybrid"])
    def test_human_boxes_win_where_they_are_wanted(self, label, policy):
        boxes = [("d/1.jpg", LEFT, "vehicle"), ("d/1.jpg", RIGHT, "Crushed"), ("n/1.jpg", LEFT, "vehicle")]
        result = label(ONE_OF_EACH, boxes=boxes, teacher=SURE_TEACHER, human=True, policy=policy)
        assert boxes_of(result, "d/1.jpg") == boxes_of(result, "n/1.jpg") == [("human", LEFT)]

    def test_they_are_not_used_unless_asked_for(self, label):
        boxes = [("d/1.jpg", LEFT, "vehicle"), ("n/1.jpg", LEFT, "vehicle")]
        result = label(ONE_OF_EACH, boxes=boxes, teacher=SURE_TEACHER)
        assert boxes_of(result, "d/1.jpg") == boxes_of(result, "n/1.jpg") == [("teacher", RIGHT)]

    def test_a_crowd_is_no_label(self, label):
        boxes = [("n/1.jpg", LEFT, "crowd"), ("d/1.jpg", LEFT, "crowd"), ("d/1.jpg", RIGHT, "vehicle")]
        result = label(ONE_OF_EACH, boxes=boxes, teacher=SURE_TEACHER, human=True)
        assert boxes_of(result, "n/1.jpg") == [("teacher", RIGHT)]
        assert boxes_of(result, "d/1.jpg") == [("human", RIGHT)]

    def test_the_reason_says_all_that_was_looked_for(self, label):
        result = label(ONE_OF_EACH, human=True)
        assert reason_of(result, "d/1.jpg") == "damaged photo without a human, teacher or damage box"
        assert reason_of(result, "n/1.jpg") == "normal photo without a human or teacher box"


class TestFrames:
    def test_boxes_are_cut_to_the_photo(self, label):
        result = label({"n/1.jpg": ("normal", "train")}, teacher=[("n/1.jpg", (-5, -1, 120, 60), 0.9)])
        assert boxes_of(result, "n/1.jpg") == [("teacher", WHOLE)]
        assert result.boxes_outside == 0

    def test_a_box_outside_is_none_and_is_counted(self, label):
        result = label(
            {"d/1.jpg": ("damaged", "train")},
            boxes=[("d/1.jpg", LEFT, "Crushed"), ("d/1.jpg", (0, 50, 10, 90), "Crushed")],
            teacher=[("d/1.jpg", (110, 0, 130, 40), 0.9)],
        )
        assert boxes_of(result, "d/1.jpg") == [("damage", LEFT)]
        assert result.boxes_outside == 2


def test_limits_come_first_and_give_their_reason(label):
    study = {f"n/{number}.jpg": ("normal", "train") for number in range(9)}
    result = label(study, teacher=[(photo, LEFT, 0.9) for photo in study], limits={"normal": 4})
    assert dict(result.photos.group_by("reason").len().iter_rows()) == {"": 4, "limit normal: 4": 5}
    assert result.labels.get_column("photo").n_unique() == 4


def test_photos_for_judging_or_held_back_never_appear(label):
    study = {
        "n/1.jpg": ("normal", "train"),
        "n/2.jpg": ("normal", "test"),
        "n/3.jpg": ("normal", "held_back"),
        "n/4.jpg": ("normal", "val"),
    }
    result = label(study, teacher=[(photo, LEFT, 0.9) for photo in study])
    assert result.photos.get_column("photo").to_list() == ["n/1.jpg", "n/4.jpg"]
    assert dict(result.labels.select("photo", "split").iter_rows()) == {"n/1.jpg": "train", "n/4.jpg": "val"}


def test_the_summary_counts_photos_and_boxes(label):
    study = {
        "b/1.jpg": ("background", "train"),
        "d/1.jpg": ("damaged", "train"),
        "d/2.jpg": ("damaged", "train"),
        "n/1.jpg": ("normal", "train"),
        "n/2.jpg": ("normal", "val"),
    }
    result = label(
        study,
        boxes=[("d/1.jpg", LEFT, "Crushed"), ("d/1.jpg", RIGHT, "Crushed"), ("d/2.jpg", RIGHT, "Crushed")],
        teacher=[("n/1.jpg", LEFT, 0.9)],
    )
    assert result.summary().rows() == [
        ("train", "background", "background", "", None, 1, 0),
        ("train", "damaged", "labelled", "", "damage", 2, 3),
        ("train", "normal", "labelled", "", "teacher", 1, 1),
        ("val", "normal", "left_out", "normal photo without a teacher box", None, 1, 0),
    ]


def test_a_table_of_another_shape_is_a_mistake(tables):
    with pytest.raises(ValueError, match="teacher predictions"):
        make_labels(
            tables.photos([]), tables.split([]), tables.boxes([]), tables.boxes([]), LabelSettings(), {}, seed=0
        )


corners = st.tuples(st.integers(-20, 110), st.integers(-20, 60), st.integers(-20, 110), st.integers(-20, 60))
names = st.sampled_from([f"{source}/{number}.jpg" for source in ("p", "q") for number in range(6)])
studies = st.dictionaries(
    names,
    st.tuples(
        st.sampled_from(["damaged", "normal", "background"]),
        st.sampled_from(["train", "val", "test", "held_back"]),
    ),
)
inputs = st.fixed_dictionaries(
    {
        "study": studies,
        "boxes": st.lists(
            st.tuples(names, corners, st.sampled_from(["Crushed", "vehicle", "crowd"])), max_size=15
        ),
        "teacher": st.lists(st.tuples(names, corners, st.floats(2**-10, 1, width=32)), max_size=15),
        "limits": st.dictionaries(
            st.sampled_from(["p", "q", "damaged", "normal", "background"]), st.integers(1, 4)
        ),
        "policy": st.sampled_from(["damage", "hybrid"]),
        "fallback": st.sampled_from(["damage", "union", "frame"]),
        "human": st.booleans(),
    }
)


@LAW
@given(given_=inputs)
def test_every_photo_is_accounted_for_once_and_every_label_lies_in_its_photo(label, given_):
    result = label(**given_)
    for_training = {name: row for name, row in given_["study"].items() if row[1] in ("train", "val")}
    assert result.photos.schema == OUTCOME_SCHEMA
    assert result.photos.get_column("photo").to_list() == sorted(for_training)
    assert result.labels.schema == LABEL_SCHEMA
    assert result.labels.get_column("photo").is_sorted()
    counts = dict(result.labels.group_by("photo").len().iter_rows())
    for row in result.photos.to_dicts():
        assert (row["role"], row["split"]) == given_["study"][row["photo"]]
        assert row["boxes"] == counts.get(row["photo"], 0)
        assert (row["outcome"] == "labelled") == (row["boxes"] > 0) == (row["origin"] is not None)
        assert (row["outcome"] == "left_out") == (row["reason"] != "")
        assert (row["outcome"] == "background") <= (row["role"] == "background")
    one_origin = result.labels.group_by("photo").agg(pl.col("origin", "split").n_unique())
    assert (one_origin.get_column("origin") == 1).all()
    inside = result.labels.select(
        (pl.col("x1") >= 0)
        & (pl.col("y1") >= 0)
        & (pl.col("x2") <= 100)
        & (pl.col("y2") <= 50)
        & (pl.col("x1") < pl.col("x2"))
        & (pl.col("y1") < pl.col("y2"))
    ).to_series()
    assert inside.all()
    assert (result.labels.get_column("confidence").is_not_null() == (result.labels["origin"] == "teacher")).all()
    assert result.summary().get_column("photos").sum() == len(for_training)


@LAW
@given(given_=inputs, order=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(label, given_, order):
    shuffled = dict(given_)
    for key in ("boxes", "teacher"):
        shuffled[key] = list(given_[key])
        order.shuffle(shuffled[key])
    pairs = list(given_["study"].items())
    order.shuffle(pairs)
    shuffled["study"] = dict(pairs)
    once, again = label(**given_), label(**shuffled)
    assert_frame_equal(once.labels, again.labels)
    assert_frame_equal(once.photos, again.photos)
    assert_frame_equal(once.summary(), again.summary())
