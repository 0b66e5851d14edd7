"""The queue before the model: photos wait in one place, are decoded ahead, and are looked at in small batches.

    enter -> waiting -> (decoding threads) -> ready -> (inferring threads) -> the photo's future

Photos are decoded, letterboxed, looked at and suppressed by the code of `wreckognize.inference.stream`. Places are
bounded, and so is what lies decoded. A batch takes the oldest ready photo and those of its shape; it waits for more
only while such are being decoded, and at most for ``patience``. A photo whose future was cancelled (the client has
gone, its deadline has passed) leaves the queue at once, and if it is being decoded, before inference.

How many photos a batch holds at most is measured at the start, see `wreckognize.serving.warming`; who gets the cores,
and when others wait for that, says `wreckognize.serving.lanes`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wreckognize import processor
from wreckognize.errors import EngineError, InputError
from wreckognize.exporting.bundle import Bundle
from wreckognize.inference.stream import looks
from wreckognize.serving.lanes import Lane, Lanes
from wreckognize.serving.measures import Measures
from wreckognize.serving.queued import EngineFailed, QueuedPhoto, QueueFull, Seen, Stopping
from wreckognize.serving.reading import encoded_grey, read_photo
from wreckognize.serving.settings import ServiceSettings

_RETRY = 5.0  # seconds between tries of an engine that failed


@dataclass(slots=True)
class _State:
    """What the threads share, under one lock."""

    places: int = 0  # photos that were taken and are not answered
    waiting: deque[QueuedPhoto] = field(default_factory=deque)
    decoding: int = 0
    ready: list[QueuedPhoto] = field(default_factory=list)
    idle: int = 0  # inferring threads without work
    failures: int = 0  # of the engine, in a row
    running: dict[int, float] = field(default_factory=dict)  # thread -> since when it infers
    alone: bool = False  # a photo has all cores
    stopping: bool = False


class Inspector:
    """A model and the queue before it.

    Args:
        bundle: the model.
        lanes: its detectors; they look at the photos.
        settings: places, batch, patience, decoders, pixels.
        measures: are told what happens.

    Attributes:
        bundle: as given.
        batch: photos looked at in one go, at most; known once started.
    """

    def __init__(self, bundle: Bundle, lanes: Lanes, settings: ServiceSettings, measures: Measures) -> None:
        self.bundle = bundle
        self._stream = bundle.stream_settings()
        self.batch = settings.batch or 1
        self._settings, self._measures = settings, measures
        self._lanes = lanes
        self._stride = bundle.manifest.stride
        self._decoders = settings.decoders or processor.cpu_threads()
        self._lock = threading.Lock()
        self._to_decode = threading.Condition(self._lock)
        self._to_infer = threading.Condition(self._lock)
        self._state = _State()
        self._threads: list[threading.Thread] = []

    # -- for the service ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Warm the model up, measure which batch pays, and begin.

        Raises:
            EngineError: the engine does not work.
        """
        self._warm_up()
        jobs = [(self._decode_all, "decode")] * self._decoders + [
            (self._infer_all, "infer")
        ] * self._lanes.requests
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
        entering = [QueuedPhoto(name, data, Future(), now) for name, data in photos]
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

    def stop(self, patience: float) -> bool:
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
                photo.fail(error)
            except Exception as error:  # a decoder's mistake must not end the thread
                self._decoded(photo, ready=False)
                self._measures.decoder_failed(type(error).__name__, str(error))
                photo.fail(InputError("truncated or damaged photo", remedy="fetch the photo again"))
            else:
                self._decoded(photo, ready=True)

    def _next_to_decode(self) -> QueuedPhoto | None:
        most = self._decoders + self._lanes.requests * max(2, self.batch)  # decoded ahead
        state = self._state
        with self._lock:
            while not (state.waiting and state.decoding + len(state.ready) < most):
                if state.stopping and not state.waiting:
                    return None
                self._to_decode.wait()
            state.decoding += 1
            return state.waiting.popleft()

    def _decode(self, photo: QueuedPhoto) -> None:
        data = photo.data
        if photo.done():
            return
        began = time.monotonic()
        read = read_photo(data, self._settings.pixels, self._stream.imgsz, self._stride)
        photo.fit, photo.canvas, photo.brightness = read.fit, read.canvas, read.brightness
        photo.data = b""
        self._measures.decoded(time.monotonic() - began)

    def _decoded(self, photo: QueuedPhoto, *, ready: bool) -> None:
        with self._lock:
            self._state.decoding -= 1
            if ready and not photo.done():
                photo.ready_at = time.monotonic()
                self._state.ready.append(photo)
            self._to_infer.notify()
            self._to_decode.notify()

    # -- inference ------------------------------------------------------------------------------------------------

    def _infer_all(self) -> None:
        while (next_ := self._next_batch()) is not None:
            batch, lane = next_
            if batch:
                self._look_at(batch, lane)
            else:
                self._try_again()

    def _next_batch(self) -> tuple[list[QueuedPhoto], Lane] | None:
        """The next photos to look at; none: the failed engine is to be tried; None: the end."""
        state = self._state
        with self._lock:
            state.idle += 1
            try:
                while True:
                    state.ready = [photo for photo in state.ready if not photo.done()]
                    if state.ready:
                        lane = self._lane()
                        batch, wait = self._choose(lane)
                        if wait <= 0:
                            if taken := self._take(batch):
                                self._begins(lane)
                                return taken, lane
                            continue
                        self._to_infer.wait(wait)
                    elif state.stopping and not state.waiting and not state.decoding:
                        self._to_infer.notify_all()
                        return None
                    elif not self._to_infer.wait(_RETRY) and state.failures >= self._settings.failures:
                        return [], Lane.TOGETHER
            finally:
                state.idle -= 1

    def _lane(self) -> Lane:
        state = self._state
        waiting = len(state.waiting) + state.decoding + len(state.ready)
        return self._lanes.choose(waiting, len(state.running), alone=state.alone)

    def _take(self, batch: Sequence[QueuedPhoto]) -> list[QueuedPhoto]:
        """Take photos from those that are ready; those that nobody gave up meanwhile."""
        self._state.ready = [photo for photo in self._state.ready if photo not in batch]
        self._to_decode.notify(len(batch))
        return [photo for photo in batch if photo.future.set_running_or_notify_cancel()]

    def _choose(self, lane: Lane) -> tuple[list[QueuedPhoto], float]:
        """The oldest ready photo, with others of its shape where they share the cores, and how long to wait."""
        state = self._state
        first = state.ready[0]
        if lane is Lane.WAIT:
            return [], _RETRY  # woken when the photo that has all cores is done
        if lane is Lane.ALONE:
            return [first], 0.0
        same = [photo for photo in state.ready if photo.shape == first.shape]
        share = -(-len(same) // max(1, state.idle))  # the other idle threads want some too
        batch = same[: min(self.batch, share)]
        if len(same) >= self.batch or not state.decoding or state.stopping:
            return batch, 0.0
        return batch, first.ready_at + self._settings.patience - time.monotonic()

    def _look_at(self, batch: list[QueuedPhoto], lane: Lane) -> None:
        began = time.monotonic()
        try:
            canvas = np.stack([photo.canvas for photo in batch if photo.canvas is not None])
            raw = self._lanes.engine(lane).infer(canvas, batch[0].name)
            taken = time.monotonic() - began
            fits = [photo.fit for photo in batch if photo.fit is not None]
            found = list(looks([photo.name for photo in batch], fits, raw, self._stream))
        except Exception as error:  # whatever an engine raises must not end the service
            self._failed(batch, lane, error)
            return
        finally:
            with self._lock:
                self._ended(lane)
        self._measures.inferred(len(batch), taken)
        with self._lock:
            self._state.failures = 0
        for photo, fit, look in zip(batch, fits, found, strict=True):
            waited = began - photo.entered
            photo.future.set_result(Seen(look, fit.photo_width, fit.photo_height, photo.brightness, waited, taken))

    def _begins(self, lane: Lane) -> None:
        self._state.running[threading.get_ident()] = time.monotonic()
        self._state.alone = lane is Lane.ALONE

    def _ended(self, lane: Lane) -> None:
        self._state.running.pop(threading.get_ident(), None)
        if lane is Lane.ALONE:
            self._state.alone = False
            self._to_infer.notify_all()  # those who waited for the cores

    def _failed(self, batch: list[QueuedPhoto], lane: Lane, error: Exception) -> None:
        if len(batch) > 1:  # one of them may be the cause
            for photo in batch:
                with self._lock:
                    self._begins(lane)
                self._look_at([photo], lane)
            return
        reason = "no_numbers" if isinstance(error, EngineError) else type(error).__name__
        self._measures.engine_failed(reason, str(error))
        with self._lock:
            self._state.failures += 1
        batch[0].future.set_exception(EngineFailed(reason))

    def _try_again(self) -> None:
        """See whether an engine that failed works again, as no photo comes while the service is not ready."""
        try:
            self._lanes.engine(Lane.TOGETHER).infer(self._blank(1), "a grey photo")
        except Exception as error:  # as above
            self._measures.engine_failed(type(error).__name__, str(error))
        else:
            with self._lock:
                self._state.failures = 0

    # -- the start ------------------------------------------------------------------------------------------------

    def _warm_up(self) -> None:
        read_photo(encoded_grey(), self._settings.pixels, self._stream.imgsz, self._stride)  # loads the decoders
        self.batch = self._lanes.warm_up(self._blank, self._settings.batch)

    def _blank(self, size: int) -> NDArray[np.uint8]:
        side = -(-self._stream.imgsz // self._stride) * self._stride
        return np.full((size, side, side, 3), 114, dtype=np.uint8)

    def _leave(self, photo: QueuedPhoto) -> None:
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
