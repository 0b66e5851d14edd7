"""What a service allows, and how it works through its queue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wreckognize.errors import UsageError

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Limits and habits of a service; all of them hold for one process.

    Attributes:
        photos: at most so many in one request.
        photo_bytes: at most so many in one photo's file.
        request_bytes: at most so many in a request's body.
        held_bytes: at most so many that all requests together hold in memory; uploads are never written to disk.
        pixels: at most so many in one photo, by its header, before any is decoded.
        places: photos that may be in the queue, those being looked at included.
        batch: photos looked at in one go; None: measured when the service starts.
        patience: seconds that a batch which is not full waits for photos that are already being decoded.
        decoders: threads that decode; None: one for each core the process may use.
        deadline: seconds after which a request that was read is given up.
        reading: seconds that a request's body may take to arrive.
        silence: seconds without a byte after which an upload is given up.
        failures: engine failures in a row after which the service says that it is not ready.
        stuck: seconds after which an inference that has not come back counts as stuck.
        keys: a file of API keys; None: anyone may ask.
        rate: photos a second for each key (without keys: for each client's address); None: no limit.
        burst: photos that may come at once before ``rate`` counts.
        log_names: write the names of photos into the log.
    """

    photos: int = 32
    photo_bytes: int = 20 * MEBIBYTE
    request_bytes: int = 64 * MEBIBYTE
    held_bytes: int = 256 * MEBIBYTE
    pixels: int = 64_000_000
    places: int = 64
    batch: int | None = None
    patience: float = 0.005
    decoders: int | None = None
    deadline: float = 10.0
    reading: float = 30.0
    silence: float = 10.0
    failures: int = 3
    stuck: float = 60.0
    keys: Path | None = None
    rate: float | None = None
    burst: int = 64
    log_names: bool = False

    def __post_init__(self) -> None:
        if self.photos > self.places:
            raise UsageError(
                f"{self.photos} photos in a request do not fit into a queue of {self.places} places",
                where="--photos, --places",
                remedy="allow fewer photos, or more places",
            )
        if self.rate is not None and self.burst < self.photos:
            raise UsageError(
                f"a request of {self.photos} photos could never pass a burst of {self.burst}",
                where="--burst",
                remedy=f"give at least {self.photos}",
            )
