"""Paths of a study: relative to its file, with globs."""

from __future__ import annotations

import fnmatch
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
    """What a path stands for: itself if it exists, else what it matches as a glob, sorted.

    Hidden files and folders match only a part that begins with a dot itself. ``**`` does not follow links to folders:
    two that lead back to where they lie are 2^40 ways through a tree.

    Raises:
        OSError: a folder on the way cannot be read.
        ValueError: it is no path at all (it holds a NUL, say).
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        pass
    else:  # a folder may really be called "a[1]", so what exists is no pattern
        return [path]
    if not _MAGIC.intersection(str(path)):
        return []
    asked = [part for part in path.parts if part.startswith(".")]
    return sorted(
        match
        for match in set(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if all(fnmatch_any(part, asked) for part in match.parts if part.startswith("."))
    )


def fnmatch_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name fits one of these patterns.

    >>> fnmatch_any(".git", [".*"]), fnmatch_any(".git", [])
    (True, False)
    """
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


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
