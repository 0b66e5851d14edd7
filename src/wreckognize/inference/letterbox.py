"""Scaling a photo into a detector's input, and its boxes back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wreckognize import boxes as bx
from wreckognize.boxes import Boxes
from wreckognize.detectors.port import GREY


@dataclass(frozen=True, slots=True)
class Fit:
    """How a photo of one size fits a detector's input.

    The longest side becomes ``imgsz`` and the shorter side is padded only up to the next multiple of the stride
    (Ultralytics' ``auto`` letterbox), so a 640 x 480 photo costs a quarter less than a square one.
    """

    photo_width: int
    photo_height: int
    scaled_width: int
    scaled_height: int
    left: int
    top: int
    width: int
    height: int

    @classmethod
    def of(cls, photo_width: int, photo_height: int, imgsz: int, stride: int) -> Fit:
        """The fit of a photo of this size.

        >>> fit = Fit.of(640, 480, 320, 32)
        >>> fit.width, fit.height, fit.top
        (320, 256, 8)
        """
        scale = min(imgsz / photo_height, imgsz / photo_width)
        scaled_width = max(1, round(photo_width * scale))
        scaled_height = max(1, round(photo_height * scale))
        pad_x, pad_y = (imgsz - scaled_width) % stride, (imgsz - scaled_height) % stride
        return cls(
            photo_width,
            photo_height,
            scaled_width,
            scaled_height,
            left=round(pad_x / 2 - 0.1),
            top=round(pad_y / 2 - 0.1),
            width=scaled_width + pad_x,
            height=scaled_height + pad_y,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the input."""
        return self.height, self.width

    def apply(self, photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scale and pad ``(H, W, 3)`` to ``(height, width, 3)``."""
        canvas = np.empty((self.height, self.width, 3), dtype=np.uint8)
        self.apply_to(photo, canvas)
        return canvas

    def apply_to(self, photo: NDArray[np.uint8], canvas: NDArray[np.uint8]) -> None:
        """As `apply`, into ``canvas``, ``(height, width, 3)``: a place in a batch."""
        right, bottom = self.left + self.scaled_width, self.top + self.scaled_height
        canvas[: self.top] = canvas[bottom:] = GREY
        canvas[self.top : bottom, : self.left] = canvas[self.top : bottom, right:] = GREY
        inner = canvas[self.top : bottom, self.left : right]
        if photo.shape[:2] == inner.shape[:2]:
            inner[:] = photo
        else:
            size = (self.scaled_width, self.scaled_height)
            inner[:] = cv2.resize(photo, size, interpolation=cv2.INTER_LINEAR)

    def restore(self, boxes: Boxes) -> Boxes:
        """Boxes in the input, back to pixels of the photo, cut to its frame."""
        offset = np.array([self.left, self.top] * 2, dtype=np.float32)
        scale_x, scale_y = self.photo_width / self.scaled_width, self.photo_height / self.scaled_height
        scale = np.array([scale_x, scale_y] * 2, dtype=np.float32)
        return bx.clip((boxes - offset) * scale, self.photo_width, self.photo_height)
