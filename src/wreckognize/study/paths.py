"""Paths of a study: relative to its file, with globs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from wreckognize.urls import url_of

_MAGIC = frozenset("*?[")


def absolute(path: str | Path, folder: Path) -> Path:
    """A path below ``folder`` made absolute, without ``..``; symlinks are left as they are, ``~`` is the home.

    A URL stays as it is.
    """
    if url_of(path) is not None:
        return Path(path)
    return Path(os.path.normpath(folder.absolute() / os.path.expanduser(path)))  # noqa: PTH111 - never raises


def matches(path: Path) -> list[Path]:
    """What an absolute path stands for: itself if it exists, else what it matches as a glob, sorted.

    Raises:
        OSError: a folder on the way cannot be read.
        ValueError: it is no path at all (it holds a NUL, say).
    """
    if path.exists():
        return [path]
    if not _MAGIC.intersection(str(path)):
        return []
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def is_glob(path: Path) -> bool:
    """Whether a path holds a glob's characters."""
    return not _MAGIC.isdisjoint(str(path))


def holds_files(path: Path) -> bool:
    """Whether a file has bytes, or a folder has any file in it or below; hidden files do not count."""
    if path.is_file():
        return path.stat().st_size > 0
    return any(True for _ in visible_files(path))


def visible_files(folder: Path) -> Iterator[Path]:
    """The files in a folder and below, without hidden ones; in no fixed order.

    Raises:
        OSError: the folder itself cannot be read (folders below it that cannot are passed over).
    """
    next(iter(islice(folder.iterdir(), 1)), None)  # os.walk would take an unreadable folder for an empty one
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in files if not name.startswith("."))


def count_files(folder: Path, suffixes: Iterable[str], at_most: int) -> int:
    """How many files of these lower-case suffixes lie in a folder and below; counting stops at ``at_most``."""
    wanted = frozenset(suffixes)
    return sum(
        1 for _ in islice((file for file in visible_files(folder) if file.suffix.lower() in wanted), at_most)
    )
