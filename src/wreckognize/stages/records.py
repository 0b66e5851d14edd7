"""Hashes of what commands write into a run's folder without holding it alone: a search's results, exports for review.

Several processes may search in one folder, and people work on an export for weeks, so ``state.json``, which belongs to
who holds the folder, does not name these files. A record of their own does: ``recorded.json``, with a seal over itself.
A hash that was recorded once stays, whatever becomes of the file, unless the program writes the file anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from wreckognize.errors import WorkspaceError
from wreckognize.files import PART_SUFFIX, atomic_write, sha256_of
from wreckognize.reading import RECORD_BYTES, read_regular
from wreckognize.state import fingerprint_of

RECORD_FILE = "recorded.json"


class Record(BaseModel):
    """``recorded.json``.

    Attributes:
        files: sha256 by name, relative to a folder that goes with the kind of record.
        seal: over all the rest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    files: dict[str, str]
    seal: str = ""

    @property
    def digest(self) -> str:
        """sha256 over the canonical JSON of everything but the seal."""
        return fingerprint_of(self.model_dump(mode="json", exclude={"seal"}))


def record(
    file: Path, base: Path, *, written: Iterable[str], settled: Iterable[str] = (), gone: Iterable[str] = ()
) -> None:
    """Add to a record, or begin one.

    Args:
        file: the record.
        base: the folder that names are relative to.
        written: files that were written just now; their hashes take the place of older ones.
        settled: files that do not change any more; those that are recorded already keep their hashes.
        gone: files that were taken away.
    """
    files = dict(_known(file))
    files |= {name: sha256_of(base / name) for name in settled if name not in files}
    files |= {name: sha256_of(base / name) for name in written}
    for name in gone:
        files.pop(name, None)
    _write(file, files)


def rename(file: Path, names: Mapping[str, str]) -> None:
    """Record that files go by other names now; their hashes stay."""
    files = _known(file)
    if files:
        _write(file, {names.get(name, name): sha256 for name, sha256 in files.items()})


def read_record(file: Path) -> dict[str, str]:
    """sha256 by name.

    Raises:
        WorkspaceError: it is not as it was written.
    """
    try:
        data = read_regular(file, RECORD_BYTES)
        found = Record.model_validate_json(data)
    except (OSError, ValidationError) as error:
        raise _spoilt(file) from error
    if found.seal != found.digest or data != found.model_dump_json(indent=1).encode():
        raise _spoilt(file)
    return found.files


def files_below(folder: Path) -> list[Path]:
    """The regular files below a folder that are not still being written, sorted; none where it is not there."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(path for path in found if path.suffix != PART_SUFFIX)


def _known(file: Path) -> dict[str, str]:
    """What is recorded; where the record is spoilt, `read_record` says so until it is written anew."""
    try:
        return read_record(file)
    except WorkspaceError:
        return {}


def _write(file: Path, files: Mapping[str, str]) -> None:
    new = Record(files=dict(sorted(files.items())))
    atomic_write(file, new.model_copy(update={"seal": new.digest}).model_dump_json(indent=1))


def _spoilt(file: Path) -> WorkspaceError:
    return WorkspaceError(
        "it is not as it was written, so it vouches for nothing",
        where=str(file),
        remedy="let the command that wrote it write anew, into a new folder if it is an export",
    )
