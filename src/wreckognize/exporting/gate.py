"""The gate before a bundle is written: does it decide as the original does?

Pure: predictions of both on the same validation photos in, a `Comparison` out. Truth has no say here, but for mAP where
people drew boxes: a bundle must repeat the original, right or wrong, for the study's figures are the original's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.evaluation.box_level import box_figures, teacher_agreement
from wreckognize.evaluation.parity import best_boxes, iou_of_pairs
from wreckognize.evidence.intervals import Proportion, normal_quantile, proportion
from wreckognize.evidence.record import Record

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """What may differ at most.

    Attributes:
        max_flips: share of the photos that are decided otherwise at any threshold.
        box_iou: least median IoU of best boxes, over the photos that both call a vehicle at the lowest threshold.
    """

    max_flips: float = 0.005
    box_iou: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """A photo that is decided otherwise.

    Attributes:
        photo: its name in the study.
        original: score that the original gives.
        bundle: score that the bundle gives.
        at: names of the thresholds that lie between the two.
    """

    photo: str
    original: float
    bundle: float
    at: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipsAt:
    """How many photos change sides at one threshold."""

    threshold: float
    flipped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxScores:
    """Average precision of original and bundle against the same boxes.

    Attributes:
        photos: that count.
        boxes: to be found.
        original: mAP50-95; None where the original's own boxes are what is to be found.
        bundle: mAP50-95.
        bundle_50: mAP50.
    """

    photos: int
    boxes: int
    original: float | None
    bundle: float
    bundle_50: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Record):
    """How far a bundle agrees with the original.

    Attributes:
        photos: compared.
        unread: names of validation photos that could not be read and are not among them.
        thresholds: name (``threshold``, ``low``, ``high``) -> flips there.
        flips: the photos that differ at any of them, by name.
        flipped: their share, with an interval that respects groups.
        score_shift_max: largest difference of a photo's score.
        score_shift_p99: its 99th percentile.
        score_shift_mean: mean of the bundle's score less the original's.
        box_iou_median: of best boxes, where both scores reach the lowest threshold; None where there is no such photo.
        box_iou_p1: 1st percentile of the same.
        human: mAP against boxes that people drew; None where they drew none on these photos.
        agreement: mAP against the original's own boxes, from the confidence on from which boxes are shown; None where
            it has none.
        max_flips: what was allowed.
        passed: within the limits.
        why: in words.
        remark: what the interval leaves open where photos are few; None where it leaves nothing open.
    """

    CALLED = "the comparison of a bundle with its original"

    photos: int
    unread: tuple[str, ...]
    thresholds: Mapping[str, FlipsAt]
    flips: tuple[Flip, ...]
    flipped: Proportion
    score_shift_max: float
    score_shift_p99: float
    score_shift_mean: float
    box_iou_median: float | None
    box_iou_p1: float | None
    human: BoxScores | None
    agreement: BoxScores | None
    max_flips: float
    passed: bool
    why: str
    remark: str | None


def compare(
    photos: pl.DataFrame,
    groups: NDArray[np.str_],
    boxes: pl.DataFrame,
    original: pl.DataFrame,
    bundle: pl.DataFrame,
    *,
    thresholds: Mapping[str, float],
    shown: float,
    limits: GateLimits | None = None,
    unread: Sequence[str] = (),
    random_weights: bool = False,
) -> Comparison:
    """Compare two detectors' predictions.

    Args:
        photos: ``PHOTO_SCHEMA``, those that both looked at.
        groups: ``(N,)``, the group of each of them, in their order.
        boxes: ``BOX_SCHEMA``, the study's.
        original: ``PREDICTION_SCHEMA``.
        bundle: ``PREDICTION_SCHEMA``.
        thresholds: name -> score at which a decision changes; at least one.
        shown: boxes of the original count from this confidence on where the bundle is compared with them.
        limits: what may differ.
        unread: photos that were left out.
        random_weights: of the original; its scores are all alike, so that agreement says nothing.

    Raises:
        ValueError: there is no threshold.
    """
    if not thresholds:
        raise ValueError("a comparison needs at least one threshold")
    limits = limits or GateLimits()
    names: list[str] = photos["photo"].to_list()
    left, left_boxes = best_boxes(names, original)
    right, right_boxes = best_boxes(names, bundle)
    crossed = {name: (left >= np.float32(cut)) != (right >= np.float32(cut)) for name, cut in thresholds.items()}
    anywhere = np.any(list(crossed.values()), axis=0)
    flips = tuple(
        Flip(
            photo=names[number],
            original=float(left[number]),
            bundle=float(right[number]),
            at=tuple(name for name, where in crossed.items() if where[number]),
        )
        for number in np.flatnonzero(anywhere)
    )
    share = proportion(anywhere, groups, LEVEL)
    shift = right.astype(np.float64) - left
    both = np.minimum(left, right) >= np.float32(min(thresholds.values()))
    overlap = iou_of_pairs(left_boxes[both], right_boxes[both])
    median, first = (float(np.percentile(overlap, at)) if len(overlap) else None for at in (50, 1))
    passed, why = _judge(len(flips), len(names), median, limits, random_weights)
    return Comparison(
        photos=len(names),
        unread=tuple(unread),
        thresholds={
            name: FlipsAt(threshold=cut, flipped=int(crossed[name].sum())) for name, cut in thresholds.items()
        },
        flips=flips,
        flipped=share,
        score_shift_max=float(np.abs(shift).max(initial=0)),
        score_shift_p99=float(np.percentile(np.abs(shift), 99)) if len(shift) else 0.0,
        score_shift_mean=float(shift.mean()) if len(shift) else 0.0,
        box_iou_median=median,
        box_iou_p1=first,
        human=_human(photos, boxes, original, bundle),
        agreement=_agreement(photos, original, bundle, shown),
        max_flips=limits.max_flips,
        passed=passed,
        why=why,
        remark=_remark(share, limits.max_flips),
    )


def _judge(
    flipped: int, photos: int, median: float | None, limits: GateLimits, random_weights: bool
) -> tuple[bool, str]:
    if not photos:
        return False, "there is no validation photo to compare on"
    if random_weights:
        return False, "the original has random weights: that two agree about nothing says nothing"
    reasons = []
    if flipped > limits.max_flips * photos + 1e-9:
        reasons.append(
            f"{flipped} of {photos} photos are decided otherwise (at most {limits.max_flips:.3g} of them)"
        )
    if median is not None and median < limits.box_iou:
        reasons.append(f"half of the best boxes overlap by less than {median:.2f} (at least {limits.box_iou:g})")
    if reasons:
        return False, "; ".join(reasons)
    return True, f"{flipped} of {photos} photos are decided otherwise"


def _remark(share: Proportion, max_flips: float) -> str | None:
    """What to say where the photos are too few to show that no more are flipped than is allowed."""
    if share.high is None or share.high <= max_flips or max_flips <= 0:
        return None
    square = normal_quantile(LEVEL) ** 2
    enough = math.ceil(square * (1 - max_flips) / max_flips)  # Wilson's upper limit at no flip at all
    return (
        f"{share.photos} photos leave open up to {100 * share.high:.2g} % of flips (95 % interval); to show that they "
        f"are at most {100 * max_flips:g} %, about {enough:,} photos without a flip are needed"
    )


def _human(
    photos: pl.DataFrame, boxes: pl.DataFrame, original: pl.DataFrame, bundle: pl.DataFrame
) -> BoxScores | None:
    if photos.is_empty():
        return None
    left, right = (box_figures(photos, boxes, predictions) for predictions in (original, bundle))
    if left is None or right is None:
        return None
    return BoxScores(
        photos=left.figures.photos,
        boxes=left.figures.truth_boxes,
        original=left.figures.map50_95,
        bundle=right.figures.map50_95,
        bundle_50=right.figures.map50,
    )


def _agreement(
    photos: pl.DataFrame, original: pl.DataFrame, bundle: pl.DataFrame, shown: float
) -> BoxScores | None:
    if photos.is_empty():
        return None
    everywhere = photos.with_columns(box_truth=pl.lit(False))
    found = teacher_agreement(everywhere, original, bundle, confidence=shown)
    if found is None:
        return None
    return BoxScores(
        photos=found.photos, boxes=found.teacher_boxes, original=None, bundle=found.map50_95, bundle_50=found.map50
    )
