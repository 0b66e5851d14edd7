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

from wreckognize.files import claim, write_table
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
    whole_once = list(work.schemas)[-1]  # written last
    open_parts = {number: rows for number, rows in parts.items() if not _file(folder, whole_once, number).exists()}
    with progress.task(description, table.height) as task:
        task.advance(table.height - sum(rows.height for rows in open_parts.values()))
        for number, tables in executor.run(open_parts, work, task.advance):
            for kind in work.schemas:
                write_table(_file(folder, kind, number), tables[kind])
    return {
        kind: pl.concat([schema.to_frame(), *(pl.read_parquet(_file(folder, kind, number)) for number in numbers)])
        for kind, schema in work.schemas.items()
    }


def _file(folder: Path, kind: str, number: int) -> Path:
    return folder / f"{kind}-{number:05d}.parquet"
