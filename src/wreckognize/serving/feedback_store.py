"""Keeps corrections: a photo without metadata and what a person said about it, within limits, never over another.

Knows places, limits and files; knows nothing of HTTP.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from wreckognize.errors import StorageError, UsageError
from wreckognize.review.corrections import (
    CORRECTIONS,
    MARKER,
    Correction,
    Said,
    Served,
    correction_name,
    marker_json,
    photo_name,
    to_json,
)
from wreckognize.review.places import FolderPlace, Place, place_of
from wreckognize.serving.bare import without_metadata
from wreckognize.settings import StorageSettings

GIBIBYTE = 1024**3
_COUNTED_ANEW = 60.0
"""Seconds after which it is counted again what a place holds: others may write there, or delete."""


class StoreFull(Exception):
    """As many corrections, or as many bytes, are kept as may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackLimits:
    """How much may be kept.

    Attributes:
        corrections: in all.
        total_bytes: of photos and corrections together.
    """

    corrections: int = 10_000
    total_bytes: int = 20 * GIBIBYTE


class FeedbackStore:
    """Corrections in a place; one is kept at a time.

    Args:
        place: a folder or object storage.
        limits: how much.
        now: the time, UTC.
    """

    def __init__(
        self,
        place: Place,
        limits: FeedbackLimits | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.place, self.limits = place, limits or FeedbackLimits()
        self._now = now
        self._lock = threading.Lock()
        self._counted_at = -_COUNTED_ANEW
        self._corrections = self._bytes = 0

    @classmethod
    def at(
        cls, where: str | Path, limits: FeedbackLimits | None = None, storage: StorageSettings | None = None
    ) -> FeedbackStore:
        """The store in a folder or below a URL, ready to keep.

        Raises:
            UsageError: nothing can be written there, or something else lies there.
        """
        store = cls(place_of(where, storage), limits)
        store.prepare()
        return store

    def prepare(self) -> None:
        """Find out now, not at the first correction, whether the place can be written to.

        Raises:
            UsageError: it cannot, or holds something else.
        """
        found = self.place.sizes()
        if found and MARKER not in found:
            raise UsageError(
                f"holds {len(found)} files that are no corrections",
                where=self.place.name,
                remedy="name a folder of its own with --feedback",
            )
        self.place.put_new(MARKER, marker_json())
        if isinstance(self.place, FolderPlace):
            probe = f"{CORRECTIONS}/.probe-{secrets.token_hex(6)}"
            self.place.put_new(probe, b"")
            (self.place.folder / probe).unlink()

    def keep(self, photo: bytes, said: Said, served: Served, *, key: str | None) -> Correction:
        """Keep a photo, to which its sender agreed, and what the sender said about it.

        Args:
            photo: its bytes as they were sent.
            said: checked against the photo's size.
            served: what the service had said.
            key: name of the access key.

        Raises:
            InputError: the photo cannot be read.
            StoreFull: there is no room.
            StorageError: it cannot be written.
        """
        bare = without_metadata(photo)
        when = self._now()
        correction = Correction(
            id=f"{when:%Y%m%dT%H%M%SZ}-{secrets.token_hex(6)}",
            when=when.isoformat(timespec="seconds"),
            key=key,
            consent="yes",
            sent_sha256=hashlib.sha256(photo).hexdigest(),
            photo=photo_name(hashlib.sha256(bare.data).hexdigest(), bare.suffix),
            width=bare.width,
            height=bare.height,
            said=said,
            served=served,
        )
        content = to_json(correction)
        with self._lock:
            self._require_room(len(bare.data) + len(content))
            if self.place.put_new(correction.photo, bare.data):
                self._bytes += len(bare.data)
            if not self.place.put_new(correction_name(correction.id), content):
                raise StorageError(
                    "two corrections drew one id", where=self.place.name, remedy="send the correction again"
                )
            self._bytes += len(content)
            self._corrections += 1
        return correction

    def _require_room(self, more: int) -> None:
        if time.monotonic() - self._counted_at >= _COUNTED_ANEW:
            sizes = self.place.sizes()
            self._corrections = sum(name.startswith(f"{CORRECTIONS}/") for name in sizes)
            self._bytes = sum(sizes.values())
            self._counted_at = time.monotonic()
        if self._corrections >= self.limits.corrections or self._bytes + more > self.limits.total_bytes:
            raise StoreFull
