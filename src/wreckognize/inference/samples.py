"""A few photos of many: the same ones on any machine, and as a detector gets them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize import images
from wreckognize.errors import InputError
from wreckognize.inference.letterbox import Fit
from wreckognize.inference.stream import PhotoFile

_STRIDE = 32


def sample(photos: pl.DataFrame, count: int, *, seed: int) -> pl.DataFrame:
    """At most ``count`` rows, drawn by ``seed`` and each ``photo``'s name alone, sorted by photo."""
    keys = [hashlib.sha256(f"{seed}:{photo}".encode()).hexdigest() for photo in photos["photo"]]
    drawn = photos.with_columns(_key=pl.Series(keys, dtype=pl.String)).sort("_key").head(count)
    return drawn.drop("_key").sort("photo")


def photo_files(photos: pl.DataFrame) -> list[PhotoFile]:
    """Rows of ``PHOTO_SCHEMA`` as the stream takes them."""
    columns = photos.select("photo", "path", "width", "height")
    return [PhotoFile(photo, Path(path), width, height) for photo, path, width, height in columns.iter_rows()]


def letterboxed(files: Sequence[PhotoFile], imgsz: int) -> Iterator[NDArray[np.uint8]]:
    """Each photo as a batch of one, ``(1, H, W, 3) uint8`` BGR; one that cannot be read is left out."""
    for file in files:
        try:
            pixels = images.decode(file.path)
        except InputError:  # the stage that predicts it says so
            continue
        yield Fit.of(pixels.shape[1], pixels.shape[0], imgsz, _STRIDE).apply(pixels)[None]
