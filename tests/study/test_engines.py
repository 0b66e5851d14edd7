import pytest
import yaml

from wreckognize import processor
from wreckognize.doctor import diagnose, optional_check
from wreckognize.errors import StudyError
from wreckognize.study import Study


@pytest.fixture
def study(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")

    def load(predict=None, teacher=None):
        content = {
            "study": "s",
            "sources": [{"name": "a", "type": "folder", "role": "normal", "images": "photos"}],
            "teacher": {"weights": "yolov8n.yaml", **(teacher or {})},
            "systems": {"base": {"recipe": "baseline", "weights": "yolov8n.yaml", "predict": predict or {}}},
        }
        return Study.from_mapping(content, tmp_path)

    return load


def problems_of(study, **sections):
    with pytest.raises(StudyError) as caught:
        study(**sections)
    return [(problem.key, str(problem)) for problem in caught.value.problems]


def test_torch_in_float32_is_the_default_and_others_can_be_named(study):
    assert (study().teacher.engine, study().teacher.precision) == ("torch", "float32")
    chosen = study(predict={"engine": "openvino", "precision": "int8"}, teacher={"engine": "auto"})
    assert chosen.system("base").predict.precision == "int8"
    assert Study.from_mapping(yaml.safe_load(chosen.resolved())).teacher.engine == "auto"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"engine": "onnxruntime", "precision": "int8"}, "onnxruntime offers: float32"),
        ({"engine": "auto", "precision": "bfloat16"}, "it chooses that too"),
        ({"engine": "tensorflow"}, "tensorflow"),
        ({"precision": "float8"}, "float8"),
    ],
)
def test_what_an_engine_does_not_offer_is_a_problem(study, section, said):
    for name in ("predict", "teacher"):
        [(key, text)] = problems_of(study, **{name: section})
        assert name in key
        assert said in text


def test_an_engine_that_is_not_installed_is_named_with_its_extra(study, monkeypatch):
    monkeypatch.setattr("wreckognize.study.engines.find_spec", lambda name: None)
    found = problems_of(
        study, predict={"engine": "openvino", "precision": "int8"}, teacher={"engine": "onnxruntime"}
    )
    assert [key for key, _ in found] == ["teacher.engine", "systems.base.predict.engine"]
    assert "onnxruntime not installed; expected the extra [export]" in found[0][1]
    assert "openvino and nncf not installed" in found[1][1]
    assert all("pip install" in text for _, text in found)


def test_what_the_machine_lacks_is_said_before_anything_is_done(study, monkeypatch):
    monkeypatch.setattr(processor, "has_bfloat16", lambda: False)
    section = {"engine": "openvino", "precision": "bfloat16", "device": 0}
    found = dict(problems_of(study, predict=section))
    assert "bfloat16, which this processor does not have" in found["systems.base.predict.precision"]
    assert "this engine runs on the CPU" in found["systems.base.predict.device"]
    monkeypatch.setattr(processor, "has_bfloat16", lambda: True)
    assert study(predict={**section, "device": "cpu"}).system("base").predict.precision == "bfloat16"


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_narrow_format_of_torch_without_a_gpu_is_refused_before_the_training(study, monkeypatch, precision):
    monkeypatch.setattr(processor, "has_bfloat16", lambda: False)
    monkeypatch.setattr(processor, "sees_gpu", lambda: False)
    found = dict(problems_of(study, predict={"precision": precision}))
    assert f"{precision}, which this processor does not have" in found["systems.base.predict.precision"]
    monkeypatch.setattr(processor, "sees_gpu", lambda: True)
    assert study(predict={"precision": precision}).system("base").predict.precision == precision
    assert problems_of(study, predict={"precision": precision, "device": "cpu"})


def test_the_doctor_shows_what_only_some_studies_need():
    checks = {check.name: check for check in diagnose()}
    assert {"openvino", "onnxruntime", "nncf", "optuna", "ray"} <= checks.keys()
    absent = optional_check("no-such-package", "not installed: no wings", 'pip install "wreckognize[wings]"')
    assert absent.ok is None  # nothing needs it
    assert "wings" in absent.remedy
