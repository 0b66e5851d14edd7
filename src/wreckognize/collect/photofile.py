"""What opening one photo tells: whether it is whole, how large it is, the sha256 of its bytes.

As light as decoding allows, as helper processes import it; `photobatch` is how they are asked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from wreckognize.collect.folderstamp import stamp
from wreckognize.errors import InputError
from wreckognize.imagefile import MAX_BYTES, ImageHeader, verify
from wreckognize.reading import read_with_status


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening one photo told."""

    header: ImageHeader
    sha256: str


@dataclass(frozen=True, slots=True)
class Glance:
    """One photo: what it told, its size and time before (-1: it is not there), and how to remember it.

    ``encoded`` is None where it is not to be remembered.
    """

    opened: Opened | InputError
    size: int = -1
    mtime_ns: int = -1
    encoded: bytes | None = None


def glance(path: bytes, *, large: bool = True) -> Glance:
    """Open one photo.

    Raises:
        LargePhotoError: it is large, and those were not asked for.
    """
    try:
        data, status = read_with_status(path, MAX_BYTES)
    except OSError as error:  # says nothing about next time
        return Glance(_unreadable(error), *(stamp(path) or (-1, -1)))
    opened = _judge(data, large)
    # As it was before it was read, so that a change in between is seen next time.
    return Glance(opened, status.st_size, status.st_mtime_ns, encoded(opened))


def recalled(size: int, mtime_ns: int, content: bytes) -> Glance | None:
    """What is known of a photo that is as it was; None if that was spoilt, or written by something else."""
    try:
        return Glance(decoded(content), size, mtime_ns, content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _judge(data: bytes, large: bool) -> Opened | InputError:
    try:
        return Opened(verify(data, large=large), hashlib.sha256(data).hexdigest())
    except InputError as error:
        return error


def _unreadable(error: OSError) -> InputError:
    remedy = "put the file back as a whole photo, or give yourself the right to read it"
    return InputError("file cannot be read", where=error.strerror or "", remedy=remedy)


_STORED = msgspec.msgpack.Decoder(Opened | tuple[str, str, str])


def encoded(opened: Opened | InputError) -> bytes:
    """As it is remembered."""
    refused = (opened.reason, opened.where, opened.remedy) if isinstance(opened, InputError) else None
    return msgspec.msgpack.encode(refused or opened)


def decoded(data: bytes) -> Opened | InputError:
    """What was remembered."""
    stored = _STORED.decode(data)
    if isinstance(stored, Opened):
        return stored
    reason, where, remedy = stored
    return InputError(reason, where=where, remedy=remedy)
