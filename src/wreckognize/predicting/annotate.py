"""Copies of photos with the boxes drawn in: for people, never in the place of the photos."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wreckognize import images
from wreckognize.errors import UsageError
from wreckognize.files import atomic_write

_COLOURS = {"vehicle": (60, 170, 60), "no vehicle": (60, 60, 200), "to a person": (30, 150, 230)}  # BGR
_QUALITY = 90


def require_own_folder(folder: Path, patterns: Sequence[str], names: Iterable[str]) -> None:
    """Refuse a folder in which annotated copies could be taken for photos.

    Args:
        folder: for the copies.
        patterns: what was named.
        names: the photos that it came to.

    Raises:
        UsageError: it is a folder of the photos, or lies within one that was named.
    """
    own = folder.resolve()
    named = [Path(pattern).resolve() for pattern in patterns if Path(pattern).is_dir()]
    within = any(own.is_relative_to(place) for place in named)
    beside = own.is_dir() and any(
        Path(place).resolve() == own
        for place in {os.path.dirname(name) for name in names}  # noqa: PTH120
    )
    if within or beside:
        raise UsageError(
            "the annotated copies would lie among the photos",
            where=str(folder),
            remedy="choose a folder that holds none of them",
        )


def annotate(name: str, line: Mapping[str, Any], folder: Path) -> Path:
    """Write a copy of a photo with its verdict and boxes; pixels only, so that no EXIF goes along.

    Args:
        name: path of the photo.
        line: what was said about it, see `wreckognize.predicting.lines`.
        folder: for the copy.

    Returns:
        The copy. Its name is the photo's with a mark made of the photo's whole path, so that no two photos share one.

    Raises:
        InputError: the photo cannot be read any more.
    """
    pixels = np.ascontiguousarray(images.decode(Path(name)))
    _draw(pixels, line)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    target = folder / copy_name(name)
    atomic_write(target, data.tobytes())
    return target


def copy_name(name: str) -> str:
    """The name of the annotated copy of a photo."""
    mark = hashlib.sha256(os.fsencode(os.path.abspath(name))).hexdigest()[:10]  # noqa: PTH100 (of the name as given)
    stem = os.fsencode(Path(name).stem).decode("utf-8", "replace")[:60]
    return f"{stem}-{mark}.jpg"


def _draw(pixels: NDArray[np.uint8], line: Mapping[str, Any]) -> None:
    height, width = pixels.shape[:2]
    colour = _COLOURS[line["verdict"]]
    thick = max(1, round(max(height, width) / 400))
    scale = max(0.4, max(height, width) / 1000)
    for box in line["boxes"]:
        corner, other = (round(box["x1"]), round(box["y1"])), (round(box["x2"]), round(box["y2"]))
        cv2.rectangle(pixels, corner, other, colour, thick)
        _label(pixels, f"{box['confidence']:.2f}", (corner[0], corner[1]), colour, scale, thick)
    _label(pixels, f"{line['verdict']} {line['score']:.2f}", (0, height), colour, scale, thick)


def _label(
    pixels: NDArray[np.uint8],
    text: str,
    at: tuple[int, int],
    colour: tuple[int, int, int],
    scale: float,
    thick: int,
) -> None:
    """White text on a block of colour, whose lower left corner is ``at``, moved into the photo where it sticks out."""
    (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, max(1, thick // 2))
    left = max(0, min(at[0], pixels.shape[1] - wide))
    bottom = max(high + below, min(at[1], pixels.shape[0]))
    cv2.rectangle(pixels, (left, bottom - high - below), (left + wide, bottom), colour, cv2.FILLED)
    white = (255, 255, 255)
    cv2.putText(
        pixels,
        text,
        (left, bottom - below),
        cv2.FONT_HERSHEY_SIMPLEX,
        scale,
        white,
        max(1, thick // 2),
        cv2.LINE_AA,
    )
