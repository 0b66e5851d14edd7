"""Opening photos: whether each is whole, how large it is, and the sha256 of its bytes; here, or by many machines."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

import msgspec
import polars as pl

from wreckognize.catalog import QUARANTINE_SCHEMA
from wreckognize.errors import InputError
from wreckognize.files import sha256_of
from wreckognize.images import MAX_BYTES, ImageHeader, verify
from wreckognize.inference.executor import Doing, Executor, Tables, Tick, run_in_parts
from wreckognize.progress import Progress
from wreckognize.reading import read_regular

READER = f"photos-1-pillow-{version('pillow')}-{version('pillow-heif')}"
"""Raised when photos are judged otherwise than before; the decoders have a say in which are whole."""

PART_PHOTOS = 512

OPENED_SCHEMA = pl.Schema({"photo": pl.String, "content": pl.Binary, "lasting": pl.Boolean})
"""What opening a photo told, encoded, and whether that holds as long as the file is not changed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What opening one photo told."""

    header: ImageHeader
    sha256: str


@dataclass(frozen=True, slots=True)
class Glance:
    """One photo: what it told, its size and time before, and how to remember it (None: not to be remembered)."""

    opened: Opened | InputError
    size: int = -1
    mtime_ns: int = -1
    encoded: bytes | None = None


def glance(path: bytes) -> Glance:
    """Open one photo."""
    photo = Path(os.fsdecode(path))
    try:
        status = photo.stat()  # before it is read, so that a change in between is seen next time
        data = read_regular(photo, MAX_BYTES)
    except OSError as error:  # says nothing about next time
        return Glance(_unreadable(error))
    opened = _judge(data)
    return Glance(opened, status.st_size, status.st_mtime_ns, encoded(opened))


def recalled(path: bytes, size: int | None, mtime_ns: int | None, content: bytes | None) -> Glance | None:
    """What is known of a photo, if it is as it was."""
    if size is None or mtime_ns is None or content is None:
        return None
    if _stamp(path) != (size, mtime_ns):
        return None
    try:
        return Glance(decoded(content), size, mtime_ns, content)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # spoilt, or written by something else
        return None


def _stamp(path: bytes) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a path of bytes
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _judge(data: bytes) -> Opened | InputError:
    try:
        return Opened(verify(data), hashlib.sha256(data).hexdigest())
    except InputError as error:
        return error


def _unreadable(error: OSError) -> InputError:
    remedy = "put the file back as a whole photo, or give yourself the right to read it"
    return InputError("file cannot be read", where=error.strerror or "", remedy=remedy)


_STORED = msgspec.msgpack.Decoder(Opened | tuple[str, str, str])


def encoded(opened: Opened | InputError) -> bytes:
    """As it is remembered."""
    refused = (opened.reason, opened.where, opened.remedy) if isinstance(opened, InputError) else None
    return msgspec.msgpack.encode(refused or opened)


def decoded(data: bytes) -> Opened | InputError:
    """What was remembered."""
    stored = _STORED.decode(data)
    if isinstance(stored, Opened):
        return stored
    reason, where, remedy = stored
    return InputError(reason, where=where, remedy=remedy)


@dataclass(frozen=True)
class Opening:
    """The `Work` of opening photos: rows with ``photo``, ``path`` and ``source``."""

    @property
    def schemas(self) -> Mapping[str, pl.Schema]:
        """What each told; ``unread`` names those that did not come to where they were to be opened."""
        return {"opened": OPENED_SCHEMA, "unread": QUARANTINE_SCHEMA}

    @property
    def files(self) -> Sequence[Path]:
        """None."""
        return ()

    def moved(self, folder: Path) -> Self:
        """The same."""
        return self

    def start(self) -> Doing:
        """Nothing has to be loaded."""
        return _open_part


def _open_part(rows: pl.DataFrame, tick: Tick) -> Tables:
    paths = [os.fsencode(path) for path in rows["path"]]
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1), thread_name_prefix="open") as pool:
        glances = list(pool.map(glance, paths))
    tick(rows.height)
    opened = pl.DataFrame(
        {
            "photo": rows["photo"],
            "content": [encoded(one.opened) for one in glances],
            "lasting": [one.encoded is not None for one in glances],
        },
        schema=OPENED_SCHEMA,
    )
    return {"opened": opened, "unread": QUARANTINE_SCHEMA.to_frame()}


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Those who open photos instead of this process.

    Attributes:
        executor: gives the work to them.
        parts: folder for finished parts.
        copies: photos below it are copies of what they read in object storage. What they read must be the same, so
            each copy is hashed here first.
    """

    executor: Executor
    parts: Path
    copies: Path

    def glances(
        self, source: str, names: Sequence[str], paths: Sequence[bytes], progress: Progress
    ) -> dict[bytes, Glance]:
        """What opening these photos told, by path; those that are gone from here are left out.

        Args:
            source: the source's name.
            names: of the photos, below the source.
            paths: absolute.
            progress: where to report.
        """
        there = [(name, path, stamp) for name, path in zip(names, paths, strict=True) if (stamp := _stamp(path))]
        if not there:
            return {}
        table = pl.DataFrame(
            {
                "photo": [name for name, _, _ in there],
                "path": [os.fsdecode(path) for _, path, _ in there],
                "source": source,
            }
        )
        key = pl.DataFrame([stamp for *_, stamp in there], schema=["size", "mtime_ns"], orient="row")
        folder = self.parts / f"parts-{source}"
        tables = run_in_parts(
            table.with_columns(sha256=self._hashes(table["path"])),
            Opening(),
            self.executor,
            size=PART_PHOTOS,
            folder=folder,
            key=f"{READER} {_digest(table.hstack(key))}",
            progress=progress,
            description=f"{source}: opening photos",
        )
        lost = {
            photo: InputError(reason, remedy=remedy) for _, photo, reason, remedy in tables["unread"].iter_rows()
        }
        found: dict[bytes, Glance] = {}
        for (name, path, stamp), (_, content, lasting) in zip(there, tables["opened"].iter_rows(), strict=True):
            if name in lost:
                found[path] = Glance(lost[name])
            else:
                found[path] = Glance(decoded(content), *stamp, content if lasting else None)
        shutil.rmtree(folder)
        return found

    def _hashes(self, paths: pl.Series) -> pl.Series:
        """sha256 of photos that are copies; null for the others, which are read where they lie."""
        below = f"{self.copies}/"

        def of(path: str) -> str | None:
            try:
                return sha256_of(Path(path)) if path.startswith(below) else None
            except OSError:
                return None

        with ThreadPoolExecutor(min(16, os.cpu_count() or 1), thread_name_prefix="hash") as pool:
            return pl.Series(list(pool.map(of, paths)), dtype=pl.String)


def _digest(table: pl.DataFrame) -> str:
    return hashlib.sha256(table.write_csv().encode()).hexdigest()
