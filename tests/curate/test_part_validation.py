"""Validation in two parts: stopping and calibration share no group."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from wreckognize.catalog import SPLIT_SCHEMA, VALIDATION_SCHEMA
from wreckognize.curate.groups import assign_groups
from wreckognize.curate.split import STRATUM, split_free, split_photos
from wreckognize.curate.validation import part_validation, unserved
from wreckognize.settings import SplitSettings

ROLES = ("damaged", "normal", "background")


def rows(count, photos_a_claim):
    return [
        {"photo": f"{role}/{n:04}.jpg", "role": role, "claim": f"{role}-{n // photos_a_claim}"}
        for role in ROLES
        for n in range(count)
    ]


def parted(photos, share=0.5, seed=0):
    split = split_photos(photos, assign_groups(photos), SplitSettings(), seed=seed).table
    return split, part_validation(photos, split, share, seed=seed)


@settings(deadline=None, max_examples=30)
@given(
    count=st.integers(0, 40),
    each=st.integers(1, 5),
    share=st.sampled_from([0.1, 0.5, 0.8]),
    seed=st.integers(0, 9),
)
def test_every_validation_photo_has_one_part_and_no_group_has_two(make_photos, count, each, share, seed):
    split, parts = parted(make_photos(rows(count, each)), share, seed)
    assert parts.schema == VALIDATION_SCHEMA
    assert parts["photo"].to_list() == split.filter(pl.col("split") == "val")["photo"].sort().to_list()
    grouped = parts.join(split, on="photo").group_by("group").agg(pl.col("part").n_unique())
    assert grouped.filter(pl.col("part") > 1).is_empty()


def test_each_role_is_parted_at_its_share(make_photos):
    photos = make_photos(rows(100, 1))
    _, parts = parted(photos, 0.25)
    counts = parts.join(photos, on="photo").group_by("role", "part").len()
    assert set(counts.filter(pl.col("part") == "calibration")["len"]) == {5}
    assert set(counts.filter(pl.col("part") == "stopping")["len"]) == {15}


def test_the_same_seed_parts_alike_in_any_order_of_rows(make_photos):
    given_rows = rows(50, 3)
    _, one = parted(make_photos(given_rows))
    _, other = parted(make_photos(given_rows[::-1]))
    assert_frame_equal(one, other)


def by_shares_alone(photos, split, share, seed):
    """The parting before both kinds were looked after: what studies without such trouble have."""
    val = split.filter(pl.col("split") == "val").join(photos, on="photo").select("photo", "group", stratum=STRATUM)
    parts = split_free(val, np.array([1 - share, share, 0.0]), seed).select(
        "group", part=pl.col("free_split").replace({"train": "stopping", "val": "calibration"})
    )
    return val.join(parts, on="group").select(VALIDATION_SCHEMA.names()).sort("photo")


def kinds(photos, parts):
    """Part -> which kinds of photo it has."""
    found = parts.join(photos, on="photo").group_by("part").agg(pl.col("has_vehicle").unique().sort())
    return {part: set(values) for part, values in found.iter_rows()}


def validation(make_photos, groups):
    """Photos that are all validation, from groups of roles."""
    given = [
        {"photo": f"{'claims' if role != 'background' else 'streets'}/{number:02}-{n:03}.jpg", "role": role}
        | {"claim": f"c{number}"}
        for number, roles in enumerate(groups)
        for n, role in enumerate(roles)
    ]
    photos = make_photos(given)
    table = photos.select("photo", split=pl.lit("val"), group="claim").select(SPLIT_SCHEMA.names()).sort("photo")
    return photos, table


@settings(deadline=None, max_examples=50)
@given(
    groups=st.lists(
        st.tuples(st.sampled_from(ROLES), st.integers(1, 30)).map(lambda one: [one[0]] * one[1])
        | st.lists(st.sampled_from(ROLES), min_size=1, max_size=6),
        max_size=12,
    ),
    share=st.sampled_from([0.1, 0.5, 0.8]),
    seed=st.integers(0, 9),
)
def test_groups_change_only_where_a_part_would_lack_a_kind(make_photos, groups, share, seed):
    photos, table = validation(make_photos, groups)
    before = by_shares_alone(photos, table, share, seed)
    after = part_validation(photos, table, share, seed=seed)
    told = unserved(photos, table, after)
    has = dict(photos.group_by("has_vehicle").agg(pl.col("claim").n_unique()).iter_rows())
    whole = {"stopping": set(has), "calibration": set(has)}
    if kinds(photos, before) == whole:
        assert_frame_equal(before, after)
    now = kinds(photos, after)
    for kind, its_groups in has.items():
        served = {part for part in whole if kind in now.get(part, ())}
        assert served == set(whole) or its_groups == 1
        assert any(("with a" if kind else "without a") in one.split(" in one")[0] for one in told) == (
            served != set(whole)
        )
    if "stopping" in kinds(photos, before):
        assert "stopping" in now, "a training needs photos to choose the epoch"


def test_a_claim_that_holds_nearly_all_vehicles_goes_to_calibration_and_is_named(make_photos):
    photos, table = validation(make_photos, [["damaged"] * 60, *[["background"]] * 30])
    assert kinds(photos, by_shares_alone(photos, table, 0.5, 0))["calibration"] == {False}, "as it was"
    parts = part_validation(photos, table, 0.5, seed=0)
    assert kinds(photos, parts) == {"stopping": {False}, "calibration": {False, True}}
    (sentence,) = unserved(photos, table, parts)
    for words in ("claim c0", "60 photos", "chooses the threshold", "last epoch", "What to do", "`split: val`"):
        assert words in sentence
    assert unserved(photos, table, parts, trains=False) == (), "without a training no epoch is chosen"


@pytest.mark.parametrize("others", [1, 2])
def test_beside_a_huge_claim_both_parts_get_vehicles_where_there_are_two(make_photos, others):
    photos, table = validation(make_photos, [["damaged"] * 60, *[["normal"]] * others, *[["background"]] * 30])
    parts = part_validation(photos, table, 0.5, seed=0)
    assert kinds(photos, parts) == {"stopping": {False, True}, "calibration": {False, True}}
    assert unserved(photos, table, parts) == ()


def test_the_only_group_of_all_still_chooses_the_epoch(make_photos):
    photos, table = validation(make_photos, [["damaged"] * 5])
    parts = part_validation(photos, table, 0.5, seed=0)
    assert set(parts["part"]) == {"stopping"}
    (sentence,) = unserved(photos, table, parts)
    assert "no photo with a vehicle is left to choose the threshold" in sentence
