"""What surrounds every request: its id, security headers, its line in the log, and errors in one form."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wreckognize.serving.answers import Refused
from wreckognize.serving.measures import Measures

HEADER_BYTES = 16 * 1024
"""Of first line and headers together."""
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECURITY = [
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        b"form-action 'none'; frame-ancestors 'none'",
    ),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_CODES = {404: "not_found", 405: "method"}


class Envelope:
    """ASGI middleware: request id, headers, log and counts.

    A handler adds fields to the log's line by ``request.state.log[...] = ...``.
    """

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app, self._measures = app, measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope)
        fields: dict[str, Any] = {}
        scope.setdefault("state", {}).update(request_id=request_id, log=fields)
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    *_SECURITY,
                    (b"x-request-id", request_id.encode()),
                ]
                names = {name for name, _ in message["headers"]}
                if b"cache-control" not in names:
                    message["headers"].append((b"cache-control", b"no-store"))
                if scope["app"].state.service.stopping_soon and b"connection" not in names:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            if _header_bytes(scope) > HEADER_BYTES:  # the parser below counts only what comes in several pieces
                fields["code"] = "headers"
                self._measures.refused("headers")
                await _LONG.response()(scope, receive, send_on)
            else:
                await self._app(scope, receive, send_on)
        except Exception as error:
            self._measures.log("error", level="error", id=request_id, text=f"{type(error).__name__}: {error}")
            if status == 0:
                answer = Refused(
                    500, "internal", "something went wrong in the service", "tell its operator the id"
                )
                await answer.response()(scope, receive, send_on)
        finally:
            taken = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "other")
            self._measures.answered(route, status, taken)
            self._measures.log(
                "request",
                id=request_id,
                method=scope["method"],
                route=route,
                status=status,
                ms=round(taken * 1000, 1),
                **fields,
            )


_LONG = Refused(
    431, "headers", f"the headers have more than {HEADER_BYTES // 1024} KiB", "send fewer or shorter ones",
    headers={"Connection": "close"},
)  # fmt: skip


def _header_bytes(scope: Scope) -> int:
    line = len(scope["raw_path"]) + len(scope["query_string"])
    return line + sum(len(name) + len(value) for name, value in scope["headers"])


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            if _ID.fullmatch(text):
                return str(text)
    return secrets.token_hex(8)


def refused(request: Request, error: Exception) -> Response:
    """Answer a `Refused`."""
    assert isinstance(error, Refused)  # registered for it
    request.app.state.service.measures.refused(error.problem.code)
    request.state.log["code"] = error.problem.code
    return error.response()


def no_route(request: Request, error: Exception) -> Response:
    """Answer what the framework refuses by itself: no such path, no such method."""
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "http")
    answer = Refused(
        error.status_code, code, str(error.detail).lower(), "see /openapi.json", headers=dict(error.headers or {})
    )
    return refused(request, answer)
