"""A run's folder: who holds it, which stages are done, and what their outputs were.

A stage is done when ``state.json`` has a record with its present fingerprint (settings, versions, input files) and
every output still has the size and time it had when the stage ended. Outputs are known by their sha256, so that a
stage whose inputs came out the same is not run again. Where the process that held the folder last did not end by
itself (it was killed, or the power failed), the bytes of all outputs are compared with that sha256 once, because a disk
that lost power can keep a file's size and time without its bytes. ``state.json`` itself is kept twice.

A folder is held by one process alone, or by several together (the processes of a search): those may read what its
stages made and write into folders of their own, but do no stage.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from wreckognize.errors import WorkspaceError
from wreckognize.files import PART_SUFFIX, atomic_write, sha256_of, sync, writing
from wreckognize.processes import Signature, this_process

STATE_FILE = "state.json"
STATE_COPY = "state.copy.json"
LOCK_FILE = ".lock"
WAIT_SECONDS = 0.5
ORPHAN_SECONDS = 15.0
"""How long to wait for what a killed run left behind: its training ends by itself as soon as it sees that."""

_ENDED = "ended by itself, "


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
        notes: what was found wrong with the folder when it was opened, in words.
    """

    def __init__(self, root: Path, lock: int, *, shared: bool = False, doubted: bool = False) -> None:
        self.root = root
        self.lock_descriptor = lock
        self.shared = shared
        self._state, self.notes = _read_state(root)
        self._spoilt: set[str] = set()
        if doubted:
            self._compare_bytes()

    def path(self, *parts: str) -> Path:
        """A path below the run's folder."""
        return self.root.joinpath(*parts)

    def is_done(self, stage: str, fingerprint: str) -> bool:
        """Whether a stage was finished from the same inputs and its outputs are untouched."""
        record = self._state.stages.get(stage)
        return record is not None and record.fingerprint == fingerprint and self.is_intact(stage)

    def is_intact(self, stage: str) -> bool:
        """Whether a stage was finished, whatever from, and its outputs are untouched."""
        record = self._state.stages.get(stage)
        return record is not None and stage not in self._spoilt and self._untouched(record)

    def _compare_bytes(self) -> None:
        """Find the stages whose outputs are not what was written, though size and time may say so."""
        for stage, record in self._state.stages.items():
            for name, output in record.outputs.items():
                path = self.path(name)
                if path.exists() and sha256_of(path) != output.sha256:
                    self._spoilt.add(stage)
                    self.notes = (*self.notes, f"{name} is not as it was written; its step will be done again")

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
        action: Callable[[], Iterable[Path] | None],
    ) -> bool:
        """Do ``action`` unless the stage is done; record it once all ``outputs`` stand.

        Args:
            stage: name in ``state.json``.
            inputs: everything the outputs depend on, JSON-able.
            outputs: files that ``action`` writes.
            action: the work; what it returns are further outputs, whose names are not known before.

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
        further = action() or ()
        ended = datetime.now(UTC)
        record = StageRecord(
            fingerprint=fingerprint,
            finished=ended.isoformat(timespec="seconds"),
            seconds=round((ended - began).total_seconds(), 3),
            outputs={path.relative_to(self.root).as_posix(): _record(path) for path in (*outputs, *further)},
        )
        self._keep({**self._state.stages, stage: record})
        self._spoilt.discard(stage)
        return True

    def forget(self, stages: Iterable[str]) -> None:
        """Drop records of stages that the study no longer has."""
        gone = set(stages) & set(self._state.stages)
        if gone:
            self._keep({name: record for name, record in self._state.stages.items() if name not in gone})

    def _keep(self, stages: Mapping[str, StageRecord]) -> None:
        self._state = self._state.model_copy(update={"stages": dict(stages)})
        _write_state(self.root, self._state)

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
        if _read_state(self.root)[0] != self._state:
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
    and never goes stale, whatever the lock file says. Where the run that signed it is gone, and only what it started
    still holds it, that is waited for.

    Args:
        root: the folder.
        beside: hold it together with others if others share it; while one holds it alone, say so with this, and wait.
            None: alone or not at all.

    Raises:
        WorkspaceError: another run holds it, it cannot be written to, or its state cannot be read.
        WriteError: within the block, a disk took no more.
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
        with writing(root):
            shared, before = _hold(descriptor, root, beside)
            if not shared:
                _clear_parts(root)
            doubted = not shared and Signature.read(before) is not None
            workspace = Workspace(root, descriptor, shared=shared, doubted=doubted)
            try:
                yield workspace
            finally:
                if not workspace.shared:
                    with suppress(OSError):  # a full disk; the next run then reads the outputs again, no more
                        _sign(descriptor, _ENDED)
                if made and not workspace.stages:
                    _remove_empty_run(root)
    finally:
        os.close(descriptor)


def _clear_parts(root: Path) -> None:
    """Take away what a process that was killed while writing left behind."""
    for part in root.glob(f"**/*{PART_SUFFIX}"):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def _remove_empty_run(root: Path) -> None:
    """Take away a folder that was made for a run in which no stage came to its end, unless it holds something."""
    if {entry.name for entry in root.iterdir()} <= {LOCK_FILE, STATE_FILE, STATE_COPY}:
        for name in (STATE_FILE, STATE_COPY, LOCK_FILE):
            (root / name).unlink(missing_ok=True)
        root.rmdir()


def _refuse_strangers(root: Path) -> None:
    """A folder with anything in it that is not a run is somebody's; it is not written into."""
    names = sorted(entry.name for entry in root.iterdir())
    strangers = [name for name in names if name != LOCK_FILE and not name.endswith(PART_SUFFIX)]
    if strangers and not {STATE_FILE, STATE_COPY} & set(names) and not _signed(root / LOCK_FILE):
        raise WorkspaceError(
            f"the folder is not empty and is not a run (it holds {strangers[0]!r})",
            where=str(root),
            remedy="choose an empty or new folder with --out",
        )


