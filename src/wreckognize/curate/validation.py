"""Validation in two parts that share no group: *stopping* chooses the epoch, *calibration* the threshold.

Groups are dealt as those of the split are (`split`), by their photos. Where one group holds most of the photos, that
can leave a part without a group with a vehicle, or without one that has none; then the smallest group of that kind is
given over. If there is only one group of a kind, it goes to calibration: without vehicles a training is stopped by
nothing and goes to its last epoch, but without vehicles (or without backgrounds) no threshold can be chosen at all.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from wreckognize.catalog import PHOTO_SCHEMA, SPLIT_SCHEMA, VALIDATION_SCHEMA, require_schema
from wreckognize.curate.split import STRATUM, split_free
from wreckognize.lots import lots

STOPPING, CALIBRATION = "stopping", "calibration"
_KINDS = {"vehicle": "with a vehicle", "background": "without a vehicle"}


def part_validation(photos: pl.DataFrame, table: pl.DataFrame, share: float, *, seed: int) -> pl.DataFrame:
    """Part the validation photos by group: those that choose the epoch, and those that choose the threshold.

    A threshold that is chosen on photos which also chose the weights is too good to be true, and no guarantee
    holds for it. Strata are those of the split. Each part gets groups with a vehicle and groups without one, wherever
    validation has two of them.

    Args:
        photos: ``PHOTO_SCHEMA``.
        table: ``SPLIT_SCHEMA``.
        share: of the validation photos that go to calibration.
        seed: of the study.

    Returns:
        ``VALIDATION_SCHEMA``, sorted by photo.
    """
    require_schema(photos, PHOTO_SCHEMA, "photos")
    require_schema(table, SPLIT_SCHEMA, "split")
    val = (
        table.filter(pl.col("split") == "val")
        .join(photos, on="photo")
        .select("photo", "group", "has_vehicle", stratum=STRATUM)
    )
    shares = np.array([1 - share, share, 0.0])
    parts = split_free(val.select("photo", "group", "stratum"), shares, seed).select(
        "group", part=pl.col("free_split").replace({"train": STOPPING, "val": CALIBRATION})
    )
    given_over = _given_over(val.join(parts, on="group"), seed)
    if given_over:
        other = pl.col("group").replace_strict(given_over, default=pl.col("part"), return_dtype=pl.String)
        parts = parts.with_columns(part=other)
    return val.join(parts, on="group").select(VALIDATION_SCHEMA.names()).sort("photo")


def _given_over(val: pl.DataFrame, seed: int) -> dict[str, str]:
    """Group -> its other part, for groups that must change so that both parts have both kinds; mostly empty.

    Args:
        val: ``group, has_vehicle, part``, a row a photo.
        seed: of the lots between groups of one size.
    """
    groups = val.group_by("group", "part").agg(
        vehicle=pl.col("has_vehicle").any(), background=(~pl.col("has_vehicle")).any(), photos=pl.len()
    )
    # The smallest groups of one kind come first, so that little moves and no other kind goes along.
    groups = groups.with_columns(lots(groups["group"], seed)).sort(
        pl.col("vehicle") & pl.col("background"), "photos", "lot"
    )
    rows = groups.to_dicts()
    before = {row["group"]: row["part"] for row in rows}
    for kind, other in (("vehicle", "background"), ("background", "vehicle")):
        for part in (CALIBRATION, STOPPING):
            able = [row for row in rows if row[kind]]
            if not able or any(row["part"] == part for row in able):
                continue
            rest = [row for row in rows if row["part"] != part and row is not able[0]]
            loses = able[0][other] and not any(row[other] for row in rest)
            if len(able) > 1 or (part == CALIBRATION and rest and not loses):
                able[0]["part"] = part
    return {row["group"]: row["part"] for row in rows if row["part"] != before[row["group"]]}


def unserved(
    photos: pl.DataFrame, table: pl.DataFrame, parts: pl.DataFrame, *, trains: bool = True
) -> tuple[str, ...]:
    """Say which part of validation has no group of a kind, which group is too large for both, and what to do.

    Args:
        photos: ``PHOTO_SCHEMA``.
        table: ``SPLIT_SCHEMA``.
        parts: ``VALIDATION_SCHEMA``.
        trains: whether any system is trained, so that epochs are chosen at all.

    Returns:
        A sentence or two for each kind of which validation has photos, but one part has none.
    """
    val = parts.join(table.select("photo", "group"), on="photo").join(
        photos.select("photo", "claim", "has_vehicle"), on="photo"
    )
    sentences = []
    for kind, words in _KINDS.items():
        known = val.filter(pl.col("has_vehicle") == (kind == "vehicle"))
        served = known["part"].unique().to_list()
        if len(served) != 1 or (served == [CALIBRATION] and not trains):
            continue
        photos_and = "a photo" if len(known) == 1 else f"{len(known):,} photos"
        group = val.filter(pl.col("group") == known["group"][0]).sort("photo")
        if served == [CALIBRATION]:
            so = f"It chooses the threshold, and no photo {words} is left to choose the epoch"
            so += ": training goes to its last epoch" if kind == "vehicle" else ""
        else:
            so = f"It chooses the epoch, and no photo {words} is left to choose the threshold"
        sentences.append(
            f"Validation has photos {words} in one group only, which cannot stand on both sides: {_called(group)} "
            f"({photos_and}). {so}. {_remedy(kind)}"
        )
    return tuple(sentences)


def _called(group: pl.DataFrame) -> str:
    claims = group["claim"].drop_nulls().unique().sort().to_list()
    if claims:
        more = f" and {len(claims) - 1} more that belong with it" if len(claims) > 1 else ""
        return f"claim {claims[0]}{more}"
    first = group["photo"][0]
    return first if len(group) == 1 else f"{first} and those that look like it"


def _remedy(kind: str) -> str:
    what = "vehicles" if kind == "vehicle" else "backgrounds"
    return (
        f"What to do: give a source of other {what} `split: val`, or raise the share of val; if these photos are not "
        "one case, correct their claim or tighten `groups`."
    )
