"""A run's folder: who holds it, which stages are done, and what their outputs were.

A stage is done when ``state.json`` has a record with its present fingerprint (settings, versions, input files) and
every output still has the size and time it had when the stage ended. Outputs are known by their sha256, so that a
stage whose inputs came out the same is not run again. Where the process that held the folder last did not end by
itself (it was killed, or the power failed), the bytes of all outputs are compared with that sha256 once, because a disk
that lost power can keep a file's size and time without its bytes.

A folder is held by one process alone, or by several together (the processes of a search): those may read what its
stages made and write into folders of their own, but do no stage.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wreckognize.errors import WorkspaceError
from wreckognize.files import PART_SUFFIX, sha256_of, writing
from wreckognize.holding import LOCK_FILE, hold, holder_of, is_locked, is_signed, sign
from wreckognize.scale.published import REMEMBERED
from wreckognize.state import (
    STATE_COPY,
    STATE_FILE,
    OutputRecord,
    StageRecord,
    State,
    fingerprint_of,
    has_state,
    read_state,
)

UNSEALED = (
    "search/",
    "review/",
    REMEMBERED,
)  # by commands that do not hold it alone; after the seal


class Workspace:
    """A run's folder, held by this process while it is open.

    Attributes:
        root: the folder.
        lock_descriptor: the open file that the lock belongs to; a child that inherits it holds the folder too.
        shared: whether others hold it as well, so that no stage can be done.
        notes: what was found wrong with the folder when it was opened, in words.
        after_stage: called when a stage was done and recorded.
    """

    def __init__(self, root: Path, lock: int, state: State, *, shared: bool, notes: Sequence[str] = ()) -> None:
        self.root = root
        self.lock_descriptor = lock
        self.shared = shared
        self.notes = tuple(notes)
        self.after_stage: Callable[[], None] = lambda: None
        self._state = state
        self._spoilt: set[str] = set()

    def read_again(self) -> None:
        """Take up a record of finished stages that was put into the folder since."""
        self._state, notes = read_state(self.root, mend=not self.shared)
        self.notes = (*self.notes, *notes)

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

    def compare_bytes(self) -> None:
        """Find the stages whose outputs are not what was written, though size and time may say so."""
        for stage, record in self._state.stages.items():
            for name, output in record.outputs.items():
                path = self.path(name)
                if path.exists() and sha256_of(path) != output.sha256:
                    self._spoilt.add(stage)
                    self.notes = (*self.notes, f"{name} is not as it was written; its step will be done again")

    def _untouched(self, record: StageRecord) -> bool:
        return all(output.fits(self.path(name)) for name, output in record.outputs.items())

    def digest(self, stage: str) -> dict[str, str]:
        """sha256 of each output of a finished stage, for the fingerprints of the stages that read them."""
        return {name: output.sha256 for name, output in self._state.stages[stage].outputs.items()}

    def run_stage(
        self,
        stage: str,
        inputs: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
        outputs: Sequence[Path],
        action: Callable[[], Iterable[Path] | None],
        still: Callable[[], bool] | None = None,
    ) -> bool:
        """Do ``action`` unless the stage is done; record it once all ``outputs`` stand.

        Args:
            stage: name in ``state.json``.
            inputs: everything the outputs depend on, JSON-able; or a function that tells it, which is asked after the
                work where the stage was never done and there is nothing to compare with.
            outputs: files that ``action`` writes.
            action: the work; what it returns are further outputs, whose names are not known before.
            still: whether what the outputs depend on besides is as it was; asked only where the stage is done else.

        Returns:
            Whether the work was done now.
        """
        asked = inputs if callable(inputs) else lambda: inputs
        fingerprint = fingerprint_of(asked()) if stage in self.stages else None
        if fingerprint and self.is_done(stage, fingerprint) and (still is None or still()):
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
            fingerprint=fingerprint or fingerprint_of(asked()),
            finished=ended.isoformat(timespec="seconds"),
            seconds=round((ended - began).total_seconds(), 3),
            outputs={
                path.relative_to(self.root).as_posix(): OutputRecord.of(path) for path in (*outputs, *further)
            },
        )
        self._keep(stages={**self._state.stages, stage: record})
        self._spoilt.discard(stage)
        self.after_stage()
        return True

    def _keep(self, **changes: Any) -> None:
        self._state = self._state.model_copy(update=changes).sealed()
        self._state.write(self.root)

    def seal(self, only: Sequence[str] | None = None) -> None:
        """Record the files that no stage names, so that `wreckognize verify` can tell a changed one.

        A file that has the size and time it had when it was last recorded is not read again.

        Args:
            only: read no others, and leave what is recorded of them.
        """
        known = self._state.others
        others: dict[str, OutputRecord] = {} if only is None else dict(known)
        for name in self.unnamed() if only is None else only:
            path, before = self.path(name), known.get(name)
            others[name] = before if before is not None and before.fits(path) else OutputRecord.of(path)
        if others != known:
            self._keep(others=others)

    def unnamed(self) -> list[str]:
        """The regular files of this folder that are no stage's output, sorted.

        Without the lock, the record of stages itself and its copy, files that are still being written, and `UNSEALED`.
        """
        named = {name for record in self._state.stages.values() for name in record.outputs}
        found = (path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink())
        names = (path.relative_to(self.root).as_posix() for path in found if path.suffix != PART_SUFFIX)
        skipped = {*named, LOCK_FILE, STATE_FILE, STATE_COPY}
        return sorted(name for name in names if name not in skipped and not name.startswith(UNSEALED))

    def forget(self, stages: Iterable[str]) -> None:
        """Drop records of stages that the study no longer has."""
        gone = set(stages) & set(self._state.stages)
        if gone:
            self._keep(stages={name: record for name, record in self._state.stages.items() if name not in gone})

    def share(self) -> None:
        """Let others hold the folder too from now on.

        Raises:
            WorkspaceError: another run came in between and did a stage.
        """
        if self.shared:
            return
        fcntl.flock(self.lock_descriptor, fcntl.LOCK_SH)  # lets go for a moment, and waits for who came in then
        self.shared = True
        sign(self.lock_descriptor)
        if read_state(self.root, mend=False)[0] != self._state:
            raise WorkspaceError(
                "another run changed this folder meanwhile",
                where=str(self.root),
                remedy="run the same command again",
            )

    @property
    def state(self) -> State:
        """The record as a whole."""
        return self._state

    @property
    def stages(self) -> Mapping[str, StageRecord]:
        """Records of the finished stages."""
        return self._state.stages


@contextmanager
def open_workspace(root: Path, *, beside: Callable[[str], None] | None = None) -> Iterator[Workspace]:
    """Make or open a run's folder and hold it until the end of the block.

    A training child inherits the lock. Where the run that signed it is gone, and only what it started still holds it,
    that is waited for.

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
            shared, killed = hold(descriptor, root, beside)
            if not shared:
                _clear_parts(root)
            state, notes = read_state(root, mend=not shared)
            workspace = Workspace(root, descriptor, state, shared=shared, notes=notes)
            if killed and not shared:
                workspace.compare_bytes()
            try:
                yield workspace
            finally:
                if not workspace.shared:
                    with suppress(OSError):  # a full disk; the next run then reads the outputs again, no more
                        sign(descriptor, ended=True)
                if made and not workspace.stages:
                    _remove_empty_run(root)
    finally:
        os.close(descriptor)


