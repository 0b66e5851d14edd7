"""The guard in front of training and threshold choice: nothing that the test set knows goes in.

It asks of what is handed over, not of how it came about: whatever went wrong before (a source added by hand, a table
edited, a mistake in the split) is found here, by name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from wreckognize.curate.lock import TestLock
from wreckognize.curate.near import HASH_BITS, hash_bits
from wreckognize.errors import LeakError

_PAIRS_NAMED = 10
_ROWS = 1024
_SAME_GROUP = "the same group"


class Match(NamedTuple):
    """A photo that belongs with a test photo, and why."""

    photo: str
    test_photo: str
    why: str

    def __str__(self) -> str:
        if self.photo == self.test_photo:
            return f"{self.photo} is a test photo"
        return f"{self.photo} matches test photo {self.test_photo} ({self.why})"


def refuse_leaks(
    given: pl.DataFrame,
    lock: TestLock,
    *,
    hash_distance: int | None,
    what: str,
    groups: pl.DataFrame | None = None,
) -> None:
    """Make sure that photos may be learnt from or chosen with.

    Args:
        given: ``photo, sha256, hash, group`` of all that is handed over.
        lock: on the test set.
        hash_distance: bits of 64 in which the hashes of two photos of one scene may differ; None: not compared.
        what: the photos are for, e.g. ``training of ver5``.
        groups: ``photo, group`` now, with the test photos; default: as in the lock.

    Raises:
        LeakError: a photo is a test photo, has the bytes of one, looks like one, or is in a group with one.
    """
    test = lock.table()
    if groups is not None:
        test = test.drop("group").join(groups.select("photo", "group"), on="photo", how="left")
    found = find_matches(given, test, hash_distance=hash_distance)
    if found:
        raise leak(found, f"{what} was handed photos that belong to the locked test set")


def find_matches(given: pl.DataFrame, test: pl.DataFrame, *, hash_distance: int | None) -> list[Match]:
    """Photos that belong with a test photo, each once, with the most telling reason; sorted by photo.

    Args:
        given: ``photo, sha256, hash``, and ``claim`` or ``group`` where they are to be compared.
        test: the same of the test photos.
        hash_distance: as for `refuse_leaks`.
    """
    matches: dict[str, Match] = {}
    for key, why in (("photo", "the photo itself"), ("sha256", "the same file")):
        _by_key(matches, given, test, key, why)
    if hash_distance is not None:
        _by_hash(matches, given, test, hash_distance)
    for key, why in (("claim", "the same claim"), ("group", _SAME_GROUP)):
        if key in given.columns and key in test.columns:
            _by_key(matches, given, test, key, why)
    return [matches[photo] for photo in sorted(matches)]


def name_matches(
    given: pl.DataFrame, test: pl.DataFrame, links: pl.DataFrame, *, hash_distance: int | None
) -> list[Match]:
    """As `find_matches`; where only the group is the same, the chain of links that made it so gives the reason.

    Args:
        given: ``photo, sha256, hash, claim, group``.
        test: the same of the test photos.
        links: ``LINK_SCHEMA``.
        hash_distance: as for `refuse_leaks`.
    """
    neighbours: dict[str, list[tuple[str, str]]] = {}
    for left, right, reason, distance in links.sort("left", "right").iter_rows():
        why = _in_words(reason, distance)
        neighbours.setdefault(left, []).append((right, why))
        neighbours.setdefault(right, []).append((left, why))
    goals = frozenset(test.get_column("photo"))
    return [
        _by_chain(match.photo, neighbours, goals) or match if match.why == _SAME_GROUP else match
        for match in find_matches(given, test, hash_distance=hash_distance)
    ]


def _by_chain(
    photo: str, neighbours: Mapping[str, Sequence[tuple[str, str]]], goals: Collection[str]
) -> Match | None:
    """The shortest chain of links from a photo to a test photo, breadth first."""
    came_from: dict[str, tuple[str, str] | None] = {photo: None}
    waiting = deque([photo])
    while waiting:
        reached = waiting.popleft()
        for other, why in neighbours.get(reached, ()):
            if other in came_from:
                continue
            came_from[other] = (reached, why)
            if other in goals:
                by_way = "" if reached == photo else f", by way of {reached}"
                return Match(photo, other, why + by_way)
            waiting.append(other)
    return None


def _in_words(reason: str, distance: float | None) -> str:
    if reason == "hash":
        return f"hash, {distance:.0f} of {HASH_BITS} bits"
    if reason == "embedding" and distance is not None:
        return f"embedding, cosine {1 - distance:.3f}"
    return f"the same {reason}"


def leak(found: Sequence[Match], what: str) -> LeakError:
    """The error that names the pairs."""
    shown = "; ".join(str(match) for match in found[:_PAIRS_NAMED])
    more = f"; and {len(found) - _PAIRS_NAMED} more" if len(found) > _PAIRS_NAMED else ""
    return LeakError(
        sorted({photo for match in found for photo in (match.photo, match.test_photo)}),
        f"{what}, {len(found)} in number: {shown}{more}",
        remedy="take these photos out of their sources, or leave them out with `split: {on_leak: exclude}`; if they "
        "show different things, make `groups: {hash_distance: ...}` smaller or `{cosine: ...}` larger; to change the "
        'test set on purpose: --unlock "the reason"',
    )


def _by_key(matches: dict[str, Match], given: pl.DataFrame, test: pl.DataFrame, key: str, why: str) -> None:
    names = test.filter(pl.col(key).is_not_null() & (pl.col(key) != "")).select(
        key=pl.col(key), test_photo=pl.col("photo")
    )
    first = names.group_by("key").agg(pl.col("test_photo").min())
    pairs = given.select("photo", key=pl.col(key)).join(first, on="key")
    for photo, test_photo in pairs.select("photo", "test_photo").iter_rows():
        matches.setdefault(photo, Match(photo, test_photo, why))


def _by_hash(matches: dict[str, Match], given: pl.DataFrame, test: pl.DataFrame, distance: int) -> None:
    """Each given photo with the test photo that looks most like it, in blocks so that memory stays small."""
    left, right = (table.select("photo", "hash").drop_nulls().sort("photo") for table in (given, test))
    if left.is_empty() or right.is_empty():
        return
    test_bits, names = hash_bits(right["hash"]), right["photo"]
    for start in range(0, len(left), _ROWS):
        rows = left.slice(start, _ROWS)
        apart = (HASH_BITS - hash_bits(rows["hash"]) @ test_bits.T) / 2
        nearest = apart.argmin(axis=1)
        bits = np.take_along_axis(apart, nearest[:, None], axis=1)[:, 0].astype(np.int64)
        for row in np.flatnonzero(bits <= distance).tolist():
            photo = rows["photo"][row]
            why = f"hash, {bits[row]} of {HASH_BITS} bits"
            matches.setdefault(photo, Match(photo, names[int(nearest[row])], why))
