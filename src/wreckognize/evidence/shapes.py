"""Do the roles differ in shape and compression, so that a detector could learn those instead of vehicles?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.catalog import ROLES

Trait = Literal["aspect ratio", "long side", "JPEG quality"]

_COLUMNS: dict[Trait, str] = {"aspect ratio": "aspect", "long side": "side", "JPEG quality": "quality"}
_IN_ROLE = {"damaged": "damaged photos", "normal": "normal photos", "background": "backgrounds"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A trait in the photos of a role: the 10th, 50th and 90th percentile (each a value that a photo has)."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleShape:
    """Shape and compression of a role's test photos.

    Attributes:
        role: damaged, normal or background.
        photos: how many.
        width: of the commonest size, pixels.
        height: of the commonest size.
        share_of_size: share of the photos that have just this size.
        aspect: width over height.
        side: the longer side, pixels.
        jpeg: photos that are JPEGs.
        quality: of the JPEGs, 1 to 100; None where there is none.
    """

    role: str
    photos: int
    width: int
    height: int
    share_of_size: float
    aspect: Spread
    side: Spread
    jpeg: int
    quality: Spread | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How well one trait alone tells two roles apart.

    Attributes:
        trait: what is looked at.
        one: a role.
        other: another.
        apart: the most by which the share of ``one`` on one side of a cut can exceed that of ``other``, 0 to 1: the
            Kolmogorov-Smirnov distance, or Youden's J of the best cut (recall plus specificity minus 1). 1: a cut on
            this trait alone would be a perfect detector.
    """

    trait: Trait
    one: str
    other: str
    apart: float


def role_shapes(forms: pl.DataFrame) -> tuple[RoleShape, ...]:
    """The fact table: a row for each role that has photos.

    Args:
        forms: ``role, width, height, quality`` (null where the file is no JPEG), a row a photo.
    """
    found = []
    for role in ROLES:
        own = _with_traits(forms.filter(pl.col("role") == role))
        if own.is_empty():
            continue
        size = own.group_by("width", "height").len().sort("len", "width", "height", descending=True).row(0)
        quality = own["quality"].drop_nulls()
        found.append(
            RoleShape(
                role=role,
                photos=own.height,
                width=size[0],
                height=size[1],
                share_of_size=size[2] / own.height,
                aspect=_spread(own["aspect"]),
                side=_spread(own["side"]),
                jpeg=len(quality),
                quality=_spread(quality) if len(quality) else None,
            )
        )
    return tuple(found)


def separations(forms: pl.DataFrame) -> tuple[Separation, ...]:
    """How well aspect ratio, size and compression tell each two roles apart; what one role lacks is left out."""
    table = _with_traits(forms)
    found = []
    for one, other in combinations(ROLES, 2):
        for trait, column in _COLUMNS.items():
            values, others = (_values(table, role, column) for role in (one, other))
            if values.size and others.size:
                found.append(Separation(trait=trait, one=one, other=other, apart=_distance(values, others)))
    return tuple(found)


def size_sentences(forms: pl.DataFrame) -> tuple[str, ...]:
    """One sentence a role: its commonest size, and how common that is in the other roles.

    >>> photos = [("damaged", 640, 640)] * 3 + [("background", 640, 480), ("background", 640, 640)]
    >>> forms = pl.DataFrame(photos, schema=["role", "width", "height"], orient="row").with_columns(quality=None)
    >>> size_sentences(forms)[0]
    '100 % of the damaged photos are 640 x 640 pixels; so are 50 % of the backgrounds.'
    """
    shapes = role_shapes(forms.with_columns(pl.col("quality").cast(pl.Int32)))
    sentences = []
    for shape in shapes:
        same = (pl.col("width") == shape.width) & (pl.col("height") == shape.height)
        shares = dict(forms.group_by("role").agg(same.mean()).iter_rows())
        others = [
            f"{_percent(shares[other.role])} of the {_IN_ROLE[other.role]}" for other in shapes if other != shape
        ]
        own = f"{_percent(shape.share_of_size)} of the {_IN_ROLE[shape.role]} are {shape.width} x {shape.height} pixels"
        sentences.append(f"{own}; so are {' and '.join(others)}." if others else f"{own}.")
    return tuple(sentences)


def _percent(share: float) -> str:
    """Whole percents that say 0 and 100 only of none and all."""
    if 0 < share < 0.01:
        return "under 1 %"
    if 0.99 < share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def _distance(values: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """The largest difference of the two shares at or below a value."""
    cuts = np.union1d(values, others)
    shares = [np.searchsorted(np.sort(side), cuts, side="right") / side.size for side in (values, others)]
    return float(np.abs(shares[0] - shares[1]).max())


def _with_traits(forms: pl.DataFrame) -> pl.DataFrame:
    return forms.with_columns(aspect=pl.col("width") / pl.col("height"), side=pl.max_horizontal("width", "height"))


def _values(table: pl.DataFrame, role: str, column: str) -> NDArray[np.float64]:
    return table.filter(pl.col("role") == role)[column].drop_nulls().cast(pl.Float64).to_numpy()


def _spread(values: pl.Series) -> Spread:
    low, median, high = np.quantile(values.cast(pl.Float64).to_numpy(), (0.1, 0.5, 0.9), method="inverted_cdf")
    return Spread(low=float(low), median=float(median), high=float(high))
