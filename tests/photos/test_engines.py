"""Decisions of the engines on real photos against those of torch in float32."""

from __future__ import annotations

from pathlib import Path

import pytest

from wreckognize import images, processor
from wreckognize.detectors.engines import Choice, open_engine
from wreckognize.evaluation.parity import compare_predictions
from wreckognize.inference.passes import predictions_table
from wreckognize.inference.stream import PhotoFile, StreamSettings, look_at

pytestmark = [pytest.mark.photos, pytest.mark.slow]
THRESHOLDS = (0.10, 0.25)


@pytest.fixture(scope="module")
def photos(shared: Path) -> list[PhotoFile]:
    found = []
    for folder, wanted in (("damaged", 40), ("normal", 20), ("coco", 20)):
        paths = sorted((shared / "data" / folder).rglob("*.jpg"))
        for path in paths[:: max(1, len(paths) // wanted)][:wanted]:
            header = images.read_header(path)
            found.append(PhotoFile(str(path), path, header.width, header.height))
    return found


@pytest.fixture(scope="module")
def look(shared: Path, photos: list[PhotoFile], tmp_path_factory: pytest.TempPathFactory):
    cache = tmp_path_factory.mktemp("graphs")

    def table(choice: Choice):
        weights = str(shared / "weights" / "yolov8n-coco.pt")
        detector = open_engine(weights, choice, classes=("car", "bus", "truck"), device="cpu", cache=cache)
        return predictions_table(list(look_at(photos, detector, StreamSettings(640))))

    return table


@pytest.fixture(scope="module")
def reference(look):
    return look(Choice())


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_float32_flips_no_decision_and_moves_no_box(photos, look, reference, engine):
    parity = compare_predictions(
        [file.photo for file in photos], reference, look(Choice(engine)), thresholds=THRESHOLDS
    )
    assert set(parity.flipped.values()) == {0}
    assert parity.score_shift_max < 1e-3
    assert parity.box_iou_p1 is not None
    assert parity.box_iou_p1 > 0.999
    assert parity.passed


def test_bfloat16_with_a_second_look_flips_no_decision(photos, look, reference):
    if not processor.has_bfloat16():
        pytest.skip("this processor has no bfloat16")
    seen = look(Choice("openvino", "bfloat16", THRESHOLDS))
    parity = compare_predictions([file.photo for file in photos], reference, seen, thresholds=THRESHOLDS)
    assert set(parity.flipped.values()) == {0}
    assert parity.score_shift_max > 1e-4  # it is another number format
