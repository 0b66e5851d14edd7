"""Which photos are meant: by name, by folder, by glob, or by a list that is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from wreckognize.collect.walk import PHOTO_SUFFIXES
from wreckognize.study.paths import is_glob, matches
from wreckognize.urls import url_of

STANDARD_INPUT = "-"


def expand(patterns: Sequence[str], names: BinaryIO | None = None, *, null: bool = False) -> Iterator[str]:
    """Photos named one by one, by folder (all photos below it), by glob or by URL; each once, in a fixed order.

    Args:
        patterns: what was named; ``-`` stands for ``names``.
        names: paths of photos, one a line.
        null: they end in a NUL byte instead, as ``find -print0`` writes them: any name can be given so.

    Raises:
        StorageError: a URL cannot be listed.
        UsageError: no photo lies below a URL.
    """
    seen: set[str] = set()
    for pattern in patterns:
        found = _listed(names, null=null) if pattern == STANDARD_INPUT and names else _meant(pattern)
        for name in found:
            if name not in seen:
                seen.add(name)
                yield name


def _meant(pattern: str) -> Iterator[str]:
    path = Path(pattern)
    url = None if path.exists() else url_of(pattern)
    if url is not None:
        from wreckognize.stages.predicting import photos_below

        yield from photos_below(url)
        return
    for found in matches(path) if is_glob(path) else [path]:
        yield from _below(str(found)) if found.is_dir() else [str(found)]


def _below(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
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
