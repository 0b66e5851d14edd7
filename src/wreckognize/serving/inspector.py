"""The queue before the model: photos wait in one place, are decoded ahead, and are looked at in small batches.

    enter -> waiting -> (decoding threads) -> ready -> (inferring threads) -> the photo's future

Photos are decoded, letterboxed, looked at and suppressed by the code of `wreckognize.inference.stream`. Places are
bounded, and so is what lies decoded. A batch takes the oldest ready photo and those of its shape; it waits for more
only while such are being decoded, and at most for ``patience``. A photo whose future was cancelled (the client has
gone, its deadline has passed) leaves the queue at once, and if it is being decoded, before inference.

How many photos a batch holds at most is measured at the start: twice as many only where that saves at least a tenth
of the time for each photo. On a CPU one photo at a time is usually as fast, and then nobody waits for others.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from wreckognize import images, processor
from wreckognize.detectors.port import Detector
from wreckognize.errors import EngineError, InputError
from wreckognize.exporting.bundle import Bundle
from wreckognize.inference.letterbox import Fit
from wreckognize.inference.stream import Engine, Look, looks
from wreckognize.serving.measures import Measures
from wreckognize.serving.settings import ServiceSettings

_LARGE = 16_000_000  # pixels; one such photo is decoded at a time, so that their memory does not add up
_MOST_SCANS = 100  # of a JPEG; each makes the decoder go over the whole photo again
_LARGEST_BATCH = 32
_WORTH = 0.9
_RETRY = 5.0  # seconds between tries of an engine that failed


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one photo.

    Attributes:
        look: boxes and score.
        width: pixels, as shown.
        height: pixels, as shown.
        brightness: mean luma, 0 to 255.
        waited: seconds from entering the queue to the beginning of its inference.
        inference: seconds of its batch's inference.
    """

    look: Look
    width: int
    height: int
    brightness: float
    waited: float
    inference: float


class QueueFull(Exception):
    """There are not as many free places as photos."""


class Stopping(Exception):
    """The service takes no more photos."""


class EngineFailed(Exception):
    """The engine raised, or gave numbers that are none."""


@dataclass(slots=True, eq=False)
class _Photo:
    """A photo in the queue."""

    name: str
    data: bytes
    future: Future[Seen]
    entered: float
    fit: Fit | None = None
    canvas: NDArray[np.uint8] | None = None
    brightness: float = 0.0
    ready_at: float = 0.0

    def done(self) -> bool:
        return self.future.cancelled() or self.future.done()


@dataclass(slots=True)
class _State:
    """What the threads share, under one lock."""

    places: int = 0  # photos that were taken and are not answered
    waiting: deque[_Photo] = field(default_factory=deque)
    decoding: int = 0
    ready: list[_Photo] = field(default_factory=list)
    idle: int = 0  # inferring threads without work
    failures: int = 0  # of the engine, in a row
    running: dict[int, float] = field(default_factory=dict)  # thread -> since when it infers
    stopping: bool = False


