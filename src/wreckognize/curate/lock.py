"""The lock on the test set: figures of one run's folder are always about the same photos.

A lock names every test photo with the hash of its bytes. It is JSON that a person can read, with a digest that
shows whether it was changed by hand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wreckognize.catalog import PHOTO_SCHEMA, SPLIT_SCHEMA, require_schema
from wreckognize.errors import LockError

_PHOTOS_NAMED = 10
_ANOTHER_FOLDER = "start a new run in another folder with --out DIR"

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LockedPhoto(_Record):
    """One photo of the test set."""

    photo: str
    sha256: str
    group: str


class TestLock(_Record):
    """The test set of a run.

    Attributes:
        created: UTC, ISO 8601.
        digest: sha256 over ``photos`` as canonical JSON (sorted keys, no spaces, ASCII).
        photos: sorted by name.
    """

    version: Literal[1]
    study: str
    seed: int
    created: str
    digest: _Sha256
    photos: Annotated[tuple[LockedPhoto, ...], Field(strict=False)]

    def to_json(self) -> str:
        """The lock as it stands in its file: sorted keys, indented, a newline at the end."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def make_lock(table: pl.DataFrame, photos: pl.DataFrame, *, study: str, seed: int, created: str) -> TestLock:
    """Lock the test photos of a split.

    Args:
        table: ``SPLIT_SCHEMA``.
        photos: ``PHOTO_SCHEMA``, with every test photo of ``table``.
        study: name of the study.
        seed: of the study.
        created: the time, UTC, ISO 8601.
    """
    locked = _test_photos(table, photos)
    return TestLock(version=1, study=study, seed=seed, created=created, digest=_digest(locked), photos=locked)


def read_lock(path: Path) -> TestLock:
    """Read a lock that was written as `TestLock.to_json`.

    Raises:
        LockError: if the file is not a lock, is of another version, or was changed by hand.
        OSError: if it cannot be read.
    """
    remedy = f"put the file back as the run wrote it, or {_ANOTHER_FOLDER}"
    try:
        lock = TestLock.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the file"
        raise LockError(
            f"not a lock of version 1: {place}: {first['msg']}", where=str(path), remedy=remedy
        ) from error
    if lock.digest != _digest(lock.photos):
        raise LockError(
            "the lock was changed by hand: its photos do not match its digest", where=str(path), remedy=remedy
        )
    return lock


def check_lock(lock: TestLock, table: pl.DataFrame, photos: pl.DataFrame) -> None:
    """Make sure that a split has exactly the test photos of the lock, byte for byte.

    Group names are not compared: a photo that joins a group elsewhere can rename it without touching the test set.

    Raises:
        LockError: if photos were added, removed or changed; up to ten of each are named.
    """
    before = {item.photo: item.sha256 for item in lock.photos}
    after = {item.photo: item.sha256 for item in _test_photos(table, photos)}
    differences = {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "changed": sorted(photo for photo in after.keys() & before.keys() if after[photo] != before[photo]),
    }
    lines = [f"{len(names)} {verb}: {_some(names)}" for verb, names in differences.items() if names]
    if lines:
        raise LockError(
            f"the test set of study {lock.study!r} ({len(before)} photos, locked {lock.created}) would change: "
            + "; ".join(lines),
            remedy=f"bring back sources, seed and shares as they were, or {_ANOTHER_FOLDER}",
        )


def _test_photos(table: pl.DataFrame, photos: pl.DataFrame) -> tuple[LockedPhoto, ...]:
    require_schema(table, SPLIT_SCHEMA, "split")
    require_schema(photos, PHOTO_SCHEMA, "photos")
    rows = (
        table.filter(pl.col("split") == "test")
        .join(photos, on="photo", how="left")
        .select("photo", "sha256", "group")
        .sort("photo")
    )
    return tuple(LockedPhoto(photo=photo, sha256=sha256, group=group) for photo, sha256, group in rows.iter_rows())


def _digest(photos: Sequence[LockedPhoto]) -> str:
    canonical = json.dumps([item.model_dump() for item in photos], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_PHOTOS_NAMED])
    return f"{shown} and {len(names) - _PHOTOS_NAMED} more" if len(names) > _PHOTOS_NAMED else shown
