"""Who holds a run's folder: a lock that belongs to an open file, and the file that says in words whose it is.

The lock ends with the last process that has the file open, so it never goes stale, whatever the file says: the name of
a process that was killed, of one on another machine, or of one whose number belongs to another process by now.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from wreckognize.errors import WorkspaceError
from wreckognize.processes import Signature, this_process

LOCK_FILE = ".lock"
WAIT_SECONDS = 0.5
ORPHAN_SECONDS = 15.0
"""How long to wait for what a killed run left behind: its training ends by itself as soon as it sees that."""

_ENDED = "ended by itself: "


def hold(descriptor: int, root: Path, beside: Callable[[str], None] | None) -> tuple[bool, bool]:
    """Lock the folder, and write into the lock file whose it is.

    Args:
        descriptor: of its open lock file.
        root: the folder.
        beside: as `wreckognize.workspace.open_workspace`.

    Returns:
        Whether others share it; whether the process that signed before did not end by itself.

    Raises:
        WorkspaceError: another run holds it.
    """
    kinds = [fcntl.LOCK_EX] if beside is None else [fcntl.LOCK_EX, fcntl.LOCK_SH]
    said = False
    patience = time.monotonic() + ORPHAN_SECONDS
    while True:
        for kind in kinds:
            if is_locked(descriptor, kind):
                killed = Signature.read(_text_of(descriptor)) is not None
                sign(descriptor)
                return kind == fcntl.LOCK_SH, killed
        signature = Signature.read(_text_of(descriptor))
        left_behind = signature is not None and signature.gone()
        if beside is None and not (left_behind and time.monotonic() < patience):
            raise WorkspaceError(
                f"another run holds this folder: {holder_of(descriptor)}"
                + (", which is gone; a process that it started still runs" if left_behind else ""),
                where=str(root),
                remedy="wait until it ends, or give this run another folder with --out",
            )
        if beside is not None and not said:
            beside(f"waiting: another run holds {root}: {holder_of(descriptor)}")
            said = True
        time.sleep(WAIT_SECONDS)


def is_locked(descriptor: int, kind: int) -> bool:
    """Lock an open file (``fcntl.LOCK_EX`` or ``LOCK_SH``) if nobody stands in the way; whether that was so."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            raise
        return False
    return True


def holder_of(descriptor: int) -> str:
    """Who holds the folder, as the lock file says."""
    return _text_of(descriptor) or "another process"


def is_signed(lock: Path) -> bool:
    """Whether a lock file is one of ours."""
    if not lock.is_file():
        return False
    text = lock.read_text(encoding="utf-8", errors="replace")
    return Signature.read(text.removeprefix(_ENDED)) is not None


def sign(descriptor: int, *, ended: bool = False) -> None:
    """Write into the lock file who holds it, for those who come later, or that this one ended by itself."""
    os.set_inheritable(descriptor, False)
    text = f"{_ENDED if ended else ''}{this_process()}\n".encode()
    os.pwrite(descriptor, text, 0)  # before the rest is cut off: a full disk lets a block be written over
    os.ftruncate(descriptor, len(text))


def _text_of(descriptor: int) -> str:
    return os.pread(descriptor, 500, 0).decode(errors="replace").strip()
