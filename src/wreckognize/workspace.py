"""A run's folder: who holds it, which stages are done, and what their outputs were.

A stage is done when ``state.json`` has a record with its present fingerprint (settings, versions, input files) and
every output still has the size and time it had when the stage ended. Outputs are known by their sha256, so that a
stage whose inputs came out the same is not run again.

A folder is held by one process alone, or by several together (the processes of a search): those may read what its
stages made and write into folders of their own, but do no stage.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from wreckognize.errors import WorkspaceError
from wreckognize.files import PART_SUFFIX, atomic_write, sha256_of

STATE_FILE = "state.json"
LOCK_FILE = ".lock"
WAIT_SECONDS = 0.5


class OutputRecord(BaseModel):
    """One file a stage wrote."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size: int
    mtime_ns: int


class StageRecord(BaseModel):
    """What a finished stage was made from and what it made."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    finished: str  # UTC, ISO 8601
    seconds: float
    outputs: dict[str, OutputRecord]


class State(BaseModel):
    """``state.json``."""

    model_config = ConfigDict(frozen=True)

    format: int = 1
    stages: dict[str, StageRecord] = {}


class Workspace:
    """A run's folder, held by this process while it is open.

    Attributes:
        root: the folder.
        lock_descriptor: the open file that the lock belongs to; a child that inherits it holds the folder too.
        shared: whether others hold it as well, so that no stage can be done.
        after_stage: called when a stage was done and recorded.
    """

    def __init__(self, root: Path, lock: int, *, shared: bool = False) -> None:
        self.root = root
        self.lock_descriptor = lock
        self.shared = shared
        self.after_stage: Callable[[], None] = lambda: None
        self._state = _read_state(root)

    def read_again(self) -> None:
        """Take up a record of finished stages that was put into the folder since."""
        self._state = _read_state(self.root)

    def path(self, *parts: str) -> Path:
        """A path below the run's folder."""
        return self.root.joinpath(*parts)

    def is_done(self, stage: str, fingerprint: str) -> bool:
        """Whether a stage was finished from the same inputs and its outputs are untouched."""
        record = self._state.stages.get(stage)
        return record is not None and record.fingerprint == fingerprint and self._untouched(record)

    def _untouched(self, record: StageRecord) -> bool:
        for name, output in record.outputs.items():
            try:
                status = self.path(name).stat()
            except FileNotFoundError:
                return False
            if status.st_size != output.size or status.st_mtime_ns != output.mtime_ns:
                return False
        return True

    def digest(self, stage: str) -> dict[str, str]:
        """sha256 of each output of a finished stage, for the fingerprints of the stages that read them."""
        return {name: output.sha256 for name, output in self._state.stages[stage].outputs.items()}

    def run_stage(
        self,
        stage: str,
        inputs: Mapping[str, Any],
        outputs: Sequence[Path],
        action: Callable[[], None],
    ) -> bool:
        """Do ``action`` unless the stage is done; record it once all ``outputs`` stand.

        Args:
            stage: name in ``state.json``.
            inputs: everything the outputs depend on, JSON-able.
            outputs: files that ``action`` writes.
            action: the work.

        Returns:
            Whether the work was done now.
        """
        fingerprint = fingerprint_of(inputs)
        if self.is_done(stage, fingerprint):
            return False
        if self.shared:
            raise WorkspaceError(
                f"the step {stage!r} would have to be done anew, while others work with what it made",
                where=str(self.root),
                remedy="wait until they have ended, undo what was changed (study, photos), or give another folder "
                "with --out",
            )
        began = datetime.now(UTC)
        action()
        ended = datetime.now(UTC)
        record = StageRecord(
            fingerprint=fingerprint,
            finished=ended.isoformat(timespec="seconds"),
            seconds=round((ended - began).total_seconds(), 3),
            outputs={path.relative_to(self.root).as_posix(): _record(path) for path in outputs},
        )
        self._state = self._state.model_copy(update={"stages": {**self._state.stages, stage: record}})
        atomic_write(self.path(STATE_FILE), self._state.model_dump_json(indent=1))
        self.after_stage()
        return True

    def forget(self, stages: Iterable[str]) -> None:
        """Drop records of stages that the study no longer has."""
        gone = set(stages) & set(self._state.stages)
        if gone:
            kept = {name: record for name, record in self._state.stages.items() if name not in gone}
            self._state = self._state.model_copy(update={"stages": kept})
            atomic_write(self.path(STATE_FILE), self._state.model_dump_json(indent=1))

    def share(self) -> None:
        """Let others hold the folder too from now on.

        Raises:
            WorkspaceError: another run came in between and did a stage.
        """
        if self.shared:
            return
        fcntl.flock(self.lock_descriptor, fcntl.LOCK_SH)  # lets go for a moment, and waits for who came in then
        self.shared = True
        _sign(self.lock_descriptor)
        if _read_state(self.root) != self._state:
            raise WorkspaceError(
                "another run changed this folder meanwhile",
                where=str(self.root),
                remedy="run the same command again",
            )

    @property
    def stages(self) -> Mapping[str, StageRecord]:
        """Records of the finished stages."""
        return self._state.stages


