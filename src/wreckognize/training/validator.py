"""What is noted and how it is computed while the library validates and takes losses.

Imported in the training child only, after the library is fenced.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from ultralytics.models.yolo.detect import DetectionValidator


class Validator(DetectionValidator):
    """The library's validator, which also notes each photo's score: the highest confidence of its boxes."""

    def init_metrics(self, model: Any) -> None:
        """Begin a pass over the validation photos."""
        super().init_metrics(model)
        self.labelled: list[float] = []
        self.empty: list[float] = []

    def update_metrics(self, preds: list[dict[str, Any]], batch: dict[str, Any]) -> None:
        """As the library does, and note the scores; a photo without a box of its own shows no vehicle."""
        super().update_metrics(preds, batch)
        with_boxes = set(batch["batch_idx"].int().tolist())
        for index, found in enumerate(preds):
            score = float(found["conf"].max()) if len(found["conf"]) else 0.0
            (self.labelled if index in with_boxes else self.empty).append(score)

    def roc_area(self) -> float | None:
        """The chance that a photo with a label scores higher than one without (Mann-Whitney, ties half).

        None where either kind is missing or a score is no number.
        """
        if not self.labelled or not self.empty or not all(map(math.isfinite, [*self.labelled, *self.empty])):
            return None
        empty = np.sort(self.empty)
        below, not_above = (np.searchsorted(empty, self.labelled, side) for side in ("left", "right"))
        return float((below + not_above).sum() / 2 / (len(self.labelled) * len(self.empty)))


class _Float32Loss:
    """Before another loss in a class's bases: computes it in float32 from a network's outputs in bfloat16.

    Eight bits of mantissa place a box edge to a pixel or two only, too coarse for its loss and for the assignment of
    labels to anchors.
    """

    def __call__(self, predictions: Any, batch: dict[str, Any]) -> Any:
        with torch.autocast("cpu", enabled=False):
            return super().__call__(_as_float32(predictions), batch)  # type: ignore[misc]


def in_float32(loss: Any) -> Any:
    """Have a loss computed in float32, whatever the network computes in; it stays what else it is."""
    loss.__class__ = type("Float32Loss", (_Float32Loss, type(loss)), {})
    return loss


def _as_float32(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: _as_float32(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_as_float32(item) for item in value)
    return value
