"""The one way photos go through a detector: read, decode, letterbox, batch by shape, infer, suppress.

Photos are decoded by threads ahead of the detector, within a bounded window. Batches hold photos of one input shape
and depend only on the list of photos, so results do not depend on how many threads there are. A photo that cannot be
read costs only itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wreckognize import boxes as bx
from wreckognize import images
from wreckognize.boxes import Boxes
from wreckognize.detectors.port import Detector
from wreckognize.errors import InputError
from wreckognize.inference.letterbox import Fit


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo to look at; the size is as shown, after EXIF orientation."""

    photo: str
    path: Path
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How photos are looked at.

    Attributes:
        imgsz: pixels of the longest side at inference.
        batch: photos of one shape at a time.
        workers: decoding threads.
        confidence: boxes below it are not kept.
        iou: a box that overlaps a better one by more is dropped (non-maximum suppression).
        candidates: the most confident boxes that enter the suppression.
        boxes: at most so many are kept of a photo.
    """

    imgsz: int
    batch: int = 8
    workers: int = 2
    confidence: float = 0.001
    iou: float = 0.7
    candidates: int = 3000
    boxes: int = 300


@dataclass(frozen=True, slots=True)
class Look:
    """What the detector saw in one photo.

    Attributes:
        photo: name.
        boxes: ``(N, 4)`` xyxy pixels of the photo, best first.
        confidences: ``(N,) float32``.
        feature: ``(D,) float32`` pooled backbone features, scaled to length 1; None for a photo that was not read.
        error: why the photo could not be read.
    """

    photo: str
    boxes: Boxes
    confidences: NDArray[np.float32]
    feature: NDArray[np.float32] | None
    error: InputError | None = None

    @property
    def score(self) -> float:
        """The highest confidence of its boxes, 0 where there is none."""
        return float(self.confidences[0]) if len(self.confidences) else 0.0


def plan_batches(photos: Sequence[PhotoFile], settings: StreamSettings, stride: int) -> list[list[PhotoFile]]:
    """Batches of photos of one input shape; within a shape the photos keep their order."""

    def shape(photo: PhotoFile) -> tuple[int, int]:
        return Fit.of(photo.width, photo.height, settings.imgsz, stride).shape

    batches: list[list[PhotoFile]] = []
    for _, same in groupby(sorted(photos, key=shape), key=shape):
        group = list(same)
        batches += [group[start : start + settings.batch] for start in range(0, len(group), settings.batch)]
    return batches


def look_at(photos: Sequence[PhotoFile], detector: Detector, settings: StreamSettings) -> Iterator[Look]:
    """Yield a `Look` for every photo, batch by batch (not in the order of ``photos``)."""
    stride = detector.info.stride
    batches = plan_batches(photos, settings, stride)
    ahead = max(2 * settings.workers, settings.batch) + settings.batch
    with ThreadPoolExecutor(settings.workers, thread_name_prefix="decode") as pool:
        waiting: deque[Future[NDArray[np.uint8] | InputError]] = deque()
        queued = (photo for batch in batches for photo in batch)

        def fill() -> None:
            while len(waiting) < ahead and (photo := next(queued, None)) is not None:
                waiting.append(pool.submit(_read, photo, settings.imgsz, stride))

        for batch in batches:
            ready: list[tuple[PhotoFile, NDArray[np.uint8]]] = []
            for photo in batch:
                fill()
                canvas = waiting.popleft().result()
                if isinstance(canvas, InputError):
                    yield Look(photo.photo, bx.as_boxes([]), np.zeros(0, np.float32), None, canvas)
                else:
                    ready.append((photo, canvas))
            fill()
            if ready:
                yield from _infer(ready, detector, settings, stride)


def _read(photo: PhotoFile, imgsz: int, stride: int) -> NDArray[np.uint8] | InputError:
    try:
        pixels = images.decode(photo.path)
    except InputError as error:
        return error
    height, width = pixels.shape[:2]
    if (width, height) != (photo.width, photo.height):
        return InputError(
            f"is {width} x {height} pixels now, was {photo.width} x {photo.height} when it was collected",
            where=str(photo.path),
            remedy="leave photos alone while a study runs, or collect again",
        )
    return Fit.of(width, height, imgsz, stride).apply(pixels)


def _infer(
    ready: list[tuple[PhotoFile, NDArray[np.uint8]]], detector: Detector, settings: StreamSettings, stride: int
) -> Iterator[Look]:
    raw = detector.infer(np.stack([canvas for _, canvas in ready]))
    for (photo, _), boxes, confidences, feature in zip(
        ready, raw.boxes, raw.confidences, raw.features, strict=True
    ):
        fit = Fit.of(photo.width, photo.height, settings.imgsz, stride)
        kept, kept_confidences = suppress(boxes, confidences, settings)
        length = float(np.linalg.norm(feature))
        yield Look(photo.photo, fit.restore(kept), kept_confidences, feature / length if length > 0 else feature)


def suppress(
    boxes: Boxes, confidences: NDArray[np.float32], settings: StreamSettings
) -> tuple[Boxes, NDArray[np.float32]]:
    """Keep what is confident enough and not doubled.

    Args:
        boxes: ``(A, 4)`` candidates of one photo.
        confidences: ``(A,)``.
        settings: thresholds.

    Returns:
        Boxes ``(N, 4)`` and confidences ``(N,)``, best first.
    """
    chosen = np.flatnonzero(confidences >= np.float32(settings.confidence))
    if len(chosen) > settings.candidates:
        best = np.argsort(-confidences[chosen], kind="stable")[: settings.candidates]
        chosen = chosen[np.sort(best)]
    boxes, confidences = boxes[chosen], confidences[chosen]
    kept = bx.nms(boxes, confidences, settings.iou, settings.boxes)
    return boxes[kept], confidences[kept]
