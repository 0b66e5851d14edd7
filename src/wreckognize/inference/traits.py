"""What a photo is like apart from what it shows: its brightness, and how strongly its file is compressed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from wreckognize import images

TRAIT_SCHEMA = pl.Schema({"photo": pl.String, "brightness": pl.Float32, "quality": pl.Int32})
"""``brightness``: mean luma, 0 to 255; ``quality``: of the JPEG, 1 to 100, null where the file is no JPEG."""

# The luminance table of ITU-T T.81 (1992), annex K.1, by rows.
_LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


@dataclass(frozen=True, slots=True)
class Traits:
    """One photo's row of ``TRAIT_SCHEMA``."""

    brightness: float
    quality: int | None


def read_traits(path: Path) -> Traits:
    """Read a photo's traits; its pixels are decoded for the brightness.

    Brightness is the mean luma of ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B) over all pixels, 0 to 255.

    Raises:
        InputError: the photo cannot be read.
    """
    grey = cv2.cvtColor(images.decode(path), cv2.COLOR_BGR2GRAY)
    return Traits(brightness=float(grey.mean()), quality=jpeg_quality(path))


def jpeg_quality(photo: Path | bytes) -> int | None:
    """The quality, 1 to 100, at which libjpeg would have compressed a JPEG like this one; None if it is no JPEG.

    The quality is not written in the file, but its quantisation tables are. libjpeg (jcparam.c,
    ``jpeg_set_quality``) scales the standard table by ``5000 / q`` % below 50 and by ``200 - 2 q`` % from there. The
    estimate is the ``q`` whose scaled luminance table has the sum nearest to that of the file: exact for files that
    libjpeg wrote (the sum falls strictly with ``q``), a fair equivalent for encoders with tables of their own.

    Args:
        photo: a file that `images.decode` reads, or its bytes.
    """
    try:
        with images.pillow_open()(
            photo if isinstance(photo, Path) else io.BytesIO(photo), formats=("JPEG",)
        ) as image:
            tables: dict[int, list[int]] = getattr(image, "quantization", {})
    except UnidentifiedImageError:
        return None
    if not tables:
        return None
    return int(np.abs(_SUMS - sum(tables[min(tables)])).argmin()) + 1


def _sums() -> NDArray[np.int64]:
    """Sum of the luminance table at each quality from 1 to 100, ``(100,)``."""
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = np.clip((_LUMINANCE.ravel()[None, :] * scale[:, None] + 50) // 100, 1, 255)
    return np.asarray(tables.sum(axis=1), dtype=np.int64)


_SUMS = _sums()
