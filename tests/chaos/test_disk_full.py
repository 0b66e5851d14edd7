"""A disk that takes no more: clear words, nothing half written, and the same command goes on when there is room."""

import os
import random
import resource
import subprocess
from pathlib import Path

import pytest
from chaos.disk import Steps, on_a_small_disk, told
from chaos.room import call
from chaos.subject import HOOK, command, digests, leftovers, stages

FAILURES = 16
ROOM = Path(__file__).with_name("room.py")


@pytest.mark.slow
def test_a_small_disk_and_sources_that_are_read_only(subject, tmp_path):
    found = on_a_small_disk(ROOM, tmp_path, subject.study, 3, 0)
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
    lots, steps = random.Random(7), Steps(tmp_path, monkeypatch)
    out = tmp_path / "run"
    for attempt in range(FAILURES + 1):
        before = len(steps.failed)
        steps.fail_after(lots.randrange(1, 70) if attempt < FAILURES else 0)
        code, said = call(["run", str(subject.study), "--out", str(out), "--only", "baseline"])
        assert leftovers(out) == [] if out.exists() else True
        if code == 0:
            break
        assert len(steps.failed) > before, said
        told(code, said)
    failed = steps.failed
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
