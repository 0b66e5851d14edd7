"""Work that is done to a table in parts: what such work is, who does it, and how finished parts are kept.

A part is a slice of the table's rows. Its tables are kept as soon as it is finished, so work that was killed goes on
where it stood. Who does the parts, this process or other machines (`wreckognize.scale`), makes no difference: they
are put together in the order of the table's rows, and each is done once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, Self, TypeAlias

import polars as pl

from wreckognize.errors import WriteError
from wreckognize.files import claim, read_sealed, write_sealed
from wreckognize.progress import Progress

Tables: TypeAlias = Mapping[str, pl.DataFrame]
"""What a part of the work gives, by name."""

Tick: TypeAlias = Callable[[int], None]
"""Told how many rows are done."""

Doing: TypeAlias = Callable[[pl.DataFrame, Tick], Tables]


class Work(Protocol):
    """What is done to every part. It is pickled where it goes to another machine."""

    @property
    def schemas(self) -> Mapping[str, pl.Schema]:
        """The tables that each part gives. One called ``unread`` (``QUARANTINE_SCHEMA``) names unreadable photos."""
        ...

    @property
    def files(self) -> Sequence[Path]:
        """Files it needs besides the rows (weights): they are carried to other machines. No two of one name."""
        ...

    def moved(self, folder: Path) -> Self:
        """The same work, with its `files` read from a folder that holds copies of them."""
        ...

    def start(self) -> Doing:
        """Get ready (load a model): once for each process, and only where there is something to do."""
        ...


class Executor(Protocol):
    """Whoever does the parts."""

    def run(self, parts: Mapping[int, pl.DataFrame], work: Work, tick: Tick) -> Iterator[tuple[int, Tables]]:
        """Yield every part's number and tables exactly once, in whatever order they are finished."""
        ...


class Here:
    """Does the parts in this process, one after the other."""

    def run(self, parts: Mapping[int, pl.DataFrame], work: Work, tick: Tick) -> Iterator[tuple[int, Tables]]:
        """Yield every part's number and tables, in order."""
        do = work.start() if parts else None
        for number, rows in parts.items():
            assert do is not None  # for the type checker: there are parts
            yield number, do(rows, tick)


def run_in_parts(
    table: pl.DataFrame,
    work: Work,
    executor: Executor,
    *,
    size: int,
    folder: Path,
    key: str,
    progress: Progress,
    description: str,
) -> dict[str, pl.DataFrame]:
    """Do some work to every row of a table once.

    Args:
        table: its rows.
        work: what is done.
        executor: who does it.
        size: rows of a part.
        folder: for finished parts. Parts of another ``key`` are thrown away.
        key: says what the parts depend on.
        progress: where to report.
        description: what the progress bar says.

    Returns:
        The work's tables, the parts' one after the other.
    """
    claim(folder, key)
    numbers = range(-(-table.height // size))
    parts = {number: table.slice(number * size, size) for number in numbers}
    open_parts = {number: rows for number, rows in parts.items() if _read(folder, work, number) is None}
    with progress.task(description, table.height) as task:
        task.advance(table.height - sum(rows.height for rows in open_parts.values()))
        for number, tables in executor.run(open_parts, work, task.advance):
            for kind in work.schemas:
                write_sealed(_file(folder, kind, number), tables[kind])
    # All are read back, those made now too: whether the work was killed in between leaves no trace in what is written.
    made = [found for number in numbers if (found := _read(folder, work, number)) is not None]
    if len(made) < len(numbers):
        raise WriteError(
            "finished parts cannot be read back as they were written",
            where=str(folder),
            remedy="look at the disk, or choose another folder; the same command does these parts again",
        )
    return {
        kind: pl.concat([schema.to_frame(), *(found[kind] for found in made)])
        for kind, schema in work.schemas.items()
    }


def _read(folder: Path, work: Work, number: int) -> Tables | None:
    """A part that was finished before; None if one of its tables is missing or is not as it was written."""
    tables = {kind: read_sealed(_file(folder, kind, number)) for kind in work.schemas}
    whole = {kind: table for kind, table in tables.items() if table is not None}
    return whole if whole.keys() == tables.keys() else None


def _file(folder: Path, kind: str, number: int) -> Path:
    return folder / f"{kind}-{number:05d}.table"
