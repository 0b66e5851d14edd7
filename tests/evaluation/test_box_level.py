from __future__ import annotations

import contextlib
import io

import numpy as np
import polars as pl
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wreckognize.catalog import BOX_SCHEMA, PREDICTION_SCHEMA
from wreckognize.errors import UsageError
from wreckognize.evaluation.box_level import box_figures
from wreckognize.evaluation.curves import precision_recall_of

SIDES = ("x1", "y1", "x2", "y2")
CAR = (100, 100, 200, 180)


def random_collection(seed: int, photos: int, crowds: float, ties: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Truth and predictions that often meet: each prediction is a truth box moved a little, or a stray one."""
    rng = np.random.default_rng(seed)
    names = np.array([f"s/{number:03}.jpg" for number in range(photos)])
    drawn = photos * 2
    corner, size = rng.uniform(0, 200, (drawn, 2)), rng.uniform(10, 200, (drawn, 2))
    truth = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    owner = rng.choice(names[: photos * 3 // 4], drawn)  # the last quarter shows no vehicle
    boxes = pl.DataFrame(
        {
            "photo": owner,
            **{side: truth[:, number] for number, side in enumerate(SIDES)},
            "kind": ["vehicle"] * drawn,
            "origin": ["human"] * drawn,
            "confidence": [None] * drawn,
            "crowd": rng.random(drawn) < crowds,
        },
        schema=BOX_SCHEMA,
    )
    count = photos * 12
    source = rng.integers(0, drawn, count)
    moved = (truth[source] + rng.normal(0, 12, (count, 4))).astype(np.float32)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    confidence = rng.random(count).astype(np.float32)
    predictions = pl.DataFrame(
        {
            "photo": np.where(rng.random(count) < 0.7, owner[source], rng.choice(names, count)),
            **{side: moved[:, number] for number, side in enumerate(SIDES)},
            "confidence": np.round(confidence, 1) if ties else confidence,
        },
        schema=PREDICTION_SCHEMA,
    )
    # A photo with more predictions than maxDets.
    crowded = predictions.head(1).select(pl.all().repeat_by(150).explode())
    crowded = crowded.with_columns(confidence=pl.Series(rng.random(150), dtype=pl.Float32))
    return boxes, pl.concat([predictions, crowded])


def reference(names: list[str], boxes: pl.DataFrame, predictions: pl.DataFrame) -> COCOeval:
    """What pycocotools says of the same rows."""
    number = {name: place for place, name in enumerate(sorted(names), 1)}

    def annotation(row: dict, place: int) -> dict:
        x1, y1, x2, y2 = (float(row[side]) for side in SIDES)
        shape = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
        return {"id": place, "image_id": number[row["photo"]], "category_id": 1, **shape}

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": place} for place in number.values()],
            "categories": [{"id": 1, "name": "vehicle"}],
            "annotations": [
                annotation(row, place) | {"iscrowd": int(row["crowd"])}
                for place, row in enumerate(boxes.iter_rows(named=True), 1)
            ],
        }
        truth.createIndex()
        ranked = predictions.sort(["photo", "confidence", *SIDES], descending=[False, True, *[False] * 4])
        found = truth.loadRes(
            [
                annotation(row, place) | {"score": float(row["confidence"])}
                for place, row in enumerate(ranked.iter_rows(named=True), 1)
            ]
        )
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("crowds", [0.0, 0.3])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_map_agrees_with_pycocotools(make_photos, seed, crowds, ties):
    boxes, predictions = random_collection(seed, photos=40, crowds=crowds, ties=ties)
    names = [f"s/{number:03}.jpg" for number in range(40)]
    photos = make_photos(*((name, "normal") for name in names), box_truth=[True] * 40)

    result = box_figures(photos, boxes, predictions)
    expected = reference(names, boxes, predictions)

    assert result is not None
    assert 0.05 < expected.stats[0] < 0.95
    assert result.figures.map50_95 == pytest.approx(expected.stats[0], abs=1e-9)
    assert result.figures.map50 == pytest.approx(expected.stats[1], abs=1e-9)
    assert result.curve.recall[-1] == pytest.approx(expected.eval["recall"][0, 0, 0, 2], abs=1e-9)
    if not ties:
        # pycocotools keeps the best precision at or after each of 101 recalls.
        envelope = np.maximum.accumulate(result.curve.precision[::-1])[::-1]
        place = np.searchsorted(result.curve.recall, np.linspace(0, 1, 101), side="left")
        sampled = np.append(envelope, 0.0)[place]
        np.testing.assert_allclose(sampled, expected.eval["precision"][0, :, 0, 0, 2], atol=1e-9)


@pytest.mark.parametrize("crowds", [0.0, 0.3])
@pytest.mark.parametrize("ties", [False, True])
def test_every_point_of_the_curve_is_that_of_pycocotools_matches(make_photos, crowds, ties):
    boxes, predictions = random_collection(7, photos=60, crowds=crowds, ties=ties)
    names = [f"s/{number:03}.jpg" for number in range(60)]
    photos = make_photos(*((name, "normal") for name in names), box_truth=[True] * 60)

    result = box_figures(photos, boxes, predictions)
    images = [image for image in reference(names, boxes, predictions).evalImgs[:60] if image is not None]

    right = np.array([hit > 0 for image in images for hit in image["dtMatches"][0]])
    counted = ~np.array([bool(skip) for image in images for skip in image["dtIgnore"][0]])
    confidence = np.array([score for image in images for score in image["dtScores"]])
    assert counted.all() == (crowds == 0)
    expected = precision_recall_of(right[counted], confidence[counted], int((~boxes["crowd"]).sum()))
    assert result is not None
    for name in ("precision", "recall", "thresholds"):
        np.testing.assert_array_equal(getattr(result.curve, name), getattr(expected, name), err_msg=name)


def test_the_order_of_the_rows_does_not_matter(make_photos):
    boxes, predictions = random_collection(7, photos=30, crowds=0.2, ties=True)
    photos = make_photos(*((f"s/{number:03}.jpg", "normal") for number in range(30)), box_truth=[True] * 30)
    shuffled = box_figures(
        photos.reverse(), boxes.sample(fraction=1, shuffle=True, seed=1), predictions.sort("x1")
    )
    straight = box_figures(photos, boxes, predictions)
    assert straight is not None
    assert shuffled is not None
    assert shuffled.figures == straight.figures


def test_precision_and_recall_at_the_confidence_of_the_best_f1(make_photos, make_boxes, make_predictions):
    photos = make_photos(("a/1", "normal"), ("a/2", "normal"), ("a/3", "background"), box_truth=[True] * 3)
    result = box_figures(
        photos,
        make_boxes(("a/1", CAR), ("a/2", CAR)),
        make_predictions(("a/1", 0.9, CAR), ("a/3", 0.75, CAR), ("a/2", 0.5, CAR), ("a/3", 0.25, CAR)),
    )
    assert result is not None
    figures = result.figures
    assert (figures.photos, figures.truth_boxes, figures.backgrounds) == (3, 2, 1)
    assert (figures.precision, figures.recall, figures.confidence) == (pytest.approx(2 / 3), 1.0, 0.5)
    assert result.curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])
    assert result.curve.recall.tolist() == [0.5, 0.5, 1, 1]


def test_a_false_alarm_on_a_background_lowers_map(make_photos, make_boxes, make_predictions):
    photos = make_photos(("a/1", "normal"), ("a/2", "background"), box_truth=[True] * 2)
    boxes, right = make_boxes(("a/1", CAR)), ("a/1", 0.5, CAR)
    clean = box_figures(photos, boxes, make_predictions(right))
    alarmed = box_figures(photos, boxes, make_predictions(right, ("a/2", 0.9, CAR)))
    assert clean is not None
    assert alarmed is not None
    assert clean.figures.map50 == pytest.approx(1.0)
    assert alarmed.figures.map50 == pytest.approx(0.5)


def test_a_prediction_on_a_crowd_is_neither_right_nor_wrong(make_photos, make_boxes, make_predictions):
    photos = make_photos(("a/1", "normal"), box_truth=[True])
    boxes = make_boxes(("a/1", CAR), ("a/1", (300, 300, 600, 400)), crowd=[False, True])
    result = box_figures(photos, boxes, make_predictions(("a/1", 0.9, (310, 310, 350, 350)), ("a/1", 0.5, CAR)))
    assert result is not None
    assert result.figures.truth_boxes == 1
    assert result.figures.map50_95 == pytest.approx(1.0)
    assert (result.figures.precision, result.figures.recall) == (1.0, 1.0)
    assert result.curve.thresholds.tolist() == [0.5]


def test_only_human_vehicle_boxes_on_photos_with_box_truth_count(make_photos, make_boxes, make_predictions):
    photos = make_photos(("a/1", "normal"), ("a/2", "damaged"), box_truth=[True, False])
    boxes = make_boxes(
        ("a/1", CAR),
        ("a/1", (0, 0, 50, 50)),
        ("a/1", (0, 0, 60, 60)),
        ("a/2", CAR),
        ("train/1", CAR),
        kind=["vehicle", "Crushed", "vehicle", "vehicle", "vehicle"],
        origin=["human", "human", "teacher", "human", "human"],
    )
    result = box_figures(photos, boxes, make_predictions(("a/1", 0.5, CAR), ("a/2", 0.9, (0, 0, 5, 5))))
    assert result is not None
    assert (result.figures.photos, result.figures.truth_boxes) == (1, 1)
    assert result.figures.map50_95 == pytest.approx(1.0)


def test_a_system_that_finds_nothing(make_photos, make_boxes, make_predictions):
    photos = make_photos(("a/1", "normal"), box_truth=[True])
    result = box_figures(photos, make_boxes(("a/1", CAR)), make_predictions())
    assert result is not None
    assert (result.figures.map50, result.figures.map50_95, result.figures.recall) == (0.0, 0.0, 0.0)
    assert (result.figures.precision, result.figures.confidence) == (None, None)


@pytest.mark.parametrize("crowd", [[], [True]])
def test_no_vehicle_drawn_means_no_figures(make_photos, make_boxes, make_predictions, crowd):
    photos = make_photos(("a/1", "normal"), box_truth=[True])
    boxes = make_boxes(*[("a/1", CAR)] * len(crowd), crowd=crowd)
    assert box_figures(photos, boxes, make_predictions(("a/1", 0.5, CAR))) is None


def test_predictions_on_other_photos_are_refused(make_photos, make_boxes, make_predictions):
    with pytest.raises(UsageError, match=r"not in the test set: 'z/1'"):
        box_figures(make_photos(("a/1", "normal"), box_truth=[True]), make_boxes(), make_predictions(("z/1", 0.5)))


def test_nothing_is_printed_or_written(make_photos, make_boxes, make_predictions, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos = make_photos(("a/1", "normal"), box_truth=[True])
    assert box_figures(photos, make_boxes(("a/1", CAR)), make_predictions(("a/1", 0.5, CAR))) is not None
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
