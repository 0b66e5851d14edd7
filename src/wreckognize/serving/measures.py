"""What is counted, for Prometheus.

With several workers each keeps its counts in files of one folder (``PROMETHEUS_MULTIPROC_DIR``, set by their parent),
and whichever is asked adds all of them up.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)
_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_BATCH = (1, 2, 4, 8, 16, 32)
_TENTHS = tuple(number / 10 for number in range(1, 11))

Log = Callable[..., None]
"""Writes one event: its name, then its fields by keyword."""


def no_log(event: str, **fields: object) -> None:
    """Write nothing."""


class Measures:
    """The service's counters.

    Args:
        log: where failures are written.
    """

    def __init__(self, log: Log = no_log) -> None:
        self.log = log
        self._registry = CollectorRegistry()
        registry = self._registry
        self._requests = Counter(
            "wreckognize_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "wreckognize_request_seconds",
            "Seconds from a request's first line to its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._photos = Counter("wreckognize_photos", "Photos by verdict or error.", ["outcome"], registry=registry)
        self._refused = Counter("wreckognize_refused", "Requests refused, by code.", ["code"], registry=registry)
        self._score = Histogram("wreckognize_score", "Scores of photos.", buckets=_TENTHS, registry=registry)
        self._decode = Histogram(
            "wreckognize_decode_seconds", "Decoding of one photo.", buckets=_SHORT, registry=registry
        )
        self._infer = Histogram(
            "wreckognize_inference_seconds", "Inference of one batch.", buckets=_SECONDS, registry=registry
        )
        self._batch = Histogram(
            "wreckognize_batch_photos", "Photos looked at in one go.", buckets=_BATCH, registry=registry
        )
        self._engine_failures = Counter(
            "wreckognize_engine_failures", "Inferences that failed.", ["reason"], registry=registry
        )
        self._decoder_failures = Counter(
            "wreckognize_decoder_failures", "Decoders that raised what they should not.", registry=registry
        )
        self._queued = Gauge(
            "wreckognize_queue_photos",
            "Photos taken and not answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._places = Gauge(
            "wreckognize_queue_places", "Places in the queue.", multiprocess_mode="livesum", registry=registry
        )
        if not _several():
            ProcessCollector(registry=registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request got its answer."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, code: str) -> None:
        """A request was refused."""
        self._refused.labels(code).inc()

    def photo(self, outcome: str, score: float | None = None) -> None:
        """A photo got a verdict, or an error."""
        self._photos.labels(outcome).inc()
        if score is not None:
            self._score.observe(score)

    def opened(self, places: int) -> None:
        """The queue has so many places; before that it takes nothing."""
        self._places.set(places)

    def places(self, taken: int) -> None:
        """So many places are taken now."""
        self._queued.set(taken)

    def decoded(self, seconds: float) -> None:
        """A photo was decoded."""
        self._decode.observe(seconds)

    def inferred(self, photos: int, seconds: float) -> None:
        """A batch was looked at."""
        self._batch.observe(photos)
        self._infer.observe(seconds)

    def engine_failed(self, reason: str, text: str) -> None:
        """An inference failed."""
        self._engine_failures.labels(reason).inc()
        self.log("engine failed", level="error", reason=reason, text=text)

    def decoder_failed(self, reason: str, text: str) -> None:
        """A decoder raised something that is no error of a photo."""
        self._decoder_failures.inc()
        self.log("decoder failed", level="error", reason=reason, text=text)

    def page(self, *others: Collector) -> bytes:
        """All counts in Prometheus' text format; those of all workers where there are several.

        Args:
            others: what else has something to say there.
        """
        counts = self._registry
        if _several():
            counts = CollectorRegistry()
            MultiProcessCollector(counts)  # type: ignore[no-untyped-call]
        more = CollectorRegistry()
        for other in others:
            more.register(other)
        return generate_latest(counts) + generate_latest(more)


def _several() -> bool:
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ
