"""Which photos the galleries show, and what is drawn on them.

Mistakes come worst first, equal ones and samples by lot: the same photos on every machine. What is not shown is
counted. Pixels are the business of `thumbnails`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from wreckognize.catalog import ROLES, VEHICLE
from wreckognize.evaluation.image_level import is_called_vehicle, photo_scores
from wreckognize.lots import lots
from wreckognize.reporting.inputs import ReportInput, SystemReport
from wreckognize.reporting.wording import decimal, first_of, plural, visible
from wreckognize.reporting.wording import threshold as threshold_text

MISTAKES_SHOWN = 24
RIGHT_SHOWN = 9
LABELS_SHOWN = 6
"""An origin."""

FRAME = 256.0
"""Longer side of a card's drawing, in its own units."""

_BOXES_SHOWN = 10  # a photo, so that a system that sees boxes everywhere leaves the photo visible
_ORIGINS = {
    "human": "drawn by a person",
    "teacher": "drawn by the teacher",
    "damage": "the damage boxes of the data set",
    "frame": "the whole frame",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A box on a thumbnail.

    Attributes:
        style: its CSS class: truth, prediction, weak (a prediction below the threshold), or a label's origin.
        text: score or confidence beside it; may be empty.
        x: of its left edge, in units of the drawing, as are the others.
    """

    style: str
    text: str
    x: float
    y: float
    width: float
    height: float

    @property
    def text_x(self) -> float:
        """Where its text begins."""
        return self.x + 4

    @property
    def text_y(self) -> float:
        """The base line of its text, inside the box's upper edge."""
        return max(self.y, 0) + 17


@dataclass(frozen=True, slots=True)
class Card:
    """One photo in a gallery: the size of its drawing, the boxes on it, and the words below."""

    photo: str
    width: float
    height: float
    facts: str
    marks: tuple[Mark, ...]

    @property
    def name(self) -> str:
        """The photo's name as it can be shown."""
        return visible(self.photo)


@dataclass(frozen=True, slots=True)
class Gallery:
    """Photos of one kind. ``total`` counts all that there are, shown or not."""

    title: str
    hint: str
    total: int
    cards: tuple[Card, ...]

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self.total - len(self.cards)

    def at_most(self, cards: int) -> Gallery:
        """The same gallery with its first cards only."""
        return replace(self, cards=self.cards[:cards])


@dataclass(frozen=True, slots=True)
class SystemGalleries:
    """All galleries of one system."""

    system: str
    threshold: str
    missed: Gallery
    false_alarms: Gallery
    right: Gallery
    labels: tuple[Gallery, ...]

    def photos(self) -> Iterable[str]:
        """Names of the photos they show, some more than once."""
        for gallery in (self.missed, self.false_alarms, self.right, *self.labels):
            yield from (card.photo for card in gallery.cards)

    def at_most(self, cards: int) -> SystemGalleries:
        """The same galleries with their first cards only."""
        return replace(
            self,
            missed=self.missed.at_most(cards),
            false_alarms=self.false_alarms.at_most(cards),
            right=self.right.at_most(cards),
            labels=tuple(gallery.at_most(cards) for gallery in self.labels),
        )


def frame_size(width: int, height: int) -> tuple[float, float]:
    """Width and height of a card's drawing, the longer side `FRAME`: strokes and text look alike on all photos.

    >>> frame_size(1024, 512), frame_size(30, 40)
    ((256.0, 128.0), (192.0, 256.0))
    """
    longest = max(width, height)
    return round(FRAME * width / longest, 1), round(FRAME * height / longest, 1)


def system_galleries(report: ReportInput, system: SystemReport) -> SystemGalleries:
    """Choose the photos for one system."""
    threshold = system.figures.threshold
    scores = photo_scores(report.test_photos(), system.test_predictions)
    called = pl.Series("called", is_called_vehicle(scores["score"].to_numpy(), threshold))
    judged = _in_lot_order(scores.with_columns(called), report.study)
    missed = judged.filter(pl.col("has_vehicle") & ~pl.col("called")).sort("score", maintain_order=True)
    alarms = judged.filter(~pl.col("has_vehicle") & pl.col("called"))
    alarms = alarms.sort("score", descending=True, maintain_order=True)
    right = judged.filter(pl.col("has_vehicle") == pl.col("called"))
    return SystemGalleries(
        system=first_of(system.name, system.figures.seeds),
        threshold=threshold_text(threshold),
        missed=_gallery(
            "Missed vehicles (false negatives)",
            "The lowest scores first. A dashed box is the best prediction, which stayed below the threshold.",
            len(missed),
            missed.head(MISTAKES_SHOWN),
            report,
            system,
        ),
        false_alarms=_gallery(
            "False alarms (false positives)",
            "No vehicle is in these photos. The highest scores first.",
            len(alarms),
            alarms.head(MISTAKES_SHOWN),
            report,
            system,
        ),
        right=_gallery(
            "Right decisions",
            "A sample by lot, of each role in turn.",
            len(right),
            _roles_in_turn(right, RIGHT_SHOWN),
            report,
            system,
        ),
        labels=tuple(_label_galleries(report, system)),
    )


def _gallery(
    title: str, hint: str, total: int, chosen: pl.DataFrame, report: ReportInput, system: SystemReport
) -> Gallery:
    names = chosen["photo"].implode()
    truth = report.boxes.filter(
        pl.col("photo").is_in(names)
        & (pl.col("kind") == VEHICLE)
        & (pl.col("origin") == "human")
        & ~pl.col("crowd").fill_null(False)
    ).partition_by("photo", as_dict=True)
    predicted = system.test_predictions.filter(pl.col("photo").is_in(names)).partition_by("photo", as_dict=True)
    sizes = chosen.join(
        report.photos.select("photo", "width", "height"), on="photo", how="left", maintain_order="left"
    )
    cards = []
    for row in sizes.iter_rows(named=True):
        size = frame_size(row["width"], row["height"])
        scale = FRAME / max(row["width"], row["height"])
        found = _shown_predictions(predicted.get((row["photo"],)), system.figures.threshold)
        marks = [_mark(box, "truth", scale) for box in _rows(truth.get((row["photo"],)))]
        style = "prediction" if row["called"] else "weak"
        marks += [_mark(box, style, scale, box["confidence"]) for box in _rows(found.head(_BOXES_SHOWN))]
        facts = f"{row['role']}, score {decimal(row['score'])}{_unseen(len(found), 'prediction')}"
        cards.append(Card(row["photo"], *size, facts, tuple(marks)))
    return Gallery(title, hint, total, tuple(cards))


def _shown_predictions(predicted: pl.DataFrame | None, threshold: float) -> pl.DataFrame:
    """The predictions at or above the threshold; where there is none the best one, to show what came nearest."""
    if predicted is None:
        return pl.DataFrame()
    ranked = predicted.sort("confidence", descending=True, maintain_order=True)
    above = int(is_called_vehicle(ranked["confidence"].to_numpy(), threshold).sum())
    return ranked.head(max(1, above))


def _label_galleries(report: ReportInput, system: SystemReport) -> Iterable[Gallery]:
    if system.labels is None:
        return
    labels = system.labels.join(report.photos.select("photo", "role", "width", "height"), on="photo")
    for (origin,), boxes in sorted(labels.partition_by("origin", as_dict=True).items()):
        photos = boxes.unique("photo").select("photo", "split", "role", "width", "height")
        chosen = _in_lot_order(photos, report.study).head(LABELS_SHOWN)
        cards = []
        for row in chosen.iter_rows(named=True):
            size = frame_size(row["width"], row["height"])
            scale = FRAME / max(row["width"], row["height"])
            drawn = boxes.filter(pl.col("photo") == row["photo"])
            marks = [_mark(box, origin, scale, box["confidence"]) for box in _rows(drawn.head(_BOXES_SHOWN))]
            facts = f"{row['role']}, {row['split']}{_unseen(len(drawn), 'label')}"
            cards.append(Card(row["photo"], *size, facts, tuple(marks)))
        title = f"Labels of origin {origin}: {_ORIGINS.get(origin, origin)}"
        yield Gallery(title, "A sample by lot of the photos it was trained on.", len(photos), tuple(cards))


def _in_lot_order(photos: pl.DataFrame, seed: str) -> pl.DataFrame:
    return photos.with_columns(lots(photos["photo"], seed)).sort("lot").drop("lot")


def _roles_in_turn(photos: pl.DataFrame, at_most: int) -> pl.DataFrame:
    turn = pl.int_range(pl.len()).over("role").alias("turn")
    order = pl.col("role").replace_strict({role: place for place, role in enumerate(ROLES)}, return_dtype=pl.Int8)
    return (
        photos.with_columns(turn, order.alias("place")).sort("turn", "place").head(at_most).drop("turn", "place")
    )


def _rows(boxes: pl.DataFrame | None) -> Iterable[dict[str, Any]]:
    return () if boxes is None else boxes.iter_rows(named=True)


def _mark(box: dict[str, Any], style: str, scale: float, confidence: float | None = None) -> Mark:
    return Mark(
        style=style,
        text="" if confidence is None else decimal(confidence),
        x=round(box["x1"] * scale, 1),
        y=round(box["y1"] * scale, 1),
        width=round(max(0.0, box["x2"] - box["x1"]) * scale, 1),
        height=round(max(0.0, box["y2"] - box["y1"]) * scale, 1),
    )


def _unseen(boxes: int, noun: str) -> str:
    return f", {plural(boxes - _BOXES_SHOWN, 'more ' + noun)} not drawn" if boxes > _BOXES_SHOWN else ""
