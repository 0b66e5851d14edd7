import json
import os
import shutil

import numpy as np
import pytest

from wreckognize.detectors.ultralytics import device_name, load_network, open_detector, save_network
from wreckognize.detectors.weights import file_sha256, read_card
from wreckognize.errors import WeightsError


@pytest.fixture
def copied(tiny_weights, tmp_path):
    shutil.copytree(tiny_weights.parent, tmp_path / "weights")
    return tmp_path / "weights" / tiny_weights.name


def test_a_network_comes_back_as_it_was_saved(tiny_weights, tmp_path):
    network = load_network(str(tiny_weights))
    again = tmp_path / "again.safetensors"
    card = save_network(network.model, again, imgsz=64)
    assert again.read_bytes() == tiny_weights.read_bytes()
    assert card.sha256 == network.sha256 == file_sha256(tiny_weights)
    assert (card.names, card.stride, card.dtype) == (("vehicle",), 32, "float16")


def test_changed_weights_are_refused(copied):
    data = bytearray(copied.read_bytes())
    data[-1] ^= 1
    copied.write_bytes(bytes(data))
    with pytest.raises(WeightsError, match="not those its card speaks of"):
        load_network(str(copied))


def test_a_missing_or_broken_card_is_said(copied):
    card = copied.with_name("model.json")
    card.write_text('{"format": 1, "names": []}')
    with pytest.raises(WeightsError, match=r"model\.json.*architecture"):
        read_card(copied)
    card.unlink()
    with pytest.raises(WeightsError, match="no card"):
        read_card(copied)


def test_a_card_of_another_architecture_is_refused(copied):
    path = copied.with_name("model.json")
    card = json.loads(path.read_text())
    card["architecture"]["scales"]["t"][1] = 0.125
    path.write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="do not fit the architecture"):
        load_network(str(copied))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pt", b"not a checkpoint", "not a checkpoint"),
        ("a.bin", b"", "of the kind"),
        ("missing.pt", None, "No such file"),
    ],
)
def test_what_is_no_weights_file_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        load_network(str(path))


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    import torch

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"model": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(
        WeightsError, match=r"refused: .* it calls for posix\.mkdir(.|\n)*--trust sha256:[0-9a-f]{64}"
    ):
        load_network(str(tmp_path / "bomb.pt"))
    assert not (tmp_path / "ran").exists()


def test_random_weights_are_the_same_each_time():
    first, second = (load_network("yolov8n.yaml") for _ in range(2))
    assert first.random
    for left, right in zip(first.model.state_dict().values(), second.model.state_dict().values(), strict=True):
        assert left.equal(right)


def test_a_fine_tuned_coco_head_keeps_its_width(tmp_path):
    """The class branch of a network made from a COCO one is wider than its own one-class architecture says."""
    from wreckognize.detectors.ultralytics import build_model

    coco = load_network("yolov8n.yaml")
    one_class = build_model(dict(coco.model.yaml), 1)
    one_class.load(coco.model, verbose=False)
    one_class.names = {0: "Vehicle"}
    file = tmp_path / "best.safetensors"
    save_network(one_class, file, imgsz=64)
    again = load_network(str(file))
    assert again.model.state_dict()["model.22.cv3.0.0.conv.weight"].shape[0] == 80
    assert again.names == ("Vehicle",)


def test_the_detector_gives_one_answer_a_photo(tiny_weights):
    detector = open_detector(str(tiny_weights), classes=["car"], device="cpu")
    batch = np.random.default_rng(0).integers(0, 255, (3, 64, 96, 3), dtype=np.uint8)
    raw = detector.infer(batch)
    anchors = 64 * 96 // 64 + 64 * 96 // 256 + 64 * 96 // 1024
    assert raw.boxes.shape == (3, anchors, 4)
    assert raw.confidences.shape == (3, anchors)
    assert raw.features.shape[0] == 3
    assert ((raw.confidences >= 0) & (raw.confidences <= 1)).all()
    alone = detector.infer(batch[1:2])
    np.testing.assert_allclose(raw.confidences[1], alone.confidences[0], atol=1e-5)
    np.testing.assert_allclose(raw.features[1], alone.features[0], rtol=1e-3, atol=1e-5)
    assert detector.info.weights == tiny_weights.name
    assert detector.info.device.startswith("CPU")


def test_argmax_keeps_a_box_only_if_it_looks_most_like_a_vehicle():
    """Three classes, two of them vehicles, three boxes: best class a vehicle, best class another, a tie with it."""
    import torch

    from wreckognize.detectors.port import VehicleReading
    from wreckognize.detectors.ultralytics import UltralyticsDetector

    scores = torch.tensor([[[0.9, 0.2, 0.4], [0.1, 0.8, 0.3], [0.3, 0.3, 0.1]]])  # (1, classes, boxes)
    network = load_network("yolov8n.yaml")
    readings = {merge: VehicleReading((0, 2), merge) for merge in ("max", "argmax")}
    merged = {
        merge: UltralyticsDetector(network, reading, "cpu")._vehicle(scores)[0].tolist()
        for merge, reading in readings.items()
    }
    assert merged["max"] == pytest.approx([0.9, 0.3, 0.4])
    assert merged["argmax"] == pytest.approx([0.9, 0.0, 0.4])


def test_weights_that_know_no_vehicle_are_refused():
    with pytest.raises(WeightsError, match="none of the classes zeppelin"):
        open_detector("yolov8n.yaml", classes=["zeppelin"])


def test_names_of_devices():
    assert device_name("cpu") == "cpu"
    assert device_name(1) == device_name("1") == device_name((1, 2)) == "cuda:1"


@pytest.mark.photos
def test_parity_with_the_librarys_own_prediction(shared):
    """Same weights, one class wanted: boxes and confidences as ``YOLO(...).predict`` gives them."""
    from ultralytics import YOLO

    from wreckognize import images
    from wreckognize.inference.stream import PhotoFile, StreamSettings, look_at

    weights = shared / "weights" / "yolov8n-coco.pt"
    photos = sorted((shared / "data" / "normal" / "images").iterdir())[:6]
    library = YOLO(weights)
    detector = open_detector(str(weights), classes=["car"], merge="argmax", device="cpu")
    headers = [images.read_header(photo) for photo in photos]
    files = [PhotoFile(photo.name, photo, h.width, h.height) for photo, h in zip(photos, headers, strict=True)]
    looks = {look.photo: look for look in look_at(files, detector, StreamSettings(640, confidence=0.25))}
    for photo in photos:
        theirs = library.predict(photo, imgsz=640, conf=0.25, iou=0.7, classes=[2], verbose=False, device="cpu")[
            0
        ].boxes
        ours = looks[photo.name]
        np.testing.assert_allclose(ours.confidences, theirs.conf.numpy(), atol=2e-3)
        np.testing.assert_allclose(ours.boxes, theirs.xyxy.numpy(), atol=0.5)
