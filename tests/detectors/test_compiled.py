"""What surrounds torch's compiler and TensorRT; the compiler itself takes minutes, and TensorRT a GPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import yaml
from studies import write_study

from wreckognize.detectors.compiled import CompiledDetector
from wreckognize.detectors.engines import Choice, available, open_engine
from wreckognize.detectors.tensorrt import tensorrt_providers
from wreckognize.detectors.ultralytics import UltralyticsDetector, load_as_vehicle_detector
from wreckognize.errors import StudyError, UsageError
from wreckognize.study import Study


def photos(count, height, width):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def loaded(tiny_weights):
    return load_as_vehicle_detector(str(tiny_weights), ("car",))


@pytest.mark.slow
def test_a_traced_network_answers_as_torch_does_whatever_the_shape_and_thread(loaded):
    plain = UltralyticsDetector(*loaded, "cpu")
    traced = CompiledDetector(*loaded, "cpu", backend="eager")
    with ThreadPoolExecutor(1) as thread:
        for shape in [(3, 64, 96)]:
            batch = photos(*shape)
            for answer in (traced.infer(batch), thread.submit(traced.infer, batch).result()):
                expected = plain.infer(batch)
                for name, atol in (("boxes", 5e-3), ("confidences", 1e-4), ("features", 1e-4)):
                    found = getattr(answer, name)
                    assert found.dtype == np.float32
                    np.testing.assert_allclose(found, getattr(expected, name), atol=atol, rtol=1e-3)


@pytest.mark.slow
def test_narrow_layers_give_nearly_the_same_in_float32(loaded, monkeypatch):
    monkeypatch.setattr("wreckognize.detectors.ultralytics.has_bfloat16", lambda: True)
    narrow = CompiledDetector(*loaded, "cpu", "bfloat16", backend="eager")
    batch = photos(2, 64, 96)
    expected = UltralyticsDetector(*loaded, "cpu").infer(batch)
    found = narrow.infer(batch)
    assert not np.array_equal(found.confidences, expected.confidences)
    np.testing.assert_allclose(found.confidences, expected.confidences, atol=0.02)
    assert {found.boxes.dtype, found.confidences.dtype, found.features.dtype} == {np.dtype(np.float32)}


def test_float16_is_for_gpus(loaded):
    with pytest.raises(UsageError, match="no float16 on this CPU"):
        CompiledDetector(*loaded, "cpu", "float16")


def test_tensorrt_is_asked_for_float16_and_keeps_what_it_builds(tmp_path):
    (first, options), *rest = tensorrt_providers(1, tmp_path)
    assert first == "TensorrtExecutionProvider"
    assert options["trt_fp16_enable"] is True
    assert options["device_id"] == 1
    assert options["trt_engine_cache_path"] == str(tmp_path / "tensorrt")
    assert [one if isinstance(one, str) else one[0] for one in rest] == [
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]
    assert "trt_engine_cache_enable" not in tensorrt_providers(0, None)[0][1]


def test_where_tensorrt_is_not_installed_it_is_named_with_what_to_install(tiny_weights, tmp_path, monkeypatch):
    monkeypatch.setattr("wreckognize.processor.tensorrt_here", lambda: False)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(UsageError, match="TensorRT needs an ONNX Runtime with TensorRT") as caught:
        open_engine(str(tiny_weights), Choice("tensorrt", "float16"), classes=("car",))
    assert "onnxruntime-gpu" in caught.value.remedy
    file = write_study(tmp_path / "study", tiny_weights)
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["teacher"] |= {"engine": "tensorrt", "precision": "float16"}
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(StudyError) as refused:
        Study.load(file)
    assert any(
        "TensorRT not installed" in one.found and "onnxruntime-gpu" in one.remedy for one in refused.value.problems
    )


@pytest.mark.parametrize("here", [True, False])
def test_auto_tries_tensorrt_on_a_gpu_where_it_is_installed(here, monkeypatch):
    monkeypatch.setattr("wreckognize.detectors.engines.tensorrt_here", lambda: here)
    names = [choice.in_words for choice in available(on_gpu=True)]
    assert names[0] == "torch float32"
    assert ("tensorrt float16" in names) is here
    assert not any("compiled" in name for name in names)