@contextmanager
def reading_workspace(root: Path) -> Iterator[Workspace]:
    """A run's folder, only to be read; nothing in it is made, changed or removed.

    Raises:
        WorkspaceError: it is no run, a run is at work in it, or its state cannot be read.
    """
    if not (root / STATE_FILE).is_file():
        raise WorkspaceError("not a run's folder", where=str(root), remedy="name one, e.g. runs/STUDY")
    try:
        descriptor = os.open(root / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:  # a copy without its lock file: nobody works in it
        yield Workspace(root, -1, read_state(root, mend=False)[0], shared=True)
        return
    except OSError as error:
        raise WorkspaceError(
            f"cannot be read ({error.strerror})", where=str(root / LOCK_FILE), remedy="check its permissions"
        ) from error
    try:
        if not is_locked(descriptor, fcntl.LOCK_SH):
            raise WorkspaceError(
                f"a run is at work in this folder: {holder_of(descriptor)}",
                where=str(root),
                remedy="wait until it ends",
            )
        yield Workspace(root, descriptor, read_state(root, mend=False)[0], shared=True)
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
    if strangers and not has_state(root) and not is_signed(root / LOCK_FILE):
        raise WorkspaceError(
            f"the folder is not empty and is not a run (it holds {strangers[0]!r})",
            where=str(root),
            remedy="choose an empty or new folder with --out",
        )
