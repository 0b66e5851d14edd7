"""Photos as a person sees them: their pixels, and where boxes lie in them.

Knows EXIF orientation and pixel formats; knows nothing of sources, labels or models. `imagefile` opens photos and says
what their header says. A photo that cannot be used raises `InputError`, whatever its decoder raised.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wreckognize import imagefile
from wreckognize.errors import InputError
from wreckognize.imagefile import MAX_BYTES as MAX_BYTES
from wreckognize.imagefile import TURNS
from wreckognize.imagefile import ImageHeader as ImageHeader
from wreckognize.imagefile import pillow_open as pillow_open
from wreckognize.imagefile import read_header as read_header
from wreckognize.imagefile import verify as verify

_Float = TypeVar("_Float", np.float32, np.float64)

_SIXTEEN_BIT_GREY = ("I;16", "I;16B", "I;16L")


def decode(photo: Path | bytes) -> NDArray[np.uint8]:
    """Decode a photo to ``(H, W, 3) uint8`` BGR, as shown (EXIF orientation applied).

    Alpha is dropped, as OpenCV and Ultralytics do; 16-bit samples keep their high byte; the first of several
    frames is taken.

    Raises:
        InputError: if the photo is truncated or damaged, or for what `read_header` refuses.
    """
    data = imagefile.content(photo) if isinstance(photo, Path) else photo
    with imagefile.opened(io.BytesIO(data)) as (image, header), imagefile.room(header):
        imagefile.require_sound(image, data)
        if header.plain:
            flags = cv2.IMREAD_COLOR_BGR | cv2.IMREAD_IGNORE_ORIENTATION
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
            if pixels is not None and pixels.shape == (header.height, header.width, 3):
                return np.asarray(pixels, dtype=np.uint8)
        turned_by_decoder = image.format == "TIFF"
        imagefile.load(image)
        bgr = _bgr(image)
    shown = bgr if turned_by_decoder else np.ascontiguousarray(_orient(bgr, header.orientation))
    if shown.shape[:2] != (header.height, header.width):
        raise InputError(
            f"truncated or damaged photo: {shown.shape[1]} x {shown.shape[0]} pixels, "
            f"its header says {header.width} x {header.height}",
            remedy="fetch the photo again, or leave it out",
        )
    return shown


def orient_boxes(boxes: NDArray[_Float], header: ImageHeader) -> NDArray[_Float]:
    """Move boxes from the photo as stored to the photo as shown.

    Args:
        boxes: ``(N, 4)`` xyxy in pixels of the stored, unturned photo.
        header: the photo's header.

    Returns:
        ``(N, 4)`` xyxy in pixels of the photo as shown, of the same type.
    """
    turns, mirrors_x, mirrors_y = TURNS[header.orientation]
    shown = boxes[:, [1, 0, 3, 2]] if turns else boxes.copy()
    if mirrors_x:
        shown[:, [0, 2]] = header.width - shown[:, [2, 0]]
    if mirrors_y:
        shown[:, [1, 3]] = header.height - shown[:, [3, 1]]
    return shown


def _orient(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    turns, mirrors_x, mirrors_y = TURNS[orientation]
    shown = pixels.swapaxes(0, 1) if turns else pixels
    return shown[:: -1 if mirrors_y else 1, :: -1 if mirrors_x else 1]


def _bgr(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in _SIXTEEN_BIT_GREY:
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    # By way of RGBA, as Pillow cannot take a palette with several transparent colours straight to RGB.
    opaque = image.convert("RGBA") if "transparency" in image.info else image
    return np.ascontiguousarray(np.asarray(opaque.convert("RGB"))[:, :, ::-1])
