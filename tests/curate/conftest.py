"""Catalogs by hand: a row says only what a test is about."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import polars as pl
import pytest

from wreckognize.catalog import PHOTO_SCHEMA

MakePhotos = Callable[[Iterable[dict[str, Any]]], pl.DataFrame]


def _photos(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    full = []
    for row in rows:
        role = row.get("role", "damaged")
        defaults = {
            "path": f"/photos/{row['photo']}",
            "source": row["photo"].split("/")[0],
            "role": role,
            "has_vehicle": role != "background",
            "width": 640,
            "height": 480,
            "damage_types": [],
            "claim": None,
            "sha256": hashlib.sha256(row["photo"].encode()).hexdigest(),
            "pinned": None,
            "box_truth": False,
            "plain": True,
        }
        full.append(defaults | row)
    return pl.DataFrame(full, schema=PHOTO_SCHEMA)


@pytest.fixture(scope="session")
def make_photos() -> MakePhotos:
    return _photos
