"""Which slices of the test set each photo is in.

The bins are fixed, not quantiles of the photos at hand, so that a slice means the same in every study.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from wreckognize import boxes as bx
from wreckognize.boxes import Boxes
from wreckognize.catalog import BOX_SCHEMA, DAMAGE_TYPES, PHOTO_SCHEMA, VEHICLE, require_schema
from wreckognize.inference.traits import TRAIT_SCHEMA

SLICE_SCHEMA = pl.Schema({"photo": pl.String, "trait": pl.String, "slice": pl.String})
"""A photo is in one slice of a trait, in several of damage type, and in none where the trait is unknown."""


@dataclass(frozen=True, slots=True)
class Bins:
    """A number cut into bins: bin ``k`` holds values from ``edges[k - 1]`` up to but not including ``edges[k]``."""

    edges: tuple[float, ...]
    names: tuple[str, ...]  # one more than edges

    def cut(self, values: pl.Series) -> pl.Series:
        """The name of the bin of each value; null stays null."""
        numbers = values.cast(pl.Float64)
        at = np.searchsorted(np.array(self.edges), numbers.fill_null(0.0).to_numpy(), side="right")
        names = pl.Series(values.name, [self.names[index] for index in at], dtype=pl.String)
        return pl.select(pl.when(numbers.is_not_null()).then(names)).to_series()


_SHARES = ("under 5 %", "5 to 20 %", "20 to 50 %", "50 to 80 %", "80 % and more")
DAMAGE_SHARE = Bins((0.05, 0.2, 0.5, 0.8), _SHARES)
VEHICLE_SHARE = Bins((0.05, 0.2, 0.5, 0.8), _SHARES)
BRIGHTNESS = Bins(
    (80, 110, 140), ("dark (below 80)", "rather dark (80 to 110)", "medium (110 to 140)", "bright (140 and more)")
)
"""Mean luma, 0 to 255; on ordinary photos the quartiles lie near 100, 120 and 135."""
LONG_SIDE = Bins((480, 800, 1600), ("below 480 px", "480 to 799 px", "800 to 1599 px", "1600 px and more"))
ASPECT = Bins((0.95, 1.05, 1.45), ("upright", "square", "up to 4:3", "wider than 4:3"))
"""Width over height: 3:4 and 9:16 are upright; 4:3 is 1.33; 3:2 and 16:9 are wider. Square is within 5 %."""

NO_DAMAGE_BOX = "no damage box"


def covered_area(boxes: Boxes, width: float, height: float) -> float:
    """Area in square pixels that boxes cover together within a photo; what several cover counts once.

    Exact: the photo is cut along every side of every box, and each of the cells is in a box whole or not at all.

    >>> covered_area(bx.as_boxes([[0, 0, 4, 4], [2, 2, 6, 6]]), 10, 10)
    28.0
    """
    inside = bx.clip(boxes, width, height).astype(np.float64)
    inside = inside[(inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])]
    columns, rows = np.unique(inside[:, [0, 2]]), np.unique(inside[:, [1, 3]])
    covered = np.zeros((max(0, rows.size - 1), max(0, columns.size - 1)), dtype=bool)
    for x1, y1, x2, y2 in inside:
        left, right = np.searchsorted(columns, (x1, x2))
        top, bottom = np.searchsorted(rows, (y1, y2))
        covered[top:bottom, left:right] = True
    return float(np.diff(rows) @ covered @ np.diff(columns)) if covered.size else 0.0


def slices_of(
    photos: pl.DataFrame, boxes: pl.DataFrame, traits: pl.DataFrame, hard_sources: Collection[str]
) -> pl.DataFrame:
    """Every slice that each photo is in.

    Traits: ``role``; ``source``; ``damage type``; ``share of the photo that damage covers`` (boxes of a damage type,
    together, against the photo; for damaged photos of sources that give damage boxes: a high share is a close-up);
    ``share of the photo that the largest vehicle covers`` (boxes that a person drew); ``brightness``; ``long side``;
    ``aspect ratio``; ``background`` (hard or other, where a source is marked hard).

    Args:
        photos: the test photos, ``PHOTO_SCHEMA``.
        boxes: the catalog's, ``BOX_SCHEMA``.
        traits: ``TRAIT_SCHEMA`` of the photos.
        hard_sources: names of the sources marked ``hard``.

    Returns:
        ``SLICE_SCHEMA``.
    """
    require_schema(photos, PHOTO_SCHEMA, "photos")
    require_schema(boxes, BOX_SCHEMA, "boxes")
    require_schema(traits, TRAIT_SCHEMA, "traits")
    known = photos.join(traits, on="photo", how="left")
    aspect = (known["width"] / known["height"]).alias("aspect")
    drawn = boxes.filter(~pl.col("crowd"))
    damage = drawn.filter(pl.col("kind").is_in(DAMAGE_TYPES))
    vehicles = drawn.filter(pl.col("kind") == VEHICLE, pl.col("origin") == "human")
    long_side = known.select(pl.max_horizontal("width", "height")).to_series()
    tables = [_table("role", known["photo"], known["role"])]
    if hard_sources:
        backgrounds = known.filter(pl.col("role") == "background")
        names = pl.Series(["hard" if source in hard_sources else "other" for source in backgrounds["source"]])
        tables.append(_table("background", backgrounds["photo"], names))
    tables += [
        _table("source", known["photo"], known["source"]),
        _damage_types(known),
        _damage_shares(known, damage),
        _vehicle_shares(known, vehicles),
        _table("brightness", known["photo"], BRIGHTNESS.cut(known["brightness"])),
        _table("long side", known["photo"], LONG_SIDE.cut(long_side)),
        _table("aspect ratio", known["photo"], ASPECT.cut(aspect)),
    ]
    return pl.concat(tables).drop_nulls("slice")


def _damage_types(photos: pl.DataFrame) -> pl.DataFrame:
    typed = photos.filter(pl.col("role") == "damaged").select("photo", "damage_types")
    exploded = typed.explode("damage_types").drop_nulls("damage_types")
    return _table("damage type", exploded["photo"], exploded["damage_types"])


def _damage_shares(photos: pl.DataFrame, damage: pl.DataFrame) -> pl.DataFrame:
    """Of damaged photos; those without a box are a slice of their own if their source gives damage boxes at all."""
    damaged = photos.filter(pl.col("role") == "damaged")
    giving = damaged.filter(pl.col("photo").is_in(damage["photo"].unique().implode()))["source"].unique()
    asked = damaged.filter(pl.col("source").is_in(giving.implode()))
    shares = _shares(asked, damage, covered_area)
    names = DAMAGE_SHARE.cut(pl.Series("share", shares, dtype=pl.Float64)).fill_null(NO_DAMAGE_BOX)
    return _table("share of the photo that damage covers", asked["photo"], names)


def _vehicle_shares(photos: pl.DataFrame, vehicles: pl.DataFrame) -> pl.DataFrame:
    asked = photos.filter(pl.col("has_vehicle"))
    shares = _shares(asked, vehicles, _largest_area)
    names = VEHICLE_SHARE.cut(pl.Series("share", shares, dtype=pl.Float64))
    return _table("share of the photo that the largest vehicle covers", asked["photo"], names)


def _largest_area(boxes: Boxes, width: float, height: float) -> float:
    return float(bx.area(bx.clip(boxes, width, height)).max())


def _shares(
    photos: pl.DataFrame, boxes: pl.DataFrame, area: Callable[[Boxes, float, float], float]
) -> Sequence[float | None]:
    """``area(corners, width, height)`` of each photo's boxes against the photo's; None for a photo without boxes."""
    corners = {
        name: bx.as_boxes(table.select("x1", "y1", "x2", "y2").to_numpy())
        for (name,), table in boxes.partition_by("photo", as_dict=True).items()
    }
    return [
        area(corners[photo], width, height) / (width * height) if photo in corners else None
        for photo, width, height in photos.select("photo", "width", "height").iter_rows()
    ]


def _table(trait: str, photos: pl.Series, names: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"photo": photos, "trait": [trait] * len(photos), "slice": names}, schema=SLICE_SCHEMA)
