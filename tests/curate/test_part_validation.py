"""Validation in two parts: stopping and calibration share no group."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from wreckognize.catalog import VALIDATION_SCHEMA
from wreckognize.curate.groups import assign_groups
from wreckognize.curate.split import part_validation, split_photos
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
