"""Files of a run's folder against the hashes that were recorded when they were written."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from wreckognize.errors import WorkspaceError
from wreckognize.files import sha256_of
from wreckognize.progress import Progress
from wreckognize.stages.checks import NAMED, Check
from wreckognize.stages.records import RECORD_FILE, files_below, read_record
from wreckognize.stages.search_results import PUBLISH_LOCK
from wreckognize.state import STATE_COPY, STATE_FILE, OutputRecord, State
from wreckognize.workspace import Workspace


def check_files(workspace: Workspace, progress: Progress) -> Iterator[Check]:
    """The record of stages, all that it names, and all that searches and exports recorded themselves."""
    state = workspace.state
    if state.seal:
        same = state.seal == state.digest and _is_written_as(workspace.path(STATE_FILE), state)
        yield Check(
            "the record of stages (state.json)",
            "holds" if same else "differs",
            () if same else (f"{STATE_FILE}: its content is not what its seal was made for",),
        )
    else:
        yield Check(
            "the record of stages (state.json)",
            "not checked",
            ("written by an earlier version, without a seal; the next run seals it",),
        )
    if not _is_copied(workspace):
        yield Check(
            f"the copy of the record of stages ({STATE_COPY})",
            "differs",
            (f"{STATE_COPY}: it is not a whole copy of {STATE_FILE}; the next run writes it anew",),
        )
    named: dict[str, OutputRecord] = dict(state.others)
    for record in state.stages.values():
        named |= record.outputs
    found: list[str] = []
    with progress.task("files against their hashes", len(named), "files") as task:
        for name, output in sorted(named.items()):
            found += _file(workspace.path(name), name, output.sha256)
            task.advance()
    yield Check(
        f"files against their recorded sha256: {len(named):,}", "differs" if found else "holds", tuple(found)
    )
    unknown = sorted(set(workspace.unnamed()) - set(named))
    if unknown:
        yield Check(f"files that the run did not record: {len(unknown):,}", "not checked", (_listed(unknown),))
    yield from _recorded_apart(workspace.root)


def _is_copied(workspace: Workspace) -> bool:
    """Whether the copy of the record, where there is one, is whole; it may be a step behind if the run was killed."""
    copy = workspace.path(STATE_COPY)
    if not copy.is_file():
        return True  # of an earlier version
    try:
        state = State.model_validate_json(copy.read_bytes())
    except ValidationError:
        return False
    return state.seal in ("", state.digest) and _is_written_as(copy, state)


def _is_written_as(file: Path, state: State) -> bool:
    """Whether a record is spelt as this package spells it: a seal is over what is said, not over how."""
    return file.read_bytes() == state.text.encode()


def _file(path: Path, name: str, recorded: str) -> list[str]:
    try:
        sha256 = sha256_of(path)
    except FileNotFoundError:
        return [f"{name}: gone"]
    except OSError as error:
        return [f"{name}: cannot be read ({error.strerror})"]
    return [] if sha256 == recorded else [f"{name}: its bytes are not those that were recorded"]


def _recorded_apart(root: Path) -> Iterator[Check]:
    """What searches and exports for review recorded, and what they hold that is meant to change."""
    search = root / "search"
    places = [(file, search) for file in sorted(search.glob(f"*/{RECORD_FILE}"))]
    places += [(file, file.parent) for file in sorted((root / "review").glob(f"*/{RECORD_FILE}"))]
    if _is_publishing(search):
        yield Check("the results of the search", "not checked", ("a search is writing them at this moment",))
        return
    known: set[Path] = set()
    for file, base in places:
        what = f"what {file.parent.relative_to(root).as_posix()} recorded"
        try:
            hashes = read_record(file)
        except WorkspaceError as error:
            yield Check(what, "differs", (f"{file.relative_to(root).as_posix()}: {error.what}",))
            continue
        found = [
            sentence
            for name, sha256 in hashes.items()
            for sentence in _file(base / name, (base / name).relative_to(root).as_posix(), sha256)
        ]
        known |= {file, *(base / name for name in hashes)}
        yield Check(f"{what}: {len(hashes):,} files", "differs" if found else "holds", tuple(found))
    rest = [path for folder in (search, root / "review") for path in files_below(folder) if path not in known]
    if rest:
        reasons: dict[str, list[str]] = {}
        for path in rest:
            name = path.relative_to(root).as_posix()
            reasons.setdefault(_why_open(name), []).append(name)
        yield Check(
            f"files of searches and reviews that nothing vouches for: {len(rest):,}",
            "not checked",
            tuple(f"{_listed(names)}: {why}" for why, names in sorted(reasons.items())),
        )


def _why_open(name: str) -> str:
    """Why nothing vouches for a file below ``search/`` or ``review/``."""
    if name.startswith("review/"):
        return "boxes and answers, which people are meant to change; or added by somebody"
    if "/trials/" in name:
        return "of a trial that has not ended, or added by somebody"
    return "the trials for Optuna and locks, which change with every trial; or added by somebody"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _is_publishing(search: Path) -> bool:
    """Whether a process is writing a search's results now; nothing is made to find out."""
    with suppress(FileNotFoundError):
        descriptor = os.open(search / PUBLISH_LOCK, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
