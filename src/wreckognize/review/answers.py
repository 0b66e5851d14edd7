"""What came back from a tool, before it is believed: every answer is checked against the catalog, all at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import polars as pl

from wreckognize.errors import UsageError
from wreckognize.review.records import Corners, Review, Verdict, listed, rounded, utc

TOLERANCE = 1.0
"""Pixels that a box may reach beyond the photo: tools round and let the pointer slip over the edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One person's answer to one photo, as the tool's file has it.

    Attributes:
        where: in the file, for messages.
        photo: its name in the catalog.
        sha256: of the bytes that went out.
        reviewer: who answered, as far as the file says.
        when: UTC, ISO 8601; None: the file does not say.
        verdict: what the photo shows; None: not said.
        boxes: in pixels of the photo as shown.
        cannot_tell: the person said so.
    """

    where: str
    photo: str
    sha256: str
    reviewer: str | None
    when: str | None
    verdict: Verdict | None
    boxes: tuple[Corners, ...]
    cannot_tell: bool = False


@dataclass(slots=True)
class Incoming:
    """What a reader of a tool's file found.

    Attributes:
        answers: in the order of the file.
        studies: names that the file gives.
        unanswered: photos in it that nobody answered, or of which it cannot be said.
        skipped: of these, photos that a person saw and skipped.
        problems: what cannot be used, with its place.
    """

    answers: list[Answer] = field(default_factory=list)
    studies: set[str] = field(default_factory=set)
    unanswered: int = 0
    skipped: int = 0
    problems: list[str] = field(default_factory=list)

    def problem(self, where: str, what: str) -> None:
        """Note something that cannot be used."""
        self.problems.append(f"{where}: {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Answers that can be believed.

    Attributes:
        reviews: one a photo and reviewer.
        incomplete: answers that say a vehicle but have no box, or have neither box nor verdict; they were not taken.
    """

    reviews: tuple[Review, ...]
    incomplete: tuple[str, ...]


def check(
    incoming: Incoming, photos: pl.DataFrame, *, study: str, reviewer: str | None, now: str, where: str
) -> Checked:
    """Check all answers; one that cannot be right stops them all.

    Args:
        incoming: what the file has.
        photos: the catalog's, ``PHOTO_SCHEMA``.
        study: its name.
        reviewer: who answered; None: as the file says.
        now: the time to give to answers without one, ISO 8601.
        where: the file, for messages.

    Raises:
        UsageError: the file is of another study; or answers are about unknown or changed photos, lie outside, have no
            area, contradict themselves, or have no reviewer: all are named.
    """
    others = sorted(incoming.studies - {study})
    if others:
        raise UsageError(
            f"these are answers about the study {', '.join(map(repr, others))}, not {study!r}; nothing was written",
            where=where,
            remedy="import them with the study that they were exported from",
        )
    people = sorted({answer.reviewer for answer in incoming.answers if answer.reviewer})
    if reviewer is not None and len(people) > 1:
        raise UsageError(
            f"the file has answers of {len(people)} people ({', '.join(people)}); --reviewer names one",
            where=where,
            remedy="leave --reviewer out, or export each person's answers on their own",
        )
    if reviewer is None and any(answer.reviewer is None for answer in incoming.answers):
        raise UsageError(
            "the file does not say who answered", where=where, remedy="name the person with --reviewer NAME"
        )

    known = {
        photo: (sha256, width, height)
        for photo, sha256, width, height in photos.select("photo", "sha256", "width", "height").iter_rows()
    }
    problems = list(incoming.problems)
    reviews: dict[tuple[str, str], Review] = {}
    incomplete: dict[tuple[str, str], str] = {}
    for answer in sorted(incoming.answers, key=lambda one: one.when or ""):
        found = known.get(answer.photo)
        if found is None:
            problems.append(f"{answer.where}: the study has no photo {answer.photo!r}")
            continue
        if found[0] != answer.sha256:
            problems.append(f"{answer.where}: the photo's file is another now than when it was exported")
            continue
        boxes = _boxes(answer, *found[1:], problems)
        if answer.verdict == "background" and boxes:
            problems.append(
                f"{answer.where}: says no vehicle, but has {len(boxes)} box{'es' if len(boxes) > 1 else ''}"
            )
            continue
        who = reviewer or answer.reviewer or ""
        key = (answer.photo, who)
        # The last answer counts, also where it is incomplete: an earlier one was taken back.
        reviews.pop(key, None)
        incomplete.pop(key, None)
        if not boxes and not answer.cannot_tell and answer.verdict != "background":
            incomplete[key] = answer.where
            continue
        reviews[key] = Review(
            photo=answer.photo,
            sha256=answer.sha256,
            reviewer=who,
            when=utc(answer.when or now),
            verdict=answer.verdict,
            boxes=tuple(sorted(boxes)),
        )
    if problems:
        raise UsageError(
            listed("answers that cannot be used (nothing was written)", problems),
            where=where,
            remedy="correct them in the annotation tool and export again",
        )
    return Checked(reviews=tuple(reviews.values()), incomplete=tuple(incomplete.values()))


def _boxes(answer: Answer, width: int, height: int, problems: list[str]) -> list[Corners]:
    """The answer's boxes, cut to the photo and rounded; what cannot be right is a problem."""
    boxes = []
    for box in answer.boxes:
        shown = ", ".join(f"{value:.5g}" for value in box)
        if not all(map(math.isfinite, box)):
            problems.append(f"{answer.where}: the box [{shown}] is not a box of numbers")
            continue
        x1, y1, x2, y2 = box
        if min(x1, y1) < -TOLERANCE or x2 > width + TOLERANCE or y2 > height + TOLERANCE:
            problems.append(
                f"{answer.where}: the box [{shown}] reaches outside the photo of {width} x {height} pixels"
            )
            continue
        cut = rounded((max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)))
        if cut[0] >= cut[2] or cut[1] >= cut[3]:
            problems.append(f"{answer.where}: the box [{shown}] has no area")
            continue
        boxes.append(cut)
    return boxes
