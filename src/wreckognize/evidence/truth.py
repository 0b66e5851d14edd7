"""What the truth of the test set is, and where a person should draw boxes first.

At the level of photos the truth is the role, or a person's word in a review; never a model. At the level of boxes it
is what people drew. Where a role has no such box, nobody can say how well boxes fit there, and a few reviewed photos
would change that.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from wreckognize.catalog import PHOTO_SCHEMA, ROLES, require_schema
from wreckognize.lots import lots

REVIEW_FIRST = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleTruth:
    """The truth of one role's test photos.

    Attributes:
        role: damaged, normal or background.
        photos: of it in the test set.
        with_boxes: of these, photos on which a person drew every vehicle (on backgrounds: there is none to draw).
        review_first: where that is none of them: photos a person should draw boxes on first, best first.
    """

    role: str
    photos: int
    with_boxes: int
    review_first: tuple[str, ...]


def truth_of(photos: pl.DataFrame, groups: pl.DataFrame, *, seed: int) -> tuple[RoleTruth, ...]:
    """The truth of each role that the test set has, in the order of ``ROLES``.

    Photos to review are drawn by lot, one a group before any group gives a second. Any number of them from the top
    is then a fair sample of the role: to review the strangest photos first would make box figures on the reviewed
    ones worse than they are. (The audit lists the strangest; that is for finding mistakes.)

    Args:
        photos: the test photos, ``PHOTO_SCHEMA``.
        groups: ``photo, group``.
        seed: of the study.
    """
    require_schema(photos, PHOTO_SCHEMA, "photos")
    found = []
    for role in ROLES:
        own = photos.filter(pl.col("role") == role)
        if own.is_empty():
            continue
        drawn = int(own["box_truth"].sum())
        wanted = () if drawn or role == "background" else _by_lot(own, groups, seed)
        found.append(RoleTruth(role=role, photos=own.height, with_boxes=drawn, review_first=wanted))
    return tuple(found)


def _by_lot(photos: pl.DataFrame, groups: pl.DataFrame, seed: int) -> tuple[str, ...]:
    ordered = (
        photos.select("photo")
        .with_columns(lots(photos["photo"], seed, "review"))
        .join(groups.select("photo", "group"), on="photo", how="left")
        .sort("lot")
        .with_columns(turn=pl.int_range(pl.len()).over("group"))
        .sort("turn", "lot")
    )
    return tuple(ordered["photo"].head(REVIEW_FIRST))
