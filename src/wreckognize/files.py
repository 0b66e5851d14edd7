"""Files that appear whole or not at all, and what tells one state of a file from another."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

PART_SUFFIX = ".part"
"""Ending of a file that is still being written; such files are never read."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a path to write to; on success it is synced to disk and renamed to ``path``, else removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}{PART_SUFFIX}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def atomic_write(path: Path, data: bytes | str) -> None:
    """Write ``data`` (text as UTF-8) so that ``path`` holds either all of it or what it held before."""
    with atomic_path(path) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder to write files into; on success it is synced to disk and renamed to ``path``, else removed.

    Raises:
        FileExistsError: there is something at ``path`` already.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}{PART_SUFFIX}")
    if os.path.lexists(path):
        raise FileExistsError(str(path))
    part.mkdir(parents=True)
    try:
        yield part
        for file in part.rglob("*"):
            if file.is_file():
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
        _sync_folder(part)
        if os.path.lexists(path):  # an empty folder would be replaced silently
            raise FileExistsError(str(path))
        part.rename(path)
        _sync_folder(path.parent)
    finally:
        if part.exists():
            shutil.rmtree(part)


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a table as Parquet, whole or not at all."""
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    atomic_write(path, buffer.getvalue())


def claim(folder: Path, key: str) -> None:
    """Throw away what stands in a folder unless it was made from the same ``key``, so that it is not gone on with."""
    owner = folder / "key.txt"
    if folder.exists() and not (owner.exists() and owner.read_text(encoding="utf-8") == key):
        shutil.rmtree(folder)
    atomic_write(owner, key)


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
