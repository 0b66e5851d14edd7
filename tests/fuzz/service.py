"""What a client sends to the service, from the headers down to the decoded photo, without a socket.

An input is a path, headers and a body, as in a request of HTTP: lines up to an empty one, then the body, which arrives
in pieces. Every answer must be one that the API's page names: a line in the log about an error is a defect, and so is
status 500. Only the network is not real: it finds nothing.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import Any

import msgspec
import numpy as np
from fuzz.target import corpus_file, folder, target
from services import Lines, application

from wreckognize.detectors.port import DetectorInfo, RawDetections
from wreckognize.errors import UsageError
from wreckognize.exporting.bundle import Bundle
from wreckognize.exporting.card import Card, Text
from wreckognize.exporting.manifest import Manifest
from wreckognize.serving.answers import ErrorAnswer, InspectAnswer
from wreckognize.serving.feedback import Kept
from wreckognize.serving.feedback_store import FeedbackStore
from wreckognize.serving.settings import ServiceSettings

TAKEN = {"/v1/inspect": 200, "/v1/feedback": 201}
PATIENCE = 60.0
"""Seconds; what takes long is told by those who run a target, also where the machine is slow."""
REFUSED = (400, 404, 405, 413, 415, 422)
LIMITS = {"photos": 4, "photo_bytes": 12_000, "request_bytes": 16_000, "pixels": 1_000_000}


class _Blind:
    """A detector that sees nothing."""

    info = DetectorInfo(
        engine="none", weights="none", weights_sha256="0" * 64, random_weights=True, names=("vehicle",), stride=32,
        device="CPU", precision="float32", threads=1,
    )  # fmt: skip

    def infer(self, batch: np.ndarray) -> RawDetections:
        count = len(batch)
        empty = (np.zeros(shape, np.float32) for shape in ((count, 1, 4), (count, 1), (count, 0)))
        return RawDetections(*empty)


class _Service:
    """The application on a loop of its own, and what went wrong in it."""

    def __init__(self) -> None:
        faults: list[Any] = []

        class Errors(Lines):
            def __call__(self, event: str, **fields: Any) -> None:
                if fields.get("level") == "error":
                    faults.append((event, fields))

        text = Text(en="for a test", ko="시험용")
        card = Card(
            title="t", about=text, figures_note=text, decision=text, parity=text, limits=(text,), licence=text
        )
        manifest = Manifest.model_validate_json(corpus_file("bundle", "good.json"))
        self.kept = folder() / "feedback"
        settings = ServiceSettings(batch=1, decoders=1, deadline=PATIENCE, **LIMITS)
        store = FeedbackStore.at(self.kept)
        stack = ExitStack()
        atexit.register(stack.close)
        self.app = stack.enter_context(
            application(Bundle(folder(), manifest, card), _Blind(), settings, Errors(), feedback=store)
        )
        self.faults = faults
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda _, context: faults.append(context))

    def ask(self, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[int, bytes]:
        self.faults.clear()
        status, answer = self.loop.run_until_complete(asyncio.wait_for(self._ask(path, headers, body), PATIENCE))
        assert not self.faults, self.faults
        return status, answer

    async def _ask(self, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[int, bytes]:
        size = 1 + len(body) % 977
        pieces = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
        said: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not pieces:
                await asyncio.Event().wait()  # the client waits for its answer
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            said.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
            "client": ("127.0.0.1", 1), "server": ("service", 80),
        }  # fmt: skip
        await self.app(scope, receive, send)
        return said[0]["status"], b"".join(message.get("body", b"") for message in said[1:])

    def forget(self) -> None:
        """Delete what was kept, so that the store does not fill up."""
        for part in ("photos", "corrections"):
            for file in (self.kept / part).iterdir():
                file.unlink()


_service: Callable[[], _Service] = cache(_Service)


@target("request", UsageError)
def request(data: bytes) -> None:
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    path = first.decode("latin-1")
    headers = [
        (name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)
    ]
    path = path if path in TAKEN else "/v1/inspect"
    service = _service()
    status, answer = service.ask(path, headers, body)
    if status == TAKEN[path]:
        found = msgspec.json.decode(answer, type=InspectAnswer if path == "/v1/inspect" else Kept)
        if isinstance(found, Kept):
            service.forget()
        return
    assert status in REFUSED, (status, answer)
    raise UsageError(msgspec.json.decode(answer, type=ErrorAnswer).error.code)
