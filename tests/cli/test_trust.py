"""A checkpoint that is more than data: refused by every command before anything runs; ``--trust`` alone opens it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from checkpoints import Runs
from photographs import draw_photo
from studies import write_study

from wreckognize.errors import StudyError, WeightsError
from wreckognize.progress import Silent
from wreckognize.stages.run import Run
from wreckognize.study import Study, resolve_weights
from wreckognize.weightfiles import hash_of
from wreckognize.workspace import open_workspace

pytestmark = pytest.mark.slow


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


@pytest.fixture
def bomb(tmp_path, canary, tiny_weights):
    """A real network in a checkpoint that also runs a command when it is unpickled."""
    import torch

    from wreckognize.detectors.ultralytics import load_network

    (tmp_path / "study").mkdir()
    path = tmp_path / "study" / "bomb.pt"
    model = load_network(str(tiny_weights)).model
    torch.save({"model": model, "extra": Runs(canary)}, path)
    return path


@pytest.fixture
def study(tmp_path, bomb, tiny_weights):
    teacher = {"weights": bomb.name, "imgsz": 64}
    return write_study(tmp_path / "study", tiny_weights, teacher=teacher)


def command(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "wreckognize", *map(str, words)],
        capture_output=True, text=True, timeout=300, check=False, cwd=folder,
    )  # fmt: skip


def test_every_command_refuses_it_and_says_what_it_calls_for(tmp_path, bomb, study, canary):
    photo = tmp_path / "a.jpg"
    draw_photo(photo, 1)
    for words in (("predict", bomb, photo), ("run", study), ("audit", study)):
        done = command(tmp_path, *words)
        assert done.returncode == 2, (words, done.stderr)
        assert "posix.system" in done.stderr, words
        assert f"--trust {hash_of(bomb)}" in done.stderr, words
    doctor = command(tmp_path, "doctor", study)
    assert doctor.returncode == 2
    assert "refused: a pickle that is more than data; it calls for posix.system" in doctor.stdout
    assert not (tmp_path / "runs").exists()
    assert not canary.exists()


def test_only_the_hash_of_the_very_file_opens_it(tmp_path, bomb, canary):
    photo = tmp_path / "a.jpg"
    draw_photo(photo, 1)
    right = hash_of(bomb)
    other = f"sha256:{'0' * 64}"
    assert command(tmp_path, "predict", bomb, photo, "--trust", other).returncode == 2
    for wrong in (other, right[:-1], right.upper(), "sha256:*", right.removeprefix("sha256:"), "all", bomb.name):
        with pytest.raises(WeightsError, match="refused"):
            resolve_weights(str(bomb), tmp_path, [wrong])
    assert not canary.exists()
    opened = command(tmp_path, "predict", bomb, photo, "--imgsz", "64", "--trust", other, "--trust", right)
    assert opened.returncode == 0, opened.stderr
    assert json.loads(opened.stdout)["verdict"] in {"vehicle", "no vehicle"}
    assert canary.exists()


def test_a_study_turns_it_into_data_once_in_a_process_of_its_own(tmp_path, bomb, study, canary, monkeypatch):
    import torch

    from wreckognize.detectors.ultralytics import load_network

    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("this process opened it"))
    loaded = Study.load(study, trust=[hash_of(bomb)])
    with open_workspace(tmp_path / "run") as workspace:
        run = Run(loaded, workspace, Silent())
        weights = run.start_weights(loaded.teacher.weights)
        assert canary.exists()
        canary.unlink()
        assert run.start_weights(loaded.teacher.weights) == weights
        assert not canary.exists()
    assert weights == str(tmp_path / "run" / "trusted" / hash_of(bomb)[7:23] / "bomb.safetensors")
    assert load_network(weights).names == ("vehicle",)


def test_a_study_file_cannot_vouch_for_it(bomb, study, canary):
    values = yaml.safe_load(study.read_text())
    study.write_text(yaml.safe_dump({**values, "trust": [hash_of(bomb)]}))
    with pytest.raises(StudyError, match=r"unknown key 'trust'(.|\n)*posix\.system"):
        Study.load(study)
    with pytest.raises(StudyError, match="unknown key 'trust'"):
        Study.load(study, overrides=[f"trust=[{hash_of(bomb)}]"])
    study.write_text(yaml.safe_dump(values))
    with pytest.raises(StudyError, match=r"--trust: found 'everything'; expected sha256:"):
        Study.load(study, trust=["everything"])
    assert not canary.exists()


def test_a_trusted_file_that_holds_no_network_says_what_its_process_said(tmp_path, canary):
    import torch

    from wreckognize.detectors.trusted import as_data

    torch.save({"model": None, "extra": Runs(canary)}, tmp_path / "none.pt")
    with pytest.raises(WeightsError, match=r"trusted, but no network came out of it\n.*of type NoneType"):
        as_data(tmp_path / "none.pt", tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.safetensors"))