def _signed(lock: Path) -> bool:
    """Whether a lock file is one of ours: a run whose state was removed is still a run."""
    if not lock.is_file():
        return False
    return Signature.read(lock.read_text(encoding="utf-8", errors="replace").removeprefix(_ENDED)) is not None


def _hold(descriptor: int, root: Path, beside: Callable[[str], None] | None) -> tuple[bool, str]:
    """Lock the folder; whether others share it, and what the lock file said before."""
    kinds = [fcntl.LOCK_EX] if beside is None else [fcntl.LOCK_EX, fcntl.LOCK_SH]
    said = False
    patience = time.monotonic() + ORPHAN_SECONDS
    while True:
        for kind in kinds:
            if _locked(descriptor, kind):
                before = _text_of(descriptor)
                _sign(descriptor)
                return kind == fcntl.LOCK_SH, before
        holder = _text_of(descriptor)
        signature = Signature.read(holder)
        left_behind = signature is not None and signature.gone()
        if beside is None and not (left_behind and time.monotonic() < patience):
            raise WorkspaceError(
                f"another run holds this folder: {holder or 'another process'}"
                + (", which is gone; a process that it started still runs" if left_behind else ""),
                where=str(root),
                remedy="wait until it ends, or give this run another folder with --out",
            )
        if beside is not None and not said:
            beside(f"waiting: another run holds {root}: {holder or 'another process'}")
            said = True
        time.sleep(WAIT_SECONDS)


def _text_of(descriptor: int) -> str:
    return os.pread(descriptor, 500, 0).decode(errors="replace").strip()


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            raise
        return False
    return True


def _sign(descriptor: int, mark: str = "") -> None:
    """Write into the lock file who holds it, for those who come later; with a mark, that it ended by itself."""
    os.set_inheritable(descriptor, False)
    text = f"{mark}{this_process()}\n".encode()
    os.pwrite(descriptor, text, 0)  # before the rest is cut off: a full disk lets a block be written over
    os.ftruncate(descriptor, len(text))


def _write_state(root: Path, state: State) -> None:
    text = state.model_dump_json(indent=1)
    for name in (STATE_FILE, STATE_COPY):
        atomic_write(root / name, text)


def _read_state(root: Path) -> tuple[State, tuple[str, ...]]:
    """The record of finished stages, and what was wrong with it; its copy where it is torn or gone."""
    files = [root / name for name in (STATE_FILE, STATE_COPY)]
    if not any(file.exists() for file in files):
        _write_state(root, State())
    for file in files:
        with suppress(FileNotFoundError, ValidationError):  # then its copy is read
            state = State.model_validate_json(file.read_bytes())
            if file is files[0]:
                return state, ()
            _write_state(root, state)
            return state, (f"{STATE_FILE} was torn or gone; its copy says which steps are finished",)
    raise WorkspaceError(
        "the record of finished stages cannot be read, nor can its copy",
        where=str(files[0]),
        remedy=f"put one of them back, or remove {STATE_FILE} and {STATE_COPY}: then all stages are done again",
    )


def _record(path: Path) -> OutputRecord:
    sync(path)  # a library may have written it, and a record must not outlast what it speaks of
    status = path.stat()
    return OutputRecord(sha256=sha256_of(path), size=status.st_size, mtime_ns=status.st_mtime_ns)


def fingerprint_of(inputs: Mapping[str, Any]) -> str:
    """sha256 over the canonical JSON of ``inputs``."""
    text = json.dumps(inputs, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
