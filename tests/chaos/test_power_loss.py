"""What a loss of power can leave of a file, and what the next run makes of it."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from chaos.subject import digests, leftovers, stages

from wreckognize import pipeline
from wreckognize.errors import LockError, WorkspaceError
from wreckognize.progress import Silent
from wreckognize.study import Study

GUARDED = ("test.lock.json", "test.looks.jsonl")
"""Not to be made again: what the test set was, and how often it was looked at, nobody else knows."""

KILLED = "process 4000000 on {host} since 2026-01-01T00:00:00+00:00"


class Heard(Silent):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture
def run(subject, tmp_path):
    """A copy of the undisturbed run, as one that was killed leaves it."""
    copy = shutil.copytree(subject.calm, tmp_path / "run", symlinks=True)
    (copy / ".lock").write_text(KILLED.format(host=os.uname().nodename))
    return copy


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def zeroed(path: Path) -> None:
    """Size and time as they were, the bytes gone: what a file system can make of a file it had no time to write."""
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def gone(path: Path) -> None:
    path.unlink()


def outputs(run: Path) -> list[str]:
    found = json.loads((run / "state.json").read_bytes())["stages"]
    names = {name for stage in found.values() for name in stage["outputs"] if (run / name).stat().st_size}
    return sorted(names - set(GUARDED))


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, zeroed, gone])
def test_a_damaged_output_is_noticed_and_made_again(subject, run, damage):
    """A third of all outputs for each kind of damage; what a training left only for one, as it takes seconds."""
    kinds = [cut, zeroed, gone]
    names = outputs(run)
    random.Random(5).shuffle(names)
    mine = names[kinds.index(damage) :: 3]
    if damage is not zeroed:
        mine = [name for name in mine if "/training/" not in name and "/weights/" not in name]
    for name in mine:
        damage(run / name)
    result = pipeline.run(Study.load(subject.study), out=run)
    assert result.page.is_file()
    assert digests(run) == subject.digests
    assert leftovers(run) == []
    assert all((run / name).stat().st_size and (run / name).read_bytes().strip(b"\0") for name in mine)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, zeroed, gone])
def test_a_torn_record_of_stages_loses_nothing(subject, run, damage):
    before = stages(run)
    damage(run / "state.json")
    heard = Heard()
    pipeline.run(Study.load(subject.study), out=run, progress=heard)
    assert stages(run) == before  # nothing was done again
    assert any("its copy says which steps are finished" in line for line in heard.lines)
    assert (run / "state.json").read_bytes() == (run / "state.copy.json").read_bytes()


@pytest.mark.slow
def test_a_record_that_is_torn_twice_is_said_and_there_is_a_way_on(subject, run):
    for name in ("state.json", "state.copy.json"):
        cut(run / name)
    study = Study.load(subject.study)
    with pytest.raises(WorkspaceError, match="cannot be read, nor can its copy") as caught:
        pipeline.run(study, out=run)
    assert "remove state.json and state.copy.json" in str(caught.value)
    for name in ("state.json", "state.copy.json"):
        (run / name).unlink()
    pipeline.run(study, out=run, until="collect")
    assert [stage.name for stage in stages(run)] == ["collect"]


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut, zeroed, gone])
@pytest.mark.parametrize("name", GUARDED)
def test_what_cannot_be_made_again_is_said(subject, run, name, damage):
    damage(run / name)
    before = digests(run)
    with pytest.raises(LockError) as caught:
        pipeline.run(Study.load(subject.study), out=run)
    assert name in str(caught.value)
    assert "put the file back" in str(caught.value)
    assert digests(run) == before


@pytest.mark.slow
def test_damaged_caches_and_files_that_no_stage_names_change_nothing(subject, run):
    damaged = [*(run / "cache").iterdir(), run / "study.yaml", run / "catalog" / "photos.parquet"]
    for file in damaged:
        cut(file)
    pipeline.run(Study.load(subject.study), out=run)
    assert digests(run) == subject.digests
    assert (run / "study.yaml").read_bytes() == (subject.calm / "study.yaml").read_bytes()


@pytest.mark.slow
def test_a_system_that_is_not_worked_on_is_not_reported_from_damaged_files(subject, run):
    zeroed(run / "systems" / "baseline" / "metrics.json")
    (run / "report" / "comparison.json").unlink()
    heard = Heard()
    result = pipeline.run(Study.load(subject.study), out=run, only=["ver6"], progress=heard)
    assert [system.name for system in result.comparison.systems] == ["ver6"]
    assert any("baseline is left out" in line for line in heard.lines)
