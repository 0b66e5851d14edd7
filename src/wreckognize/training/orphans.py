"""No process of a training outlives the one that started it, whichever of them is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_POLL_SECONDS = 0.2


def end_with_parent(parent: int) -> None:
    """End this process, and its process group if it leads one, as soon as ``parent`` is no longer its parent.

    On Linux the kernel ends it at once; a thread that looks every now and then does it elsewhere, and ends the group.
    To be called before anything that takes time, by a process that is about to work.
    """
    die_with_parent(parent)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        _end()

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; end now if ``parent`` is gone. Linux; else nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was told
        _end()


def _end() -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """What a data loader's worker does first: it binds its life to the process that loads, then draws its seeds."""

    parent: int

    def __call__(self, worker: int) -> None:
        """Begin worker number ``worker``."""
        from ultralytics.data.build import seed_worker

        if os.getppid() == self.parent:  # else a fork server stands between, which ends with the parent by itself
            die_with_parent(self.parent)
        seed_worker(worker)