@contextmanager
def open_workspace(root: Path, *, beside: Callable[[str], None] | None = None) -> Iterator[Workspace]:
    """Make or open a run's folder and hold it until the end of the block.

    The lock belongs to the open file, so it ends with the last process that holds it (a training child inherits it)
    and never goes stale.

    Args:
        root: the folder.
        beside: hold it together with others if others share it; while one holds it alone, say so with this, and wait.
            None: alone or not at all.

    Raises:
        WorkspaceError: another run holds it, it cannot be written to, or its state cannot be read.
    """
    made = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        _refuse_strangers(root)
        descriptor = os.open(root / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WorkspaceError(
            f"the run's folder cannot be written to ({error.strerror})",
            where=str(root),
            remedy="choose another folder with --out, or mend its permissions",
        ) from error
    try:
        shared = _hold(descriptor, root, beside)
        for part in () if shared else root.glob(f"**/*{PART_SUFFIX}"):
            part.unlink(missing_ok=True)  # left by a process that was killed while writing
        workspace = Workspace(root, descriptor, shared=shared)
        try:
            yield workspace
        finally:
            if made and not workspace.stages:
                _remove_empty_run(root)
    finally:
        os.close(descriptor)


def _remove_empty_run(root: Path) -> None:
    """Take away a folder that was made for a run in which no stage came to its end, unless it holds something."""
    if {entry.name for entry in root.iterdir()} <= {LOCK_FILE, STATE_FILE}:
        for name in (STATE_FILE, LOCK_FILE):
            (root / name).unlink(missing_ok=True)
        root.rmdir()


def _refuse_strangers(root: Path) -> None:
    """A folder with anything in it that is not a run is somebody's; it is not written into."""
    names = sorted(entry.name for entry in root.iterdir())
    strangers = [name for name in names if name != LOCK_FILE and not name.endswith(PART_SUFFIX)]
    if strangers and STATE_FILE not in names:
        raise WorkspaceError(
            f"the folder is not empty and is not a run (it holds {strangers[0]!r})",
            where=str(root),
            remedy="choose an empty or new folder with --out",
        )


def _hold(descriptor: int, root: Path, beside: Callable[[str], None] | None) -> bool:
    """Lock the folder; whether others share it."""
    kinds = [fcntl.LOCK_EX] if beside is None else [fcntl.LOCK_EX, fcntl.LOCK_SH]
    said = False
    while True:
        for kind in kinds:
            if _locked(descriptor, kind):
                _sign(descriptor)
                return kind == fcntl.LOCK_SH
        holder = os.pread(descriptor, 500, 0).decode(errors="replace").strip() or "another process"
        if beside is None:
            raise WorkspaceError(
                f"another run holds this folder: {holder}",
                where=str(root),
                remedy="wait until it ends, or give this run another folder with --out",
            )
        if not said:
            beside(f"waiting: another run holds {root}: {holder}")
            said = True
        time.sleep(WAIT_SECONDS)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            raise
        return False
    return True


def _sign(descriptor: int) -> None:
    """Write into the lock file who holds it, for those who come later."""
    os.set_inheritable(descriptor, False)
    os.ftruncate(descriptor, 0)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode(), 0)


def _read_state(root: Path) -> State:
    path = root / STATE_FILE
    if not path.exists():
        atomic_write(path, State().model_dump_json(indent=1))
    try:
        return State.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise WorkspaceError(
            "the record of finished stages cannot be read",
            where=str(path),
            remedy="choose a new folder with --out, or remove this file to do all stages again",
        ) from error


def _record(path: Path) -> OutputRecord:
    status = path.stat()
    return OutputRecord(sha256=sha256_of(path), size=status.st_size, mtime_ns=status.st_mtime_ns)


def fingerprint_of(inputs: Mapping[str, Any]) -> str:
    """sha256 over the canonical JSON of ``inputs``."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
