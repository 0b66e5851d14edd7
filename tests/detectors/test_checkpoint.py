"""A checkpoint read as data is the network that the library would have unpickled, and nothing of it runs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import checkpoints
import pytest

from wreckognize.detectors.checkpoint import read_description
from wreckognize.detectors.ultralytics import build_model, import_library, load_network
from wreckognize.errors import WeightsError

ARCHITECTURES = ["yolov8n", "yolo11n", "yolov5n"]
MORE = ["yolov10n", "yolo26n"]


def narrow(name: str):
    """A network of the library's own, a quarter as wide."""
    import_library()
    import torch
    from ultralytics.nn.tasks import yaml_model_load

    described = yaml_model_load(f"{name}.yaml")
    torch.manual_seed(1)
    if described.get("scales"):
        described["scales"] = {"t": [0.33, 0.25, 1024]}
        described["scale"] = "t"
    model = build_model(described, 3)
    model.names = {0: "car", 1: "bus", 2: "truck"}
    return model


def saved(path: Path, model, **more) -> Path:
    """As the library saves a training: half precision, with what it knows of it."""
    import numpy
    import torch

    content = {
        "epoch": 3,
        "best_fitness": numpy.float64(0.5),
        "model": None,
        "ema": model.half(),
        "updates": 7,
        "optimizer": None,
        "train_args": {"imgsz": 64, "lr0": 0.01, "data": "a.yaml", "freeze": None, "classes": [0, 1]},
        "train_metrics": {"fitness": 0.5},
        "date": "2026-11-25T00:00:00",
        **more,
    }
    torch.save(content, path)
    return path


@pytest.mark.parametrize("name", [*ARCHITECTURES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)])
def test_it_is_the_network_that_the_library_unpickles(tmp_path, name):
    import torch
    from ultralytics.nn.tasks import load_checkpoint

    path = saved(tmp_path / "a.pt", narrow(name))
    ours, (theirs, _) = load_network(str(path)), load_checkpoint(path)
    assert ours.names == ("car", "bus", "truck")
    assert list(ours.model.state_dict()) == list(theirs.state_dict())
    photos = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(ours.model(photos)[0], theirs.eval()(photos)[0])


def test_nothing_of_a_layer_runs(tmp_path, monkeypatch):
    """Neither constructors nor `__setstate__` of the classes that the checkpoint names."""
    import torch

    path = saved(tmp_path / "a.pt", narrow("yolov8n"))

    def ran(*_):
        raise AssertionError("a class that the checkpoint names was used")

    monkeypatch.setattr(torch.nn.Module, "__setstate__", ran)
    monkeypatch.setattr(torch.nn.Module, "__init__", ran)
    read = read_description(path)
    assert read.names == ("car", "bus", "truck")
    assert read.architecture["scale"] == "t"
    assert read.state["model.0.conv.weight"].dtype == torch.float16


def test_names_that_others_put_on_torchs_list_are_not_used_and_stay_there(tmp_path):
    import torch

    class Elsewhere:
        pass

    path = saved(tmp_path / "a.pt", narrow("yolov8n"))
    entry = (Elsewhere, "ultralytics.nn.tasks.DetectionModel")
    with torch.serialization.safe_globals([entry]):
        assert read_description(path).names == ("car", "bus", "truck")
        assert entry in torch.serialization.get_safe_globals()


def test_a_method_that_a_checkpoint_names_is_not_looked_up(tmp_path):
    """YOLO11 checkpoints hold ``getattr(layer, "forward")``."""
    model = narrow("yolov8n")
    model.kept = model.model[0].forward
    path = saved(tmp_path / "a.pt", model)
    assert load_network(str(path)).names == ("car", "bus", "truck")


def test_the_ways_older_versions_wrote_names_are_known(tmp_path):
    """Until 8.0.81 all layers lay in one module."""
    path = saved(tmp_path / "new.pt", narrow("yolov8n"))
    import zipfile

    with zipfile.ZipFile(path) as file:
        parts = {entry.filename.partition("/")[2]: file.read(entry) for entry in file.infolist()}
    pickled = parts.pop("data.pkl")
    for module in ("block", "conv", "head"):
        pickled = pickled.replace(f"cultralytics.nn.modules.{module}\n".encode(), b"cultralytics.nn.modules\n")
    old = checkpoints.archive(tmp_path / "old.pt", pickled, parts=parts)
    assert load_network(str(old)).model.state_dict().keys() == load_network(str(path)).model.state_dict().keys()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda model: model.yaml.update(activation="__import__('os').getcwd()"), "an activation that is none"),
        (lambda model: model.yaml["backbone"].append([-1, 1, "TorchVision", [512, "resnet18"]]), "unknown layer"),
        (lambda model: model.yaml["backbone"].append([-1, 1, "torch_safe_load", ["a.pt"]]), "unknown layer"),
        (lambda model: model.yaml["backbone"].append([-1, 1, "nn.Module", []]), "unknown layer"),
        (lambda model: model.yaml.update(surprise=1), "unknown part 'surprise'"),
        (lambda model: model.yaml.update(backbone=[]), "cannot be built|layers"),
        (lambda model: model.yaml.update(scales={"t": [0.33, 512.0, 10**6]}), "numbers, where the file holds"),
        (lambda model: model.yaml["backbone"][0].__setitem__(1, 10**6), "a number or arguments that are none"),
        (lambda model: model.yaml.update(head=[[-1, 1, "Conv", ["x" * 101]]]), "more than numbers and names"),
        (lambda model: setattr(model, "names", {0: 1}), "no names"),
        (lambda model: setattr(model, "names", {1: "a"}), "no names"),
        (lambda model: setattr(model, "yaml", None), "no description"),
        (lambda model: model.model[0].conv.register_parameter("weight", None), "not those of the layers"),
    ],
)
def test_a_description_that_is_more_than_layers_is_refused_before_it_is_built(tmp_path, change, says):
    model = narrow("yolov8n")
    change(model)
    with pytest.raises(WeightsError, match=says):
        load_network(str(saved(tmp_path / "a.pt", model)))


