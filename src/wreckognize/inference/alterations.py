"""Photos altered in shape and compression but not in what they show, and what a detector sees in them then.

An altered photo is a copy in a folder of the run that is taken away again; sources are never written to.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize import images
from wreckognize.detectors.port import Detector
from wreckognize.errors import InputError, UsageError
from wreckognize.inference.passes import predictions_table
from wreckognize.inference.stream import Look, PhotoFile, StreamSettings, look_at
from wreckognize.progress import Task

Kind = Literal["stretched", "padded", "recompressed"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What is done to a photo to make it like another:

* ``stretched``: scaled to the other's width and height, whatever becomes of its own proportions;
* ``padded``: scaled to fit into the other's width and height with its proportions kept, the rest filled with grey;
* ``recompressed``: saved as a JPEG of the other's quality, at its own size. (A photo already compressed more strongly
  than that keeps its loss: only one direction of this alteration changes much.)
"""

_PADDING = 114  # the grey that detectors are used to from letterboxing
_COPIES = 32  # that lie in the folder at a time
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Form:
    """A photo's shape and compression: sides in pixels; JPEG quality 1 to 100, None for another file format."""

    width: int
    height: int
    quality: int | None


@dataclass(frozen=True, slots=True)
class ToAlter:
    """A photo, and the photo whose form it is to take on."""

    photo: str
    path: Path
    like: Form


def alter(pixels: NDArray[np.uint8], kind: Kind, like: Form) -> NDArray[np.uint8]:
    """The altered photo as a detector gets to see it, ``(H, W, 3) uint8`` BGR like ``pixels``."""
    if kind == "recompressed":
        return images.decode(altered_file(pixels, kind, like)) if like.quality is not None else pixels
    if kind == "stretched":
        return _resized(pixels, like.width, like.height)
    height, width = pixels.shape[:2]
    scale = min(like.width / width, like.height / height)
    inner = _resized(pixels, max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = np.full((like.height, like.width, 3), _PADDING, dtype=np.uint8)
    top, left = (like.height - inner.shape[0]) // 2, (like.width - inner.shape[1]) // 2
    canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return canvas


def altered_file(pixels: NDArray[np.uint8], kind: Kind, like: Form) -> bytes:
    """The altered photo as a file: a JPEG where it was recompressed, else a PNG, which loses nothing."""
    if kind == "recompressed" and like.quality is not None:
        return _encoded(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, like.quality])
    return _encoded(".png", alter(pixels, kind, like), [cv2.IMWRITE_PNG_COMPRESSION, 1])


def look_at_altered(
    items: Sequence[ToAlter], kind: Kind, detector: Detector, settings: StreamSettings, *, folder: Path, task: Task
) -> pl.DataFrame:
    """What a detector sees in altered photos.

    Args:
        items: the photos.
        kind: what is done to them.
        detector: looks at them.
        settings: of the stream.
        folder: for the copies, a few at a time; made and taken away here.
        task: is told of each photo.

    Returns:
        ``PREDICTION_SCHEMA``, by photo, best box first; boxes in pixels of the altered photo.

    Raises:
        UsageError: photos can no longer be read; they are named.
    """
    looks: list[Look] = []
    shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed
    try:
        with ThreadPoolExecutor(settings.workers, thread_name_prefix="alter") as pool:
            for start in range(0, len(items), _COPIES):
                folder.mkdir(parents=True)
                copies = list(
                    pool.map(lambda item: _copy(item, kind, folder), enumerate(items[start : start + _COPIES]))
                )
                _require_all_read(copies)
                whole = [copy for copy in copies if isinstance(copy, PhotoFile)]
                for look in look_at(whole, detector, settings):
                    looks.append(look)
                    task.advance()
                shutil.rmtree(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return predictions_table(sorted(looks, key=lambda look: look.photo))


def _copy(numbered: tuple[int, ToAlter], kind: Kind, folder: Path) -> PhotoFile | InputError:
    number, item = numbered
    try:
        pixels = images.decode(item.path)
    except InputError as error:
        return InputError(error.reason, where=item.photo, remedy=error.remedy)
    path = folder / str(number)
    path.write_bytes(altered_file(pixels, kind, item.like))
    height, width = pixels.shape[:2]
    if kind != "recompressed":
        width, height = item.like.width, item.like.height
    return PhotoFile(item.photo, path, width, height)


def _require_all_read(copies: Sequence[PhotoFile | InputError]) -> None:
    unread = [f"{copy.where}: {copy.reason}" for copy in copies if isinstance(copy, InputError)]
    if unread:
        raise UsageError(
            f"{len(unread)} photos can no longer be read as they were collected:\n    "
            + "\n    ".join(unread[:_NAMED]),
            remedy="put them back as they were, or run again: what has changed is collected anew",
        )


def _resized(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = width * height < pixels.shape[0] * pixels.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(pixels, (width, height), interpolation=interpolation).astype(np.uint8, copy=False)


def _encoded(suffix: str, pixels: NDArray[np.uint8], parameters: list[int]) -> bytes:
    _, data = cv2.imencode(suffix, pixels, parameters)
    return data.tobytes()
