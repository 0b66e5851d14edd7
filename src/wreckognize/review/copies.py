"""Copies of photos for reviewers. The sources are only read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from wreckognize.errors import InputError, UsageError
from wreckognize.files import sha256_of
from wreckognize.images import decode
from wreckognize.progress import Progress
from wreckognize.review.manifest import Manifest
from wreckognize.review.plan import Task
from wreckognize.review.records import listed

_QUALITY = 95


def copy_photos(tasks: Sequence[Task], manifest: Manifest, folder: Path, progress: Progress) -> None:
    """Copy the photos into an existing folder, under the names of the manifest.

    A photo that every program opens alike is copied byte by byte. Of any other (turned by EXIF, HEIC, CMYK, TIFF, ...)
    an upright JPEG is made with the same width and height as in the catalog, so that boxes drawn on it are in pixels
    of the photo as shown, whatever the tool makes of EXIF.

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
        if sha256_of(source) != task.sha256:
            raise InputError("the file is another now", remedy="collect again")
        data = source.read_bytes() if task.plain else None
    except OSError as error:
        raise InputError(f"the file cannot be read ({error.strerror})", remedy="put it back") from error
    if data is None:
        whole, encoded = cv2.imencode(".jpg", decode(source), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        if not whole:
            raise InputError("no JPEG can be made of it", remedy="leave it out with --limit or --split")
        data = encoded.tobytes()
    target.write_bytes(data)
