"""Catalogs and reviews made from Python, without a photo or a network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import polars as pl

from wreckognize.catalog import (
    BOX_SCHEMA,
    PHOTO_SCHEMA,
    Catalog,
)
from wreckognize.review.compare import one_to_one
from wreckognize.review.records import Review


def digest(photo: str) -> str:
    return hashlib.sha256(photo.encode()).hexdigest()


def photo_row(photo: str, role: str = "damaged", **changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "photo": photo,
        "path": f"/photos/{photo}",
        "source": photo.split("/")[0],
        "role": role,
        "has_vehicle": role != "background",
        "width": 400,
        "height": 300,
        "damage_types": ["Scratched"] if role == "damaged" else [],
        "claim": None,
        "sha256": digest(photo),
        "pinned": None,
        "box_truth": role == "background",
        "plain": True,
    }
    return row | changes


def box_row(photo: str, corners: Sequence[float], kind: str = "vehicle", **changes: object) -> dict[str, object]:
    x1, y1, x2, y2 = corners
    row: dict[str, object] = {
        "photo": photo,
        "x1": x1,
        "y1": y1,
        "x2": x2,
        "y2": y2,
        "kind": kind,
        "origin": "human" if kind == "vehicle" else "damage",
        "confidence": None,
        "crowd": False,
    }
    return row | changes


def catalog_of(photos: Sequence[dict[str, object]], boxes: Sequence[dict[str, object]] = ()) -> Catalog:
    return Catalog(
        pl.DataFrame(list(photos), schema=PHOTO_SCHEMA).sort("photo"), pl.DataFrame(list(boxes), schema=BOX_SCHEMA)
    )


def review_of(
    photo: str,
    *boxes: Sequence[float],
    verdict: str | None = "damaged",
    reviewer: str = "anna",
    when: str = "2026-11-24T10:00:00+00:00",
    **changes: object,
) -> Review:
    values = {
        "photo": photo,
        "sha256": digest(photo),
        "reviewer": reviewer,
        "when": when,
        "verdict": verdict,
        "boxes": tuple(tuple(map(float, box)) for box in boxes),
    }
    return Review(**(values | changes))


def come_back(before: Sequence[Sequence[float]], after: Sequence[Sequence[float]], within: float = 0.01) -> bool:
    """Whether boxes pair off with every corner within so many pixels (a hair more, for the sums of floats)."""
    if not before and not after:
        return True
    distance = np.abs(np.array(before)[:, None] - np.array(after)[None]).max(axis=2)
    return one_to_one(distance <= within + 1e-9)
