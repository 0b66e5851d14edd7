"""How far labels and predictions of one photo agree, box by box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from wreckognize import boxes as bx
from wreckognize.boxes import Boxes

CORNERS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Labels and predictions of one photo side by side.

    Attributes:
        overlap: ``(N, M)`` IoU of each label with each prediction.
        nearest_prediction: ``(N,)`` of each label: the prediction that overlaps it most; -1 where none does.
        nearest_label: ``(M,)`` of each prediction: the label that overlaps it most; -1 where none does.
        support: ``(N,)`` of each label: confidence times IoU of the prediction that is its own; 0 without one.
    """

    overlap: NDArray[np.float64]
    nearest_prediction: NDArray[np.intp]
    nearest_label: NDArray[np.intp]
    support: NDArray[np.float64]


def agree(labels: Boxes, predictions: Boxes, confidence: NDArray[np.float32]) -> Agreement:
    """Compare the labels of one photo with what was predicted.

    ``support`` comes from the one-to-one assignment that maximises its sum (Kuhn 1955), so that of two labels on one
    vehicle only one is supported.

    Args:
        labels: ``(N, 4)``.
        predictions: ``(M, 4)``.
        confidence: ``(M,)``.
    """
    overlap = bx.iou(labels, predictions).astype(np.float64)
    gain = overlap * confidence
    support = np.zeros(len(labels))
    rows, columns = linear_sum_assignment(gain, maximize=True)
    support[rows] = gain[rows, columns]
    return Agreement(
        overlap=overlap,
        nearest_prediction=_nearest(overlap),
        nearest_label=_nearest(overlap.T),
        support=support,
    )


def _nearest(overlap: NDArray[np.float64]) -> NDArray[np.intp]:
    if not overlap.shape[1]:
        return np.full(overlap.shape[0], -1, dtype=np.intp)
    return np.where(overlap.max(axis=1) > 0, overlap.argmax(axis=1), -1)


def share_inside(inner: Boxes, outer: Boxes) -> NDArray[np.float64]:
    """Share of the area of each of ``inner`` within each of ``outer``, ``(N, M)``; 0 for a box without area.

    >>> share_inside(bx.as_boxes([[0, 0, 2, 2]]), bx.as_boxes([[1, 0, 9, 9], [5, 5, 6, 6]])).tolist()
    [[0.5, 0.0]]
    """
    corner = np.maximum(inner[:, None, :2], outer[None, :, :2])
    sides = np.minimum(inner[:, None, 2:], outer[None, :, 2:]) - corner
    shared = np.clip(sides, 0, None).astype(np.float64).prod(axis=2)
    own = bx.area(inner).astype(np.float64)[:, None]
    share: NDArray[np.float64] = np.divide(shared, own, out=np.zeros_like(shared), where=own > 0)
    return share


def boxes_by_photo(table: pl.DataFrame) -> dict[str, tuple[Boxes, pl.DataFrame]]:
    """The boxes of each photo of a table with ``photo`` and corners, and its rows, in the order of the table."""
    return {
        str(photo): (bx.as_boxes(rows.select(CORNERS).to_numpy()), rows)
        for (photo,), rows in table.partition_by("photo", as_dict=True, maintain_order=True).items()
    }


def outside_crowds(predictions: pl.DataFrame, boxes: pl.DataFrame, at_most: float = 0.5) -> pl.DataFrame:
    """Predictions without those that lie by more than ``at_most`` in a region marked as a crowd.

    A crowd region says that vehicles are there and were not drawn one by one; a prediction in it is not overlooked.

    Args:
        predictions: ``PREDICTION_SCHEMA``.
        boxes: ``BOX_SCHEMA``.
        at_most: share of the prediction's area.
    """
    crowds = boxes_by_photo(boxes.filter(pl.col("crowd").fill_null(False)))
    if not crowds:
        return predictions
    numbered = predictions.with_row_index("row")
    dropped: list[int] = []
    for photo, (found, rows) in boxes_by_photo(numbered.filter(pl.col("photo").is_in(list(crowds)))).items():
        within = share_inside(found, crowds[photo][0]).max(axis=1) > at_most
        dropped += rows["row"].filter(pl.Series(within)).to_list()
    return numbered.filter(~pl.col("row").is_in(dropped)).drop("row")
