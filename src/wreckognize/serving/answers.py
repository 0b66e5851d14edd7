"""What the service says: the answers' and errors' shapes, and their JSON.

`msgspec` structs instead of pydantic models: they are written in microseconds, and the OpenAPI page is made from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from wreckognize.errors import InputError, InputKind

STATUS_OF: Mapping[InputKind, int] = {
    "unreadable": 400,
    "not_a_photo": 415,
    "pixel_format": 415,
    "too_many_pixels": 422,
    "too_small": 422,
}
"""HTTP status of a request whose only photo cannot be used."""


class Problem(msgspec.Struct, frozen=True):
    """What went wrong: a code for programs, a reason and what to do for people."""

    code: str
    reason: str
    remedy: str


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The body of every answer that is no success."""

    error: Problem


class Box(msgspec.Struct, frozen=True):
    """A vehicle, in pixels of the photo as shown (EXIF orientation applied)."""

    x1: float
    y1: float
    x2: float
    y2: float
    confidence: float


class PhotoAnswer(msgspec.Struct, frozen=True):
    """One photo: a verdict, or an error."""

    name: str
    verdict: str | None = None
    score: float | None = None
    width: int | None = None
    height: int | None = None
    boxes: list[Box] = []
    error: Problem | None = None


class ModelName(msgspec.Struct, frozen=True):
    """Which model answered."""

    name: str
    version: str
    sha256: str


class Band(msgspec.Struct, frozen=True):
    """Scores from ``low`` up to, but not including, ``high`` go to a person; null: that side is never decided."""

    low: float | None
    high: float | None


class Timings(msgspec.Struct, frozen=True):
    """Milliseconds of a request: its body's arrival, the longest wait and inference of its photos, and all of it."""

    read: float
    queue: float
    inference: float
    total: float


class InspectAnswer(msgspec.Struct, frozen=True):
    """The answer to ``POST /v1/inspect``."""

    model: ModelName
    threshold: float
    to_a_person: Band | None
    photos: list[PhotoAnswer]
    timings_ms: Timings


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        code: for programs.
        reason: what is wrong.
        remedy: what to do.
        retry_after: seconds, where it is worth trying again.
        headers: to add to the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        reason: str,
        remedy: str,
        *,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.problem = Problem(code, reason, remedy)
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))

    def response(self) -> Response:
        """The answer."""
        return json(ErrorAnswer(self.problem), self.status, self.headers)


def problem_of(error: InputError) -> Problem:
    """A photo's error for the client: no path, no place."""
    return Problem(error.kind, error.reason, error.remedy)


def json(answer: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer as JSON."""
    return Response(_ENCODER.encode(answer), status, headers, media_type="application/json")


_ENCODER = msgspec.json.Encoder()
