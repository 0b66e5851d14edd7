"""Boxes in memory: ``(N, 4) float32`` arrays of ``x1 y1 x2 y2`` in pixels of the photo as it is shown.

The origin is the top left corner; ``x2`` and ``y2`` are the far edges, so width is ``x2 - x1``.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Boxes: TypeAlias = NDArray[np.float32]
"""``(N, 4) float32`` xyxy pixels."""


def as_boxes(values: ArrayLike) -> Boxes:
    """Return ``values`` as ``(N, 4) float32``; an empty input gives ``(0, 4)``.

    Raises:
        ValueError: if the values do not come in fours.

    >>> as_boxes([]).shape
    (0, 4)
    """
    boxes = np.asarray(values, dtype=np.float32)
    if boxes.size == 0:
        return np.zeros((0, 4), dtype=np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must have shape (N, 4), got {boxes.shape}")
    return boxes


def area(boxes: Boxes) -> NDArray[np.float32]:
    """Areas in square pixels, ``(N,)``; a box turned inside out has area 0."""
    sides: NDArray[np.float32] = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    areas: NDArray[np.float32] = sides[:, 0] * sides[:, 1]
    return areas


def clip(boxes: Boxes, width: float, height: float) -> Boxes:
    """Cut boxes to a photo of ``width`` x ``height`` pixels.

    >>> clip(as_boxes([[-5, 2, 30, 40]]), 20, 10).tolist()
    [[0.0, 2.0, 20.0, 10.0]]
    """
    limit = np.array([width, height, width, height], dtype=np.float32)
    return np.clip(boxes, np.float32(0), limit)


def iou(left: Boxes, right: Boxes) -> NDArray[np.float32]:
    """Intersection over union of every pair, ``(N, M)``; 0 where both boxes have no area.

    >>> iou(as_boxes([[0, 0, 2, 4]]), as_boxes([[0, 0, 2, 2], [5, 5, 6, 6]])).tolist()
    [[0.5, 0.0]]
    """
    top_left = np.maximum(left[:, None, :2], right[None, :, :2])
    bottom_right = np.minimum(left[:, None, 2:], right[None, :, 2:])
    sides = np.clip(bottom_right - top_left, 0, None)
    shared: NDArray[np.float32] = sides[..., 0] * sides[..., 1]
    total = area(left)[:, None] + area(right)[None, :] - shared
    ratio: NDArray[np.float32] = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return ratio


def union(boxes: Boxes) -> Boxes:
    """The one box that encloses all of ``boxes``, ``(1, 4)``; ``(0, 4)`` for none."""
    if len(boxes) == 0:
        return as_boxes([])
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])[None].astype(np.float32)


def nms(boxes: Boxes, scores: NDArray[np.float32], iou_threshold: float, keep_at_most: int) -> NDArray[np.intp]:
    """Greedy non-maximum suppression within one class.

    Args:
        boxes: ``(N, 4)`` xyxy.
        scores: ``(N,)``; equal scores keep their order.
        iou_threshold: a box that overlaps a better one by more than this is dropped.
        keep_at_most: stop after so many.

    Returns:
        Indices of the boxes kept, best first.
    """
    order = np.argsort(-scores, kind="stable")
    areas = area(boxes)
    kept: list[int] = []
    while order.size and len(kept) < keep_at_most:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        top_left = np.maximum(boxes[best, :2], boxes[rest, :2])
        bottom_right = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        sides = np.clip(bottom_right - top_left, 0, None)
        shared = sides[:, 0] * sides[:, 1]
        order = rest[shared <= iou_threshold * (areas[best] + areas[rest] - shared)]
    return np.asarray(kept, dtype=np.intp)
