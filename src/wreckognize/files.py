"""Files that appear whole or not at all, and what tells one state of a file from another."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl

from wreckognize.errors import WriteError
from wreckognize.reading import open_regular

PART_SUFFIX = ".part"
"""Ending of a file that is still being written; such files are never read."""

_NAME_BYTES = 230
_SEAL_SUFFIX = ".sha256"
_SEAL = b"wreckognize sealed "

_REMEDIES = {
    errno.ENOSPC: "make room on the disk, or choose a folder on another one",
    errno.EDQUOT: "make room within the quota, or choose a folder on another disk",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or choose a disk without it",
    errno.EROFS: "the disk is mounted read-only; choose a folder on another one",
    errno.EIO: "the disk fails; look at the system's log, and choose a folder on another one",
}
"""What stands in the way of any write, whatever is written, and what to do about it."""


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """Within the block, a disk that takes no more is a `WriteError` that says so, whoever met it.

    Args:
        where: what is written, where the system does not name the file.

    Raises:
        WriteError: no room, a quota or a limit is reached, or the disk is read-only or fails.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _REMEDIES:
            raise
        raise write_error(error, where) from error


def write_error(error: OSError, where: Path) -> WriteError:
    """What kept a file from being written, in our words."""
    named = error.filename if isinstance(error.filename, str) else str(where)
    return WriteError(
        f"cannot be written ({error.strerror or error})",
        where=named,
        remedy=_REMEDIES.get(error.errno or 0, "mend the folder's permissions, or choose another folder")
        + "; what was finished is kept, and the same command goes on from there",
    )


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path to write to; on success it is synced to disk and renamed to ``path``, else removed.

    Raises:
        WriteError: the file cannot be made, written, synced or renamed.
    """
    part = _part_of(path)
    written = False
    try:
        _make_folder(path.parent)
        yield part
        written = True
        sync(part)
        part.replace(path)
        sync(path.parent)
    except OSError as error:
        ours = written or error.errno in _REMEDIES or not part.parent.is_dir() or error.filename == str(part)
        if not ours:
            raise  # what was to be copied there could not be read
        raise write_error(error, path) from error
    finally:
        with suppress(OSError):  # what could not be made, or not on this disk, cannot be taken away either
            part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a new folder to write files into; on success it is synced to disk and renamed to ``path``, else removed.

    Args:
        path: where it is to stand.
        replace: take away a folder that stands there, once the new one is whole.

    Raises:
        FileExistsError: there is something at ``path`` already, and it is not to be replaced.
        WriteError: the disk takes no more.
    """
    part = _part_of(path)
    with writing(path):
        if not replace and os.path.lexists(path):
            raise FileExistsError(str(path))
        part.mkdir(parents=True)
        try:
            yield part
            for one in (*part.rglob("*"), part):
                if not one.is_symlink():
                    sync(one)
            if replace and path.exists():
                shutil.rmtree(path)
            if os.path.lexists(path):  # an empty folder would be replaced silently
                raise FileExistsError(str(path))
            part.rename(path)
            sync(path.parent)
        finally:
            if part.exists():
                shutil.rmtree(part)


def atomic_write(path: Path, data: bytes | str) -> None:
    """Write ``data`` (text as UTF-8) so that ``path`` holds either all of it or what it held before.

    Raises:
        WriteError: it cannot be written; nothing has changed then.
    """
    with atomic_path(path) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a table as Parquet, whole or not at all."""
    atomic_write(path, _parquet(table))


def write_sealed(path: Path, table: pl.DataFrame) -> None:
    """Write a table that no stage record vouches for: with its sha256 in the first line, whole or not at all."""
    data = _parquet(table)
    atomic_write(path, _sealed(data) + data)


def read_sealed(path: Path) -> pl.DataFrame | None:
    """What `write_sealed` wrote; None if it is not there, or is not as it was written."""
    try:
        line, _, data = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    return pl.read_parquet(io.BytesIO(data)) if line + b"\n" == _sealed(data) else None


def _sealed(data: bytes) -> bytes:
    return _SEAL + hashlib.sha256(data).hexdigest().encode() + b"\n"


def write_kept(path: Path, data: bytes) -> None:
    """Write a file that other programs read, with its sha256 in a file beside it for `is_kept`."""
    atomic_write(path, data)
    atomic_write(_seal_of(path), hashlib.sha256(data).hexdigest())


def is_kept(path: Path) -> bool:
    """Whether a file is there and is as `write_kept` wrote it."""
    seal = _seal_of(path)
    return path.exists() and seal.exists() and seal.read_bytes() == sha256_of(path).encode()


def _seal_of(path: Path) -> Path:
    return path.with_name(path.name + _SEAL_SUFFIX)


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def claim(folder: Path, key: str) -> None:
    """Throw away what stands in a folder unless it was made from the same ``key``, so that it is not gone on with."""
    owner = folder / "key.txt"
    if folder.exists() and not (owner.exists() and owner.read_bytes() == key.encode()):
        owner.unlink(missing_ok=True)  # first: what is half thrown away is nobody's
        shutil.rmtree(folder)
    atomic_write(owner, key)


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: it cannot be read, or is a pipe or device, which might be waited for without end.
    """
    with open_regular(path, sys.maxsize) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def held_file(file: Path, *, wait: bool = True) -> Iterator[int | None]:
    """Hold a lock file; the lock ends with the last process that has it open, a training child included.

    Yields:
        Its descriptor; with ``wait=False`` None if another process holds it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield descriptor if _flocked(descriptor, wait=wait) else None
    finally:
        os.close(descriptor)


def _flocked(descriptor: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it so that they outlast a loss of power."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync(made.parent)


def sync(path: Path) -> None:
    """Have the system put a file's bytes, or a folder's entries, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _part_of(path: Path) -> Path:
    """Where a file stands while it is written; a name may have 255 bytes, so of a long one the beginning is taken."""
    return path.with_name(f"{os.fsdecode(os.fsencode(path.name)[:_NAME_BYTES])}.{os.getpid()}{PART_SUFFIX}")
