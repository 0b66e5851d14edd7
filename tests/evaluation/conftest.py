"""Small tables with known truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pytest

from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, PREDICTION_SCHEMA

Table = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def make_photos() -> Table:
    """One photo a row: ``(name, role)`` and any other column by keyword."""

    def make(*rows: tuple[str, str], **columns: Sequence[Any]) -> pl.DataFrame:
        count = len(rows)
        values: dict[str, Sequence[Any]] = {
            "photo": [name for name, _ in rows],
            "path": [f"/photos/{name}" for name, _ in rows],
            "source": [name.split("/")[0] for name, _ in rows],
            "role": [role for _, role in rows],
            "has_vehicle": [role != "background" for _, role in rows],
            "width": [640] * count,
            "height": [480] * count,
            "damage_types": [[]] * count,
            "claim": [None] * count,
            "sha256": ["0" * 64] * count,
            "pinned": [None] * count,
            "box_truth": [False] * count,
            "plain": [True] * count,
        }
        return pl.DataFrame(values | columns, schema=PHOTO_SCHEMA)

    return make


@pytest.fixture(scope="session")
def make_predictions() -> Table:
    """Rows of ``(photo, confidence)`` or ``(photo, confidence, (x1, y1, x2, y2))``."""

    def make(*rows: tuple[Any, ...]) -> pl.DataFrame:
        filled = [(name, *(box[0] if box else (0, 0, 10, 10)), confidence) for name, confidence, *box in rows]
        return pl.DataFrame(filled, schema=PREDICTION_SCHEMA, orient="row", strict=False)

    return make


@pytest.fixture(scope="session")
def make_boxes() -> Table:
    """Human boxes round vehicles, rows of ``(photo, (x1, y1, x2, y2))`` and any other column by keyword."""

    def make(*rows: tuple[Any, ...], **columns: Sequence[Any]) -> pl.DataFrame:
        count = len(rows)
        values: dict[str, Sequence[Any]] = {
            "photo": [row[0] for row in rows],
            **{side: [row[1][number] for row in rows] for number, side in enumerate(("x1", "y1", "x2", "y2"))},
            "kind": ["vehicle"] * count,
            "origin": ["human"] * count,
            "confidence": [None] * count,
            "crowd": [False] * count,
        }
        return pl.DataFrame(values | columns, schema=BOX_SCHEMA, strict=False)

    return make
