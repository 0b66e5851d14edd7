"""A fast detector and its exact twin: what the fast one leaves in doubt is looked at again.

A coarse number format shifts scores a little. Only photos whose score lies near a threshold can change sides, so those
go through the network again in float32, and its whole answer for them is kept. As long as no score shifts by more than
the margin, every decision is that of float32.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wreckognize.detectors.port import Detector, DetectorInfo, RawDetections

MARGIN = 0.02
"""Default distance from a threshold within which a photo is looked at again (bfloat16 flips nothing beyond it)."""


class SecondLook:
    """A `Detector` that asks ``fast`` first, and ``exact`` where the score is near a threshold.

    Args:
        fast: looks at every photo.
        exact: the same network in float32, with inputs and candidates of the same shape.
        thresholds: scores at which photos change sides.
        margin: how near to one of them is too near.

    Raises:
        ValueError: no threshold, or a margin that is no distance.
    """

    def __init__(
        self, fast: Detector, exact: Detector, thresholds: tuple[float, ...], margin: float = MARGIN
    ) -> None:
        if not thresholds or not margin >= 0:
            raise ValueError(
                f"a second look needs thresholds and a margin of 0 or more, got {thresholds}, {margin}"
            )
        self._fast, self._exact = fast, exact
        self._thresholds, self._margin = np.array(sorted(set(thresholds))), margin
        self._info = replace(fast.info, precision=f"{fast.info.precision}, {exact.info.precision} near thresholds")

    @property
    def info(self) -> DetectorInfo:
        """That of the fast detector, but for the precision in words."""
        return self._info

    def infer(self, batch: NDArray[np.uint8]) -> RawDetections:
        """Look at a batch; see `RawDetections` for what comes back."""
        first = self._fast.infer(batch)
        near = in_doubt(first.confidences.max(axis=1, initial=0.0), self._thresholds, self._margin)
        if not near.any():
            return first
        again = self._exact.infer(batch[near])
        for fast, exact in zip(
            (first.boxes, first.confidences, first.features),
            (again.boxes, again.confidences, again.features),
            strict=True,
        ):
            fast[near] = exact
        return first


def in_doubt(scores: NDArray[np.float32], thresholds: NDArray[np.float64], margin: float) -> NDArray[np.bool_]:
    """Which photos' scores, ``(B,)``, lie within ``margin`` of any threshold (bounds included), ``(B,)``.

    A score that is not a number is in doubt too.

    >>> in_doubt(np.array([0.07, 0.085, 0.11, 0.5], np.float32), np.array([0.1, 0.25]), 0.02).tolist()
    [False, True, True, False]
    """
    distance = np.abs(scores[:, None].astype(np.float64) - thresholds[None, :]).min(axis=1)
    near: NDArray[np.bool_] = ~(distance > margin)
    return near
