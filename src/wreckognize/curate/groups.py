"""Which photos belong together and must not straddle a split.

A join says which pairs of photos belong together, for one reason; groups are the connected components over all
joins. A new reason (near-duplicates by perceptual hash or embedding) is one more function, nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.catalog import PHOTO_SCHEMA, require_schema

PAIR_SCHEMA = pl.Schema({"left": pl.String, "right": pl.String})
"""Two photos, by name, that belong together. A chain of pairs says as much as all pairs of a set."""

Join: TypeAlias = Callable[[pl.DataFrame], pl.DataFrame]
"""From photos (``PHOTO_SCHEMA``) to pairs (``PAIR_SCHEMA``)."""


def same_claim(photos: pl.DataFrame) -> pl.DataFrame:
    """Join the photos of one claim, across sources too.

    Two sources can hold photos of the same accident (the parallel trees of AI-Hub 581). Should two data sets use
    one identifier for different accidents, keeping those together costs nothing; letting one accident straddle the
    split would cost the truth. Photos without a claim (null or empty) are joined to none.
    """
    return _pairs_by_key(photos, "claim")


def same_bytes(photos: pl.DataFrame) -> pl.DataFrame:
    """Join photos whose files are byte for byte the same, whatever their names and sources."""
    return _pairs_by_key(photos, "sha256")


def assign_groups(photos: pl.DataFrame, joins: Sequence[Join] = (same_claim, same_bytes)) -> pl.DataFrame:
    """Give every photo its group.

    Args:
        photos: ``PHOTO_SCHEMA``, in any order.
        joins: the reasons to keep photos together.

    Returns:
        ``photo, group``, sorted by photo. A group bears the name of its smallest photo, so that it does not depend
        on the order of rows or joins.

    Raises:
        ValueError: if photos are not unique or a join names a photo that is not in the table.
    """
    require_schema(photos, PHOTO_SCHEMA, "photos")
    names = photos.get_column("photo").sort()
    if names.is_duplicated().any():
        raise ValueError(f"photos are not unique: {names.filter(names.is_duplicated()).unique().sort()[0]!r}")
    pairs = pl.concat([pl.DataFrame(schema=PAIR_SCHEMA), *(join(photos) for join in joins)])
    numbered = pl.DataFrame({"photo": names}).with_row_index("number")
    ends = [_numbers(pairs.get_column(side), numbered) for side in PAIR_SCHEMA]
    components = _connected_components(len(names), *ends)
    # Names are sorted, so the first photo of a component is its smallest.
    return numbered.select("photo", group=pl.col("photo").first().over(pl.Series(components)))


def _pairs_by_key(photos: pl.DataFrame, key: str) -> pl.DataFrame:
    """Pair each photo with the smallest of those that share its value of ``key``."""
    return (
        photos.filter(pl.col(key).is_not_null() & (pl.col(key) != ""))
        .select(left="photo", right=pl.col("photo").min().over(key))
        .filter(pl.col("left") != pl.col("right"))
    )


def _numbers(photos: pl.Series, numbered: pl.DataFrame) -> NDArray[np.int64]:
    found = photos.to_frame("photo").join(numbered, on="photo", how="left", maintain_order="left")
    unknown = found.filter(pl.col("number").is_null())
    if len(unknown):
        raise ValueError(f"a join names photos that are not in the table: {unknown.item(0, 'photo')!r}")
    return found.get_column("number").cast(pl.Int64).to_numpy()


def _connected_components(count: int, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int32]:
    """The component of each of ``count`` photos, ``(count,)``."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    labels: NDArray[np.int32] = connected_components(edges, directed=False)[1]
    return labels
