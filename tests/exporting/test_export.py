from __future__ import annotations

import copy
import json
import shutil

import numpy as np
import pytest
from bundles import finished_run

from wreckognize.detectors import graph
from wreckognize.errors import MissingExtraError, ParityError, UsageError
from wreckognize.exporting import export as exporting
from wreckognize.exporting.bundle import read_bundle
from wreckognize.exporting.export import ExportSettings, export
from wreckognize.exporting.gate import GateLimits
from wreckognize.stages.exporting import source_of


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def exported(system, tmp_path_factory):
    return export(source_of(system), tmp_path_factory.mktemp("out") / "bundle", ExportSettings(target="onnx"))


@pytest.fixture
def spoiled(monkeypatch):
    """Weights that were shaken on their way into the graph."""
    import torch

    plain = graph.onnx_bytes

    def shaken(network, reading):
        model = copy.deepcopy(network.model)
        torch.manual_seed(0)
        with torch.no_grad():
            for weights in model.parameters():
                weights.add_(torch.randn_like(weights) * weights.abs().mean() * 0.5)
        return plain(
            network.__class__(model, *[getattr(network, name) for name in network.__slots__[1:]]), reading
        )

    monkeypatch.setattr(graph, "onnx_bytes", shaken)


def test_an_export_says_what_it_is_and_how_far_it_agrees(exported, system):
    bundle, comparison = exported
    manifest = bundle.manifest
    assert (manifest.name, manifest.engine, manifest.imgsz) == ("drawn-starter", "onnxruntime", 192)
    assert manifest.parity.result == "passed"
    assert (comparison.photos, comparison.flips) == (12, ())
    assert comparison.score_shift_max < 1e-3
    assert comparison.agreement.bundle > 0.99
    assert manifest.reference.photos == sum(manifest.reference.brightness.counts) == 12
    assert manifest.to_a_person is None, "12 photos cannot keep both promises"
    kept = json.loads((bundle.folder / "parity.json").read_text(encoding="utf-8"))
    assert kept["flips"] == []
    card = bundle.card
    assert not card.forced
    assert [(row.role, row.split, row.photos) for row in card.data] == [
        ("background", "val", 6),
        ("normal", "val", 6),
    ]
    assert "no report" in card.figures_note.en
    limits = " ".join(limit.en for limit in card.limits)
    for words in (
        "Drawn photos.",
        "did not train it",
        "Few validation photos",
        "says nothing about damage",
    ):
        assert words in limits
    assert all(limit.ko for limit in card.limits)
    text = (bundle.folder / "card.md").read_text(encoding="utf-8")
    assert manifest.weights_sha256 in text
    assert "AGPL" in text


def test_the_same_system_gives_the_same_bytes_and_no_path_of_this_machine(exported, system, tmp_path):
    bundle, _ = exported
    again, _ = export(source_of(system), tmp_path / "again", ExportSettings(target="onnx"))
    assert again.manifest.version == bundle.manifest.version
    for name in bundle.manifest.files:
        assert (again.folder / name).read_bytes() == (bundle.folder / name).read_bytes(), name
    left, right = (one.manifest.model_dump(exclude={"created", "parity", "sha256"}) for one in (bundle, again))
    assert left == right
    for file in bundle.folder.iterdir():
        data = file.read_bytes()
        for place in (system, system.parents[2], exporting.__file__):
            assert str(place).encode() not in data, file.name


def test_a_spoiled_export_is_refused_and_nothing_is_written(system, tmp_path, spoiled):
    source, out = source_of(system), tmp_path / "bundle"
    with pytest.raises(ParityError, match="does not decide as the original") as refused:
        export(source, out, ExportSettings(target="onnx"))
    assert refused.value.exit_code == 1
    assert set(refused.value.photos) <= set(source.photos["photo"])
    assert list(tmp_path.iterdir()) == []
    bundle, comparison = export(source, out, ExportSettings(target="onnx", force=True))
    assert bundle.manifest.parity.result == "forced"
    assert bundle.card.forced
    assert not comparison.passed
    assert "did not pass" in (out / "card.md").read_text(encoding="utf-8")
    kept = json.loads((out / "parity.json").read_text(encoding="utf-8"))
    assert [flip["photo"] for flip in kept["flips"]] == [flip.photo for flip in comparison.flips]


def test_a_gate_without_photos_refuses(tmp_path):
    system = finished_run(tmp_path / "run", photos=4)
    shutil.rmtree(tmp_path / "run-photos")
    with pytest.raises(ParityError, match=r"no validation photo .* \(4 could not be read\)"):
        export(source_of(system), tmp_path / "bundle", ExportSettings(target="onnx"))
    assert not (tmp_path / "bundle").exists()


def test_the_band_is_taken_where_it_is_asked_for(system, tmp_path):
    settings = ExportSettings(target="safetensors", to_a_person=True, photos=3)
    bundle, comparison = export(source_of(system), tmp_path / "bundle", settings)
    assert comparison.photos == 3
    third = source_of(system).frozen.third_answer
    assert (bundle.manifest.to_a_person.low, bundle.manifest.to_a_person.high) == (third.low, third.high)
    assert any("never given" in limit.en for limit in bundle.card.limits)


def test_what_cannot_be_had_is_named(system, tmp_path):
    import onnxruntime

    source = source_of(system)
    if "TensorrtExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(UsageError, match="TensorRT needs an ONNX Runtime with TensorRT"):
            export(source, tmp_path / "b", ExportSettings(target="tensorrt"))
    with pytest.raises(UsageError, match="onnx offers no int8"):
        export(source, tmp_path / "b", ExportSettings(target="onnx", int8=True))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(system, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"\[export\]"):
        export(source_of(system), tmp_path / "b", ExportSettings(target="onnx"))


@pytest.mark.slow
def test_int8_is_learnt_and_judged_like_any_other(system, tmp_path):
    settings = ExportSettings(target="openvino", int8=True, limits=GateLimits(max_flips=0.99, box_iou=0.0))
    bundle, comparison = export(source_of(system), tmp_path / "bundle", settings)
    assert bundle.manifest.precision == "int8"
    assert 0 < comparison.score_shift_max < 0.9
    shape = (1, 192, 192, 3)
    again = read_bundle(bundle.folder.rename(tmp_path / "moved")).open(threads=1, requests=1)
    assert again.infer(np.zeros(shape, np.uint8)).confidences.shape[0] == 1
    assert again.info.precision == "int8"


def test_a_system_that_is_none_is_said_to_be_none(system, tmp_path):
    with pytest.raises(UsageError, match="not a system of a run"):
        source_of(tmp_path)
    part = tmp_path / "part"
    shutil.copytree(system.parents[1], part)
    (part / "split.parquet").unlink()
    with pytest.raises(UsageError, match="part of the run is missing"):
        source_of(part / "systems" / "starter")
