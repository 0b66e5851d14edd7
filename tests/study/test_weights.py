"""What ``weights`` may say, and the file it means."""

from __future__ import annotations

import checkpoints
import pytest

from wreckognize.errors import WeightsError
from wreckognize.study import STARTER, is_random, resolve_weights, weights
from wreckognize.study.weights import absolute_weights, starter_path


@pytest.mark.parametrize("size", "nsmlx")
def test_an_architecture_stays_a_name(tmp_path, size):
    assert resolve_weights(f"yolov8{size}.yaml", tmp_path) == f"yolov8{size}.yaml"
    assert is_random(f"yolov8{size}.yaml")
    assert not is_random(f"yolov8{size}.pt")


def test_a_file_is_found_beside_the_study_and_by_its_absolute_path(tmp_path):
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "best.pt"
    checkpoints.harmless(path)
    assert resolve_weights("deep/../deep/best.pt", tmp_path) == path
    assert resolve_weights(str(path), tmp_path / "elsewhere") == path


def test_a_link_keeps_its_name(tmp_path):
    checkpoints.harmless(tmp_path / "blob")
    (tmp_path / "yolov8x.pt").symlink_to(tmp_path / "blob")
    assert resolve_weights("yolov8x.pt", tmp_path) == tmp_path / "yolov8x.pt"


@pytest.mark.parametrize("card", ["best.json", "model.json"])
def test_safetensors_want_their_card(tmp_path, card):
    (tmp_path / "best.safetensors").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"without their card(.|\n)*best.json or model.json"):
        resolve_weights("best.safetensors", tmp_path)
    (tmp_path / card).write_text("{}")
    assert resolve_weights("best.safetensors", tmp_path) == tmp_path / "best.safetensors"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("yolov8x.pt", "fetch weights yolov8x --to FOLDER. downloads it, or write yolov8x.yaml"),
        ("other.pt", "relative to the study file"),
        ("yolov9x.yaml", r"of the kind '\.yaml'"),
        ("", "without an extension"),
        ("folder.pt", "no such file"),
        ("empty.pt", "an empty file"),
        ("a" * 300 + ".pt", "cannot be read"),
        ("a\0.pt", "no such file"),
    ],
)
def test_what_is_no_file_of_weights_says_what_to_do(tmp_path, text, says):
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "empty.pt").touch()
    with pytest.raises(WeightsError, match=says.replace("FOLDER", str(tmp_path))):
        resolve_weights(text, tmp_path)


def test_the_starter_is_the_packages_own(tmp_path, monkeypatch):
    assert starter_path().parts[-3:] == ("wreckognize", "demo", "starter.safetensors")
    assert absolute_weights(STARTER, tmp_path) == STARTER
    monkeypatch.setattr(weights, "starter_path", lambda: tmp_path / "starter.safetensors")
    with pytest.raises(WeightsError, match="install the package again"):
        resolve_weights(STARTER, tmp_path / "elsewhere")
    (tmp_path / "starter.safetensors").write_bytes(b"x")
    (tmp_path / "starter.json").write_text("{}")
    assert resolve_weights(STARTER, tmp_path / "elsewhere") == tmp_path / "starter.safetensors"


def test_a_pt_file_that_is_no_checkpoint_is_a_problem_before_anything_runs(tmp_path):
    (tmp_path / "bad.pt").write_bytes(b"garbage")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        resolve_weights("bad.pt", tmp_path)
