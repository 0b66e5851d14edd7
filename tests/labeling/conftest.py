"""A small study by hand: photos of 100 x 50 pixels, their split, boxes and teacher's boxes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl
import pytest

from wreckognize.catalog import BOX_SCHEMA, DAMAGE_TYPES, PHOTO_SCHEMA, PREDICTION_SCHEMA, SPLIT_SCHEMA

Rows = Iterable[tuple[Any, ...]]


def _photos(rows: Rows) -> pl.DataFrame:
    """Rows of ``photo, role``; the source is the first part of the name."""
    return pl.DataFrame(
        [
            {
                "photo": photo,
                "path": f"/photos/{photo}",
                "source": photo.split("/")[0],
                "role": role,
                "has_vehicle": role != "background",
                "width": 100,
                "height": 50,
                "damage_types": [],
                "claim": None,
                "sha256": photo,
                "pinned": None,
                "box_truth": False,
                "plain": True,
            }
            for photo, role in rows
        ],
        schema=PHOTO_SCHEMA,
    )


def _split(rows: Rows) -> pl.DataFrame:
    """Rows of ``photo, split``."""
    return pl.DataFrame([(photo, split, photo) for photo, split in rows], schema=SPLIT_SCHEMA, orient="row")


def _boxes(rows: Rows) -> pl.DataFrame:
    """Rows of ``photo, (x1, y1, x2, y2), kind``; ``crowd`` is a human vehicle box to be ignored."""
    return pl.DataFrame(
        [
            (
                photo,
                *corners,
                "vehicle" if kind == "crowd" else kind,
                "damage" if kind in DAMAGE_TYPES else "human",
                None,
                kind == "crowd",
            )
            for photo, corners, kind in rows
        ],
        schema=BOX_SCHEMA,
        orient="row",
    )


def _predictions(rows: Rows) -> pl.DataFrame:
    """Rows of ``photo, (x1, y1, x2, y2), confidence``."""
    return pl.DataFrame(
        [(photo, *corners, confidence) for photo, corners, confidence in rows],
        schema=PREDICTION_SCHEMA,
        orient="row",
    )


class Tables:
    """Builders of the tables that labelling reads."""

    photos = staticmethod(_photos)
    split = staticmethod(_split)
    boxes = staticmethod(_boxes)
    predictions = staticmethod(_predictions)


@pytest.fixture(scope="session")
def tables() -> type[Tables]:
    return Tables
