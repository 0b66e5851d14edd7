"""Two runs in one folder, and locks that only look as if somebody held the folder."""

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from chaos.subject import finish, start

from wreckognize import holding
from wreckognize.errors import WorkspaceError
from wreckognize.workspace import open_workspace


@pytest.mark.slow
def test_of_two_runs_in_one_folder_the_second_says_who_holds_it(subject, tmp_path):
    out = tmp_path / "run"
    first = start(subject.study, out, log=tmp_path / "first.log")
    try:
        until = time.monotonic() + 60
        while not (out / "state.json").exists() and time.monotonic() < until:
            time.sleep(0.01)
        os.killpg(first.pid, signal.SIGSTOP)  # at work for as long as this test takes
        second = finish(subject.study, out)
        assert second.returncode == 2
        assert f"another run holds this folder: process {first.pid} on {socket.gethostname()}" in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(20)


def _gone() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(20)
    return ended.pid


@pytest.mark.parametrize(
    "text",
    [
        "process {gone} on {host} since 2026-01-01T00:00:00+00:00",  # killed
        "process {gone} on {host} (started at tick 7) since 2026-01-01T00:00:00+00:00",
        "process {own} on {host} (started at tick 7) since 2026-01-01T00:00:00+00:00",  # its number is another's now
        "process {own} on elsewhere since 2026-01-01T00:00:00+00:00",  # on another machine, or this one renamed
        "\0" * 60,
        "nonsense",
    ],
)
def test_a_stale_lock_keeps_nobody_out(tmp_path, text):
    root = tmp_path / "run"
    with open_workspace(root) as workspace:
        workspace.run_stage("stage", {}, [], lambda: None)
    (root / ".lock").write_text(text.format(gone=_gone(), own=os.getpid(), host=socket.gethostname()))
    began = time.monotonic()
    with open_workspace(root) as workspace:
        assert "stage" in workspace.stages
    assert time.monotonic() - began < 10


HEIR = """
import os, subprocess, sys
from pathlib import Path
from wreckognize.workspace import open_workspace
with open_workspace(Path(sys.argv[1])) as workspace:
    heir = subprocess.Popen(["sleep", sys.argv[2]], stdout=subprocess.DEVNULL, pass_fds=[workspace.lock_descriptor])
    print(heir.pid, flush=True)
    os._exit(1)
"""


def _leave_an_heir(root, seconds) -> psutil.Process:
    """A run that is gone while a process that it started still holds its folder."""
    done = subprocess.run([sys.executable, "-c", HEIR, str(root), seconds], stdout=subprocess.PIPE, text=True)
    return psutil.Process(int(done.stdout))


def _is_at_work(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_what_a_killed_run_left_behind_is_waited_for(tmp_path):
    heir = _leave_an_heir(tmp_path / "run", "1.5")
    assert _is_at_work(heir)
    with open_workspace(tmp_path / "run"):
        assert not _is_at_work(heir)


def test_what_does_not_end_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(holding, "ORPHAN_SECONDS", 0.5)
    heir = _leave_an_heir(tmp_path / "run", "60")
    try:
        named = pytest.raises(WorkspaceError, match="which is gone; a process that it started still runs")
        with named, open_workspace(tmp_path / "run"):
            pass
    finally:
        heir.kill()
