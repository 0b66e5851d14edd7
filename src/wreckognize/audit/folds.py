"""Folds for out-of-fold predictions: no group in two folds, roles spread evenly."""

from __future__ import annotations

import numpy as np
import polars as pl

from wreckognize.catalog import ROLES
from wreckognize.errors import UsageError
from wreckognize.lots import lots

FOLD_SCHEMA = pl.Schema({"photo": pl.String, "fold": pl.Int32})
"""``fold`` counts from 1."""

STOPPING_PARTS = 10
"""One part in so many of what a student may learn from chooses its epoch instead."""


def assign_folds(photos: pl.DataFrame, folds: int, *, seed: int, salt: str = "audit") -> pl.DataFrame:
    """Deal photos into folds by group.

    Large groups are dealt first, each to the fold that has the fewest photos of the group's roles so far, then the
    fewest photos, then by number. Groups of equal size come in the order of a hash of seed, salt and name, so the
    result depends on nothing but the photos and the seed.

    Args:
        photos: ``photo, role, group``, photos unique.
        folds: at least 2.
        seed: of the study.
        salt: names the purpose, so that two divisions of the same photos are independent.

    Returns:
        ``FOLD_SCHEMA``, sorted by photo.

    Raises:
        UsageError: there are fewer groups than folds, so that a fold would be empty.
    """
    if folds < 2:
        raise UsageError(
            f"{folds} folds", where="--folds", remedy="give at least 2: one to learn from, one to judge"
        )
    groups = photos.group_by("group").agg(
        pl.len().alias("size"), *((pl.col("role") == role).sum().alias(role) for role in ROLES)
    )
    if groups.height < folds:
        raise UsageError(
            f"{photos.height} photos in {groups.height} groups cannot be divided into {folds} folds",
            where="--folds",
            remedy=f"give at most {groups.height}" if groups.height > 1 else "give photos of more than one group",
        )
    ordered = groups.with_columns(lots(groups["group"], seed, salt)).sort("size", "lot", descending=[True, False])
    held = np.zeros((folds, len(ROLES)), dtype=np.int64)
    chosen: list[int] = []
    for counts in ordered.select(ROLES).to_numpy():
        of_its_roles = held[:, counts > 0].sum(axis=1)
        fold = int(np.lexsort((held.sum(axis=1), of_its_roles))[0])
        held[fold] += counts
        chosen.append(fold + 1)
    dealt = ordered.select("group", pl.Series("fold", chosen, dtype=pl.Int32))
    return photos.select("photo", "group").join(dealt, on="group").select(FOLD_SCHEMA.names()).sort("photo")


def students_photos(photos: pl.DataFrame, folds: pl.DataFrame, number: int, *, seed: int) -> pl.DataFrame:
    """What the student of one fold learns from: every photo of the other folds, parted by group.

    The part that chooses the epoch comes out of the other folds too; a student whose epoch was chosen on the labels it
    is to judge would have seen them.

    Args:
        photos: ``photo, role, group`` of all photos that have a label (an empty one counts).
        folds: ``FOLD_SCHEMA``; may hold further photos.
        number: of the fold that is held out.
        seed: of the study.

    Returns:
        ``photo, split``; ``split`` is ``train`` or ``val``.

    Raises:
        UsageError: fewer than two groups are left, so that one of the two would be empty.
    """
    others = photos.join(folds.filter(pl.col("fold") != number), on="photo", how="semi")
    groups = others["group"].n_unique()
    if groups < 2:
        raise UsageError(
            f"the student of fold {number} would have {groups} group of labelled photos to learn from",
            where="--folds",
            remedy="give more photos, or more folds",
        )
    parts = assign_folds(others, min(STOPPING_PARTS, groups), seed=seed, salt=f"audit-stopping-{number}")
    split = pl.when(pl.col("fold") == 1).then(pl.lit("val")).otherwise(pl.lit("train"))
    return parts.select("photo", split.alias("split"))
