"""A request's body as photos, within limits, and never on disk.

The body is parsed as it arrives and held in memory. Counted while it arrives: bytes of a photo, bytes of the body,
bytes that all requests together hold, number of parts, and the time since the last byte and since the first. The first
limit that is passed ends the reading.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from wreckognize.serving.answers import Refused
from wreckognize.serving.settings import MEBIBYTE, ServiceSettings

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_NAME_LENGTH = 200
_DIGITS = 18  # of a length; more are too many bytes whatever they say
_NO_PHOTO_TYPES = ("application/json", "application/x-www-form-urlencoded", "text/")


@dataclass(slots=True)
class Part:
    """One part of a form: its field, the file's name without folders, and its bytes.

    ``too_large``: it had more than one photo may have; its bytes were not kept.
    """

    field: str
    name: str
    data: bytes
    too_large: bool = False


class Memory:
    """The bytes that all requests of this process together hold; used by the event loop's thread only."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """What one request holds; given back at the end of the block."""
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.held


class Share:
    """One request's part of the `Memory`."""

    def __init__(self, memory: Memory) -> None:
        self._memory, self.held = memory, 0

    def take(self, count: int) -> None:
        """Hold more bytes.

        Raises:
            Refused: 503, all requests together would hold too many.
        """
        if self._memory.held + count > self._memory.most:
            raise Refused(
                503, "busy", "too many uploads at the same time", "try again a little later", retry_after=1
            )
        self._memory.held += count
        self.held += count


async def read_photos(request: Request, settings: ServiceSettings, share: Share) -> list[Part]:
    """The photos of a request: form parts called ``photos``, or the whole body as one.

    Raises:
        Refused: 4xx for a body that is none, or passes a limit; 503 where memory is short.
        ClientDisconnect: nobody is waiting for an answer any more.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "multipart/form-data":
        if kind.startswith(_NO_PHOTO_TYPES) or kind.startswith("multipart/"):
            raise Refused(
                415,
                "content_type",
                "the body is neither a form of photos nor a photo",
                "send multipart/form-data with the field `photos`, or a photo's bytes as image/jpeg",
            )
        return [Part("photos", "photo", await read_body(request, settings, share))]
    parts = await read_form(request, settings, share)
    for part in parts:
        if part.field != "photos":
            raise Refused(400, "form", "the form has a field that is not `photos`", "send `photos` only")
    if not parts:
        raise Refused(400, "no_photos", "the form has no photo", "send at least one part called `photos`")
    return parts


async def read_body(request: Request, settings: ServiceSettings, share: Share) -> bytes:
    """A body that is one photo.

    Raises:
        Refused: as `read_photos`.
    """
    data = bytearray()
    async for chunk in _chunks(request, settings, settings.photo_bytes, share):
        data += chunk
    if not data:
        raise Refused(400, "no_photos", "the body is empty", "send a photo's bytes")
    return bytes(data)


async def read_form(request: Request, settings: ServiceSettings, share: Share) -> list[Part]:
    """All parts of a form, in order.

    Raises:
        Refused: as `read_photos`.
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if not boundary:
        raise _broken_form()
    form = _Form(settings)
    try:
        parser = MultipartParser(boundary, form.callbacks(), max_header_size=4096)
        async for chunk in _chunks(request, settings, settings.request_bytes, share):
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise _broken_form() from error
    if not form.ended:
        raise _broken_form()
    return form.parts


class _Form:
    """Collects what the parser finds."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self.parts: list[Part] = []
        self.ended = False
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._data = bytearray()
        self._size = 0

    def callbacks(self) -> MultipartCallbacks:
        """By the parser's names."""
        return {
            "on_part_begin": self._begin,
            "on_part_data": self._on_data,
            "on_part_end": self._end,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._header_end,
            "on_end": self._finish,
        }

    def _begin(self) -> None:
        if len(self.parts) >= self._settings.photos:
            most = self._settings.photos
            raise Refused(413, "too_many_photos", f"over {most} photos in one request", "send several requests")
        self._disposition, self._data, self._size = b"", bytearray(), 0

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._size <= self._settings.photo_bytes:
            self._data += memoryview(data)[start:end]

    def _end(self) -> None:
        _, options = parse_options_header(self._disposition)
        field = options.get(b"name")
        if field is None:
            raise _broken_form()
        name = shown_name(options.get(b"filename", b""), len(self.parts) + 1)
        too_large = self._size > self._settings.photo_bytes
        data = b"" if too_large else bytes(self._data)
        self.parts.append(Part(field.decode("utf-8", "replace"), name, data, too_large))
        self._data = bytearray()

    def _finish(self) -> None:
        self.ended = True


def shown_name(raw: bytes, number: int) -> str:
    """A file's name to give back: without folders and control characters, of bounded length.

    >>> shown_name(b"../../etc/car.jpg", 1)
    'car.jpg'
    >>> shown_name(b"", 2)
    'photo 2'
    """
    text = raw[-4096:].decode("utf-8", "replace").replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(sign for sign in text if unicodedata.category(sign)[0] != "C").strip()
    return kept[-_NAME_LENGTH:] or f"photo {number}"


async def _chunks(request: Request, settings: ServiceSettings, most: int, share: Share) -> AsyncIterator[bytes]:
    """The body as it arrives, within limits."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Refused(415, "content_encoding", "the body is compressed", "send it without Content-Encoding")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > _DIGITS or int(length) > most):
        raise too_many_bytes("the body", most)
    received, stream = 0, request.stream().__aiter__()
    ends = asyncio.get_running_loop().time() + settings.reading
    while True:
        left = ends - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(settings.silence, left)):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise Refused(
                408, "slow", "the body arrived too slowly", "send it again", headers={"Connection": "close"}
            ) from error
        received += len(chunk)
        if received > most:
            raise too_many_bytes("the body", most)
        share.take(len(chunk))
        yield chunk


def too_many_bytes(what: str, most: int) -> Refused:
    """The refusal of a photo or body that is too large."""
    size = f"{most // MEBIBYTE} MiB" if most >= MEBIBYTE else f"{most} bytes"
    return Refused(
        413, "too_many_bytes", f"{what} has more than {size}", "scale photos down, or send several requests"
    )


def _broken_form() -> Refused:
    return Refused(400, "form", "the form is broken", "send multipart/form-data with a field `photos`")
