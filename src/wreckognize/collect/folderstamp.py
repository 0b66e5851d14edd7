"""What files looked like, by size and time of change. Light, as helper processes import it."""

from __future__ import annotations

import hashlib
import os
from stat import S_ISLNK

import msgspec


class FolderRequest(msgspec.Struct, array_like=True, tag="folder", gc=False):
    """Files of one folder to look at."""

    folder: bytes
    names: list[bytes]


class FolderAnswer(msgspec.Struct, array_like=True, tag="folder", gc=False):
    """sha256 over the files' names, sizes and times; or what went wrong."""

    digest: bytes
    error: str | None = None


class SameRequest(msgspec.Struct, array_like=True, tag="same", gc=False):
    """Files, and the sizes and times (nanoseconds) they had; size -1: they were not there."""

    paths: list[bytes]
    sizes: list[int]
    times: list[int]


class SameAnswer(msgspec.Struct, array_like=True, tag="same", gc=False):
    """Whether all of them have them still."""

    same: bool


def stamp_files(request: FolderRequest) -> FolderAnswer:
    """Digest of files: the name, size and time of change (nanoseconds) of each, of links also what they lead to."""
    lines: list[bytes] = []
    try:
        for name in request.names:
            path = b"%b/%b" % (request.folder, name)
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                lines.append(b"%b\0gone\n" % name)  # since the folder was listed
                continue
            lines.append(b"%b\0%d\0%d\n" % (name, status.st_size, status.st_mtime_ns))
            if S_ISLNK(status.st_mode):
                lines.append(b"%d\0%d\n" % (stamp(path) or (-1, -1)))
    except OSError as error:
        return FolderAnswer(b"", error.strerror or str(error))
    return FolderAnswer(hashlib.sha256(b"".join(lines)).digest())


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
