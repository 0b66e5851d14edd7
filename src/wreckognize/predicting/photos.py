"""Which photos are meant: by name, by folder, by glob, or by a list that is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from wreckognize.collect.walk import PHOTO_SUFFIXES
from wreckognize.errors import UsageError
from wreckognize.study.paths import is_glob, matches
from wreckognize.urls import url_of

STANDARD_INPUT = "-"


def expand(patterns: Sequence[str], names: BinaryIO | None = None, *, null: bool = False) -> Iterator[str]:
    """Photos named one by one, by folder (all photos below it), by glob or by URL; each once, in a fixed order.

    What is not there, a glob that matches nothing, and a folder that cannot be read are given as they were named, so
    that each gets a line that says so.

    Args:
        patterns: what was named; ``-`` stands for ``names``.
        names: paths of photos, one a line.
        null: they end in a NUL byte instead, as ``find -print0`` writes them: any name can be given so.

    Raises:
        StorageError: a URL cannot be listed.
        UsageError: no photo lies below a URL, a name is empty, or nothing of what was named is there.
    """
    _require_something(patterns)
    seen: set[str] = set()
    for pattern in patterns:
        found = _listed(names, null=null) if pattern == STANDARD_INPUT and names else _meant(pattern)
        for name in found:
            if name not in seen:
                seen.add(name)
                yield name


def _require_something(patterns: Sequence[str]) -> None:
    """A slip in the only name must not end as a file of verdicts with the slip as its photo."""
    if not all(patterns):
        raise UsageError(
            "an empty name among the photos",
            remedy="name photos, folders of photos, or globs; perhaps a variable of the shell is not set",
        )
    if not any(pattern == STANDARD_INPUT or url_of(pattern) or _found(Path(pattern)) for pattern in patterns):
        raise UsageError(
            "no photo was found", where=" ".join(patterns), remedy="name photos, folders of photos, or globs"
        )


def _found(path: Path) -> list[Path]:
    """The path, or what it matches."""
    return matches(path) if is_glob(path) or os.path.lexists(path) else []


def _meant(pattern: str) -> Iterator[str]:
    path = Path(pattern)
    url = None if os.path.exists(path) else url_of(pattern)  # noqa: PTH110 (unlike Path's, it never raises)
    if url is not None:
        from wreckognize.stages.predicting import photos_below

        yield from photos_below(url)
        return
    for found in _found(path) or [path]:
        yield from _below(str(found)) if os.path.isdir(found) else [str(found)]  # noqa: PTH112 (as above)


def _below(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError:  # its line says why
        yield folder
        return
    for entry in ordered:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path)
        elif os.path.splitext(entry.name)[1].lower() in PHOTO_SUFFIXES:  # noqa: PTH122 (a million names)
            yield os.path.normpath(entry.path)


def _listed(names: BinaryIO, *, null: bool) -> Iterator[str]:
    end = b"\0" if null else b"\n"
    rest = b""
    while block := names.read(1 << 16):
        *whole, rest = (rest + block).split(end)
        yield from _decoded(whole, null=null)
    yield from _decoded([rest], null=null)


def _decoded(names: Sequence[bytes], *, null: bool) -> Iterator[str]:
    for name in names:
        text = os.fsdecode(name if null else name.rstrip(b"\r"))
        if text:
            yield text if url_of(text) else str(Path(text))


def shown(name: str) -> str:
    """A name as text, also one that is not UTF-8 on the disk."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
