"""Studies whose weights are ONNX files: what is settled, and what is said, before anything runs."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("onnx")

from exported import said, tiny_graph

from wreckognize.doctor import diagnose
from wreckognize.errors import StudyError, WeightsError
from wreckognize.study import Study, resolve_weights
from wreckognize.study.reader import dump


def write(path, *changes):
    model = tiny_graph()
    for change in changes:
        change(model)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    write(tmp_path / "small.onnx")
    return tmp_path


def content(**more):
    return {
        "study": "s",
        "sources": [{"name": "a", "type": "folder", "role": "normal", "images": "photos"}],
        "teacher": {"weights": "yolov8n.yaml", **more.pop("teacher", {})},
        "systems": {
            "base": {
                "recipe": "baseline",
                "weights": "small.onnx",
                "predict": {"imgsz": 64},
                **more.pop("base", {}),
            },
            **more,
        },
    }


def problems_of(folder, **more):
    with pytest.raises(StudyError) as caught:
        Study.from_mapping(content(**more), folder)
    return [(problem.key, str(problem)) for problem in caught.value.problems]


def test_a_graph_runs_on_onnx_runtime_without_being_told_to(folder):
    study = Study.from_mapping(content(), folder)
    system = study.system("base")
    assert (system.weights, system.predict.engine) == (str(folder / "small.onnx"), "onnxruntime")
    assert study.teacher.engine == "torch"
    (folder / "again.yaml").write_text(study.resolved())
    assert Study.load(folder / "again.yaml") == study


def test_a_teacher_too_and_a_checkpoint_in_its_place_does_not_inherit_the_engine(folder):
    ver5 = {"recipe": "ver5", "weights": "yolov8n.yaml"}
    other = {**ver5, "teacher": {"weights": "yolov8s.yaml"}}
    study = Study.from_mapping(
        content(teacher={"weights": "small.onnx", "imgsz": 64}, ver5=ver5, other=other), folder
    )
    assert study.teacher.engine == study.system("ver5").teacher.engine == "onnxruntime"
    assert study.system("other").teacher.engine == "torch"
    assert study.system("ver5").predict.engine == "torch"
    (folder / "study.yaml").write_text(dump(study.content))
    lines = [check for check in diagnose(folder / "study.yaml") if check.name.startswith("weights of ")]
    assert all(line.ok is not False for line in lines)
    [teacher] = [line for line in lines if line.name == "weights of teacher" and "small.onnx" in line.found]
    assert "no embeddings" in teacher.remedy


def test_an_explicit_engine_that_cannot_run_it_is_a_problem(folder):
    for engine in ("torch", "openvino", "auto"):
        [(key, text)] = problems_of(folder, base={"predict": {"imgsz": 64, "engine": engine}})
        assert key == "systems.base.predict.engine"
        assert f"{engine}, with an ONNX file as weights; expected onnxruntime" in text
    [(key, text)] = problems_of(folder, base={"predict": {"imgsz": 64, "device": 0}})
    assert key == "systems.base.predict.device"


def test_a_size_that_the_graph_does_not_take_is_a_problem_with_the_one_it_takes(folder):
    [(key, text)] = problems_of(folder, base={"predict": {}})
    assert key == "systems.base.predict.imgsz"
    assert "found 640; expected 64, for which the graph was exported" in text
    ver5 = {"recipe": "ver5", "weights": "yolov8n.yaml"}
    [(key, text)] = problems_of(folder, teacher={"weights": "small.onnx"}, ver5=ver5)
    assert key == "teacher.imgsz"


def test_it_cannot_be_trained(folder):
    [(key, text)] = problems_of(folder, ver5={"recipe": "ver5", "weights": "small.onnx"})
    assert key == "systems.ver5.weights"
    assert "an ONNX file, which cannot be trained" in text
    assert "recipe: baseline" in text


def test_what_is_no_detector_is_a_problem_before_anything_runs(folder):
    write(folder / "small.onnx", said(names=""))
    [(key, text)] = problems_of(folder)
    assert key == "systems.base.weights"
    assert "without the texts that Ultralytics writes" in text
    (folder / "small.onnx").write_bytes(b"PK\x03\x04")
    with pytest.raises(WeightsError, match="not an ONNX file"):
        resolve_weights("small.onnx", folder)


def test_what_is_not_installed_is_named_with_its_extra(folder, monkeypatch):
    monkeypatch.setattr("wreckognize.study.engines.find_spec", lambda name: None)
    [(key, text)] = problems_of(folder)
    assert key == "systems.base.predict.engine"
    assert "onnxruntime not installed; expected the extra [export]" in text
    monkeypatch.undo()
    write(folder / "small.onnx", said(names="{0: 'car', 1: 'dog'}"))
    monkeypatch.setitem(sys.modules, "onnx", None)
    [(key, text)] = problems_of(folder)
    assert key == "systems.base.weights"
    assert 'pip install "wreckognize[export]"' in text