class Inspector:
    """A model and the queue before it.

    Args:
        bundle: the model.
        detector: opened from it; it looks at the photos.
        settings: places, batch, patience, decoders, pixels.
        measures: are told what happens.

    Attributes:
        bundle: as given.
        batch: photos looked at in one go, at most; known once started.
    """

    def __init__(self, bundle: Bundle, detector: Detector, settings: ServiceSettings, measures: Measures) -> None:
        self.bundle = bundle
        self._stream = bundle.stream_settings()
        self.batch = settings.batch or 1
        self._settings, self._measures = settings, measures
        self._engine = Engine(detector)
        self._stride = detector.info.stride
        self._requests = max(1, detector.info.requests)
        self._decoders = settings.decoders or processor.cpu_threads()
        self._lock = threading.Lock()
        self._to_decode = threading.Condition(self._lock)
        self._to_infer = threading.Condition(self._lock)
        self._large = threading.Lock()
        self._state = _State()
        self._threads: list[threading.Thread] = []

    # -- for the service ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Warm the model up, measure which batch pays, and begin.

        Raises:
            EngineError: the engine does not work.
        """
        self._warm_up()
        jobs = [(self._decode_all, "decode")] * self._decoders + [(self._infer_all, "infer")] * self._requests
        for number, (job, name) in enumerate(jobs):
            thread = threading.Thread(target=job, name=f"{name}-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def enter(self, photos: Sequence[tuple[str, bytes]]) -> list[Future[Seen]]:
        """Take places for photos: for all of them, or for none.

        Args:
            photos: names and bytes.

        Returns:
            A future for each. It gives `Seen`, raises `InputError` for a photo that cannot be used and `EngineFailed`
            where the engine failed. Cancelling it frees the place.

        Raises:
            QueueFull: there are not enough places.
            Stopping: the service is being stopped.
        """
        now = time.monotonic()
        entering = [_Photo(name, data, Future(), now) for name, data in photos]
        with self._lock:
            if self._state.stopping:
                raise Stopping
            if self._state.places + len(entering) > self._settings.places:
                raise QueueFull
            self._state.places += len(entering)
            self._measures.places(self._state.places)
            self._state.waiting.extend(entering)
            self._to_decode.notify(len(entering))
        for photo in entering:
            photo.future.add_done_callback(lambda _, photo=photo: self._leave(photo))  # type: ignore[misc]
        return [photo.future for photo in entering]

    @property
    def free_places(self) -> int:
        """Places that are free now."""
        return self._settings.places - self._state.places

    @property
    def failing(self) -> bool:
        """Whether the engine failed several times in a row, or has not come back for long."""
        with self._lock:
            since = min(self._state.running.values(), default=None)
            stuck = since is not None and time.monotonic() - since > self._settings.stuck
            return stuck or self._state.failures >= self._settings.failures

    def stop(self, patience: float = 30.0) -> bool:
        """Take no more photos, finish those that were taken, and end the threads; whether all ended in time."""
        with self._lock:
            self._state.stopping = True
            self._to_decode.notify_all()
            self._to_infer.notify_all()
        ends = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    # -- decoding -------------------------------------------------------------------------------------------------

    def _decode_all(self) -> None:
        while (photo := self._next_to_decode()) is not None:
            try:
                self._decode(photo)
            except InputError as error:
                self._decoded(photo, ready=False)
                _fail(photo, error)
            except Exception as error:  # a decoder's mistake must not end the thread
                self._decoded(photo, ready=False)
                self._measures.decoder_failed(type(error).__name__, str(error))
                _fail(photo, InputError("truncated or damaged photo", remedy="fetch the photo again"))
            else:
                self._decoded(photo, ready=True)

    def _next_to_decode(self) -> _Photo | None:
        most = self._decoders + self._requests * max(2, self.batch)  # decoded ahead
        state = self._state
        with self._lock:
            while not (state.waiting and state.decoding + len(state.ready) < most):
                if state.stopping and not state.waiting:
                    return None
                self._to_decode.wait()
            state.decoding += 1
            return state.waiting.popleft()

    def _decode(self, photo: _Photo) -> None:
        data = photo.data
        if photo.done():
            return
        began = time.monotonic()
        header = images.read_header(data)
        pixels = header.width * header.height
        if pixels > self._settings.pixels:
            raise InputError(
                f"{pixels / 1e6:.0f} megapixels; at most {self._settings.pixels / 1e6:.0f} are taken",
                remedy="scale the photo down",
                kind="too_many_pixels",
            )
        if data.count(b"\xff\xda") > _MOST_SCANS and header.format in ("JPEG", "MPO"):
            raise InputError(
                f"a JPEG with over {_MOST_SCANS} scans", remedy="save the photo again", kind="too_many_pixels"
            )
        fit = Fit.of(header.width, header.height, self._stream.imgsz, self._stride)
        if pixels > _LARGE:
            with self._large:
                shown = images.decode(data)
        else:
            shown = images.decode(data)
        photo.fit, photo.canvas, photo.brightness = fit, fit.apply(shown), _brightness(shown)
        photo.data = b""
        self._measures.decoded(time.monotonic() - began)

    def _decoded(self, photo: _Photo, *, ready: bool) -> None:
        with self._lock:
            self._state.decoding -= 1
            if ready and not photo.done():
                photo.ready_at = time.monotonic()
                self._state.ready.append(photo)
            self._to_infer.notify()
            self._to_decode.notify()

    # -- inference ------------------------------------------------------------------------------------------------

    def _infer_all(self) -> None:
        while (batch := self._next_batch()) is not None:
            if batch:
                self._look_at(batch)
            else:
                self._try_again()

    def _next_batch(self) -> list[_Photo] | None:
        """The next photos to look at; an empty list: the failed engine is to be tried; None: the end."""
        state = self._state
        with self._lock:
            state.idle += 1
            try:
                while True:
                    state.ready = [photo for photo in state.ready if not photo.done()]
                    if state.ready:
                        batch, wait = self._choose()
                        if wait <= 0:
                            state.ready = [photo for photo in state.ready if photo not in batch]
                            taken = [photo for photo in batch if photo.future.set_running_or_notify_cancel()]
                            self._to_decode.notify(len(batch))
                            if taken:
                                return taken
                            continue
                        self._to_infer.wait(wait)
                    elif state.stopping and not state.waiting and not state.decoding:
                        self._to_infer.notify_all()
                        return None
                    elif not self._to_infer.wait(_RETRY) and state.failures >= self._settings.failures:
                        return []
            finally:
                state.idle -= 1

    def _choose(self) -> tuple[list[_Photo], float]:
        """The oldest ready photo with others of its shape, and how long to wait for more of them."""
        state = self._state
        first = state.ready[0]
        same = [photo for photo in state.ready if _shape(photo) == _shape(first)]
        share = -(-len(same) // max(1, state.idle))  # the other idle threads want some too
        batch = same[: min(self.batch, share)]
        if len(same) >= self.batch or not state.decoding or state.stopping:
            return batch, 0.0
        return batch, first.ready_at + self._settings.patience - time.monotonic()

    def _look_at(self, batch: list[_Photo]) -> None:
        me, began = threading.get_ident(), time.monotonic()
        with self._lock:
            self._state.running[me] = began
        try:
            canvas = np.stack([photo.canvas for photo in batch if photo.canvas is not None])
            raw = self._engine.infer(canvas, batch[0].name)
            taken = time.monotonic() - began
            fits = [photo.fit for photo in batch if photo.fit is not None]
            found = list(looks([photo.name for photo in batch], fits, raw, self._stream))
        except Exception as error:  # whatever an engine raises must not end the service
            self._failed(batch, error)
            return
        finally:
            with self._lock:
                self._state.running.pop(me, None)
        self._measures.inferred(len(batch), taken)
        with self._lock:
            self._state.failures = 0
        for photo, fit, look in zip(batch, fits, found, strict=True):
            waited = began - photo.entered
            photo.future.set_result(Seen(look, fit.photo_width, fit.photo_height, photo.brightness, waited, taken))

    def _failed(self, batch: list[_Photo], error: Exception) -> None:
        if len(batch) > 1:  # one of them may be the cause
            for photo in batch:
                self._look_at([photo])
            return
        reason = "no_numbers" if isinstance(error, EngineError) else type(error).__name__
        self._measures.engine_failed(reason, str(error))
        with self._lock:
            self._state.failures += 1
        batch[0].future.set_exception(EngineFailed(reason))

    def _try_again(self) -> None:
        """See whether an engine that failed works again, as no photo comes while the service is not ready."""
        try:
            self._engine.infer(self._blank(1), "a grey photo")
        except Exception as error:  # as above
            self._measures.engine_failed(type(error).__name__, str(error))
        else:
            with self._lock:
                self._state.failures = 0

    # -- the start ------------------------------------------------------------------------------------------------

    def _warm_up(self) -> None:
        _, data = cv2.imencode(".jpg", self._blank(1)[0])
        images.decode(data.tobytes())  # decoders are loaded at their first photo
        self._engine.infer(self._blank(1), "a grey photo")
        if self._settings.batch is not None:
            return
        size, each = 1, self._seconds(1)
        while size < _LARGEST_BATCH:
            doubled = self._seconds(2 * size)
            if doubled > _WORTH * each:
                break
            size, each = 2 * size, doubled
        self.batch = size

    def _seconds(self, size: int) -> float:
        """Of one photo in a batch of this size; the best of three tries, as other work only ever adds to it."""
        canvas, times = self._blank(size), []
        for _ in range(3):
            began = time.perf_counter()
            self._engine.infer(canvas, "a grey photo")
            times.append(time.perf_counter() - began)
        return min(times) / size

    def _blank(self, size: int) -> NDArray[np.uint8]:
        side = -(-self._stream.imgsz // self._stride) * self._stride
        return np.full((size, side, side, 3), 114, dtype=np.uint8)

    def _leave(self, photo: _Photo) -> None:
        """Free the place of a photo that is answered or given up."""
        with self._lock:
            self._state.places -= 1
            self._measures.places(self._state.places)
            if photo.future.cancelled():
                if photo in self._state.waiting:
                    self._state.waiting.remove(photo)
                elif photo in self._state.ready:
                    self._state.ready.remove(photo)
                    self._to_decode.notify()
        photo.data, photo.canvas = b"", None


def _fail(photo: _Photo, error: InputError) -> None:
    if photo.future.set_running_or_notify_cancel():
        photo.future.set_exception(error)


def _shape(photo: _Photo) -> tuple[int, int]:
    assert photo.fit is not None  # for the type checker: it is ready
    return photo.fit.shape


def _brightness(pixels: NDArray[np.uint8]) -> float:
    """Mean luma of ITU-R BT.601, 0 to 255, as `wreckognize.inference.traits` has it."""
    blue, green, red, _ = cv2.mean(pixels)
    return float(0.114 * blue + 0.587 * green + 0.299 * red)