def test_a_card_is_held_to_the_same(tmp_path, tiny_weights):
    import shutil

    shutil.copytree(tiny_weights.parent, tmp_path / "w")
    card = tmp_path / "w" / "model.json"
    values = json.loads(card.read_text())
    for change, says in (
        ({"activation": "print(1)"}, "activation"),
        ({"scales": {"t": [0.33, 64.0, 10**6]}}, "numbers, where the file holds"),
    ):
        card.write_text(json.dumps({**values, "architecture": {**values["architecture"], **change}}))
        with pytest.raises(WeightsError, match=says):
            load_network(str(tmp_path / "w" / tiny_weights.name))


@pytest.mark.parametrize(
    "header",
    [
        b"\xff" * 8,
        (2**40).to_bytes(8, "little") + b"{}",
        b"\x04\x00\x00\x00\x00\x00\x00\x00null",
        (200).to_bytes(8, "little") + b"[" * 200,
        (72).to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}      ',
        (72).to_bytes(8, "little")
        + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(72)
        + b"too much",
        b"PK\x03\x04" + bytes(60),
    ],
)
def test_a_hostile_header_of_safetensors_is_refused(tmp_path, tiny_weights, header):
    from wreckognize.detectors.weights import file_sha256

    path = tmp_path / "a.safetensors"
    path.write_bytes(header)
    card = json.loads((tiny_weights.parent / "model.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps({**card, "sha256": file_sha256(path)}))
    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_network(str(path))


def test_what_holds_no_detector_says_what_it_holds(tmp_path):
    import torch

    assert "no network" in _refused(checkpoints.harmless(tmp_path / "none.pt"))
    model = narrow("yolov8n")
    from ultralytics.nn.tasks import SegmentationModel

    model.__class__ = SegmentationModel
    assert "a SegmentationModel" in _refused(saved(tmp_path / "segments.pt", model))
    torch.save([1, 2], tmp_path / "list.pt")
    assert "no network" in _refused(tmp_path / "list.pt")
    assert "cannot be read" in _refused(tmp_path / "gone.pt")


def test_modules_that_hold_themselves_end(tmp_path):
    import torch

    model = narrow("yolov8n")
    model.model._modules["again"] = model.model
    torch.save({"model": model}, tmp_path / "circle.pt")
    assert "without end" in _refused(tmp_path / "circle.pt")
    model = narrow("yolov8n")
    inner = torch.nn.ReLU()
    for _ in range(30):  # two to the power of thirty modules, each thirty deep
        inner = torch.nn.Sequential(inner, inner)
    model.model._modules["again"] = inner
    torch.save({"model": model}, tmp_path / "laughs.pt")
    assert "without end" in _refused(tmp_path / "laughs.pt")


def _refused(path: Path) -> str:
    with pytest.raises(WeightsError) as refused:
        load_network(str(path))
    return str(refused.value)


@pytest.mark.slow
def test_in_a_process_of_its_own_no_planted_program_runs(tmp_path):
    """All planted files through the loader, without pytest; then one with Python's own reader, to hear the canary."""
    canary = tmp_path / "canary"
    files = [path for _, path, _ in checkpoints.planted_files(tmp_path, canary)]
    for number, (_, pickled, _) in enumerate(
        [*checkpoints.planted_pickles(canary), *checkpoints.oversized_pickles()]
    ):
        files.append(checkpoints.archive(tmp_path / f"pickle-{number}.pt", pickled))
    program = f"""
import json, sys
from wreckognize.detectors.ultralytics import load_network
from wreckognize.errors import WeightsError
from pathlib import Path
passed = []
for path in json.loads(sys.stdin.read()):
    try:
        load_network(path)
    except WeightsError:
        passed.append(path)
print(len(passed), Path({str(canary)!r}).exists())
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps([str(file) for file in files]), env=environment,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.stdout == f"{len(files)} False\n", done.stderr
    assert not canary.exists()
    pickle.loads(next(checkpoints.planted_pickles(canary))[1])
    assert canary.exists()
