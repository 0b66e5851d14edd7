"""mAP of many bootstrap draws: boxes are matched once, and only the weights change.

Matching is photo by photo, so it is the same in every draw. What remains is COCO's accumulation (Lin et al. 2014,
*Microsoft COCO*; pycocotools ``accumulate``) over predictions ranked by confidence, each counted as often as its photo
was drawn: exact, not approximate. Two facts make it cheap. The interpolated precision, the highest at or after a
recall, is always reached at a true positive, so only those places are looked at; and it is asked for at 101 recalls
only, which are looked up by the number of true positives that each needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from hotcoco import COCO, COCOeval
from numpy.typing import NDArray

from wreckognize.catalog import BOX_SCHEMA, VEHICLE, require_schema
from wreckognize.evaluation.image_level import require_predictions
from wreckognize.evidence.resampling import Draws

IOUS = 10
"""IoU 0.50 to 0.95 in steps of 0.05."""

_RECALLS = np.linspace(0.0, 1.0, 101)  # written as pycocotools does, for the same roundings
_AT_ONCE = 1 << 18  # weights looked at together; more would leave the processor's cache
_CLASS_ID = 1


@dataclass(frozen=True, slots=True, eq=False)
class MatchedBoxes:
    """A system's predictions matched to the boxes people drew, most confident first.

    Attributes:
        photo: ``(D,)``, which photo each prediction is of, an index into the ``N`` photos.
        right: ``(10, D)``, whether it matches a box, at each IoU.
        ignored: ``(10, D)``, whether it is neither right nor wrong (on a crowd region).
        truth_boxes: ``(N,)``, boxes drawn on each photo, crowds not counted.
        judged: ``(N,)``, whether the photo has box truth.
    """

    photo: NDArray[np.intp]
    right: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    truth_boxes: NDArray[np.int64]
    judged: NDArray[np.bool_]

    def __post_init__(self) -> None:
        shape = (IOUS, self.photo.size)
        if self.right.shape != shape or self.ignored.shape != shape:
            raise ValueError(f"right {self.right.shape} and ignored {self.ignored.shape} must both be {shape}")
        if self.truth_boxes.shape != self.judged.shape:
            raise ValueError("truth_boxes and judged must both have one entry a photo")


def match_boxes(photos: pl.DataFrame, boxes: pl.DataFrame, predictions: pl.DataFrame) -> MatchedBoxes | None:
    """Match predictions to human boxes by COCO's rules, at ten IoUs, the 100 most confident of each photo.

    Args:
        photos: ``PHOTO_SCHEMA``; only those with ``box_truth`` are judged. Their order is that of the indices.
        boxes: ``BOX_SCHEMA``; human boxes of kind ``vehicle`` are truth.
        predictions: the system's on ``photos``, ``PREDICTION_SCHEMA``.

    Returns:
        None where no person drew a single vehicle on these photos.

    Raises:
        UsageError: see `require_predictions`.
    """
    require_schema(boxes, BOX_SCHEMA, "boxes")
    require_predictions(photos, predictions)
    judged = photos.with_row_index("index").filter("box_truth").sort("photo").with_row_index("number", offset=1)
    numbered = judged.select("photo", "number")
    drawn = boxes.filter((pl.col("kind") == VEHICLE) & (pl.col("origin") == "human")).join(numbered, on="photo")
    if not (~drawn["crowd"]).any():
        return None
    # Equal confidences are ranked by row: the order is that of the table of figures.
    order = ["number", "confidence", "x1", "y1", "x2", "y2"]
    found = predictions.join(numbered, on="photo").sort(order, descending=[False, True, *[False] * 4])
    index = judged["index"].to_numpy().astype(np.intp)
    per_photo = drawn.filter(~pl.col("crowd"))["number"].to_numpy().astype(np.intp) - 1
    number, score, right, ignored = _matches(judged.height, drawn, found)
    rank = np.argsort(-score, kind="stable")
    return MatchedBoxes(
        photo=index[number[rank] - 1],
        right=right[:, rank],
        ignored=ignored[:, rank],
        truth_boxes=np.bincount(index[per_photo], minlength=photos.height),
        judged=photos["box_truth"].to_numpy(),
    )


def average_precisions(
    matched: MatchedBoxes, groups: NDArray[np.intp], weights: Draws, *, threads: int | None = None
) -> NDArray[np.float64]:
    """Average precision at each IoU, for each draw.

    Args:
        matched: see `match_boxes`.
        groups: ``(N,)``, each photo's group, numbered from 0.
        weights: ``(draws, G)``, how often each group counts.
        threads: at work together; default: as many as the machine has processors.

    Returns:
        ``(draws, 10)``; NaN in a draw without a box to be found.
    """
    owner = groups[matched.photo]
    useful = np.flatnonzero(matched.right.any(axis=0))
    last = int(useful[-1]) + 1 if useful.size else 0  # what comes after the last right one changes nothing
    ranks = [
        _Ranks.of(matched.right[iou, :last], matched.ignored[iou, :last], owner[:last]) for iou in range(IOUS)
    ]
    per_group = np.bincount(groups, weights=matched.truth_boxes, minlength=weights.shape[1]).astype(np.int64)
    to_find = weights @ per_group
    averages = np.empty((weights.shape[0], IOUS))

    def work(place: slice) -> None:
        drawn = weights[place]
        so_far = np.cumsum(np.take(drawn, owner[:last], axis=1), axis=1, dtype=np.int32)
        for iou, rank in enumerate(ranks):
            averages[place, iou] = rank.average_precision(drawn, so_far, to_find[place])

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:  # NumPy works outside the interpreter's lock
        list(pool.map(work, _places(weights.shape[0], max(1, _AT_ONCE // max(last, 1)))))
    averages[to_find == 0] = np.nan
    return averages


@dataclass(frozen=True, slots=True, eq=False)
class _Ranks:
    """The places that matter at one IoU.

    ``at`` are the ranks of the true positives and ``at_group`` their groups; ``skipped_group`` are the groups of the
    ignored predictions, and ``skipped_before`` how many of these stand before each true positive.
    """

    at: NDArray[np.intp]
    at_group: NDArray[np.intp]
    skipped_group: NDArray[np.intp]
    skipped_before: NDArray[np.intp]

    @classmethod
    def of(cls, right: NDArray[np.bool_], ignored: NDArray[np.bool_], owner: NDArray[np.intp]) -> _Ranks:
        counted = right & ~ignored
        at, skipped = np.flatnonzero(counted), np.flatnonzero(ignored)
        return cls(at, owner[at], owner[skipped], np.searchsorted(skipped, at))

    def average_precision(
        self, drawn: Draws, so_far: NDArray[np.int32], to_find: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """``(draws,)`` of ``drawn`` ``(draws, G)``, where ``so_far`` ``(draws, D)`` sums the weights by rank."""
        draws, places = drawn.shape[0], self.at.size
        if not places:
            return np.zeros(draws)
        true = np.cumsum(np.take(drawn, self.at_group, axis=1), axis=1, dtype=np.int32)
        seen = np.take(so_far, self.at, axis=1)
        if self.skipped_group.size:
            skipped = np.cumsum(np.take(drawn, self.skipped_group, axis=1), axis=1, dtype=np.int32)
            seen -= np.pad(skipped, ((0, 0), (1, 0)))[:, self.skipped_before]
        precision = true / np.maximum(seen, 1)
        # One search for all draws: each row's counts, shifted past those of the row before.
        wanted = _needed(to_find)
        shift = np.arange(draws, dtype=np.int64)[:, None] * (int(true[:, -1].max()) + 2)
        reachable = wanted <= true[:, -1:]
        wanted = np.minimum(wanted, true[:, -1:].astype(np.int64) + 1)
        first = np.searchsorted((true + shift).ravel(), (wanted + shift).ravel(), side="left")
        # The highest precision from each of these places to the next, then from the right.
        padded = np.append(precision.ravel(), 0.0)
        first = np.minimum(first, padded.size - 1)
        highest = np.maximum.reduceat(padded, first).reshape(draws, -1)
        highest[~reachable] = 0.0
        envelope = np.maximum.accumulate(highest[:, ::-1], axis=1)
        averages: NDArray[np.float64] = envelope.mean(axis=1)
        return averages


def _needed(to_find: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many true positives reach each of the 101 recalls, ``(draws, 101)``, in the reference's own roundings."""
    total = np.maximum(to_find, 1)[:, None].astype(np.float64)
    needed = np.ceil(_RECALLS * total)
    needed -= (needed >= 1) & ((needed - 1) / total >= _RECALLS)
    needed += needed / total < _RECALLS
    return needed.astype(np.int64)


