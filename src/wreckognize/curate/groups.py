"""Which photos belong together and must not straddle a split.

A join says which pairs of photos belong together, for one reason; groups are the connected components over all
joins. A new reason is one more function, nothing else changes; `near` has those that compare what photos show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.catalog import PHOTO_SCHEMA, require_schema

LINK_SCHEMA = pl.Schema(
    {
        "left": pl.String,
        "right": pl.String,
        "reason": pl.String,  # claim, file, hash, embedding
        "distance": pl.Float64,  # hash: bits of 64 that differ; embedding: 1 - cosine; null elsewhere
    }
)
"""Two photos that belong together, and why. A chain of links says as much as all pairs of a set."""

Join: TypeAlias = Callable[[pl.DataFrame], pl.DataFrame]
"""From photos (``PHOTO_SCHEMA``) to links (``LINK_SCHEMA``)."""


def same_claim(photos: pl.DataFrame) -> pl.DataFrame:
    """Join the photos of one claim, across sources too.

    Two sources can hold photos of the same accident (the parallel trees of AI-Hub 581). Should two data sets use
    one identifier for different accidents, keeping those together costs nothing; letting one accident straddle the
    split would cost the truth. Photos without a claim (null or empty) are joined to none.
    """
    return _links_by_key(photos, "claim", "claim")


def same_bytes(photos: pl.DataFrame) -> pl.DataFrame:
    """Join photos whose files are byte for byte the same, whatever their names and sources."""
    return _links_by_key(photos, "sha256", "file")


def find_links(photos: pl.DataFrame, joins: Sequence[Join]) -> pl.DataFrame:
    """The links of all joins, ``LINK_SCHEMA``."""
    return pl.concat([pl.DataFrame(schema=LINK_SCHEMA), *(join(photos) for join in joins)])


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
    return connect(photos, find_links(photos, joins))


def connect(photos: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """As `assign_groups`, from links that were found before.

    Args:
        photos: with a column ``photo``; in any order.
        links: ``LINK_SCHEMA``.
    """
    names = photos.get_column("photo").sort()
    if names.is_duplicated().any():
        raise ValueError(f"photos are not unique: {names.filter(names.is_duplicated()).unique().sort()[0]!r}")
    numbered = pl.DataFrame({"photo": names}).with_row_index("number")
    left, right = (_numbers(links.get_column(side), numbered) for side in ("left", "right"))
    components = connected_components(len(names), left, right)
    # Names are sorted, so the first photo of a component is its smallest.
    return numbered.select("photo", group=pl.col("photo").first().over(pl.Series(components)))


def _links_by_key(photos: pl.DataFrame, key: str, reason: str) -> pl.DataFrame:
    """Link each photo with the smallest of those that share its value of ``key``."""
    return (
        photos.filter(pl.col(key).is_not_null() & (pl.col(key) != ""))
        .select(left="photo", right=pl.col("photo").min().over(key))
        .filter(pl.col("left") != pl.col("right"))
        .with_columns(reason=pl.lit(reason), distance=pl.lit(None, pl.Float64))
    )


def _numbers(photos: pl.Series, numbered: pl.DataFrame) -> NDArray[np.int64]:
    found = photos.to_frame("photo").join(numbered, on="photo", how="left", maintain_order="left")
    unknown = found.filter(pl.col("number").is_null())
    if len(unknown):
        raise ValueError(f"a join names photos that are not in the table: {unknown.item(0, 'photo')!r}")
    return found.get_column("number").cast(pl.Int64).to_numpy()


def connected_components(count: int, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int32]:
    """The component of each of ``count`` items that are linked pairwise, ``(count,)``."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components as components

    edges = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(count, count))
    labels: NDArray[np.int32] = components(edges, directed=False)[1]
    return labels


def contrary_pairs(photos: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """The links by perceptual hash between a photo with a vehicle and one without: one of both roles is wrong.

    Every set of copies with both roles has at least one such link. What the teacher sees alike is not asked: two photos
    of one place, with the car and without it, are no contradiction.

    Args:
        photos: ``photo, has_vehicle``.
        links: ``LINK_SCHEMA``.

    Returns:
        ``LINK_SCHEMA``, the closest first.
    """
    shows = photos.select("photo", "has_vehicle")
    return (
        links.filter(pl.col("reason") == "hash")
        .join(shows.rename({"photo": "left", "has_vehicle": "_left"}), on="left")
        .join(shows.rename({"photo": "right", "has_vehicle": "_right"}), on="right")
        .filter(pl.col("_left") != pl.col("_right"))
        .drop("_left", "_right")
        .sort("distance", "left", "right")
    )
