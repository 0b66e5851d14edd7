"""What was read from files before and is still true: a cache in the run's folder.

A file is taken to be unchanged while its path, size and time of change are. What a file said is remembered only if it
was last changed well before it was read: else a second change within the same tick of the clock would go unseen. A
cache that is broken, or was written by another version of the reader, is passed over.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from wreckognize.files import atomic_write

REMEMBERED_SCHEMA = pl.Schema(
    {
        "path": pl.Binary,  # as the file system has it
        "size": pl.Int64,
        "mtime_ns": pl.Int64,
        "mark": pl.UInt8,  # what the reader wants to know of every file at a glance
        "content": pl.Binary,  # what the file said, as the reader encodes it
    }
)

_LEARNED = {name: kind for name, kind in REMEMBERED_SCHEMA.items() if name != "path"}

STAMP_SCHEMA = pl.Schema({name: REMEMBERED_SCHEMA[name] for name in ("path", "size", "mtime_ns")})
"""Files as they were; size -1: there was none."""

_SETTLED_NS = 2_000_000_000  # the coarsest clock of a file system in use (FAT)
_MAGIC = b"wreckognize"


@dataclass
class Remembered:
    """One cache file.

    Attributes:
        file: where it is kept; None: nothing is remembered.
        reader: name and revision of what reads the files.
    """

    file: Path | None
    reader: str
    _began: int = field(default_factory=time.time_ns)
    _seen: list[pl.DataFrame] = field(default_factory=list)
    _known: pl.DataFrame | None = None
    _learned: bool = False

    def lookup(self, paths: Sequence[bytes]) -> pl.DataFrame:
        """``REMEMBERED_SCHEMA``: what is known of these files, in their order; null where nothing is."""
        if self._known is None:
            self._known = self._read()
        asked = pl.DataFrame({"path": paths}, schema={"path": pl.Binary})
        if self._known.is_empty():
            return asked.with_columns(pl.lit(None, kind).alias(name) for name, kind in _LEARNED.items())
        return asked.join(self._known, on="path", how="left", maintain_order="left")

    def keep(self, table: pl.DataFrame, *, learned: bool) -> None:
        """Remember these rows (``REMEMBERED_SCHEMA``); ``learned`` if any of them is new."""
        if self.file is not None:
            self._seen.append(table)
            self._learned |= learned

    def stamps(self) -> pl.DataFrame:
        """``STAMP_SCHEMA``: the files that were kept, as they were when they were first read; each once."""
        tables = [STAMP_SCHEMA.to_frame(), *(table.select(STAMP_SCHEMA.names()) for table in self._seen)]
        return pl.concat(tables).unique("path", keep="first", maintain_order=True)

    def save(self) -> None:
        """Write what was kept, and nothing else, if it is not what the file holds already."""
        known = 0 if self._known is None else self._known.height
        if self.file is None or not (self._learned or sum(table.height for table in self._seen) != known):
            return
        table = pl.concat([REMEMBERED_SCHEMA.to_frame(), *self._seen]).unique(
            "path", keep="last", maintain_order=True
        )
        settled = table.filter(pl.col("mtime_ns") < self._began - _SETTLED_NS)
        buffer = io.BytesIO()
        settled.write_parquet(buffer, compression="lz4", statistics=False)
        data = buffer.getvalue()
        atomic_write(self.file, self._head(data) + data)

    def _head(self, data: bytes) -> bytes:
        """The first line of the file: it tells a whole cache of this reader from anything else."""
        return b"%b %b %b\n" % (_MAGIC, self.reader.encode(), hashlib.sha256(data).hexdigest().encode())

    def _read(self) -> pl.DataFrame:
        nothing = REMEMBERED_SCHEMA.to_frame()
        if self.file is None:
            return nothing
        try:
            line, _, data = self.file.read_bytes().partition(b"\n")
        except OSError:
            return nothing
        if line + b"\n" != self._head(data):
            return nothing
        try:
            table = pl.read_parquet(io.BytesIO(data))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
            return nothing  # somebody wrote it who knows how to seal it
        if table.schema != REMEMBERED_SCHEMA or table.select(pl.all().null_count()).row(0) != (0,) * table.width:
            return nothing
        return table.unique("path", keep="none")
