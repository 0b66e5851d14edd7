"""Opening photos: in threads, in helper processes, or by many machines; `photofile` opens one."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

import polars as pl

from wreckognize.catalog import QUARANTINE_SCHEMA
from wreckognize.collect.folderstamp import stamp
from wreckognize.collect.helpers import MOST, Helpers, processors
from wreckognize.collect.photobatch import PhotoAnswer, PhotoRequest, glances
from wreckognize.collect.photofile import Glance, decoded, encoded, glance
from wreckognize.errors import InputError
from wreckognize.files import sha256_of
from wreckognize.inference.executor import Doing, Executor, Tables, Tick, run_in_parts
from wreckognize.progress import Progress

READER = f"photos-1-pillow-{version('pillow')}-{version('pillow-heif')}"
"""Raised when photos are judged otherwise than before; the decoders have a say in which are whole."""

PART_PHOTOS = 512

OPENED_SCHEMA = pl.Schema({"photo": pl.String, "content": pl.Binary, "lasting": pl.Boolean})
"""What opening a photo told, encoded, and whether that holds as long as the file is not changed."""


_CHUNK = 64  # photos a request
_PAYS = 1000  # photos for each helper process, whose start takes as long as a thousand small ones


@dataclass(frozen=True, slots=True)
class Workers:
    """Who opens photos on this machine.

    Attributes:
        threads: None: one a processor.
        processes: more than one: processes do it instead. None: one a processor where there are many photos.
    """

    threads: int | None = None
    processes: int | None = None


def open_many(paths: Sequence[bytes], workers: Workers) -> Generator[Glance]:
    """What opening each photo tells, in their order; closing it ends the work."""
    processes = workers.processes
    if processes is None:
        processes = min(MOST, processors(), len(paths) // _PAYS) if workers.threads is None else 1
    if processes > 1 and paths:
        requests = [PhotoRequest(list(paths[at : at + _CHUNK])) for at in range(0, len(paths), _CHUNK)]
        with Helpers(processes) as helpers, closing(helpers.ask(requests)) as answers:
            for request, answer in zip(requests, answers, strict=True):
                assert isinstance(answer, PhotoAnswer)
                yield from glances(request.paths, answer)
        return
    threads = workers.threads or min(16, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, "collect") as pool:
        for at in range(0, len(paths), PART_PHOTOS):  # half a million at once would fill the memory
            yield from pool.map(glance, paths[at : at + PART_PHOTOS])


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

    def open_many(
        self, source: str, names: Sequence[str], paths: Sequence[bytes], progress: Progress
    ) -> Generator[Glance]:
        """As `open_many`, of photos with these names below the source; what is gone from here is said by it."""
        told = self.glances(source, names, paths, progress)
        return (told.get(path) or glance(path) for path in paths)

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
        there = [(name, path, known) for name, path in zip(names, paths, strict=True) if (known := stamp(path))]
        if not there:
            return {}
        table = pl.DataFrame(
            {
                "photo": [name for name, _, _ in there],
                "path": [os.fsdecode(path) for _, path, _ in there],
                "source": source,
            }
        )
        key = pl.DataFrame([known for *_, known in there], schema=["size", "mtime_ns"], orient="row")
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
        for (name, path, known), (_, content, lasting) in zip(there, tables["opened"].iter_rows(), strict=True):
            if name in lost:
                found[path] = Glance(lost[name], *known)
            else:
                found[path] = Glance(decoded(content), *known, content if lasting else None)
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
