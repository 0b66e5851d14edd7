"""The lock on the test set: figures of one run's folder are always about the same photos.

A lock names every test photo with the hash of its bytes, what it looks like, and its group. It is JSON that a person
can read, with a digest that shows whether it was changed by hand. It changes only when somebody says why; what it
was before and the reason stay in it.
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
from wreckognize.curate.near import HASH_SCHEMA
from wreckognize.errors import LockError
from wreckognize.reading import TABLE_BYTES, read_regular

VERSION: Literal[2] = 2
_PHOTOS_NAMED = 10
_ANOTHER_FOLDER = "start a new run in another folder with --out DIR"
_UNLOCK = 'change the test set on purpose with --unlock "the reason"'

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class LockedPhoto(_Record):
    """One photo of the test set.

    Attributes:
        photo: its name.
        sha256: of the file's bytes.
        hash: perceptual, see `near.perceptual_hash`; None where there is too little to see, or in a lock of
            version 1.
        group: its group when the lock was made. Photos that were held back since can have renamed it.
    """

    photo: str
    sha256: str
    hash: _Hash | None = None
    group: str


class Unlocking(_Record):
    """One time that the test set was changed on purpose.

    Attributes:
        when: UTC, ISO 8601.
        reason: as given to ``--unlock``.
        digest: of the lock before.
        photos: in the test set before.
        added: photos that came into the test set.
        removed: photos that left it, and those whose bytes changed.
    """

    when: str
    reason: str
    digest: _Sha256
    photos: int
    added: int
    removed: int


class TestLock(_Record):
    """The test set of a run.

    Attributes:
        version: 2; locks of version 1 know no perceptual hashes and no history. They are read, and written anew
            when photos are split the next time.
        created: UTC, ISO 8601.
        digest: sha256 over ``photos`` and ``unlocked`` as canonical JSON (sorted keys, no spaces, ASCII); in
            version 1 over ``photos``, without hashes.
        photos: sorted by name.
        unlocked: every time the test set was changed on purpose, the first one first.
    """

    version: Literal[1, 2]
    study: str
    seed: int
    created: str
    digest: _Sha256
    photos: Annotated[tuple[LockedPhoto, ...], Field(strict=False)]
    unlocked: Annotated[tuple[Unlocking, ...], Field(strict=False)] = ()

    @property
    def names(self) -> frozenset[str]:
        """Names of the test photos."""
        return frozenset(item.photo for item in self.photos)

    def table(self) -> pl.DataFrame:
        """The test photos: ``photo, sha256, hash, group``."""
        columns = dict.fromkeys(("photo", "sha256", "hash", "group"), pl.String)
        return pl.DataFrame([item.model_dump() for item in self.photos], schema=columns)

    def to_json(self) -> str:
        """The lock as it stands in its file: sorted keys, indented, a newline at the end."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def make_lock(
    table: pl.DataFrame,
    photos: pl.DataFrame,
    hashes: pl.DataFrame,
    *,
    study: str,
    seed: int,
    created: str,
    unlocked: Sequence[Unlocking] = (),
) -> TestLock:
    """Lock the test photos of a split.

    Args:
        table: ``SPLIT_SCHEMA``.
        photos: ``PHOTO_SCHEMA``, with every test photo of ``table``.
        hashes: ``HASH_SCHEMA``, with every test photo of ``table``.
        study: name of the study.
        seed: of the study.
        created: the time, UTC, ISO 8601.
        unlocked: the history so far.
    """
    locked = _test_photos(table, photos, hashes)
    return TestLock(
        version=VERSION,
        study=study,
        seed=seed,
        created=created,
        digest=_digest(VERSION, locked, unlocked),
        photos=locked,
        unlocked=tuple(unlocked),
    )


def relock(before: TestLock, after: TestLock, *, reason: str) -> TestLock:
    """The lock on a changed test set, with the history of the one before.

    Args:
        before: as it stood.
        after: made from the new split.
        reason: why the test set was changed.

    Returns:
        ``after`` with the history; ``before`` itself if the test set is the same, byte for byte.
    """
    old = {(item.photo, item.sha256) for item in before.photos}
    new = {(item.photo, item.sha256) for item in after.photos}
    if old == new and (before.study, before.seed) == (after.study, after.seed):
        return before
    step = Unlocking(
        when=after.created,
        reason=reason,
        digest=before.digest,
        photos=len(old),
        added=len(new - old),
        removed=len(old - new),
    )
    unlocked = (*before.unlocked, step)
    digest = _digest(VERSION, after.photos, unlocked)
    return after.model_copy(update={"unlocked": unlocked, "digest": digest})


def read_lock(path: Path) -> TestLock:
    """Read a lock that was written as `TestLock.to_json`, of this version or version 1.

    Raises:
        LockError: if the file is not a lock, is of another version, or was changed by hand.
        OSError: if it cannot be read.
    """
    remedy = f"put the file back as the run wrote it, or {_ANOTHER_FOLDER}"
    try:
        lock = TestLock.model_validate_json(read_regular(path, TABLE_BYTES))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the file"
        raise LockError(
            f"not a lock of version 1 or {VERSION}: {place}: {first['msg']}", where=str(path), remedy=remedy
        ) from error
    if lock.digest != _digest(lock.version, lock.photos, lock.unlocked):
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
    test = table.filter(pl.col("split") == "test").join(photos, on="photo", how="left")
    after = dict(test.select("photo", "sha256").iter_rows())
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
            remedy=f"bring back sources and photos as they were, {_UNLOCK}, or {_ANOTHER_FOLDER}",
        )


def check_origin(lock: TestLock, *, study: str, seed: int, where: str) -> None:
    """Make sure that a lock is that of this study and seed.

    Raises:
        LockError: it is not.
    """
    for word, locked, asked in (("study", lock.study, study), ("seed", lock.seed, seed)):
        if locked != asked:
            raise LockError(
                f"the test set of this run was locked with {word} {locked!r}, not {asked!r}; it would change",
                where=where,
                remedy=f"{_ANOTHER_FOLDER}, or {_UNLOCK}",
            )


def _test_photos(table: pl.DataFrame, photos: pl.DataFrame, hashes: pl.DataFrame) -> tuple[LockedPhoto, ...]:
    require_schema(table, SPLIT_SCHEMA, "split")
    require_schema(photos, PHOTO_SCHEMA, "photos")
    require_schema(hashes, HASH_SCHEMA, "hashes")
    rows = (
        table.filter(pl.col("split") == "test")
        .join(photos, on="photo", how="left")
        .join(hashes, on="photo", how="left")
        .select("photo", "sha256", "hash", "group")
        .sort("photo")
    )
    return tuple(LockedPhoto(**row) for row in rows.iter_rows(named=True))


def _digest(version: int, photos: Sequence[LockedPhoto], unlocked: Sequence[Unlocking]) -> str:
    content: object
    if version == 1:
        content = [item.model_dump(exclude={"hash"}) for item in photos]
    else:
        content = {
            "photos": [item.model_dump() for item in photos],
            "unlocked": [step.model_dump() for step in unlocked],
        }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_PHOTOS_NAMED])
    return f"{shown} and {len(names) - _PHOTOS_NAMED} more" if len(names) > _PHOTOS_NAMED else shown
