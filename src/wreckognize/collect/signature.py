"""Whether anything that a catalog was made from has changed, without reading it.

Of labels the name, size and time of every file are looked at. Of photos only the names are, and the sizes and times of
those that were selected: what is in the others does not matter, and there may be half a million.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Self

import polars as pl

from wreckognize.collect.folderstamp import FolderAnswer, FolderRequest, SameAnswer, SameRequest
from wreckognize.collect.helper import Request
from wreckognize.collect.helpers import MOST, Helpers, processors
from wreckognize.collect.remembered import STAMP_SCHEMA
from wreckognize.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MANY = 20_000
"""Files from which on helper processes look at them: their start takes about as long as so many files."""
_CHUNK = 4096  # files a request
_NUMBERS = 4  # that a `FolderAnswer` has of each file


@dataclass(frozen=True, slots=True)
class Listing:
    """One folder.

    Attributes:
        folder: its path; of a single file that of its folder, which it may share with others.
        files: names of the regular files whose size and time count, sorted.
        others: names of links and what else is no regular file, sorted; their size and time count wherever they are.
        named: sha256 over the names of the files of which nothing else counts.
    """

    folder: bytes
    files: list[bytes]
    others: list[bytes]
    named: bytes


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
    return signature_of(list_tree(paths, named), processes=processes)


def list_tree(paths: Iterable[Path], named: Iterable[Path] = ()) -> Iterator[Listing]:
    """The folders that a `tree_signature` is about; their files are listed, not looked at.

    Raises:
        UsageError: if a folder cannot be read.
    """
    yield from _listings(sorted(paths), names_only=False)
    yield from _listings(sorted(named), names_only=True)


def signature_of(
    tree: Iterable[Listing], looked_at: pl.DataFrame | None = None, processes: int | None = None
) -> str:
    """The `tree_signature` of what was listed.

    Args:
        tree: from `list_tree`.
        looked_at: ``STAMP_SCHEMA``; regular files as they were when they were read since, which is what counts then.
        processes: as for `tree_signature`.

    Raises:
        UsageError: if a folder cannot be read.
    """
    names, stamps = hashlib.sha256(), hashlib.sha256()
    known = _Known(looked_at) if looked_at is not None else None

    def parts() -> Iterator[_Part]:
        for one in tree:
            counts = (one.folder, len(one.files), len(one.others), one.named)
            names.update(b"%b\0%d\0%d\0%b\n" % counts)
            for at in range(0, len(one.files), _CHUNK):
                yield _Part.of(one.folder, one.files[at : at + _CHUNK], known)
            for at in range(0, len(one.others), _CHUNK):
                yield _Part.of(one.folder, one.others[at : at + _CHUNK], None)

    listed, first, count = parts(), list[_Part](), 0
    for part in listed:
        first.append(part)
        count += len(part.unknown)
        if count >= _MANY:
            break
    asked: deque[_Part] = deque()

    def requests() -> Iterator[FolderRequest]:
        # Helpers look at the first while this process lists the others.
        for part in chain(first, listed):
            asked.append(part)
            yield FolderRequest(part.folder, [part.names[place] for place in part.unknown])

    with Helpers(_helpers(count, processes)) as helpers, closing(helpers.ask(requests())) as answers:
        for told in answers:
            assert isinstance(told, FolderAnswer)
            part = asked.popleft()
            if told.error is not None:
                raise _unreadable(part.folder, told.error)
            stamps.update(b"\0".join(part.names))
            stamps.update(part.stamps(told.stamps))
    names.update(stamps.digest())
    return names.hexdigest()


class _Known:
    """Files that were looked at already; NumPy is imported where there are some, which is once in a run's life."""

    def __init__(self, looked_at: pl.DataFrame) -> None:
        nothing = (pl.lit(0, pl.Int64).alias(name) for name in ("target", "target_ns"))
        self._place_of = {path: place for place, path in enumerate(looked_at.get_column("path"))}
        self._stamps = looked_at.select("size", "mtime_ns", *nothing).to_numpy()

    def of(self, folder: bytes, names: Sequence[bytes]) -> tuple[NDArray[np.int64], list[int]]:
        """``(N, 4)``, as `FolderAnswer` has them, and the places of those that are not known."""
        import numpy as np

        prefix, place_of = folder + b"/", self._place_of
        places = np.array([place_of.get(prefix + name, -1) for name in names], np.intp)
        stamps = np.zeros((len(names), _NUMBERS), np.int64)
        stamps[places >= 0] = self._stamps[places[places >= 0]]
        return stamps, np.flatnonzero(places < 0).tolist()


@dataclass(frozen=True, slots=True)
class _Part:
    """Files of one folder.

    Attributes:
        folder: its path.
        names: of the files.
        known: ``(N, 4)``, as `FolderAnswer` has them; None: of none.
        unknown: which of them are to be looked at.
    """

    folder: bytes
    names: list[bytes]
    known: NDArray[np.int64] | None
    unknown: Sequence[int]

    @classmethod
    def of(cls, folder: bytes, names: list[bytes], known: _Known | None) -> Self:
        """With what is known of these files."""
        if known is None:
            return cls(folder, names, None, range(len(names)))
        return cls(folder, names, *known.of(folder, names))

    def stamps(self, told: bytes) -> bytes:
        """Those of all files, where ``told`` has those that were looked at."""
        if self.known is None:
            return told
        import numpy as np

        self.known[self.unknown] = np.frombuffer(told, np.int64).reshape(-1, _NUMBERS)
        return self.known.tobytes()


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


def _listings(paths: Sequence[Path], *, names_only: bool) -> Iterator[Listing]:
    """Every folder from these down."""
    waiting: list[bytes] = []
    for path in paths:
        place = os.fsencode(path)
        if stat.S_ISDIR(path.stat().st_mode):
            waiting.append(place)
        else:
            folder, name = os.path.split(place)
            yield Listing(folder, [], [name], b"")
    while waiting:
        folder = waiting.pop()
        listing, folders = _list(folder, names_only)
        waiting += [b"%b/%b" % (folder, name) for name in folders]
        yield listing


def _list(folder: bytes, names_only: bool) -> tuple[Listing, list[bytes]]:
    """A folder's files, and the names of its folders."""
    files: list[bytes] = []
    others: list[bytes] = []
    folders: list[bytes] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    others.append(entry.name)
    except FileNotFoundError:
        pass  # taken away since its parent was listed: as if it were empty
    except OSError as error:
        raise _unreadable(folder, error.strerror or str(error)) from error
    files.sort()
    others.sort()
    folders.sort()
    if names_only:
        return Listing(folder, [], others, hashlib.sha256(b"\0".join(files)).digest()), folders
    return Listing(folder, files, others, b""), folders


def _unreadable(folder: bytes, why: str) -> UsageError:
    return UsageError(
        f"folder cannot be read: {os.fsdecode(folder)} ({why})",
        remedy="give yourself the right to read it, or take it out of the source",
    )
