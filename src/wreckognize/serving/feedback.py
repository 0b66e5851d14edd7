"""``POST /v1/feedback``: a person says what is right, and agrees that the photo is kept.

The photo is looked at once more, so that what is written down as the service's answer is the service's answer. Where
the service was started without ``--feedback``, nothing is taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from wreckognize.errors import InputError, StorageError
from wreckognize.review.corrections import LONGEST_COMMENT, MOST_BOXES, Said, Served
from wreckognize.serving import answers, inspecting, openapi
from wreckognize.serving.answers import Refused
from wreckognize.serving.feedback_store import FeedbackStore, StoreFull
from wreckognize.serving.queued import EngineFailed, QueueFull, Seen, Stopping
from wreckognize.serving.uploads import Part, read_form, too_many_bytes

if TYPE_CHECKING:
    from wreckognize.serving.app import Service

PATH = "/v1/feedback"
_CLIENT_GONE = 499
_FIELDS = ("photo", "correction", "consent")


class FeedbackOpen(msgspec.Struct, frozen=True):
    """The answer to ``GET /v1/feedback``: whether corrections are taken, and how long they may be."""

    open: bool
    comment: int = LONGEST_COMMENT
    boxes: int = MOST_BOXES


class Kept(msgspec.Struct, frozen=True):
    """The answer to a correction that is kept: its id, and the hash of the photo's file without metadata."""

    id: str
    photo_sha256: str


def add_feedback(app: FastAPI, store: FeedbackStore | None) -> None:
    """Add the routes.

    Args:
        app: with ``state.service``.
        store: keeps corrections; None: none is taken.
    """
    turn = asyncio.Semaphore(1)  # one photo at a time is decoded and written here: inspections come first

    async def is_open(request: Request) -> Response:
        request.app.state.service.gate.enter(request)
        return answers.json(FeedbackOpen(store is not None))

    async def take(request: Request) -> Response:
        service: Service = request.app.state.service
        key = service.gate.enter(request)
        if store is None:
            raise Refused(
                404,
                "no_feedback",
                "this service takes no corrections",
                "its operator can start it with --feedback",
            )
        if service.stopping:
            raise inspecting.stopping()
        service.gate.take(request, key, 1)
        with service.memory.share() as share:
            try:
                parts = await read_form(request, service.settings, share)
            except ClientDisconnect:
                return Response(status_code=_CLIENT_GONE)
            photo, said = _read(parts, service)
            request.state.log.update(bytes=share.held)
            seen = await _look(service, photo)
            fault = said.fault(seen.width, seen.height)
            if fault is not None:
                raise _wrong(fault)
            async with turn:
                kept = await _keep(service, store, photo.data, said, seen, key.name if key else None)
        request.state.log["feedback"] = kept.id
        return answers.json(kept, 201)

    for method, handler, page in (("GET", is_open, _open_page()), ("POST", take, _take_page())):
        app.add_api_route(PATH, handler, methods=[method], response_model=None, openapi_extra=page)


def _read(parts: Sequence[Part], service: Service) -> tuple[Part, Said]:
    """The photo and the right answer.

    Raises:
        Refused: 4xx.
    """
    fields = {part.field: part for part in parts}
    if (
        len(fields) != len(parts)
        or not fields.keys() <= set(_FIELDS)
        or not {"photo", "correction"} <= fields.keys()
    ):
        raise Refused(
            400,
            "form",
            "the form is not one `photo`, one `correction` and one `consent`",
            "send these three, once",
        )
    consent = fields.get("consent")
    if consent is None or consent.data != b"yes":
        raise Refused(
            400,
            "consent",
            "nobody agreed that the photo is kept",
            "ask, and send `consent` as yes; else send nothing",
        )
    photo = fields["photo"]
    if photo.too_large:
        raise too_many_bytes("the photo", service.settings.photo_bytes)
    try:
        return photo, msgspec.json.decode(fields["correction"].data, type=Said)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _wrong(f"is none: {error}") from error


