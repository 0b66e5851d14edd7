"""Copies of photos for reviewers. The sources are only read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from wreckognize.errors import InputError, UsageError
from wreckognize.images import MAX_BYTES, decode
from wreckognize.progress import Progress
from wreckognize.reading import read_regular
from wreckognize.review.manifest import Manifest
from wreckognize.review.metadata import without_metadata
from wreckognize.review.plan import Task
from wreckognize.review.records import listed

_QUALITY = 95


def copy_photos(tasks: Sequence[Task], manifest: Manifest, folder: Path, progress: Progress) -> None:
    """Copy the photos into an existing folder, under the names of the manifest.

    Of a photo that every program opens alike the picture is copied byte by byte, without what else its file holds:
    where it was taken, when, by whom and with what. Of any other (turned by EXIF, HEIC, CMYK, TIFF, ...) an upright
    JPEG is made with the same width and height as in the catalog, so that boxes drawn on it are in pixels of the photo
    as shown, whatever the tool makes of EXIF.

    Raises:
        UsageError: photos are gone or are not those of the catalog any more; all are named.
    """
    problems = []
    with progress.task("copying photos", len(tasks)) as bar:
        for task, exported in zip(tasks, manifest.photos, strict=True):
            bar.advance()
            try:
                _copy(task, folder / exported.file)
            except InputError as error:
                problems.append(f"{task.photo}: {error.reason}")
    if problems:
        raise UsageError(
            listed("photos that are not as they were collected (nothing was exported)", problems),
            remedy="put them back, or run `wreckognize collect` again",
        )


def _copy(task: Task, target: Path) -> None:
    source = Path(task.path)
    try:
        data = read_regular(source, MAX_BYTES)
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", remedy="put it back") from error
    if hashlib.sha256(data).hexdigest() != task.sha256:
        raise InputError("the file is another now", remedy="collect again")
    target.write_bytes((without_metadata(data) if task.plain else None) or _encoded(decode(data), target.suffix))


def _encoded(pixels: NDArray[np.uint8], suffix: str) -> bytes:
    options = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    whole, encoded = cv2.imencode(suffix, pixels, options)
    if not whole:
        raise InputError("no JPEG can be made of it", remedy="leave it out with --limit or --split")
    return encoded.tobytes()
