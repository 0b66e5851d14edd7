"""A disk that takes no more: clear words, nothing half written, and the same command goes on when there is room."""

import errno
import json
import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from chaos.room import call
from chaos.subject import HOOK, command, digests, leftovers, stages

FAILURES = 16
ROOM = Path(__file__).with_name("room.py")


def told(code: int, said: str) -> None:
    """It ended in our own words."""
    assert code in (1, 2), said
    assert "\nerror: " in f"\n{said}", said
    assert "what to do: " in said, said
    assert "Traceback" not in said, said


@pytest.mark.slow
def test_a_small_disk_and_sources_that_are_read_only(subject, tmp_path):
    probe = ["unshare", "-rm", "sh", "-c", f"mount -t tmpfs none '{tmp_path}'"]
    if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True).returncode != 0:
        pytest.skip("a user namespace in which a tmpfs can be mounted is not to be had here")
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, str(ROOM), str(tmp_path), str(subject.study), "3", "1"],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0, found["said"]
    assert len(found["failures"]) >= 5
    for failure in found["failures"]:
        told(failure["code"], failure["said"])
        assert failure["parts"] == []
    assert found["digests"] == subject.digests
    assert found["parts"] == []


@pytest.mark.slow
def test_every_step_of_a_write_may_fail(subject, tmp_path, monkeypatch):
    """Opening, syncing and renaming fail in turn, at seeded places, from sources to the report of one system."""
    lots, left, failed = random.Random(7), 0, []
    out = tmp_path / "run"

    def failing(module, name):
        real = getattr(module, name)

        def step(*arguments, **keywords):
            nonlocal left
            if str(tmp_path) not in str(arguments[0]) and not isinstance(arguments[0], int):
                return real(*arguments, **keywords)
            left -= 1
            if left == 0:
                failed.append(name)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **keywords)

        monkeypatch.setattr(module, name, step)

    for module, name in ((Path, "write_bytes"), (os, "fsync"), (Path, "replace"), (Path, "mkdir")):
        failing(module, name)
    for attempt in range(FAILURES + 1):
        left = lots.randrange(1, 70) if attempt < FAILURES else 0  # 0: never
        before = len(failed)
        code, said = call(["run", str(subject.study), "--out", str(out), "--only", "baseline"])
        assert leftovers(out) == [] if out.exists() else True
        if code == 0:
            break
        assert len(failed) > before, said
        told(code, said)
    assert code == 0
    assert len(failed) >= FAILURES / 2
    assert set(failed) >= {"write_bytes", "fsync", "replace"}
    ours, theirs = digests(out), subject.digests
    ours.pop("report/decisions.csv")  # of one system here, of two there
    assert ours == {name: theirs[name] for name in ours}


@pytest.mark.slow
def test_a_limit_on_the_size_of_files_is_told(subject, tmp_path):
    """What ``ulimit -f`` allows is too little for the embeddings of the teacher."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))

    out = tmp_path / "run"
    done = subprocess.run(
        command(subject.study, out), preexec_fn=limit, capture_output=True, text=True, timeout=120
    )
    told(done.returncode, done.stderr)
    assert "File too large" in done.stderr
    assert leftovers(out) == []
    assert stages(out)  # what was finished is kept


@pytest.mark.slow
def test_a_disk_that_is_full_from_the_start_leaves_nothing(subject, tmp_path):
    out = tmp_path / "run"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "CHAOS_ROOT": str(out),
        "CHAOS_AT": "1",
        "CHAOS_DO": "full",
    }
    done = subprocess.run(
        command(subject.study, out), env=environment, capture_output=True, text=True, timeout=120
    )
    told(done.returncode, done.stderr)
    assert not out.exists()
