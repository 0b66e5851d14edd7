"""What the service keeps of a person's correction, and how it lies in its folder.

    FEEDBACK/
      feedback.json                        {"format": 1, "made_by": "wreckognize serve"}: what the folder is
      photos/<sha256>.jpg (or .png)        the photo without metadata; named by its own bytes
      corrections/<id>.json                one correction, of which the photo's consent is a part

A correction names its photo, so its photo is written first. Nothing is ever written over. To delete what a person sent
(its id was shown to that person), remove the correction and, unless another correction names it, its photo.
"""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

from wreckognize.review.records import Corners, utc

MARKER, PHOTOS, CORRECTIONS = "feedback.json", "photos", "corrections"
LONGEST_COMMENT = 2000
MOST_BOXES = 100
_TOLERANCE = 1.0  # pixels that a box may reach beyond the photo, as in a review
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{12}")
_PHOTO = re.compile(r"photos/([0-9a-f]{64})\.(jpg|png)")
_SHA256 = re.compile(r"[0-9a-f]{64}")

RightAnswer = Literal["vehicle", "no vehicle"]


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vehicle as a person marked it, in pixels of the photo as shown."""

    x1: float
    y1: float
    x2: float
    y2: float


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The right answer, as a person gives it.

    Attributes:
        verdict: what the photo shows.
        boxes: its vehicles, all of them or none of them.
        damaged: whether the vehicle is; None: not said.
        comment: in the person's words.
    """

    verdict: RightAnswer
    boxes: list[Mark] = []
    damaged: bool | None = None
    comment: str = ""

    def fault(self, width: int, height: int) -> str | None:
        """What cannot be right about it, for a photo of this size; None: nothing.

        >>> Said("no vehicle", [Mark(0, 0, 5, 5)]).fault(10, 10)
        'says no vehicle, but has boxes'
        """
        if self.verdict == "no vehicle" and self.boxes:
            return "says no vehicle, but has boxes"
        if self.verdict == "no vehicle" and self.damaged is not None:
            return "says no vehicle, but whether it is damaged"
        if len(self.boxes) > MOST_BOXES:
            return f"has over {MOST_BOXES} boxes"
        if len(self.comment) > LONGEST_COMMENT:
            return f"has a comment of over {LONGEST_COMMENT} characters"
        for box in self.boxes:
            corners = (box.x1, box.y1, box.x2, box.y2)
            if not all(map(math.isfinite, corners)):
                return "has a box that is not one of numbers"
            if min(corners) < -_TOLERANCE or box.x2 > width + _TOLERANCE or box.y2 > height + _TOLERANCE:
                return f"has a box outside the photo of {width} x {height} pixels"
            if min(box.x2, width) - max(box.x1, 0) < 1 or min(box.y2, height) - max(box.y1, 0) < 1:
                return "has a box without area"
        return None


class Served(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the service had said about the photo: looked at again when the correction came, never as the client has it.

    Attributes:
        model: name of the bundle.
        version: of the bundle.
        sha256: of the bundle.
        verdict: as shown.
        score: as shown.
        threshold: from which on the verdict was "vehicle".
        low: with a band: below it "no vehicle".
        high: with a band: from it on "vehicle".
    """

    model: str
    version: str
    sha256: str
    verdict: str
    score: float
    threshold: float
    low: float | None = None
    high: float | None = None


class Correction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file in ``corrections/``.

    Attributes:
        id: when it came, and random digits.
        when: UTC, ISO 8601.
        key: name of the access key it came with; None: the service asks for none.
        consent: that the photo is kept.
        sent_sha256: of the photo's bytes as they were sent.
        photo: its file, below the folder.
        width: pixels, as shown.
        height: pixels, as shown.
        said: the right answer.
        served: what the service had said.
    """

    format: Literal[1] = 1
    id: str
    when: str
    key: str | None
    consent: Literal["yes"]
    sent_sha256: str
    photo: str
    width: int
    height: int
    said: Said
    served: Served

    @property
    def kept_sha256(self) -> str:
        """Of the photo's bytes as they were kept."""
        return self.photo.partition("/")[2].partition(".")[0]

    @property
    def boxes(self) -> tuple[Corners, ...]:
        """The vehicles that were marked, ``x1 y1 x2 y2``."""
        return tuple((box.x1, box.y1, box.x2, box.y2) for box in self.said.boxes)


def photo_name(sha256: str, suffix: str) -> str:
    """Where a photo with these bytes lies."""
    return f"{PHOTOS}/{sha256}{suffix}"


def correction_name(identifier: str) -> str:
    """Where a correction lies."""
    return f"{CORRECTIONS}/{identifier}.json"


def to_json(correction: Correction) -> bytes:
    """A correction's file."""
    return msgspec.json.format(msgspec.json.encode(correction), indent=1) + b"\n"


def marker_json() -> bytes:
    """``feedback.json``."""
    return b'{"format": 1, "made_by": "wreckognize serve"}\n'


def from_json(data: bytes) -> Correction:
    """A correction from its file.

    Raises:
        ValueError: it is none, in words.
    """
    try:
        found = msgspec.json.decode(data, type=Correction)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a correction: {error}") from error
    utc(found.when)
    if not (_ID.fullmatch(found.id) and _PHOTO.fullmatch(found.photo) and _SHA256.fullmatch(found.sent_sha256)):
        raise ValueError("not a correction: its id, photo or sha256 is not formed as the service forms it")
    if found.width < 1 or found.height < 1:
        raise ValueError("not a correction: the photo has no size")
    fault = found.said.fault(found.width, found.height)
    if fault is not None:
        raise ValueError(f"{found.said.verdict!r}: {fault}")
    return found
