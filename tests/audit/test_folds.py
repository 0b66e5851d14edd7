"""Folds: no group in two, roles spread, the same for the same seed."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wreckognize.audit.folds import FOLD_SCHEMA, assign_folds, students_photos
from wreckognize.catalog import ROLES
from wreckognize.errors import UsageError


def photos_of(groups):
    """A photo for each role in each group."""
    rows = [
        (f"{number}-{place}", role, f"g{number}")
        for number, roles in enumerate(groups)
        for place, role in enumerate(roles)
    ]
    return pl.DataFrame(rows, schema={"photo": pl.String, "role": pl.String, "group": pl.String}, orient="row")


some_groups = st.lists(st.lists(st.sampled_from(ROLES), min_size=1, max_size=4), min_size=4, max_size=40)


@given(some_groups, st.integers(2, 4), st.integers(0, 99))
def test_every_photo_is_in_one_fold_and_groups_stay_together(groups, folds, seed):
    photos = photos_of(groups)
    dealt = assign_folds(photos, folds, seed=seed)
    assert dealt.schema == FOLD_SCHEMA
    assert dealt["photo"].to_list() == sorted(photos["photo"])
    assert set(dealt["fold"]) == set(range(1, folds + 1))
    by_group = dealt.join(photos, on="photo").group_by("group").agg(pl.col("fold").n_unique())
    assert by_group["fold"].max() == 1
    assert dealt.equals(assign_folds(photos.reverse(), folds, seed=seed))


@settings(max_examples=20)
@given(some_groups, st.integers(2, 4))
def test_a_student_learns_from_all_other_folds_and_from_nothing_else(groups, folds):
    photos = photos_of(groups)
    dealt = assign_folds(photos, folds, seed=1)
    for number in range(1, folds + 1):
        others = dealt.filter(pl.col("fold") != number).join(photos, on="photo")
        if others["group"].n_unique() < 2:
            with pytest.raises(UsageError, match="1 group of labelled photos"):
                students_photos(photos, dealt, number, seed=1)
            continue
        learnt = students_photos(photos, dealt, number, seed=1)
        assert set(learnt["photo"]) == set(others["photo"])
        assert set(learnt["split"]) == {"train", "val"}
        assert (
            learnt.join(photos, on="photo").group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1
        )


def test_single_photos_are_dealt_evenly_by_role():
    photos = photos_of([["damaged"]] * 40 + [["normal"]] * 20 + [["background"]] * 21)
    counts = assign_folds(photos, 3, seed=7).join(photos, on="photo").group_by("role", "fold").len()
    spread = counts.group_by("role").agg(pl.col("len").max() - pl.col("len").min())
    assert spread["len"].max() <= 1


def test_another_seed_deals_otherwise():
    photos = photos_of([["damaged"]] * 40)
    assert not assign_folds(photos, 2, seed=0).equals(assign_folds(photos, 2, seed=1))


@pytest.mark.parametrize(
    ("groups", "folds"), [([["damaged"]] * 2, 3), ([["damaged"] * 4], 2), ([["normal"]] * 9, 1)]
)
def test_what_cannot_be_divided_is_refused(groups, folds):
    with pytest.raises(UsageError, match="folds"):
        assign_folds(photos_of(groups), folds, seed=0)
