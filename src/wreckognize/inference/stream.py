"""The one way photos go through a detector: read, decode, letterbox, batch by shape, infer, suppress.

Three things go on at the same time: threads decode photos into the next batches, the detector looks at as many batches
as it can at once, and the caller's thread suppresses doubled boxes in the last one. What is under way is bounded.
Batches hold photos of one input shape and depend only on the list of photos, and are handed on in their order, so
results depend neither on the number of threads nor on that of batches under way. A photo that cannot be read costs only
itself; any other error ends the stream and is raised, and no thread outlives it.

JPEGs are always decoded at their full size. libjpeg could decode straight to a half, a quarter or an eighth, but it
averages other pixels than a full decode followed by the resize that networks were trained and judged with, so every
score would shift (`tests/inference/test_stream.py` shows it).
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wreckognize import boxes as bx
from wreckognize import images
from wreckognize.boxes import Boxes
from wreckognize.detectors.port import Detector, OutOfMemory, RawDetections
from wreckognize.errors import EngineError, InputError
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
    """Yield a `Look` for every photo, batch by batch (not in the order of ``photos``).

    Where a GPU's memory does not hold a batch, it is halved until it does; a warning says so.

    Raises:
        EngineError: the detector gave boxes or confidences that are no numbers, or has no memory for one photo.
    """
    stride, under_way = detector.info.stride, max(1, detector.info.requests)
    batches = [_Batch(rows, settings, stride) for rows in plan_batches(photos, settings, stride)]
    engine = Engine(detector)
    with ExitStack() as stack:
        decoding = stack.enter_context(_threads(settings.workers, "decode"))
        reading = _read_ahead(batches, decoding, max(2 * settings.workers, settings.batch))
        if len(batches) == 1:  # nothing to overlap with
            (batch,) = reading
            yield from _suppressed(batch, _infer(engine, batch), settings)
            return
        inferring = stack.enter_context(_threads(under_way, "infer"))
        waiting: deque[tuple[_Batch, Future[RawDetections | None]]] = deque()
        for batch in reading:
            waiting.append((batch, inferring.submit(_infer, engine, batch)))
            if len(waiting) > under_way:
                done, raw = waiting.popleft()
                yield from _suppressed(done, raw.result(), settings)
        for done, raw in waiting:
            yield from _suppressed(done, raw.result(), settings)


@contextmanager
def _threads(count: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads that is gone at the end of the block, with what was not begun given up."""
    pool = ThreadPoolExecutor(count, thread_name_prefix=name)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Batch:
    """Photos of one shape, and the array they are decoded into."""

    def __init__(self, photos: list[PhotoFile], settings: StreamSettings, stride: int) -> None:
        self.photos = photos
        self.fits = [Fit.of(photo.width, photo.height, settings.imgsz, stride) for photo in photos]
        self.canvas: NDArray[np.uint8] | None = None  # only while it is under way
        self.errors: dict[int, InputError] = {}

    def readers(self) -> list[Callable[[], InputError | None]]:
        """One job a photo, each filling its own place."""
        self.canvas = np.empty((len(self.photos), *self.fits[0].shape, 3), dtype=np.uint8)
        parts = zip(self.photos, self.fits, self.canvas, strict=True)
        return [partial(_read, photo, fit, place) for photo, fit, place in parts]

    def read(self) -> list[int]:
        """Places of the photos that could be read."""
        return [number for number in range(len(self.photos)) if number not in self.errors]


def _read_ahead(batches: Sequence[_Batch], pool: ThreadPoolExecutor, ahead: int) -> Iterator[_Batch]:
    """Batches in order, each once its photos are read, while ``ahead`` more photos are being read."""
    jobs = (job for batch in batches for job in batch.readers())  # a batch's array is made when its turn comes
    waiting: deque[Future[InputError | None]] = deque()

    def fill() -> None:
        while len(waiting) < ahead and (job := next(jobs, None)) is not None:
            waiting.append(pool.submit(job))

    for batch in batches:
        for number in range(len(batch.photos)):
            fill()
            error = waiting.popleft().result()
            if error is not None:
                batch.errors[number] = error
        fill()
        yield batch


