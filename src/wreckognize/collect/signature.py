"""Whether anything that a catalog was made from has changed, without reading it.

Of labels the name, size and time of every file are looked at. Of photos only the names are, and the sizes and times of
those that were selected: what is in the others does not matter, and there may be half a million.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl

from wreckognize.collect.folderstamp import FolderAnswer, FolderRequest, SameAnswer, SameRequest
from wreckognize.collect.helper import Request
from wreckognize.collect.helpers import MOST, Helpers, processors
from wreckognize.collect.remembered import STAMP_SCHEMA
from wreckognize.errors import UsageError

_MANY = 20_000
"""Files from which on helper processes look at them: their start takes about as long as so many files."""
_CHUNK = 4096  # files a request


def tree_signature(paths: Iterable[Path], named: Iterable[Path] = (), processes: int | None = None) -> str:
    """sha256 over name, size and time of every file below ``paths``: changes when a source does.

    What it proves is that no file came, went or was written to in the usual ways; a file whose bytes were changed
    while its size and its time of change were put back (`touch -r`) looks the same.

    Args:
        paths: folders and files.
        named: further ones, whose files count by their names only. Links among them count as above.
        processes: that look where there are many files; by default one a processor.

    Raises:
        UsageError: if a folder cannot be read.
    """
    names, stamps = hashlib.sha256(), hashlib.sha256()
    first = list(_listings(sorted(paths), names_only=False))
    asked: list[FolderRequest] = []

    def requests() -> Iterator[FolderRequest]:
        # Helpers look at the first while this process lists the others.
        for one in chain(first, _listings(sorted(named), names_only=True)):
            names.update(b"%b\0%d\0%b\n" % (one.folder, len(one.looked_at), one.names))
            for at in range(0, len(one.looked_at), _CHUNK):
                asked.append(FolderRequest(one.folder, one.looked_at[at : at + _CHUNK]))
                yield asked[-1]

    with (
        Helpers(_helpers(sum(len(one.looked_at) for one in first), processes)) as helpers,
        closing(helpers.ask(requests())) as answers,
    ):
        for number, told in enumerate(answers):
            assert isinstance(told, FolderAnswer)
            if told.error is not None:
                raise _unreadable(asked[number].folder, told.error)
            stamps.update(told.digest)
    names.update(stamps.digest())
    return names.hexdigest()


def are_unchanged(stamps: Path, processes: int | None = None) -> bool:
    """Whether files have the sizes and times that a table (``STAMP_SCHEMA``) says; no if there is no such table."""
    try:
        table = pl.read_parquet(stamps)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return False
    if table.schema != STAMP_SCHEMA or table.null_count().row(0) != (0,) * table.width:
        return False
    requests: list[Request] = [
        SameRequest(*(part.get_column(name).to_list() for name in STAMP_SCHEMA))
        for part in table.iter_slices(_CHUNK)
    ]
    with Helpers(_helpers(table.height, processes)) as helpers, closing(helpers.ask(requests)) as answers:
        return all(isinstance(told, SameAnswer) and told.same for told in answers)


def _helpers(files: int, processes: int | None) -> int:
    return (processes or min(MOST, processors())) if files >= _MANY else 0


@dataclass(frozen=True, slots=True)
class _Listing:
    """One folder.

    Attributes:
        folder: its path; of a single file that of its folder, which it may share with others.
        looked_at: names of the files whose size and time count, sorted.
        names: sha256 over those of the other files.
    """

    folder: bytes
    looked_at: list[bytes]
    names: bytes


def _listings(paths: Sequence[Path], *, names_only: bool) -> Iterator[_Listing]:
    """Every folder from these down."""
    waiting: list[bytes] = []
    for path in paths:
        place = os.fsencode(path)
        if stat.S_ISDIR(path.stat().st_mode):
            waiting.append(place)
        else:
            folder, name = os.path.split(place)
            yield _Listing(folder, [name], b"")
    while waiting:
        folder = waiting.pop()
        listing, folders = _list(folder, names_only)
        waiting += [b"%b/%b" % (folder, name) for name in folders]
        yield listing


def _list(folder: bytes, names_only: bool) -> tuple[_Listing, list[bytes]]:
    """A folder's files, and the names of its folders."""
    names: list[bytes] = []
    looked_at: list[bytes] = []
    folders: list[bytes] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif names_only and entry.is_file(follow_symlinks=False):
                    names.append(entry.name)
                else:
                    looked_at.append(entry.name)
    except FileNotFoundError:
        pass  # taken away since its parent was listed: as if it were empty
    except OSError as error:
        raise _unreadable(folder, error.strerror or str(error)) from error
    names.sort()
    looked_at.sort()
    folders.sort()
    return _Listing(folder, looked_at, hashlib.sha256(b"\0".join(names)).digest()), folders


def _unreadable(folder: bytes, why: str) -> UsageError:
    return UsageError(
        f"folder cannot be read: {os.fsdecode(folder)} ({why})",
        remedy="give yourself the right to read it, or take it out of the source",
    )
