"""All engines against torch in float32, on a tiny network: numerics, shapes, threads, telemetry."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from wreckognize import processor
from wreckognize.detectors.engines import Choice, available, open_engine, versions_of
from wreckognize.detectors.graph import cached_onnx, onnx_bytes
from wreckognize.detectors.openvino import OpenVinoDetector
from wreckognize.detectors.port import Calibration, OutOfMemory, VehicleReading
from wreckognize.detectors.second_look import SecondLook
from wreckognize.detectors.ultralytics import (
    UltralyticsDetector,
    load_network,
    open_detector,
)
from wreckognize.errors import MissingExtraError, UsageError, WeightsError

CLASSES = ("car", "bus", "truck")
SHAPES = [(1, 64, 64), (3, 64, 96), (2, 128, 32)]


def photos(count, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def assert_same(left, right, atol=1e-4):
    np.testing.assert_allclose(left.boxes, right.boxes, atol=50 * atol)  # pixels
    np.testing.assert_allclose(left.confidences, right.confidences, atol=atol)
    np.testing.assert_allclose(left.features, right.features, atol=atol, rtol=1e-3)
    assert {array.dtype for array in (left.boxes, left.confidences, left.features)} == {np.dtype(np.float32)}


@pytest.fixture(scope="module")
def network(four_classes):
    return load_network(str(four_classes))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("graphs")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("merge", ["max", "argmax"])
def test_an_engine_answers_as_torch_does_whatever_the_shape(four_classes, network, cache, engine, merge):
    reading = VehicleReading.of(network.names, CLASSES, merge)
    reference = UltralyticsDetector(network, reading, "cpu")
    tested = open_engine(str(four_classes), Choice(engine), classes=CLASSES, merge=merge, cache=cache)
    for shape in SHAPES:
        answer = tested.infer(photos(*shape))
        assert_same(answer, reference.infer(photos(*shape)))
        assert np.ptp(answer.confidences) > 0.2
        assert (answer.confidences == 0).any() == (merge == "argmax")
    assert tested.info.engine.startswith(engine)
    assert tested.info.stride == reference.info.stride == 32
    assert tested.info.weights_sha256 == reference.info.weights_sha256


def test_a_trained_one_class_network_runs_on_every_engine(tiny_weights, cache):
    reference = open_detector(str(tiny_weights), classes=CLASSES, device="cpu")
    for engine in ("openvino", "onnxruntime"):
        tested = open_engine(str(tiny_weights), Choice(engine), classes=CLASSES, cache=cache)
        assert_same(tested.infer(photos(2, 96, 64)), reference.infer(photos(2, 96, 64)))


def test_the_answer_does_not_depend_on_how_many_batches_are_under_way(tiny_weights, cache, monkeypatch):
    monkeypatch.setattr(processor, "cpu_threads", lambda: 2)
    batches = [photos(2, 64, 64, seed) for seed in range(8)]
    one, two = (
        open_engine(str(tiny_weights), Choice("openvino"), classes=CLASSES, cache=cache, requests=requests)
        for requests in (1, 2)
    )
    assert (one.info.requests, two.info.requests) == (1, 2)
    with ThreadPoolExecutor(4) as pool:  # more callers than requests: they wait
        answers = list(pool.map(two.infer, batches))
    for batch, answer in zip(batches, answers, strict=True):
        np.testing.assert_array_equal(answer.confidences, one.infer(batch).confidences)


def test_a_graph_is_kept_once_and_by_what_it_depends_on(network, tmp_path, monkeypatch):
    reading = VehicleReading.of(network.names, CLASSES)
    file = cached_onnx(network, reading, tmp_path)
    before = file.stat().st_mtime_ns
    monkeypatch.setattr("wreckognize.detectors.graph.onnx_bytes", lambda *_: b"not needed")
    assert cached_onnx(network, reading, tmp_path) == file
    assert file.stat().st_mtime_ns == before
    other = cached_onnx(network, VehicleReading.of(network.names, ("boat",)), tmp_path)
    assert other != file
    assert other.read_bytes() == b"not needed"


def test_an_onnx_file_is_a_valid_model(tiny_weights):
    onnx = pytest.importorskip("onnx")
    network = load_network(str(tiny_weights))
    model = onnx.load_from_string(onnx_bytes(network, VehicleReading.of(network.names, CLASSES)))
    onnx.checker.check_model(model, full_check=True)
    assert [one.name for one in model.graph.input] == ["photos"]
    assert [one.name for one in model.graph.output] == ["boxes", "confidences", "features"]


def test_a_head_of_another_kind_is_refused(network):
    import copy

    strange = copy.copy(network)
    model = copy.deepcopy(network.model)
    model.model[-1].__class__ = type("OtherHead", (type(model.model[-1]),), {})
    object.__setattr__(strange, "model", model)
    with pytest.raises(WeightsError, match=r"OtherHead.*\n.*engine: torch"):
        onnx_bytes(strange, VehicleReading.of(network.names, CLASSES))


def test_bfloat16_is_near_float32_and_decodes_boxes_finely(network, monkeypatch):
    monkeypatch.setattr("wreckognize.detectors.ultralytics.has_bfloat16", lambda: True)
    reading = VehicleReading.of(network.names, CLASSES)
    exact = UltralyticsDetector(network, reading, "cpu").infer(photos(1, 128, 128))
    coarse_detector = UltralyticsDetector(network, reading, "cpu", "bfloat16")
    coarse = coarse_detector.infer(photos(1, 128, 128))
    assert coarse_detector.info.precision == "bfloat16"
    assert not np.array_equal(coarse.boxes, exact.boxes)
    # Wide bounds, as untrained layers enlarge what is rounded; on trained weights the median is 0.2 pixels.
    assert np.median(np.abs(coarse.boxes - exact.boxes)) < 8
    assert np.median(np.abs(coarse.confidences - exact.confidences)) < 0.1
    fractions = np.unique(coarse.boxes[..., 0] % 1)
    assert len(fractions) > 50  # decoded in bfloat16 there would be 1, 2 or 4 steps a pixel


def test_what_a_machine_lacks_is_refused_with_what_to_choose(tiny_weights, monkeypatch, cache):
    monkeypatch.setattr(processor, "has_bfloat16", lambda: False)
    monkeypatch.setattr("wreckognize.detectors.ultralytics.has_bfloat16", lambda: False)

    def opened(engine, precision, **more):
        open_engine(str(tiny_weights), Choice(engine, precision), classes=CLASSES, cache=cache, **more)

    with pytest.raises(UsageError, match=r"no bfloat16.*\n.*float32"):
        opened("openvino", "bfloat16")
    with pytest.raises(UsageError, match=r"torch offers no bfloat16 on this CPU.*\n.*choose float32"):
        opened("torch", "bfloat16")
    with pytest.raises(UsageError, match="torch offers no float16 on this CPU"):
        opened("torch", "float16")
    with pytest.raises(UsageError, match=r"onnxruntime offers no int8.*\n.*choose float32"):
        opened("onnxruntime", "int8")
    with pytest.raises(UsageError, match="int8 learns from photos"):
        opened("openvino", "int8")
    with pytest.raises(UsageError, match=r"runs on the CPU.*device is 0.*\n.*engine: torch"):
        opened("openvino", "float32", device=0)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_an_engine_that_is_not_installed_is_named_with_its_extra(tiny_weights, engine, monkeypatch, cache):
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(MissingExtraError, match=rf"{engine} needs the extra \[export\]"):
        open_engine(str(tiny_weights), Choice(engine), classes=CLASSES, cache=cache)


def test_what_is_available_is_what_is_installed(monkeypatch):
    monkeypatch.setattr(processor, "has_bfloat16", lambda: True)
    monkeypatch.setattr(processor, "has_int8", lambda: True)
    everything = [choice.in_words for choice in available()]
    assert everything == [
        *("torch float32", "torch bfloat16", "openvino float32", "openvino bfloat16", "openvino int8"),
        "onnxruntime float32",
    ]
    monkeypatch.setattr(processor, "has_bfloat16", lambda: False)
    monkeypatch.setattr("wreckognize.detectors.engines.find_spec", lambda name: None)
    assert [choice.in_words for choice in available()] == ["torch float32"]
    assert [choice.engine for choice in available(on_gpu=True)] == ["torch"] * 3
    assert set(versions_of(Choice("openvino", "int8"))) == {"openvino", "nncf"}


def test_a_batch_too_large_for_a_gpu_is_told_apart(tiny_weights):
    import torch

    detector = open_detector(str(tiny_weights), classes=CLASSES, device="cpu")

    def full(_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate\nmore")

    detector._model = full
    with pytest.raises(OutOfMemory, match=r"CUDA out of memory. Tried to allocate$"):
        detector.infer(photos(1, 64, 64))


@pytest.mark.slow
def test_int8_is_calibrated_once_and_resembles_float32(network, tmp_path):
    reading = VehicleReading.of(network.names, CLASSES)
    asked = []

    def batches():
        asked.append(1)
        return [photos(1, 64, 64, seed) for seed in range(8)]

    def opened(key="k"):
        calibration = Calibration(batches, key)
        return OpenVinoDetector.of_network(
            network, reading, precision="int8", cache=tmp_path, calibration=calibration
        )

    exact = UltralyticsDetector(network, reading, "cpu").infer(photos(2, 64, 64, 1))
    coarse = opened().infer(photos(2, 64, 64, 1))
    assert not np.array_equal(coarse.confidences, exact.confidences)
    for left, right in ((coarse.confidences, exact.confidences), (coarse.features, exact.features)):
        assert np.corrcoef(left.ravel(), right.ravel())[0, 1] > 0.5  # untrained layers enlarge what is rounded
    np.testing.assert_array_equal(opened().infer(photos(2, 64, 64, 1)).boxes, coarse.boxes)
    assert len(asked) == 1
    opened(key="other photos")
    assert len(asked) == 2
    assert not list(tmp_path.glob("*.part"))


class Fixed:
    """A detector whose answers are written down: photo ``n`` (its first pixel) scores ``scores[n]``."""

    def __init__(self, scores, info, marker):
        self.scores, self.info, self.marker, self.seen = scores, info, marker, []

    def infer(self, batch):
        from wreckognize.detectors.port import RawDetections

        numbers = batch[:, 0, 0, 0].tolist()
        self.seen.append(numbers)
        confidences = np.array([[self.scores[n], 0.001] for n in numbers], np.float32)
        boxes = np.full((len(numbers), 2, 4), self.marker, np.float32)
        return RawDetections(boxes, confidences, np.full((len(numbers), 3), self.marker, np.float32))


def test_the_second_look_is_for_photos_near_a_threshold_and_replaces_all_that_was_seen(tiny_weights):
    info = open_detector(str(tiny_weights), classes=CLASSES, device="cpu").info
    fast = Fixed([0.07, 0.09, 0.24, 0.5], info, marker=1)
    exact = Fixed([0.9, 0.11, 0.26, 0.9], info, marker=2)
    batch = np.zeros((4, 32, 32, 3), np.uint8)
    batch[:, 0, 0, 0] = range(4)
    twice = SecondLook(fast, exact, (0.10, 0.25), margin=0.02)
    seen = twice.infer(batch)
    np.testing.assert_allclose(seen.confidences.max(axis=1), [0.07, 0.11, 0.26, 0.5])
    assert exact.seen == [[1, 2]]
    assert seen.boxes[:, 0, 0].tolist() == seen.features[:, 0].tolist() == [1, 2, 2, 1]
    assert "near thresholds" in twice.info.precision
    assert twice.infer(batch[[0, 3]]).boxes[:, 0, 0].tolist() == [1, 1]
    assert len(exact.seen) == 1
    with pytest.raises(ValueError, match="needs thresholds"):
        SecondLook(fast, exact, ())


def test_a_coarse_choice_with_thresholds_opens_both_twins(tiny_weights, monkeypatch):
    monkeypatch.setattr("wreckognize.detectors.ultralytics.has_bfloat16", lambda: True)
    choice = Choice("torch", "bfloat16", thresholds=(0.0, 1.0), margin=1.0)  # everything is near
    twice = open_engine(str(tiny_weights), choice, classes=CLASSES, device="cpu")
    exact = open_detector(str(tiny_weights), classes=CLASSES, device="cpu")
    np.testing.assert_array_equal(twice.infer(photos(2, 64, 64)).boxes, exact.infer(photos(2, 64, 64)).boxes)


def test_processor_flags_are_read_from_the_first_processor(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16\n\nprocessor\t: 1\nflags : other\n")
    assert processor._flags(file) == {"fpu", "avx2", "avx512_bf16"}
    assert processor._flags(Path(tmp_path / "absent")) == frozenset()
    assert processor._flags(tmp_path / "cpuinfo") >= {"avx2"}
    assert processor.cpu_threads() >= 1


FREED_ELSEWHERE = """
import signal, sys, threading, time
from wreckognize.detectors.openvino import OpenVinoDetector
from wreckognize.detectors.port import VehicleReading
from wreckognize.detectors.ultralytics import load_network

network = load_network(sys.argv[1])
opened = [OpenVinoDetector.of_network(network, VehicleReading.of(network.names, ["vehicle"], "max")) for _ in range(2)]
freeing = threading.Thread(target=opened.pop)
freeing.start()
freeing.join()
signal.signal(signal.SIGUSR1, lambda *_: print("told", flush=True))
signal.raise_signal(signal.SIGUSR1)
"""


def test_a_signal_reaches_a_process_that_freed_a_detector_in_another_thread(tiny_weights):
    done = subprocess.run(
        [sys.executable, "-c", FREED_ELSEWHERE, str(tiny_weights)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.split()[-1:]) == (0, ["told"]), done.stderr
