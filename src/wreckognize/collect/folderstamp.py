"""One folder's files by name, size and time, as a digest. Light, as helper processes import it."""

from __future__ import annotations

import hashlib
import os

import msgspec

_NOTHING = hashlib.sha256(b"gone").digest()


class FolderRequest(msgspec.Struct, array_like=True, tag="folder", gc=False):
    """A folder to look at."""

    path: bytes


class FolderAnswer(msgspec.Struct, array_like=True, tag="folder", gc=False):
    """sha256 over the folder's files, and its folders' names, sorted; or what went wrong."""

    digest: bytes
    folders: list[bytes]
    files: int
    error: str | None = None


def stamp_folder(request: FolderRequest) -> FolderAnswer:
    """Digest of one folder: the name, size and time of change (nanoseconds) of each file; links are not followed."""
    lines: list[bytes] = []
    folders: list[bytes] = []
    try:
        with os.scandir(request.path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    status = entry.stat(follow_symlinks=False)
                    lines.append(b"%b\0%d\0%d\n" % (entry.name, status.st_size, status.st_mtime_ns))
    except FileNotFoundError:
        return FolderAnswer(_NOTHING, [], 0)  # taken away since its parent was listed
    except OSError as error:
        return FolderAnswer(_NOTHING, [], 0, error.strerror or str(error))
    lines.sort()
    return FolderAnswer(hashlib.sha256(b"".join(lines)).digest(), sorted(folders), len(lines))
