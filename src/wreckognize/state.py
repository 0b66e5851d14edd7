"""``state.json``: which stages of a run are done, what they were made from, and what they made. It is kept twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from wreckognize.errors import WorkspaceError
from wreckognize.files import atomic_write, sha256_of, sync
from wreckognize.reading import RECORD_BYTES, read_regular

STATE_FILE = "state.json"
STATE_COPY = "state.copy.json"


class OutputRecord(BaseModel):
    """One file a stage wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> OutputRecord:
        """A file as it is now, and is on the disk: a record must not outlast what it speaks of."""
        sync(path)  # a library may have written it
        status = path.stat()
        return cls(sha256=sha256_of(path), size=status.st_size, mtime_ns=status.st_mtime_ns)

    def fits(self, path: Path) -> bool:
        """Whether a file has the size and time it was recorded with."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return False
        return status.st_size == self.size and status.st_mtime_ns == self.mtime_ns


class StageRecord(BaseModel):
    """What a finished stage was made from and what it made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    finished: str  # UTC, ISO 8601
    seconds: float
    outputs: dict[str, OutputRecord]


class State(BaseModel):
    """``state.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    stages: dict[str, StageRecord] = {}
    others: dict[str, OutputRecord] = {}  # files that no stage names, as they were when the run last ended
    seal: str = ""  # sha256 over all the rest, so that a changed byte in this file is seen too

    def sealed(self) -> State:
        """With the seal that belongs to it."""
        return self.model_copy(update={"seal": self.digest})

    @property
    def digest(self) -> str:
        """sha256 over the canonical JSON of everything but the seal."""
        return fingerprint_of(self.model_dump(mode="json", exclude={"seal"}))

    @property
    def text(self) -> str:
        """As it is written."""
        return self.model_dump_json(indent=1)

    def write(self, root: Path) -> None:
        """Write it into a run's folder, and its copy after it."""
        for name in (STATE_FILE, STATE_COPY):
            atomic_write(root / name, self.text)


def has_state(root: Path) -> bool:
    """Whether a folder has a record of stages, or its copy."""
    return (root / STATE_FILE).exists() or (root / STATE_COPY).exists()


def read_state(root: Path, *, mend: bool) -> tuple[State, tuple[str, ...]]:
    """The record of a run's folder, and what was wrong with it, in words.

    Args:
        root: the folder.
        mend: write an empty record where there is none, take the copy where the record is torn or gone, and the other
            way round; else nothing is written, and only the record itself is read.

    Raises:
        WorkspaceError: it cannot be read, nor can its copy.
    """
    if mend and not has_state(root):
        State().write(root)
    record, copy = root / STATE_FILE, root / STATE_COPY
    try:
        text = read_regular(record, RECORD_BYTES)
        state = State.model_validate_json(text)
        if mend and not (copy.is_file() and copy.read_bytes() == text):
            atomic_write(copy, text)
        return state, ()
    except (OSError, ValidationError) as error:
        if mend:
            with suppress(OSError, ValidationError):  # then neither can be read, which is said below
                state = State.model_validate_json(read_regular(copy, RECORD_BYTES))
                state.write(root)
                return state, (f"{STATE_FILE} was torn or gone; its copy says which steps are finished",)
        raise WorkspaceError(
            "the record of finished stages cannot be read" + (", nor can its copy" if mend else ""),
            where=str(record),
            remedy=f"put one of them back, or remove {STATE_FILE} and {STATE_COPY}: then all stages are done again"
            if mend
            else "the next run in this folder takes its copy, if that is whole",
        ) from error


def fingerprint_of(inputs: Mapping[str, Any]) -> str:
    """sha256 over the canonical JSON of ``inputs``."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
