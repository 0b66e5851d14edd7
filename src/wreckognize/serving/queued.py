"""A photo on its way through the queue, what comes of it, and why one may not."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wreckognize.errors import InputError
from wreckognize.inference.letterbox import Fit
from wreckognize.inference.stream import Look


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
class QueuedPhoto:
    """A photo in the queue.

    Attributes:
        name: for messages.
        data: the file; empty once decoded.
        future: what its request waits for.
        entered: when, of the monotonic clock.
        fit: once decoded, how it lies in the input.
        canvas: once decoded, ``(H, W, 3) uint8`` BGR, the input.
        brightness: once decoded, mean luma, 0 to 255.
        ready_at: when it was decoded.
    """

    name: str
    data: bytes
    future: Future[Seen]
    entered: float
    fit: Fit | None = None
    canvas: NDArray[np.uint8] | None = None
    brightness: float = 0.0
    ready_at: float = 0.0

    def done(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.future.cancelled() or self.future.done()

    def fail(self, error: InputError) -> None:
        """Answer with an error, unless it was given up."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the input, in pixels; photos of one shape can be looked at in one go."""
        assert self.fit is not None  # for the type checker: it is ready
        return self.fit.shape
