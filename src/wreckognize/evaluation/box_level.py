"""Box by box: mAP, precision and recall against the boxes that people drew.

COCO's rules (Lin et al. 2014, *Microsoft COCO*; the matching of pycocotools, computed by hotcoco): IoU 0.50 to
0.95 in steps of 0.05, the 100 most confident predictions of a photo (``maxDets`` 1, 10, 100), precision
interpolated at 101 recalls, a prediction on a crowd region neither right nor wrong. Photos without a vehicle are
in: every prediction there is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl
from hotcoco import COCO, COCOeval
from numpy.typing import NDArray

from wreckognize.catalog import BOX_SCHEMA, VEHICLE, require_schema
from wreckognize.evaluation.curves import PrecisionRecall, precision_recall_of_hits
from wreckognize.evaluation.image_level import require_predictions

MAX_DETECTIONS = 100
"""So many of a photo's boxes count, the most confident ones."""

_CLASS_ID = 1
_CORNERS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxFigures:
    """What a system's boxes are worth, over the photos whose vehicles a person drew.

    Attributes:
        photos: photos with box truth, those without a vehicle included.
        truth_boxes: vehicles drawn, crowd regions not counted.
        backgrounds: of these photos, those without any drawn box.
        map50: average precision at IoU 0.5.
        map50_95: mean of the average precisions at IoU 0.50 to 0.95.
        precision: at ``confidence``, IoU 0.5; None where the system predicted nothing.
        recall: at ``confidence``, IoU 0.5.
        confidence: the confidence at which F1 is highest (the highest such one); None where nothing was predicted.
    """

    photos: int
    truth_boxes: int
    backgrounds: int
    map50: float
    map50_95: float
    precision: float | None
    recall: float
    confidence: float | None


@dataclass(frozen=True, slots=True)
class BoxResult:
    """Box figures and the precision-recall curve at IoU 0.5 that they were read from."""

    figures: BoxFigures
    curve: PrecisionRecall


@dataclass(frozen=True, slots=True)
class TeacherAgreement:
    """Average precision with the teacher's boxes in the place of truth.

    Attributes:
        confidence: the teacher's boxes count from this on.
        photos: without human boxes, on which both were compared.
        teacher_boxes: how many.
        map50: at IoU 0.5.
        map50_95: at IoU 0.50 to 0.95.
    """

    confidence: float
    photos: int
    teacher_boxes: int
    map50: float
    map50_95: float


def box_figures(photos: pl.DataFrame, boxes: pl.DataFrame, predictions: pl.DataFrame) -> BoxResult | None:
    """Compare a system's boxes with those people drew.

    Args:
        photos: the photos to judge, ``PHOTO_SCHEMA``; those without ``box_truth`` are left out.
        boxes: the catalog's boxes, ``BOX_SCHEMA``; only human boxes of kind ``vehicle`` are truth, and boxes of
            photos that are not judged are not looked at.
        predictions: the system's predictions on ``photos``, ``PREDICTION_SCHEMA``.

    Returns:
        None where no person drew a single vehicle on these photos.

    Raises:
        UsageError: see `require_predictions`.
    """
    require_schema(boxes, BOX_SCHEMA, "boxes")
    require_predictions(photos, predictions)
    drawn = boxes.filter((pl.col("kind") == VEHICLE) & (pl.col("origin") == "human"))
    return _compare(photos.filter("box_truth"), drawn.select("photo", *_CORNERS, "crowd"), predictions)


def teacher_agreement(
    photos: pl.DataFrame, teacher: pl.DataFrame, predictions: pl.DataFrame, *, confidence: float
) -> TeacherAgreement | None:
    """How far a system's boxes agree with the teacher's. The teacher's boxes are no truth, so this is no accuracy.

    Args:
        photos: the test photos, ``PHOTO_SCHEMA``; those on which a person drew the vehicles are left out.
        teacher: the teacher's predictions on them, ``PREDICTION_SCHEMA``.
        predictions: the system's, ``PREDICTION_SCHEMA``.
        confidence: the teacher's boxes count from this on.

    Returns:
        None where the teacher has no box on these photos.

    Raises:
        UsageError: see `require_predictions`.
    """
    require_predictions(photos, predictions)
    judged = photos.filter(~pl.col("box_truth"))
    boxes = teacher.filter(pl.col("confidence") >= pl.lit(confidence, dtype=pl.Float32))
    result = _compare(judged, boxes.select("photo", *_CORNERS, crowd=pl.lit(False)), predictions)
    if result is None:
        return None
    figures = result.figures
    return TeacherAgreement(confidence, figures.photos, figures.truth_boxes, figures.map50, figures.map50_95)


