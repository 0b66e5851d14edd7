"""The audit as one HTML page: the most doubtful photos first, each with its boxes and the reasons.

Like the report it holds no script, asks for nothing from a network, and names no absolute path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined

from wreckognize.audit.agreement import CORNERS
from wreckognize.audit.doubts import KINDS

SEEN_CONFIDENCE = 0.25
"""Predictions are drawn from here on; the doubtful ones always."""

REASONS_SHOWN = 4
"""Of a photo, the greatest doubts."""

FRAME = 320.0
"""Longer side of a photo's drawing, in its own units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A photo as it is shown: its name, and the value of an ``href`` or why it cannot be shown."""

    name: str
    href: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A box on a photo, in units of the drawing. ``style`` is its CSS class; ``text`` may be empty."""

    style: str
    text: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One doubtful photo."""

    picture: Picture
    rank: int
    score: float
    facts: str
    reasons: tuple[str, ...]
    more: int
    width: float
    height: float
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the page says.

    Attributes:
        study: its name.
        system: whose labels were audited.
        photos: how many were audited, in all.
        doubtful: how many have a doubt that is listed.
        notes: what the reader has to know, in sentences.
        kinds: what is doubted, in words, and how many photos.
        cards: the first photos by rank.
    """

    study: str
    system: str
    photos: int
    doubtful: int
    notes: tuple[str, ...]
    kinds: tuple[tuple[str, int], ...]
    cards: tuple[Card, ...]


def counts_by_kind(doubts: pl.DataFrame) -> tuple[tuple[str, int], ...]:
    """Photos with each kind of doubt, in the words and the order of `KINDS`; a photo may count under several."""
    found = dict(doubts.group_by("kind").agg(pl.col("photo").n_unique()).iter_rows())
    return tuple((words, found[kind]) for kind, words in KINDS.items() if kind in found)


def cards_of(
    doubts: pl.DataFrame,
    sizes: Mapping[str, tuple[int, int]],
    labels: pl.DataFrame,
    predictions: pl.DataFrame,
    pictures: Mapping[str, Picture],
) -> tuple[Card, ...]:
    """Cards of the photos that have a picture, by rank.

    Args:
        doubts: ``photo, split, role, rank, photo_score`` and ``DOUBT_SCHEMA``, by rank, the greatest doubt first.
        sizes: width and height of each photo in pixels.
        labels: with ``photo`` and corners.
        predictions: ``PREDICTION_SCHEMA``.
        pictures: by photo.
    """
    drawn, seen = (_by_photo(table, pictures) for table in (labels, predictions))
    cards = []
    for (photo,), rows in doubts.partition_by("photo", as_dict=True, maintain_order=True).items():
        if photo not in pictures:
            continue
        width, height = sizes[photo]
        scale = FRAME / max(width, height)
        first = rows.row(0, named=True)
        reasons = rows["reason"].to_list()
        cards.append(
            Card(
                picture=pictures[photo],
                rank=first["rank"],
                score=first["photo_score"],
                facts=f"{first['role']}, {first['split']}",
                reasons=tuple(reasons[:REASONS_SHOWN]),
                more=max(0, len(reasons) - REASONS_SHOWN),
                width=round(width * scale, 1),
                height=round(height * scale, 1),
                marks=tuple(_marks(rows, drawn.get(photo, ()), seen.get(photo, ()), scale)),
            )
        )
    return tuple(cards)


def _by_photo(table: pl.DataFrame, pictures: Mapping[str, Picture]) -> dict[str, Sequence[dict[str, Any]]]:
    wanted = table.filter(pl.col("photo").is_in(list(pictures)))
    return {str(photo): rows.to_dicts() for (photo,), rows in wanted.group_by("photo", maintain_order=True)}


def _marks(
    doubts: pl.DataFrame, labels: Sequence[dict[str, Any]], seen: Sequence[dict[str, Any]], scale: float
) -> list[Mark]:
    """Labels, what is seen, and on top of them the boxes in question."""
    marks = [_mark(box, "label", "", scale) for box in labels]
    marks += [
        _mark(box, "seen", f"{box['confidence']:.2f}", scale)
        for box in seen
        if box["confidence"] >= SEEN_CONFIDENCE
    ]
    for row in doubts.drop_nulls("x1").iter_rows(named=True):
        marks.append(_mark(row, "doubted" if row["box"] is not None else "doubted seen", "", scale))
    return marks


def _mark(box: Mapping[str, Any], style: str, text: str, scale: float) -> Mark:
    x1, y1, x2, y2 = (box[corner] * scale for corner in CORNERS)
    return Mark(
        style=style,
        text=text,
        x=round(x1, 1),
        y=round(y1, 1),
        width=round(max(0.0, x2 - x1), 1),
        height=round(max(0.0, y2 - y1), 1),
    )


def render(page: Page) -> str:
    """The whole page."""
    environment = Environment(
        loader=PackageLoader("wreckognize.audit"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("audit.html.j2").render(page=page)
