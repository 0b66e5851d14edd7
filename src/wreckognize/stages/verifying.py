"""Whether a finished run still says what it said: every file as it was recorded, every figure derived anew.

Nothing is written. Files are compared in `verified_files`; figures are derived in `verified_figures` from the stored
predictions, the locked test set and its truth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from wreckognize.errors import WreckognizeError
from wreckognize.files import sha256_of
from wreckognize.progress import Progress, Silent
from wreckognize.stages.checks import Check
from wreckognize.stages.verified_figures import derivations
from wreckognize.stages.verified_files import check_files
from wreckognize.state import STATE_FILE
from wreckognize.workspace import reading_workspace

NOT_COVERED = (
    ".lock and .published.json: who held the folder last, and what a place in object storage was last given",
    "whatever stands above under files that nothing vouches for",
)
"""What `verify` says nothing about, and why."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found.

    Attributes:
        checks: in the order of the work.
        digest: sha256 of ``state.json``, which names the sha256 of everything else: note it elsewhere, and nobody can
            change unseen what it names.
    """

    checks: tuple[Check, ...]
    digest: str

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return all(check.outcome != "differs" for check in self.checks)


def verify(folder: Path, *, photos: bool = True, progress: Progress | None = None) -> Verification:
    """Check a run's files against their recorded hashes, and derive every figure of its report anew.

    Args:
        folder: the run's.
        photos: read the sources' photos too, as far as they are still there.
        progress: where to report; default nowhere.

    Raises:
        WorkspaceError: it is no run, or one is at work in it.
    """
    listener = progress or Silent()
    with reading_workspace(folder.absolute()) as workspace:
        checks = [*check_files(workspace, listener)]
        for what, derive in derivations(workspace, listener, photos=photos):
            checks.append(_checked(what, derive))
        return Verification(tuple(checks), sha256_of(workspace.path(STATE_FILE)))


def _checked(what: str, derive: Callable[[], Check | Sequence[str]]) -> Check:
    """Run one derivation; what it raises is the finding, because a spoilt file can break it anywhere."""
    try:
        found = derive()
    except (Exception, pl.exceptions.PanicException) as error:
        said = error.what if isinstance(error, WreckognizeError) else f"{type(error).__name__}: {error}"
        return Check(what, "differs", (f"cannot be derived: {said}",))
    if isinstance(found, Check):
        return found
    return Check(what, "differs" if found else "holds", tuple(found))