def _compare(photos: pl.DataFrame, boxes: pl.DataFrame, predictions: pl.DataFrame) -> BoxResult | None:
    """Predictions against ``boxes`` (``photo``, corners, ``crowd``) on ``photos``; None where there is no box."""
    judged = photos.select("photo").sort("photo").with_row_index("image_id", offset=1)
    truth = boxes.join(judged, on="photo").with_columns(confidence=pl.lit(None, dtype=pl.Float32))
    truth_boxes = int((~truth["crowd"]).sum())
    if not truth_boxes:
        return None
    ranked = _in_order(predictions.join(judged, on="photo"))
    drawn, found = _coco(judged.height, _in_order(truth), ranked)
    evaluation = _evaluated(drawn, found)
    averages = _average_precisions(evaluation)
    crowded = truth.filter("crowd")["image_id"].unique().sort()
    counted = _counted(ranked, drawn, found, crowded)
    curve = precision_recall_of_hits(_hits(evaluation, truth_boxes), counted, truth_boxes)
    best = int(np.argmax(curve.f1)) if curve.f1.size else None
    figures = BoxFigures(
        photos=judged.height,
        truth_boxes=truth_boxes,
        backgrounds=judged.height - truth["photo"].n_unique(),
        map50=float(averages[0]),
        map50_95=float(averages.mean()),
        precision=None if best is None else float(curve.precision[best]),
        recall=0.0 if best is None else float(curve.recall[best]),
        confidence=None if best is None else float(curve.thresholds[best]),
    )
    return BoxResult(figures, curve)


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    # Equal confidences are ranked by row, so the figures must not depend on the order of the rows handed in.
    return rows.sort(["image_id", "confidence", "x1", "y1", "x2", "y2"], descending=[False, True, *[False] * 4])


def _xywh(rows: pl.DataFrame) -> NDArray[np.float64]:
    sides = rows.select("x1", "y1", "x2", "y2").to_numpy().astype(np.float64)
    sides[:, 2:] -= sides[:, :2]
    return sides


def _coco(photos: int, truth: pl.DataFrame, predictions: pl.DataFrame) -> tuple[COCO, COCO]:
    """Truth and predictions as COCO data sets, images numbered from 1 to ``photos``."""
    drawn = COCO.from_arrays(
        [{"id": number} for number in range(1, photos + 1)],
        [{"id": _CLASS_ID, "name": VEHICLE}],
        truth["image_id"].to_numpy(),
        np.full(truth.height, _CLASS_ID),
        _xywh(truth),
        iscrowd=truth["crowd"].to_numpy(),
    )
    columns = [predictions["image_id"].to_numpy(), _xywh(predictions), predictions["confidence"].to_numpy()]
    rows = np.column_stack([*columns, np.full(predictions.height, _CLASS_ID)])
    return drawn, drawn.load_res(rows.astype(np.float64))


def _evaluated(drawn: COCO, found: COCO) -> COCOeval:
    """Matched at every IoU from 0.50 to 0.95, whatever the size of boxes."""
    evaluation = COCOeval(drawn, found, "bbox")
    evaluation.params.area_rng, evaluation.params.area_rng_lbl = [[0, 1e10]], ["all"]  # none by size is asked for
    evaluation.params.max_dets = [MAX_DETECTIONS]
    evaluation.evaluate()
    return evaluation


def _accumulated(evaluation: COCOeval) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and confidence ``(IoU, recall)``."""
    evaluation.accumulate()
    accumulated = cast("dict[str, Any]", evaluation.eval)  # None only before accumulate()
    precision, scores = (np.asarray(accumulated[name])[:, :, 0, 0, -1] for name in ("precision", "scores"))
    return precision, scores


def _average_precisions(evaluation: COCOeval) -> NDArray[np.float64]:
    """Average precision at each IoU from 0.50 to 0.95, ``(10,)``."""
    averages: NDArray[np.float64] = _accumulated(evaluation)[0].mean(axis=1)
    return averages


def _hits(evaluation: COCOeval, truth_boxes: int) -> NDArray[np.float64]:
    """Confidences of the predictions that are right at IoU 0.5, falling.

    Handing on every single match takes longer than all matching. But at the recall of the n-th hit the accumulated
    score is that hit's, so the hits' confidences are asked for as scores at the recalls halfway before each.
    """
    evaluation.params.rec_thrs = ((np.arange(truth_boxes) + 0.5) / truth_boxes).tolist()
    precision, scores = _accumulated(evaluation)
    hits: NDArray[np.float64] = scores[0][precision[0] > 0]
    return hits


def _counted(ranked: pl.DataFrame, drawn: COCO, found: COCO, crowded: pl.Series) -> NDArray[np.float64]:
    """Confidences of all predictions that are right or wrong: a photo's best ones, without those on crowd regions."""
    best = ranked.filter(pl.int_range(pl.len()).over("image_id") < MAX_DETECTIONS)
    everywhere = ~pl.col("image_id").is_in(crowded.to_list())
    counted = best.filter(everywhere)["confidence"].to_numpy().astype(np.float64)
    if crowded.is_empty():
        return counted
    evaluation = COCOeval(drawn, found, "bbox")
    evaluation.params.iou_thrs, evaluation.params.img_ids = [0.5], crowded.to_list()
    evaluation.params.area_rng, evaluation.params.area_rng_lbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    images = [image for image in evaluation.eval_imgs if image is not None]
    ignored = np.array([skip for image in images for skip in image["dtIgnore"][0]], dtype=np.bool_)
    confidence = np.array([score for image in images for score in image["dtScores"]], dtype=np.float64)
    return np.concatenate([counted, confidence[~ignored]])
