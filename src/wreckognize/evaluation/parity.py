"""Whether two engines see the same: predictions of one network on the same photos, side by side.

Pure: tables in, figures out. What the reference is (torch in float32) and which photos are asked is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.boxes import Boxes

PERCENTILE = 99


@dataclass(frozen=True, slots=True)
class ParityLimits:
    """What may differ at most.

    Attributes:
        flipped: decisions that differ at any threshold.
        box_iou: the least 1st percentile of the IoU of best boxes, of photos at or above the lowest threshold.
        photos: fewer photos than this are no basis for a pass.
    """

    flipped: int = 0
    box_iou: float = 0.9
    photos: int = 20


@dataclass(frozen=True, slots=True)
class Parity:
    """How far two engines agree.

    Attributes:
        photos: compared.
        flipped: decisions that differ, by threshold.
        score_shift_max: largest difference of a photo's score (the highest confidence of its boxes, 0 without one).
        score_shift_p99: its 99th percentile.
        box_iou_p1: 1st percentile of the IoU of best boxes, where both engines score at least the lowest threshold;
            None where there is no such photo.
        passed: within the limits; None where nothing can be said.
        why: in words.
    """

    photos: int
    flipped: dict[float, int]
    score_shift_max: float
    score_shift_p99: float
    box_iou_p1: float | None
    passed: bool | None
    why: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON: thresholds become text."""
        return asdict(self) | {"flipped": {f"{threshold:g}": count for threshold, count in self.flipped.items()}}


def compare_predictions(
    photos: Sequence[str],
    reference: pl.DataFrame,
    tested: pl.DataFrame,
    *,
    thresholds: Sequence[float],
    limits: ParityLimits | None = None,
    random_weights: bool = False,
) -> Parity:
    """Compare two tables of predictions on the same photos.

    Args:
        photos: those that both looked at, also where one or both found nothing.
        reference: ``PREDICTION_SCHEMA``.
        tested: ``PREDICTION_SCHEMA``.
        thresholds: a photo's decision is "vehicle" if its score is at or above.
        limits: what may differ.
        random_weights: of the network: all its scores are alike, so that agreement says nothing.

    Raises:
        ValueError: there is no threshold.
    """
    if not thresholds:
        raise ValueError("parity needs at least one threshold")
    limits = limits or ParityLimits()
    (left, left_boxes), (right, right_boxes) = best_boxes(photos, reference), best_boxes(photos, tested)
    shift = np.abs(left.astype(np.float64) - right)
    flipped = {
        float(cut): int(((left >= np.float32(cut)) != (right >= np.float32(cut))).sum()) for cut in thresholds
    }
    both = np.minimum(left, right) >= np.float32(min(thresholds))
    overlap = iou_of_pairs(left_boxes[both], right_boxes[both])
    box_iou = float(np.percentile(overlap, 100 - PERCENTILE)) if len(overlap) else None
    passed, why = _judge(len(photos), flipped, box_iou, limits, random_weights)
    return Parity(
        photos=len(photos),
        flipped=flipped,
        score_shift_max=float(shift.max(initial=0)),
        score_shift_p99=float(np.percentile(shift, PERCENTILE)) if len(shift) else 0.0,
        box_iou_p1=box_iou,
        passed=passed,
        why=why,
    )


def near_thresholds(
    photos: Sequence[str], predictions: pl.DataFrame, *, thresholds: Sequence[float], margin: float
) -> list[str]:
    """Photos whose score lies within ``margin`` of a threshold: those that a second look is for."""
    scores, _ = best_boxes(photos, predictions)
    distance = np.abs(scores[:, None].astype(np.float64) - np.asarray(thresholds)[None, :]).min(axis=1)
    return [photo for photo, near in zip(photos, distance <= margin, strict=True) if near]


def _judge(
    photos: int, flipped: dict[float, int], box_iou: float | None, limits: ParityLimits, random_weights: bool
) -> tuple[bool | None, str]:
    if random_weights:
        return None, "random weights say nothing about parity"
    reasons = []
    worst = max(flipped.values())
    if worst > limits.flipped:
        cut = max(flipped, key=lambda one: flipped[one])
        reasons.append(f"{worst} of {photos} decisions flipped at {cut:g} (at most {limits.flipped})")
    if box_iou is not None and box_iou < limits.box_iou:
        reasons.append(f"best boxes overlap by {box_iou:.3f} at the 1st percentile (at least {limits.box_iou:g})")
    if reasons:
        return False, "; ".join(reasons)
    if photos < limits.photos:
        return None, f"{photos} photos are too few to say (at least {limits.photos})"
    return True, f"at most {worst} of {photos} decisions flipped"


def best_boxes(photos: Sequence[str], predictions: pl.DataFrame) -> tuple[NDArray[np.float32], Boxes]:
    """Score ``(N,)`` and best box ``(N, 4)`` of each photo, in the order of ``photos``."""
    first = predictions.sort("confidence", descending=True, maintain_order=True).unique(
        "photo", keep="first", maintain_order=True
    )
    rows = pl.DataFrame({"photo": list(photos)}, schema={"photo": pl.String}).join(
        first, on="photo", how="left", maintain_order="left"
    )
    score = rows["confidence"].fill_null(0.0).cast(pl.Float32).to_numpy()
    return score, rows.select(pl.col("x1", "y1", "x2", "y2").fill_null(0.0).cast(pl.Float32)).to_numpy()


def iou_of_pairs(left: Boxes, right: Boxes) -> NDArray[np.float64]:
    """IoU of the boxes in the same row, ``(N,)``; 1 for equal boxes, also without area."""
    if not len(left):
        return np.zeros(0)
    a, b = left.astype(np.float64), right.astype(np.float64)
    sides = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None)
    shared = sides.prod(axis=1)
    total = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - shared
    ratio = np.divide(shared, total, out=np.ones_like(shared), where=total > 0)
    return np.where((a == b).all(axis=1), 1.0, ratio)
