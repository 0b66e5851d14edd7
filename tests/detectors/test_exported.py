"""Detectors that Ultralytics' own exporter wrote to ONNX, against the checkpoints that they came from."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from exported import changed, export, said, tiny_graph
from photographs import draw_photo

from wreckognize.detectors.engines import Choice, open_engine
from wreckognize.detectors.exported import ExportedDetector
from wreckognize.detectors.ultralytics import (
    load_network,
    open_detector,
)
from wreckognize.errors import EngineError, MissingExtraError, UsageError, WeightsError
from wreckognize.inference.stream import PhotoFile, StreamSettings, look_at

CLASSES = ("car", "bus", "truck")
ONNX = Choice("onnxruntime")


def photos(count, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def assert_same(left, right):
    np.testing.assert_allclose(left.boxes, right.boxes, atol=1e-4 * 64)  # 1e-4 of the input's side
    np.testing.assert_allclose(left.confidences, right.confidences, atol=1e-4)
    assert (left.boxes.dtype, left.confidences.dtype, left.features.dtype) == (np.dtype(np.float32),) * 3


@pytest.fixture(scope="module")
def static(four_classes):
    return export(four_classes, four_classes.with_name("static.onnx"))


@pytest.fixture(scope="module")
def dynamic(four_classes):
    return export(four_classes, four_classes.with_name("dynamic.onnx"), dynamic=True)


@pytest.mark.parametrize("merge", ["max", "argmax"])
def test_an_open_graph_answers_as_the_checkpoint_does_whatever_the_shape(four_classes, dynamic, merge):
    reference = open_detector(str(four_classes), classes=CLASSES, merge=merge, device="cpu")
    tested = open_engine(str(dynamic), ONNX, classes=CLASSES, merge=merge)
    for shape in ((1, 64, 64), (3, 64, 96), (2, 128, 32)):
        answer = tested.infer(photos(*shape))
        assert_same(answer, reference.infer(photos(*shape)))
        assert np.ptp(answer.confidences) > 0.2
        assert (answer.confidences == 0).any() == (merge == "argmax")
        assert answer.features.shape == (shape[0], 0)
    assert tested.info.names == reference.info.names
    assert (tested.info.stride, tested.info.precision) == (32, "float32")
    assert tested.info.engine.startswith("onnxruntime")
    assert not tested.info.random_weights


@pytest.mark.parametrize("batch", [1, 3])
def test_a_graph_for_one_size_and_number_takes_any_batch(four_classes, tmp_path, batch):
    reference = open_detector(str(four_classes), classes=CLASSES, device="cpu")
    tested = open_engine(str(export(four_classes, tmp_path / "a.onnx", batch=batch)), ONNX, classes=CLASSES)
    for count in (1, 3, 5):
        assert_same(tested.infer(photos(count, 64, 64)), reference.infer(photos(count, 64, 64)))


@pytest.mark.parametrize(("height", "width", "top", "left"), [(64, 32, 0, 16), (32, 64, 16, 0)])
def test_photos_are_put_into_the_middle_of_the_square_of_a_graph_for_one_size(
    four_classes, static, height, width, top, left
):
    reference = open_detector(str(four_classes), classes=CLASSES, device="cpu")
    batch = photos(2, height, width)
    squares = np.full((2, 64, 64, 3), 114, np.uint8)
    squares[:, top : top + height, left : left + width] = batch
    expected, found = reference.infer(squares), open_engine(str(static), ONNX, classes=CLASSES).infer(batch)
    np.testing.assert_allclose(found.confidences, expected.confidences, atol=1e-4)
    moved = expected.boxes - np.array([left, top, left, top], np.float32)
    np.testing.assert_allclose(found.boxes, moved, atol=1e-4 * 64)


def test_photos_through_the_stream_get_the_boxes_that_the_checkpoint_gives_them(four_classes, dynamic, tmp_path):
    files = [PhotoFile(f"{n}", draw_photo(tmp_path / f"{n}.jpg", n), 96, 64) for n in range(6)]
    settings = StreamSettings(64, batch=4)
    both = [
        {look.photo: look for look in look_at(files, detector, settings)}
        for detector in (
            open_engine(str(dynamic), ONNX, classes=CLASSES),
            open_detector(str(four_classes), classes=CLASSES, device="cpu"),
        )
    ]
    for file in files:
        found, expected = (looks[file.photo] for looks in both)
        assert found.score == pytest.approx(expected.score, abs=1e-4)
        best = slice(0, 5)
        np.testing.assert_allclose(found.boxes[best], expected.boxes[best], atol=0.05)  # pixels of the photo
        assert found.feature.shape == (0,)


def test_halves_go_in_and_come_out_as_floats(static, tmp_path):
    from onnxruntime.transformers import float16

    def halved(model):
        model.CopyFrom(float16.convert_float_to_float16(model, keep_io_types=False))

    whole = ExportedDetector(static, CLASSES).infer(photos(2, 64, 64))
    half = ExportedDetector(changed(static, tmp_path / "half.onnx", halved), CLASSES)
    assert half.info.precision == "float16"
    answer = half.infer(photos(2, 64, 64))
    assert answer.confidences.dtype == answer.boxes.dtype == np.float32
    np.testing.assert_allclose(answer.confidences, whole.confidences, atol=0.1)


def test_what_the_graph_cannot_do_is_said(static, dynamic, tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="name the vehicle classes"):
        ExportedDetector(static, ["zeppelin"])
    with pytest.raises(EngineError, match="photos scaled to 96 pixels, where the graph takes 64"):
        ExportedDetector(static, CLASSES).infer(photos(1, 64, 96))
    for engine in ("torch", "openvino", "compiled"):
        with pytest.raises(UsageError, match="cannot run an ONNX file"):
            open_engine(str(static), Choice(engine), classes=CLASSES)
    with pytest.raises(UsageError, match="runs on the CPU"):
        open_engine(str(static), ONNX, classes=CLASSES, device=0)
    with pytest.raises(WeightsError, match="neither trained nor exported"):
        load_network(str(static))
    renamed = changed(dynamic, tmp_path / "five.onnx", said(names="['a', 'car', 'b', 'c', 'd']"))
    with pytest.raises(EngineError, match=r"answer is no \(1, 9, candidates\): \(1, 8, 84\)"):
        ExportedDetector(renamed, CLASSES).infer(photos(1, 64, 64))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"extra \[export\]"):
        ExportedDetector(static, CLASSES)


def broken(model):
    model.graph.node[0].input[0] = "nothing"


def failing(model):
    model.graph.initializer[0].int64_data[:] = [1, 3, 5]  # a shape that does not fit


def test_a_graph_that_fails_ends_as_an_error_of_our_own(tmp_path):
    def file(name, change):
        model = tiny_graph()
        change(model)
        (tmp_path / name).write_bytes(model.SerializeToString())
        return tmp_path / name

    good = ExportedDetector(file("good.onnx", lambda model: None), CLASSES)
    batch = np.zeros((1, 64, 64, 3), np.uint8)
    batch[0, :32, 32:, 2] = 255  # red
    answer = good.infer(batch)
    assert answer.confidences.round(3).tolist() == [[0, 1, 0, 0]]
    assert answer.boxes[0, 1].tolist() == [40, 8, 56, 24]
    with pytest.raises(EngineError, match="cannot load the graph"):
        ExportedDetector(file("broken.onnx", broken), CLASSES)
    with pytest.raises(EngineError, match=r"ONNX Runtime cannot load|fails on photos of 64 x 64"):
        ExportedDetector(file("failing.onnx", failing), CLASSES).infer(batch)


@pytest.mark.photos
@pytest.mark.slow
@pytest.mark.parametrize("options", [{"dynamic": True}, {}], ids=["open", "one size"])
def test_the_published_network_decides_on_real_photos_as_its_checkpoint_does(shared, tmp_path, options):
    weights = shared / "weights" / "yolov8n-coco.pt"
    found = sorted((shared / "data").rglob("*.jpg"))[:24]
    assert found
    graph = export(weights, tmp_path / "yolov8n.onnx", imgsz=320, **options)
    from wreckognize import images

    headers = [images.read_header(file) for file in found]
    files = [PhotoFile(str(n), file, header.width, header.height)
             for n, (file, header) in enumerate(zip(found, headers, strict=True))]  # fmt: skip
    settings = StreamSettings(320)
    onnx, torch = (
        {look.photo: look.score for look in look_at(files, detector, settings)}
        for detector in (
            open_engine(str(graph), ONNX, classes=CLASSES),
            open_detector(str(weights), classes=CLASSES, device="cpu"),
        )
    )
    shifts = [abs(onnx[file.photo] - torch[file.photo]) for file in files]
    assert max(torch.values()) > 0.5
    assert max(shifts) < (1e-4 if options else 0.2)  # padded to a square a photo looks a little different
