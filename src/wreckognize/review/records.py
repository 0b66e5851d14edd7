"""The reviews file: what people said about photos, one entry a photo and reviewer.

    {"format": 1, "study": "claims-2026", "reviews": [
     {"photo": "aihub/1.jpg", "sha256": "...", "reviewer": "anna", "when": "2026-11-24T10:00:00+00:00",
      "verdict": "damaged", "boxes": [[10.5, 20.0, 300.25, 210.0]]}
    ]}

``boxes`` are all vehicles of the photo, ``x1 y1 x2 y2`` in pixels of the photo as shown, to 0.01 pixel. What verdict
and boxes mean together:

    damaged or normal   a vehicle, with at least one box
    background          no vehicle, and no box
    null, with boxes    a vehicle; whether it is damaged was not asked (COCO and YOLO files cannot say)
    null, no box        the reviewer could not tell: nothing follows from it

An entry with ``"decides": true`` is the one that counts where reviewers of the photo differ. The file is written in one
way only, sorted, so that writing the same reviews again gives the same bytes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from wreckognize.errors import UsageError
from wreckognize.files import atomic_write
from wreckognize.reading import TABLE_BYTES, read_regular

Verdict = Literal["damaged", "normal", "background"]
Corners = tuple[float, float, float, float]
"""``x1 y1 x2 y2`` in pixels of the photo as shown."""

FORMAT: Literal[1] = 1
_DIGITS = 2
_LISTED = 20
_NAMED = 5


class Review(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one person said about one photo.

    Attributes:
        photo: its name in the catalog.
        sha256: of its bytes when it went out.
        reviewer: who said it.
        when: UTC, ISO 8601.
        verdict: what the photo shows; None: not said.
        boxes: all its vehicles, sorted.
        decides: whether this entry counts where reviewers differ.
    """

    photo: str
    sha256: str
    reviewer: str
    when: str
    verdict: Verdict | None
    boxes: tuple[Corners, ...]
    decides: bool = False

    @property
    def telling(self) -> bool:
        """Whether it says what the photo shows; False where the reviewer could not tell."""
        return self.verdict is not None or bool(self.boxes)

    @property
    def content(self) -> tuple[str, Verdict | None, tuple[Corners, ...]]:
        """What was said, without who said it and when."""
        return self.sha256, self.verdict, self.boxes


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    study: str
    reviews: list[Review]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Reviews after more came in.

    Attributes:
        reviews: all, sorted by photo and reviewer.
        added: of photos that the reviewer had not reviewed before.
        replaced: the reviewer says something else now.
        unchanged: said before.
        older: made before what the reviewer said last; not taken.
    """

    reviews: tuple[Review, ...]
    added: int
    replaced: int
    unchanged: int
    older: int


def rounded(box: Sequence[float]) -> Corners:
    """A box as the reviews file holds it.

    >>> rounded([0.123, 1, 2.999, 4])
    (0.12, 1.0, 3.0, 4.0)
    """
    x1, y1, x2, y2 = (round(float(value), _DIGITS) + 0.0 for value in box)
    return x1, y1, x2, y2


def utc(when: str) -> str:
    """A time in ISO 8601 as UTC, so that times sort as texts; one without a zone is taken as UTC.

    Raises:
        ValueError: it is not a time.

    >>> utc("2026-11-24T10:00:00.5+01:00")
    '2026-11-24T09:00:00.500000+00:00'
    """
    moment = datetime.fromisoformat(when)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")


def read_reviews(path: Path, *, study: str) -> tuple[Review, ...]:
    """Read a reviews file and check every entry.

    Args:
        path: the file.
        study: the name of the study it must belong to.

    Raises:
        UsageError: it cannot be read, belongs to another study, or has entries that cannot be right (all are named).
    """
    try:
        content = msgspec.json.decode(read_regular(path, TABLE_BYTES), type=_File)
    except OSError as error:
        raise UsageError(
            f"the reviews file cannot be read ({error.strerror})", where=str(path), remedy="put it back"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"not a reviews file: {error}",
            where=str(path),
            remedy="correct the place that is named, or take the file from a backup",
        ) from error
    if content.study != study:
        raise UsageError(
            f"these are reviews of the study {content.study!r}, not of {study!r}",
            where=str(path),
            remedy="name the reviews of this study, or import them anew",
        )
    problems = [
        f"{review.photo} ({review.reviewer}): {fault}" for review in content.reviews if (fault := _fault(review))
    ]
    entries = Counter((review.photo, review.reviewer) for review in content.reviews)
    problems += [
        f"{photo} ({reviewer}): {count} entries" for (photo, reviewer), count in entries.items() if count > 1
    ]
    if problems:
        raise UsageError(
            listed("entries that cannot be right", problems), where=str(path), remedy="correct them in the file"
        )
    return _sorted(content.reviews)


def _fault(review: Review) -> str | None:
    """What is wrong with an entry by itself, in words."""
    if not review.photo or not review.reviewer.strip():
        return "photo and reviewer must be named"
    try:
        utc(review.when)
    except ValueError:
        return f"{review.when!r} is not a time"
    for box in review.boxes:
        if not all(map(math.isfinite, box)) or min(box) < 0:
            return f"the box {list(box)} lies outside the photo"
        if box[0] >= box[2] or box[1] >= box[3]:
            return f"the box {list(box)} has no area"
    return said_wrongly(review.verdict, len(review.boxes))


def said_wrongly(verdict: Verdict | None, boxes: int) -> str | None:
    """How verdict and number of boxes contradict each other, in words; None if they do not.

    >>> said_wrongly("background", 2)
    'says no vehicle, but has 2 boxes'
    """
    if verdict == "background" and boxes:
        return f"says no vehicle, but has {boxes} box{'es' if boxes > 1 else ''}"
    if verdict in ("damaged", "normal") and not boxes:
        return "says a vehicle, but has no box"
    return None


def listed(what: str, problems: Sequence[str]) -> str:
    """Problems as numbered lines under a heading, the first twenty of them."""
    lines = [f"  {number}. {problem}" for number, problem in enumerate(problems[:_LISTED], 1)]
    if len(problems) > _LISTED:
        lines.append(f"  ... and {len(problems) - _LISTED} more")
    return "\n".join([f"{what}: {len(problems)}", *lines])


def some(noun: str, names: Sequence[str]) -> str:
    """How many, and the first five by name.

    >>> some("photo", ["a/1.jpg", "a/2.jpg"])
    '2 photos: a/1.jpg; a/2.jpg'
    """
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}: {'; '.join(names[:_NAMED])}{more}"


def to_text(reviews: Iterable[Review], *, study: str) -> str:
    """The reviews file: sorted, an entry a line."""
    lines = [msgspec.json.encode(review).decode() for review in _sorted(reviews)]
    entries = "\n " + ",\n ".join(lines) + "\n" if lines else ""
    return f'{{"format": {FORMAT}, "study": {msgspec.json.encode(study).decode()}, "reviews": [{entries}]}}\n'


def write_reviews(path: Path, reviews: Iterable[Review], *, study: str) -> bool:
    """Write a reviews file whole or not at all.

    Returns:
        False if the file held just this already; it is then left alone.
    """
    text = to_text(reviews, study=study)
    if path.exists() and path.read_bytes() == text.encode():
        return False
    atomic_write(path, text)
    return True


def merge(stored: Iterable[Review], incoming: Iterable[Review]) -> Merged:
    """Take reviews in: a reviewer's last word on a photo replaces what he or she said before.

    What says the same as before changes nothing, not even the time. An entry that decided a conflict decides no more
    once it says something else.
    """
    reviews = {(review.photo, review.reviewer): review for review in _sorted(stored)}
    counts = {"added": 0, "replaced": 0, "unchanged": 0, "older": 0}
    for review in sorted(map(_canonical, incoming), key=lambda review: utc(review.when)):
        key = (review.photo, review.reviewer)
        before = reviews.get(key)
        if before is None:
            counts["added"] += 1
        elif before.content == review.content:
            counts["unchanged"] += 1
            continue
        elif utc(review.when) < utc(before.when):
            counts["older"] += 1
            continue
        else:
            counts["replaced"] += 1
        reviews[key] = review
    return Merged(reviews=_sorted(reviews.values()), **counts)


def _sorted(reviews: Iterable[Review]) -> tuple[Review, ...]:
    return tuple(sorted(map(_canonical, reviews), key=lambda review: (review.photo, review.reviewer)))


def _canonical(review: Review) -> Review:
    """The same with its boxes as the file has them, so that what says the same is equal."""
    return msgspec.structs.replace(review, boxes=tuple(sorted(map(rounded, review.boxes))))
