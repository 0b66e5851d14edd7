"""Limits: at most so many train and val photos of a role or a source."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from wreckognize.catalog import ROLES
from wreckognize.lots import lots


def apply_limits(photos: pl.DataFrame, limits: Mapping[str, int], *, seed: int) -> pl.DataFrame:
    """Say for every photo whether a limit leaves it out.

    Limits of sources are applied first, then those of roles to what is left. A limit draws from train and val in
    proportion, each to within one photo. A smaller limit keeps a subset of what a larger one keeps: systems that
    differ in a limit differ in nothing else. A key that is a role always means the role.

    Args:
        photos: ``photo, source, role, split`` of train and val photos.
        limits: role or source name -> photos.
        seed: of the study; the order is that of `lots`.

    Returns:
        ``photo, reason``, sorted by photo; the reason is empty for photos that stay, else ``limit NAME: n``.
    """
    ordered = (
        photos.select("photo", "source", "role", "split")
        .with_columns(lots(photos["photo"], seed, "limit"), reason=pl.lit(""))
        .sort("lot")
    )
    for name in sorted(limits, key=lambda name: (name in ROLES, name)):
        column = "role" if name in ROLES else "source"
        place = (pl.int_range(pl.len()).over("split") + 0.5) / pl.len().over("split")
        pool = ordered.filter(pl.col(column) == name, pl.col("reason") == "")
        left_out = pool.with_columns(place=place).sort("place", "lot").slice(limits[name])
        ordered = ordered.with_columns(
            reason=pl.when(pl.col("photo").is_in(left_out.get_column("photo").implode()))
            .then(pl.lit(f"limit {name}: {limits[name]}"))
            .otherwise("reason")
        )
    return ordered.select("photo", "reason").sort("photo")
