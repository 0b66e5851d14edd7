"""Small JPEGs of the photos a gallery shows, each made once and without the metadata of its file."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2

from wreckognize.errors import InputError
from wreckognize.images import decode
from wreckognize.progress import Progress

LONGEST_SIDE = 256
"""Pixels."""

JPEG_QUALITY = 70


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A photo as the page holds it.

    Attributes:
        jpeg: the file's bytes; empty where the photo could not be read.
        problem: why it could not be read; empty otherwise.
    """

    jpeg: bytes = b""
    problem: str = ""

    @property
    def data_uri(self) -> str:
        """The picture as the value of an ``href``."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode('ascii')}"


def thumbnail_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the thumbnail of a photo of ``width`` x ``height`` pixels; never enlarged.

    >>> thumbnail_size(1024, 512), thumbnail_size(40, 30), thumbnail_size(5000, 2)
    ((256, 128), (40, 30), (256, 1))
    """
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def make_thumbnails(paths: Mapping[str, Path], progress: Progress) -> dict[str, Thumbnail]:
    """Thumbnails of photos by name; one that can no longer be read says why instead of ending the report."""
    workers = min(8, os.cpu_count() or 1)
    thumbnails: dict[str, Thumbnail] = {}
    with progress.task("thumbnails for the report", len(paths)) as task, ThreadPoolExecutor(workers) as pool:
        for name, thumbnail in zip(paths, pool.map(_make_thumbnail, paths.values()), strict=True):
            thumbnails[name] = thumbnail
            task.advance()
    return thumbnails


def _make_thumbnail(path: Path) -> Thumbnail:
    try:
        photo = decode(path)
    except InputError as error:
        return Thumbnail(problem=error.reason)
    height, width = photo.shape[:2]
    small = cv2.resize(photo, thumbnail_size(width, height), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Thumbnail(jpeg=jpeg.tobytes())
