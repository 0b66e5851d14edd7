"""Limits: never exceeded, in proportion, by seed, nested."""

from __future__ import annotations

import hashlib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from wreckognize.labeling.limits import apply_limits

SOURCES = ("aihub", "showroom", "street")
ROLES = ("damaged", "normal", "background")


def table_of(rows):
    schema = {"photo": pl.String, "source": pl.String, "role": pl.String, "split": pl.String}
    return pl.DataFrame(
        [(f"{source}/{n:04}.jpg", source, role, split) for n, (source, role, split) in enumerate(rows)],
        schema=schema,
        orient="row",
    )


def kept(photos, limits, seed=0):
    return set(apply_limits(photos, limits, seed=seed).filter(pl.col("reason") == "").get_column("photo"))


seventy_twenty = [("aihub", "damaged", "train")] * 70 + [("aihub", "damaged", "val")] * 20


def test_no_limits_keep_everything():
    photos = table_of(seventy_twenty)
    assert kept(photos, {}) == set(photos.get_column("photo"))


@pytest.mark.parametrize("limit", [1, 9, 10, 45, 89])
def test_train_and_val_keep_their_proportion(limit):
    photos = table_of(seventy_twenty)
    chosen = photos.filter(pl.col("photo").is_in(list(kept(photos, {"damaged": limit}))))
    assert len(chosen) == limit
    val = len(chosen.filter(pl.col("split") == "val"))
    assert abs(val - limit * 20 / 90) <= 1


def test_the_order_is_that_of_the_documented_hash():
    photos = table_of([("aihub", "damaged", "train")] * 10)
    names = sorted(photos["photo"], key=lambda name: hashlib.sha256(f"5:limit:{name}".encode()).digest())
    assert kept(photos, {"aihub": 3}, seed=5) == set(names[:3])
    assert kept(photos, {"aihub": 3}, seed=5) != kept(photos, {"aihub": 3}, seed=6)


def test_source_limits_come_before_role_limits_and_both_give_their_reason():
    photos = table_of([("aihub", "damaged", "train")] * 10 + [("showroom", "damaged", "train")] * 3)
    result = apply_limits(photos, {"damaged": 6, "aihub": 4}, seed=0)
    counts = dict(result.group_by("reason").len().iter_rows())
    assert counts == {"": 6, "limit aihub: 4": 6, "limit damaged: 6": 1}
    by_source = result.filter(pl.col("reason") == "limit aihub: 4").get_column("photo")
    assert by_source.str.starts_with("aihub/").all()


def test_a_source_named_like_a_role_is_limited_as_the_role():
    photos = table_of([("normal", "damaged", "train")] * 4 + [("street", "normal", "train")] * 4)
    result = apply_limits(photos, {"normal": 1}, seed=0)
    assert result.filter(pl.col("photo").str.starts_with("normal/")).get_column("reason").to_list() == [""] * 4
    assert (result.get_column("reason") == "limit normal: 1").sum() == 3


rows = st.lists(
    st.tuples(st.sampled_from(SOURCES), st.sampled_from(ROLES), st.sampled_from(["train", "val"])), max_size=40
)
limits = st.dictionaries(st.sampled_from(SOURCES + ROLES), st.integers(1, 12))


@settings(deadline=None, max_examples=60)
@given(rows=rows, limits=limits, order=st.randoms(use_true_random=False))
def test_limits_are_never_exceeded_and_never_waste(rows, limits, order):
    photos = table_of(rows)
    result = apply_limits(photos, limits, seed=0)
    assert result.get_column("photo").to_list() == sorted(photos.get_column("photo"))
    chosen = photos.join(result.filter(pl.col("reason") == ""), on="photo")
    for name, limit in limits.items():
        assert len(chosen.filter((pl.col("source") == name) | (pl.col("role") == name))) <= limit
    for name, limit in limits.items():
        reason = f"limit {name}: {limit}"
        is_full = len(chosen.filter((pl.col("source") == name) | (pl.col("role") == name))) == limit
        cut_further = name in SOURCES and any(role in limits for role in ROLES)
        assert is_full or cut_further or reason not in result.get_column("reason")
    shuffled = list(photos.iter_rows())
    order.shuffle(shuffled)
    again = apply_limits(pl.DataFrame(shuffled, schema=photos.schema, orient="row"), limits, seed=0)
    assert_frame_equal(result, again)


@settings(deadline=None, max_examples=40)
@given(rows=rows, name=st.sampled_from(SOURCES + ROLES), small=st.integers(1, 10), more=st.integers(0, 10))
def test_a_smaller_limit_keeps_a_subset(rows, name, small, more):
    photos = table_of(rows)
    assert kept(photos, {name: small}) <= kept(photos, {name: small + more})
