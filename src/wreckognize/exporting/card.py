"""The model card: what a bundle is, on what it rests and what it cannot do, in words for people, in two languages."""

from __future__ import annotations

from pydantic import Field

from wreckognize.exporting.manifest import Confidence, Count, Part


class Text(Part):
    """The same in English and in Korean."""

    en: str
    ko: str


class DataRow(Part):
    """Photos of one source in one split."""

    source: str
    role: str
    split: str
    photos: Count


class CardFigure(Part):
    """A figure on the study's locked test set, with its interval."""

    name: str  # e.g. "recall"
    title: Text
    share: Confidence
    low: Confidence | None
    high: Confidence | None
    photos: Count
    groups: Count


class Card(Part):
    """``card.json``.

    Attributes:
        about: what it is.
        data: photos of the study by source, role and split.
        figures: on the locked test set; empty where the run has no report.
        figures_note: what the figures rest on, or why there is none.
        decision: how a score becomes a verdict.
        parity: how far the bundle agrees with the original.
        limits: what it cannot do.
        licence: under which terms.
        forced: it did not agree with the original as far as was asked, and was written all the same.
    """

    title: str
    about: Text
    data: tuple[DataRow, ...] = ()
    figures: tuple[CardFigure, ...] = ()
    figures_note: Text
    decision: Text
    parity: Text
    limits: tuple[Text, ...] = Field(min_length=1)
    licence: Text
    forced: bool = False
