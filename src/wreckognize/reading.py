"""Opens files that strangers wrote: regular files only, and never more of one than is asked for.

A pipe or a device under the name of a photo would be waited for without end; a file of two gigabytes, all of it holes,
costs its sender nothing and its reader the memory. Light, as helper processes import it.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

LABEL_BYTES = 8_000_000
"""The most that a label of one photo may hold; real ones hold some thousand."""
TABLE_BYTES = 1_500_000_000
"""The most that one file about all photos may hold; the largest published COCO files reach a gigabyte."""
RECORD_BYTES = 50_000_000
"""The most that a record which this package wrote may hold: cards, thresholds, the lock of half a million photos."""

_PART = 1 << 20  # bytes read at once of what came after all that a file was said to have


def open_regular(path: str | bytes | Path, at_most: int) -> BufferedReader:
    """Open a file for reading, without waiting for anything.

    Raises:
        OSError: it is not there or may not be read (as from `open`), is not a regular file, or is larger than
            ``at_most`` bytes; ``strerror`` says which.
    """
    descriptor, _ = _regular(path, at_most)
    try:
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | bytes | Path, at_most: int) -> bytes:
    """The bytes of a file that `open_regular` opens.

    Raises:
        OSError: as `open_regular`; also if it grows beyond ``at_most`` while it is read.
    """
    return read_with_status(path, at_most)[0]


def read_with_status(path: str | bytes | Path, at_most: int) -> tuple[bytes, os.stat_result]:
    """The bytes of a file as `read_regular` gives them, and what the file was when it was opened.

    Raises:
        OSError: as `read_regular`.
    """
    descriptor, status = _regular(path, at_most)
    try:
        data = os.read(descriptor, status.st_size + 1)  # room for half a gigabyte is not made for every photo
        if len(data) != status.st_size:  # it changes while it is read, or comes in parts
            data += _rest(descriptor, at_most + 1 - len(data))
    finally:
        os.close(descriptor)
    if len(data) > at_most:
        raise too_large(at_most)
    return data, status


def _regular(path: str | bytes | Path, at_most: int) -> tuple[int, os.stat_result]:
    """A descriptor to read from, and what it leads to."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would make `open` wait
    try:
        status = os.fstat(descriptor)
        require_readable(status, at_most)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def _rest(descriptor: int, at_most: int) -> bytes:
    """What is still to be read, but no more than so many bytes."""
    parts: list[bytes] = []
    while at_most > 0 and (part := os.read(descriptor, min(at_most, _PART))):
        parts.append(part)
        at_most -= len(part)
    return b"".join(parts)


def require_readable(status: os.stat_result, at_most: int) -> None:
    """Refuse what is not a regular file of at most so many bytes.

    Raises:
        OSError: ``strerror`` says why.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    if status.st_size > at_most:
        raise too_large(at_most)


def too_large(at_most: int) -> OSError:
    """What is said of a file of more bytes."""
    return OSError(errno.EOVERFLOW, f"larger than {at_most // 1_000_000:,} MB")