def _wrong(fault: str) -> Refused:
    return Refused(400, "correction", f"the correction {fault}", "see /openapi.json for how one is written")


async def _look(service: Service, photo: Part) -> Seen:
    """What the service sees in the photo.

    Raises:
        Refused: 4xx for a photo that cannot be used; 503.
    """
    try:
        (future,) = service.inspector.enter([(photo.name, photo.data)])
    except QueueFull as error:
        raise inspecting.queue_full(service) from error
    except Stopping as error:
        raise inspecting.stopping() from error
    deadline = service.settings.deadline
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), deadline)
    except TimeoutError as error:
        raise Refused(503, "deadline", f"not done within {deadline:g} s", "try again", retry_after=1) from error
    except EngineFailed as error:
        raise Refused(503, "engine", "the engine failed on a photo", "try again later", retry_after=5) from error
    except InputError as error:
        problem = answers.problem_of(error)
        raise Refused(answers.STATUS_OF[error.kind], problem.code, problem.reason, problem.remedy) from error


async def _keep(
    service: Service, store: FeedbackStore, photo: bytes, said: Said, seen: Seen, key: str | None
) -> Kept:
    bundle = service.inspector.bundle
    judged, name, band = bundle.answer(seen.look), inspecting.name_of(bundle), inspecting.band_of(bundle)
    served = Served(
        model=name.name,
        version=name.version,
        sha256=name.sha256,
        verdict=judged.verdict,
        score=round(judged.score, 4),
        threshold=bundle.manifest.threshold.value,
        low=band.low if band else None,
        high=band.high if band else None,
    )
    try:
        kept = await asyncio.to_thread(store.keep, photo, said, served, key=key)
    except StoreFull as error:
        raise Refused(
            503,
            "feedback_full",
            "no more corrections can be kept",
            "tell the service's operator that the store of corrections is full",
            retry_after=3600,
        ) from error
    except StorageError as error:
        service.measures.log("feedback not written", level="error", text=str(error))
        raise Refused(
            503, "storage", "the correction could not be written", "try again later", retry_after=30
        ) from error
    return Kept(kept.id, kept.kept_sha256)


def _open_page() -> dict[str, Any]:
    return openapi.plain_route(
        "Are corrections taken", "Whether they are, and how long they may be.", "401", "403"
    )


def _take_page() -> dict[str, Any]:
    box = {"type": "object", "required": ["x1", "y1", "x2", "y2"], "additionalProperties": False,
           "properties": {edge: {"type": "number"} for edge in ("x1", "y1", "x2", "y2")}}  # fmt: skip
    said = {
        "type": "object",
        "required": ["verdict"],
        "additionalProperties": False,
        "properties": {
            "verdict": {"enum": ["vehicle", "no vehicle"]},
            "boxes": {"type": "array", "maxItems": MOST_BOXES, "items": box},
            "damaged": {"type": ["boolean", "null"]},
            "comment": {"type": "string", "maxLength": LONGEST_COMMENT},
        },
    }
    form = {
        "type": "object",
        "required": list(_FIELDS),
        "additionalProperties": False,
        "properties": {
            "photo": {"type": "string", "format": "binary"},
            "correction": said,
            "consent": {"const": "yes"},
        },
    }
    kept = {"type": "object", "required": ["id", "photo_sha256"],
            "properties": {name: {"type": "string"} for name in ("id", "photo_sha256")}}  # fmt: skip
    return {
        "summary": "Say what is right",
        "description": (
            "Keeps the photo, without metadata, and the right answer, for whoever runs the service; only with the "
            "consent of the one who sends it, and only where the service was started with --feedback."
        ),
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
        "responses": {
            "201": {"description": "It is kept.", "content": {"application/json": {"schema": kept}}},
            **openapi.errors("400", "401", "403", "404", "408", "413", "415", "422", "429", "503"),
        },
    }
