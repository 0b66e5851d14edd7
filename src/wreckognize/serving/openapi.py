"""The OpenAPI page: schemas from the answers' structs, and examples that are answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from wreckognize.serving import answers

_TEMPLATE = "#/components/schemas/{name}"
_EXAMPLE = {
    "model": {"name": "claims-2026 ver6", "version": "20b9282183bd", "sha256": "52e0a2d6" * 8},
    "threshold": 0.1,
    "to_a_person": {"low": 0.05, "high": 0.31},
    "photos": [
        {
            "name": "front.jpg",
            "verdict": "vehicle",
            "score": 0.874,
            "width": 1024,
            "height": 768,
            "boxes": [{"x1": 12.5, "y1": 80.1, "x2": 1010.0, "y2": 731.9, "confidence": 0.874}],
            "error": None,
        },
        {
            "name": "note.txt",
            "verdict": None,
            "score": None,
            "width": None,
            "height": None,
            "boxes": [],
            "error": {
                "code": "not_a_photo",
                "reason": "not a photo, or its header is damaged",
                "remedy": "fetch the photo again, or take it away",
            },
        },
    ],
    "timings_ms": {"read": 1.2, "queue": 6.4, "inference": 48.9, "total": 57.8},
}
_ERRORS = {
    "400": ("The form is broken, or the only photo is truncated or damaged.", "unreadable"),
    "401": ("No API key.", "no_key"),
    "403": ("An API key that is not known.", "key"),
    "404": ("No such address.", "not_found"),
    "405": ("No such method here.", "method"),
    "408": ("The body arrived too slowly.", "slow"),
    "413": ("Too many bytes, or too many photos.", "too_many_bytes"),
    "415": ("The only photo is no photo, or the body is of a type that is not taken.", "not_a_photo"),
    "422": ("The only photo has too many or too few pixels.", "too_many_pixels"),
    "429": ("More photos a second than this key may send; Retry-After says when.", "rate"),
    "503": ("The queue is full, the deadline has passed, the engine failed, or the service stops.", "busy"),
}


def inspect_route() -> dict[str, Any]:
    """What the page says of ``POST /v1/inspect``."""
    photo = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "required": ["photos"],
        "additionalProperties": False,
        "properties": {"photos": {"type": "array", "minItems": 1, "items": photo}},
    }
    return {
        "summary": "Look for vehicles in photos",
        "description": (
            "One photo or many as form parts called `photos`, or one photo's bytes as the body. Among many, a photo "
            "that cannot be used has an error of its own; a single one is answered with 4xx."
        ),
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                **{kind: {"schema": photo} for kind in ("image/jpeg", "image/png", "application/octet-stream")},
            },
        },
        "responses": {
            "200": answer(answers.InspectAnswer, "A verdict for each photo.", _EXAMPLE),
            **errors("400", "401", "403", "408", "413", "415", "422", "429", "503"),
        },
    }


def plain_route(summary: str, description: str, *codes: str, text: bool = False) -> dict[str, Any]:
    """What the page says of a route that answers with JSON of no fixed shape, or with text."""
    content: dict[str, Any] = {"text/plain": {}} if text else {"application/json": {"schema": {"type": "object"}}}
    return {
        "summary": summary,
        "responses": {"200": {"description": description, "content": content}, **errors(*codes)},
    }


def answer(kind: type, description: str, example: Any) -> dict[str, Any]:
    """A response with a schema and an example."""
    schema = {"$ref": _TEMPLATE.format(name=kind.__name__)}
    return {"description": description, "content": {"application/json": {"schema": schema, "example": example}}}


def errors(*codes: str) -> dict[str, Any]:
    """Responses that are errors."""
    found = {}
    for code in codes:
        description, name = _ERRORS[code]
        example = {"error": {"code": name, "reason": "what is wrong", "remedy": "what to do about it"}}
        found[code] = answer(answers.ErrorAnswer, description, example)
    return found


def install(app: FastAPI) -> None:
    """Have the application make its page so."""

    def page() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, routes=app.routes, description=_ABOUT)
            components = made.setdefault("components", {})
            components.setdefault("schemas", {}).update(_schemas())
            components["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            made["security"] = [{}, {"bearer": []}, {"header": []}]
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = page  # type: ignore[method-assign]  # FastAPI's own way to change it


def _schemas() -> Mapping[str, Any]:
    _, components = msgspec.json.schema_components(
        [answers.InspectAnswer, answers.ErrorAnswer], ref_template=_TEMPLATE
    )
    return components


_ABOUT = "Photos in, verdicts out: is there a vehicle, where, and how sure is the detector."
