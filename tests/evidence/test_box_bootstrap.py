from __future__ import annotations

import contextlib
import io

import numpy as np
import polars as pl
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, PREDICTION_SCHEMA
from wreckognize.errors import UsageError
from wreckognize.evaluation.box_level import box_figures
from wreckognize.evidence.box_bootstrap import MatchedBoxes, average_precisions, match_boxes

SIDES = ("x1", "y1", "x2", "y2")


def table_of_photos(names: list[str], judged: list[bool] | None = None) -> pl.DataFrame:
    known = {"role": "normal", "has_vehicle": True, "damage_types": []}
    flags = judged or [True] * len(names)
    rows = [known | {"photo": name, "box_truth": flag} for name, flag in zip(names, flags, strict=True)]
    return pl.DataFrame(rows, schema=PHOTO_SCHEMA)


def collection(
    seed: int, photos: int = 30, crowds: float = 0.1
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Photos, boxes and predictions that often meet, without equal confidences; one photo has 130 predictions."""
    rng = np.random.default_rng(seed)
    names = [f"s/{number:03}" for number in range(photos)]
    drawn = photos * 2
    corner, size = rng.uniform(0, 200, (drawn, 2)), rng.uniform(20, 200, (drawn, 2))
    truth = np.concatenate([corner, corner + size], axis=1)
    owner = rng.integers(0, photos * 3 // 4, drawn)
    source = np.concatenate([rng.integers(0, drawn, photos * 8), np.zeros(130, int)])
    moved = truth[source] + rng.normal(0, 10, (source.size, 4))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    at = np.where(rng.random(source.size) < 0.7, owner[source], rng.integers(0, photos, source.size))
    at[-130:] = owner[0]

    def corners(sides: np.ndarray) -> dict[str, np.ndarray]:
        return {side: sides[:, place].astype(np.float32) for place, side in enumerate(SIDES)}

    boxes = pl.DataFrame(
        {
            "photo": [names[place] for place in owner],
            **corners(truth),
            "kind": ["vehicle"] * drawn,
            "origin": ["human"] * drawn,
            "confidence": [None] * drawn,
            "crowd": rng.random(drawn) < crowds,
        },
        schema=BOX_SCHEMA,
    )
    confidence = rng.permutation(np.linspace(0.01, 0.99, source.size)).astype(np.float32)
    predictions = pl.DataFrame(
        {"photo": [names[place] for place in at], **corners(moved), "confidence": confidence},
        schema=PREDICTION_SCHEMA,
    )
    return table_of_photos(names), boxes, predictions


def reference(photos: list[str], boxes: pl.DataFrame, predictions: pl.DataFrame) -> np.ndarray:
    """Average precision at each IoU by pycocotools, with photos repeated as often as they are named."""
    truth = COCO()
    found, annotations = [], []
    drawn = {name: rows for (name,), rows in boxes.group_by("photo")}
    made = {name: rows for (name,), rows in predictions.group_by("photo")}

    def box(row: dict) -> dict:
        x1, y1, x2, y2 = (float(row[side]) for side in SIDES)
        return {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "category_id": 1}

    for number, name in enumerate(photos, 1):
        for row in drawn[name].iter_rows(named=True) if name in drawn else ():
            annotations.append(
                box(row) | {"id": len(annotations) + 1, "image_id": number, "iscrowd": int(row["crowd"])}
            )
        for row in made[name].iter_rows(named=True) if name in made else ():
            found.append(box(row) | {"image_id": number, "score": row["confidence"]})
    truth.dataset = {
        "images": [{"id": number} for number in range(1, len(photos) + 1)],
        "categories": [{"id": 1}],
        "annotations": annotations,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, 0, 0, 2].mean(axis=1)


@pytest.mark.parametrize("seed", range(4))
def test_unit_weights_give_the_figures_of_the_table(seed):
    photos, boxes, predictions = collection(seed)
    matched = match_boxes(photos, boxes, predictions)
    averages = average_precisions(matched, np.arange(30), np.ones((1, 30), np.uint8))[0]
    figures = box_figures(photos, boxes, predictions).figures
    assert averages[0] == pytest.approx(figures.map50, abs=1e-9)
    assert averages.mean() == pytest.approx(figures.map50_95, abs=1e-9)


def test_equal_confidences_rank_as_in_the_table():
    photos, boxes, predictions = collection(9)
    tied = predictions.with_columns(pl.col("confidence").round(1))
    matched = match_boxes(photos, boxes, tied.sample(fraction=1, shuffle=True, seed=0))
    averages = average_precisions(matched, np.arange(30), np.ones((1, 30), np.uint8))[0]
    assert averages.mean() == pytest.approx(box_figures(photos, boxes, tied).figures.map50_95, abs=1e-9)


@pytest.mark.parametrize("crowds", [0.0, 0.3])
def test_every_draw_is_what_pycocotools_says_of_the_repeated_photos(crowds):
    photos, boxes, predictions = collection(1, crowds=crowds)
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 12, 30)
    groups[:12] = range(12)
    weights = rng.multinomial(12, np.full(12, 1 / 12), 6).astype(np.uint8)
    ours = average_precisions(match_boxes(photos, boxes, predictions), groups, weights)
    for draw, each in enumerate(weights):
        repeated = [name for name, group in zip(photos["photo"], groups, strict=True) for _ in range(each[group])]
        np.testing.assert_allclose(ours[draw], reference(repeated, boxes, predictions), atol=1e-9)


def test_chunks_and_threads_change_nothing():
    photos, boxes, predictions = collection(2)
    matched = match_boxes(photos, boxes, predictions)
    weights = np.random.default_rng(0).integers(0, 3, (3000, 30)).astype(np.uint8)
    alone = average_precisions(matched, np.arange(30), weights, threads=1)
    assert np.array_equal(alone, average_precisions(matched, np.arange(30), weights, threads=2))
    assert np.array_equal(alone[7:8], average_precisions(matched, np.arange(30), weights[7:8]))


def test_a_draw_without_a_box_to_find_is_nan():
    photos, boxes, predictions = collection(3, crowds=0.0)
    matched = match_boxes(photos, boxes, predictions)
    weights = np.ones((2, 30), np.uint8)
    weights[1, matched.truth_boxes > 0] = 0
    averages = average_precisions(matched, np.arange(30), weights)
    assert np.isfinite(averages[0]).all()
    assert np.isnan(averages[1]).all()


def test_no_predictions_find_nothing():
    photos, boxes, predictions = collection(4)
    averages = average_precisions(
        match_boxes(photos, boxes, predictions.clear()), np.arange(30), np.ones((2, 30), np.uint8)
    )
    assert np.array_equal(averages, np.zeros((2, 10)))


def test_only_photos_with_human_boxes_are_judged():
    photos, boxes, predictions = collection(5)
    keep = [number % 3 > 0 for number in range(30)]
    part = table_of_photos(photos["photo"].to_list(), keep)
    matched = match_boxes(part, boxes, predictions)
    assert matched.judged.tolist() == keep
    assert set(np.flatnonzero(keep)) >= set(matched.photo.tolist())
    assert matched.truth_boxes[~np.array(keep)].sum() == 0
    averages = average_precisions(matched, np.arange(30), np.ones((1, 30), np.uint8))
    assert averages.mean() == pytest.approx(box_figures(part, boxes, predictions).figures.map50_95, abs=1e-9)


def test_without_human_boxes_there_is_nothing_to_match():
    photos, boxes, predictions = collection(6)
    assert match_boxes(photos, boxes.with_columns(origin=pl.lit("teacher")), predictions) is None


def test_bad_input_is_refused():
    photos, boxes, predictions = collection(7)
    with pytest.raises(UsageError, match="not in the test set"):
        match_boxes(photos.head(3), boxes, predictions)
    nothing = np.zeros((10, 2), dtype=bool)
    with pytest.raises(ValueError, match="must both be"):
        MatchedBoxes(np.zeros(3, np.intp), nothing, nothing, np.zeros(4, int), np.ones(4, bool))
    with pytest.raises(ValueError, match="one entry a photo"):
        MatchedBoxes(np.zeros(2, np.intp), nothing, nothing, np.zeros(4, int), np.ones(3, bool))
