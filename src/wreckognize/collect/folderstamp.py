"""What files looked like, by size and time of change. Light, as helper processes import it."""

from __future__ import annotations

import os
from array import array
from stat import S_ISLNK

import msgspec


class FolderRequest(msgspec.Struct, array_like=True, tag="folder", gc=False):
    """Files of one folder to look at."""

    folder: bytes
    names: list[bytes]


class FolderAnswer(msgspec.Struct, array_like=True, tag="folder", gc=False):
    """Four int64 for each file, in the machine's order of bytes; or what went wrong.

    Size and time of change (nanoseconds); of a link also those of what it leads to, else 0. -1: it is not there.
    """

    stamps: bytes
    error: str | None = None


class SameRequest(msgspec.Struct, array_like=True, tag="same", gc=False):
    """Files, and the sizes and times (nanoseconds) they had; size -1: they were not there."""

    paths: list[bytes]
    sizes: list[int]
    times: list[int]


class SameAnswer(msgspec.Struct, array_like=True, tag="same", gc=False):
    """Whether all of them have them still."""

    same: bool


_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC
"""A folder that is searched, not listed, need not be readable (Linux)."""


_GONE = (-1, -1, 0, 0)


def stamp_files(request: FolderRequest) -> FolderAnswer:
    """Look at each file of a folder."""
    stamps = array("q")
    try:
        folder = os.open(request.folder, _FOLDER)
    except FileNotFoundError:  # since it was listed
        return FolderAnswer(array("q", _GONE * len(request.names)).tobytes())
    except OSError as error:
        return FolderAnswer(b"", error.strerror or str(error))
    try:
        for name in request.names:
            try:  # from the folder, as the way to it takes longer than the look
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                stamps.extend(_GONE)
                continue
            target = (0, 0)
            if S_ISLNK(status.st_mode):
                target = stamp(b"%b/%b" % (request.folder, name)) or (-1, -1)
            stamps.extend((status.st_size, status.st_mtime_ns, *target))
    except OSError as error:
        return FolderAnswer(b"", error.strerror or str(error))
    finally:
        os.close(folder)
    return FolderAnswer(stamps.tobytes())


def are_same(request: SameRequest) -> SameAnswer:
    """Look at each, through links; the first that differs ends it."""
    for path, size, mtime_ns in zip(request.paths, request.sizes, request.times, strict=True):
        if (stamp(path) or (-1, -1)) != (size, mtime_ns):
            return SameAnswer(False)
    return SameAnswer(True)


def stamp(path: bytes) -> tuple[int, int] | None:
    """Size and time of change (nanoseconds) of a file; None if it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a path of bytes
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
