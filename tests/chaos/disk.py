"""Disks that take no more, for tests: a small one that is mounted, and steps of a write that fail."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def told(code: int, said: str) -> None:
    """See that a command ended in our own words."""
    assert code in (1, 2), said
    assert "\nerror: " in f"\n{said}", said
    assert "what to do: " in said, said
    assert "Traceback" not in said, said


def on_a_small_disk(program: Path, room: Path, *arguments: object) -> Any:
    """What a program of this folder found on a small disk of its own; the test is skipped where none can be mounted."""
    room.mkdir(exist_ok=True)
    probe = ["unshare", "-rm", "sh", "-c", f"mount -t tmpfs none '{room}'"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True).returncode != 0:
        pytest.skip("a user namespace in which a tmpfs can be mounted is not to be had here")
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, str(program), str(room), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


class Steps:
    """The steps of writes below a folder, of which one fails as on a full disk: writing, syncing, renaming, a folder.

    Attributes:
        failed: names of the steps that failed so far.
    """

    def __init__(self, below: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failed: list[str] = []
        self._below, self._left = str(below), 0
        for module, name in ((Path, "write_bytes"), (os, "fsync"), (Path, "replace"), (Path, "mkdir")):
            monkeypatch.setattr(module, name, self._failing(getattr(module, name), name))

    def fail_after(self, steps: int) -> None:
        """Let the ``steps``-th step from now on fail; 0: none."""
        self._left = steps

    def _failing(self, real: Any, name: str) -> Any:
        def step(*arguments: Any, **keywords: Any) -> Any:
            if self._below in str(arguments[0]) or isinstance(arguments[0], int):
                self._left -= 1
                if self._left == 0:
                    self.failed.append(name)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **keywords)

        return step