def _places(draws: int, rows: int) -> Iterator[slice]:
    return (slice(start, min(start + rows, draws)) for start in range(0, draws, rows))


def _matches(
    photos: int, drawn: pl.DataFrame, found: pl.DataFrame
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Photo number and confidence ``(D,)``, right and ignored ``(10, D)`` of the predictions that COCO looks at."""
    truth = COCO.from_arrays(
        [{"id": number} for number in range(1, photos + 1)],
        [{"id": _CLASS_ID, "name": VEHICLE}],
        drawn["number"].to_numpy(),
        np.full(drawn.height, _CLASS_ID),
        _xywh(drawn),
        iscrowd=drawn["crowd"].to_numpy(),
    )
    columns = [found["number"].to_numpy(), _xywh(found), found["confidence"].to_numpy()]
    rows = np.column_stack([*columns, np.full(found.height, _CLASS_ID)]).astype(np.float64)
    evaluation = COCOeval(truth, truth.load_res(rows), "bbox")
    evaluation.params.area_rng, evaluation.params.area_rng_lbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    images: list[dict[str, Any]] = [image for image in evaluation.eval_imgs if image and image["dtScores"]]
    if not images:
        nothing = np.zeros((IOUS, 0), dtype=np.bool_)
        return np.zeros(0, np.intp), np.zeros(0), nothing, nothing
    number = np.repeat([image["image_id"] for image in images], [len(image["dtScores"]) for image in images])
    score = np.concatenate([image["dtScores"] for image in images])
    right = np.concatenate([np.asarray(image["dtMatched"], dtype=np.bool_) for image in images], axis=1)
    ignored = np.concatenate([np.asarray(image["dtIgnore"], dtype=np.bool_) for image in images], axis=1)
    return number.astype(np.intp), score.astype(np.float64), right, ignored


def _xywh(rows: pl.DataFrame) -> NDArray[np.float64]:
    sides = rows.select("x1", "y1", "x2", "y2").to_numpy().astype(np.float64)
    sides[:, 2:] -= sides[:, :2]
    return sides
