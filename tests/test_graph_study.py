"""The whole way with ONNX files as weights: of a system that is not trained, and of a teacher."""

from __future__ import annotations

import json

import polars as pl
import pytest

pytest.importorskip("onnxruntime")

from exported import export
from studies import NORMAL, tree, write_study

from wreckognize.cli.predicting import predict_photos
from wreckognize.errors import UsageError, WeightsError
from wreckognize.exporting.export import ExportSettings
from wreckognize.exporting.export import export as export_bundle
from wreckognize.pipeline import run
from wreckognize.predicting.model import Wishes, model_of
from wreckognize.stages.exporting import source_of
from wreckognize.study import Study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tiny_weights, tmp_path_factory):
    """A run with the same network three times, on which all must agree; what its sources were before."""
    root = tmp_path_factory.mktemp("graphs")
    folder = root / "study"
    folder.mkdir()
    export(tiny_weights, folder / "open.onnx", dynamic=True)
    export(tiny_weights, folder / "square.onnx")
    systems = {
        "checkpoint": {"recipe": "baseline", "weights": tiny_weights.name, "predict": {"imgsz": 64}},
        "open": {"recipe": "baseline", "weights": "open.onnx", "predict": {"imgsz": 64}},
        "square": {"recipe": "baseline", "weights": "square.onnx", "predict": {"imgsz": 64}},
        "ver5": {
            "recipe": "ver5",
            "weights": tiny_weights.name,
            "train": {"imgsz": 64, "epochs": 1, "batch": 4, "device": "cpu"},
        },
    }
    file = write_study(
        folder,
        tiny_weights,
        teacher={"weights": "open.onnx", "imgsz": 64},
        systems=systems,
        evidence={"draws": 200, "shortcuts": False},
    )
    before = tree(folder)
    return run(Study.load(file), out=root / "run"), before


def predictions(result, name):
    return pl.read_parquet(result.folder / "systems" / name / "predictions" / "test.parquet")


def test_a_graph_sees_what_its_checkpoint_sees(finished):
    result, before = finished
    assert tree(result.folder.parent / "study") == before
    best = {
        name: dict(predictions(result, name).group_by("photo").agg(pl.col("confidence").max()).iter_rows())
        for name in ("checkpoint", "open", "square")
    }
    assert best["checkpoint"].keys() == best["open"].keys() == best["square"].keys()
    for photo, score in best["checkpoint"].items():
        assert best["open"][photo] == pytest.approx(score, abs=1e-4)
    info = json.loads((result.folder / "systems" / "open" / "latency.json").read_text())["info"]
    assert info["engine"].startswith("onnxruntime")
    assert info["weights"] == "open.onnx"
    report = (result.folder / "report" / "index.html").read_text()
    assert "onnxruntime" in report


def test_photos_are_not_compared_by_a_teacher_without_embeddings_and_the_report_says_so(finished):
    result, _ = finished
    embeddings = pl.read_parquet(result.folder / "teacher" / "embeddings.parquet")
    assert embeddings.height > 0
    assert embeddings["embedding"].list.len().max() == 0
    assert "it is an ONNX file, which gives none" in (result.folder / "report" / "index.html").read_text()


def test_its_labels_are_those_of_the_graph(finished):
    result, _ = finished
    assert pl.read_parquet(result.folder / "teacher" / "predictions.parquet").height > 0
    assert (result.folder / "systems" / "ver5" / "weights" / "best.safetensors").is_file()


@pytest.mark.parametrize("name", ["open", "square"])
def test_the_system_and_the_file_decide_about_other_photos(finished, tmp_path, name):
    result, _ = finished
    photos = result.folder.parent / "study" / "normal"
    of_system, of_file = (
        model_of(named, Wishes(imgsz=64)) for named in
        (result.folder / "systems" / name, result.folder.parent / "study" / f"{name}.onnx")
    )  # fmt: skip
    assert of_system.version == of_file.version
    assert of_system.opener.open().info.weights == f"{name}.onnx"
    out = tmp_path / "answers.csv"
    assert predict_photos(result.folder / "systems" / name, [str(photos)], Wishes(), out=out)
    assert len(out.read_text().splitlines()) == 1 + NORMAL


def test_what_a_graph_cannot_do_is_said_by_every_command(finished, tmp_path):
    result, _ = finished
    square = result.folder.parent / "study" / "square.onnx"
    assert model_of(square, Wishes()).settings.imgsz == 64
    with pytest.raises(UsageError, match="photos of 640 pixels, where the ONNX file takes 64"):
        model_of(square, Wishes(imgsz=640))
    with pytest.raises(UsageError, match="torch cannot run an ONNX file"):
        model_of(square, Wishes(engine="torch"))
    with pytest.raises(WeightsError, match="neither trained nor exported"):
        export_bundle(
            source_of(result.folder / "systems" / "open"), tmp_path / "bundle", ExportSettings(target="onnx")
        )
    assert not (tmp_path / "bundle").exists()