def _read(photo: PhotoFile, fit: Fit, place: NDArray[np.uint8]) -> InputError | None:
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
    fit.apply_to(pixels, place)
    return None


def _infer(engine: Engine, batch: _Batch) -> RawDetections | None:
    """Look at those photos of a batch that could be read; None if there is none."""
    read, canvas = batch.read(), batch.canvas
    batch.canvas = None
    if not read or canvas is None:
        return None
    return engine.infer(canvas if len(read) == len(canvas) else canvas[read], batch.photos[read[0]].photo)


class Engine:
    """A detector whose answers are checked, and how many photos at a time it has memory for."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._at_most: int | None = None

    def infer(self, canvas: NDArray[np.uint8], photo: str) -> RawDetections:
        """Look at a batch.

        Args:
            canvas: ``(B, H, W, 3) uint8`` BGR, letterboxed.
            photo: the name of its first, for the error.

        Raises:
            EngineError: boxes or confidences are no numbers, or the memory does not hold one photo.
        """
        raw = self._in_parts(canvas)
        if not (np.isfinite(raw.boxes).all() and np.isfinite(raw.confidences).all()):
            info = self._detector.info
            raise EngineError(
                f"{info.engine} ({info.precision}) gave boxes or confidences that are no numbers",
                where=f"{info.weights}, on a batch with {photo}",
                remedy="use `engine: torch` and `precision: float32`; if it stays, the weights are damaged",
            )
        return raw

    def _in_parts(self, canvas: NDArray[np.uint8]) -> RawDetections:
        size = len(canvas) if self._at_most is None else min(self._at_most, len(canvas))
        try:
            parts = [self._detector.infer(canvas[start : start + size]) for start in range(0, len(canvas), size)]
        except OutOfMemory as error:
            if size == 1:
                raise EngineError(
                    f"the device's memory does not hold one photo of {canvas.shape[2]} x {canvas.shape[1]} pixels",
                    where=self._detector.info.device,
                    remedy="choose a smaller imgsz or smaller weights, or free the device",
                ) from error
            self._at_most = size // 2
            warnings.warn(
                f"{self._detector.info.device}: {size} photos at a time do not fit into its memory ({error}); "
                f"going on with {self._at_most}",
                RuntimeWarning,
                stacklevel=2,
            )
            return self._in_parts(canvas)
        if len(parts) == 1:
            return parts[0]
        return RawDetections(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.confidences for part in parts]),
            np.concatenate([part.features for part in parts]),
        )


def _suppressed(batch: _Batch, raw: RawDetections | None, settings: StreamSettings) -> Iterator[Look]:
    """What is left of a batch after suppression; first the photos that could not be read."""
    for number, error in batch.errors.items():
        yield Look(batch.photos[number].photo, bx.as_boxes([]), np.zeros(0, np.float32), None, error)
    if raw is None:
        return
    read = batch.read()
    yield from looks(
        [batch.photos[number].photo for number in read], [batch.fits[number] for number in read], raw, settings
    )


def looks(
    photos: Sequence[str], fits: Sequence[Fit], raw: RawDetections, settings: StreamSettings
) -> Iterator[Look]:
    """A detector's answer for one batch as a `Look` for each of its photos, boxes in pixels of the photo."""
    for photo, fit, boxes, confidences, feature in zip(
        photos, fits, raw.boxes, raw.confidences, raw.features, strict=True
    ):
        kept, kept_confidences = suppress(boxes, confidences, settings)
        length = float(np.linalg.norm(feature))
        yield Look(photo, fit.restore(kept), kept_confidences, feature / length if length > 0 else feature)


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
