"""Who may ask, and how much: API keys and a token bucket for each.

Token bucket: a bucket holds at most ``burst`` tokens and gains ``rate`` a second; a photo takes one. (Turner 1986, "New
directions in communications"; the leaky bucket as a meter is the same.)
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from wreckognize.serving.answers import Refused
from wreckognize.serving.keys import Key, KeyFile
from wreckognize.serving.measures import Log
from wreckognize.serving.settings import ServiceSettings

_MOST_BUCKETS = 10_000  # the ones not used for longest are forgotten; they are full by then


@dataclass(slots=True)
class Bucket:
    """Tokens of one key, and when they were counted."""

    tokens: float
    at: float

    def take(self, count: int, rate: float, burst: int, now: float) -> float:
        """Take tokens if there are enough; more than the bucket holds if it is full, which then stays empty for longer.

        Args:
            count: tokens; 0 only looks whether there is one.
            rate: tokens a second.
            burst: that the bucket holds.
            now: seconds.

        Returns:
            0 if they were taken; else the seconds until there are enough.
        """
        self.tokens = min(float(burst), self.tokens + (now - self.at) * rate)
        self.at = now
        needed = min(max(count, 1), burst)
        if needed <= self.tokens:
            self.tokens -= count
            return 0.0
        return (needed - self.tokens) / rate


class Gate:
    """Lets requests in; used by the event loop's thread only.

    Args:
        settings: ``keys``, ``rate`` and ``burst``.
        log: is told when the keys are read again.
        workers: processes that share the rates: each gives its part.
        clock: seconds; for tests.

    Raises:
        UsageError: the keys cannot be read.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        log: Log,
        *,
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._workers, self._clock = settings, workers, clock
        self._keys = None if settings.keys is None else KeyFile(settings.keys, log)
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def reload(self) -> None:
        """Read the keys again."""
        if self._keys is not None:
            self._keys.refresh(now=True)

    def enter(self, request: Request) -> Key | None:
        """Check the request's key, and note it for the log.

        Returns:
            The key; None where the service wants none.

        Raises:
            Refused: 401 or 403.
        """
        if self._keys is None:
            return None
        key = self._keys.key_of(request.headers)
        request.state.log["key"] = key.name
        if key.rate == 0:
            raise Refused(403, "key", "the API key is switched off", "ask the service's operator")
        return key

    def take(self, request: Request, key: Key | None, photos: int) -> None:
        """Count photos against the rate of the key, or without keys of the client's address; 0: only look.

        Raises:
            Refused: 429, with the time to wait.
        """
        rate = self._settings.rate if key is None or key.rate is None else key.rate
        if rate is None:
            return
        burst = self._settings.burst if key is None or key.burst is None else key.burst
        name = f"key {key.name}" if key else f"address {request.client.host if request.client else ''}"
        now, share = self._clock(), rate / self._workers
        bucket = self._buckets.setdefault(name, Bucket(float(burst), now))
        self._buckets.move_to_end(name)
        while len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        wait = bucket.take(photos, share, burst, now)
        if wait > 0:
            raise Refused(
                429, "rate", f"more than {rate:g} photos a second", "send photos more slowly", retry_after=wait
            )
