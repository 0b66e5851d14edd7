"""A photo's bytes to a detector's input, within limits that its header is held to before anything is decoded."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wreckognize import images
from wreckognize.errors import InputError
from wreckognize.inference.letterbox import Fit

_LARGE = 16_000_000  # pixels; one such photo is decoded at a time, so that their memory does not add up
_MOST_SCANS = 100  # of a JPEG; each makes the decoder go over the whole photo again
_one_large = threading.Lock()


@dataclass(frozen=True, slots=True)
class ReadPhoto:
    """A decoded and letterboxed photo.

    Attributes:
        fit: how it lies in the input.
        canvas: ``(H, W, 3) uint8`` BGR, the input.
        brightness: mean luma, 0 to 255.
    """

    fit: Fit
    canvas: NDArray[np.uint8]
    brightness: float


def read_photo(data: bytes, pixels: int, imgsz: int, stride: int) -> ReadPhoto:
    """Decode and letterbox a photo, as the stream does.

    Args:
        data: the file.
        pixels: it may have at most.
        imgsz: pixels of the input's longest side.
        stride: of the detector.

    Raises:
        InputError: it cannot be used, or has too many pixels or scans.
    """
    header = images.read_header(data)
    size = header.width * header.height
    if size > pixels:
        raise InputError(
            f"{size / 1e6:.0f} megapixels; at most {pixels / 1e6:.0f} are taken",
            remedy="scale the photo down",
            kind="too_many_pixels",
        )
    if header.format in ("JPEG", "MPO") and data.count(b"\xff\xda") > _MOST_SCANS:
        raise InputError(
            f"a JPEG with over {_MOST_SCANS} scans", remedy="save the photo again", kind="too_many_pixels"
        )
    fit = Fit.of(header.width, header.height, imgsz, stride)
    if size > _LARGE:
        with _one_large:
            shown = images.decode(data)
    else:
        shown = images.decode(data)
    return ReadPhoto(fit, fit.apply(shown), _brightness(shown))


def encoded_grey(side: int = 32) -> bytes:
    """A small grey JPEG."""
    _, data = cv2.imencode(".jpg", np.full((side, side, 3), 114, np.uint8))
    return data.tobytes()


def _brightness(pixels: NDArray[np.uint8]) -> float:
    """Mean luma of ITU-R BT.601, 0 to 255, as `wreckognize.inference.traits` has it."""
    blue, green, red, _ = cv2.mean(pixels)
    return float(0.114 * blue + 0.587 * green + 0.299 * red)
