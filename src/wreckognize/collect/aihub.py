"""AI-Hub 581 "vehicle damage": one JSON a photo, in a tree beside the photos; `aihub_label` says what it holds.

What half a million labels say is kept as columns; only of the photos that are selected is a `Candidate` made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing

import msgspec
import numpy as np
import polars as pl

from wreckognize.collect.aihub_label import BROKEN, HAS_BOX, TYPE_BITS, Reading, decode_reading
from wreckognize.collect.bulk import read_many
from wreckognize.collect.candidates import Candidate, Wanted, box_array
from wreckognize.collect.labelwords import claim_from_name
from wreckognize.collect.ledger import Ledger
from wreckognize.collect.pairing import pair, unlabelled_photo
from wreckognize.collect.remembered import Remembered
from wreckognize.collect.walk import File, expand, find_files
from wreckognize.errors import InputError, UsageError
from wreckognize.progress import Progress
from wreckognize.settings import AihubSource
from wreckognize.words import DAMAGE_TYPES

LABEL_SUFFIXES = frozenset({".json", ".txt"})
READER = "aihub-1"
"""Raised when `aihub_label` reads a file otherwise than before."""


def read(
    source: AihubSource,
    photos: Callable[[], list[File]],
    ledger: Ledger,
    progress: Progress,
    remembered: Remembered,
    processes: int | None = None,
) -> Wanted:
    """Pair photos with labels and read the labels; what cannot be used goes to the ledger."""
    where = f"source {source.name!r}: labels"
    files = find_files(expand(source.labels, where), where, ledger, follow_links=source.follow_links)
    labels = [file for file in files if file.suffix in LABEL_SUFFIXES]
    paths = [os.fsencode(label.path) for label in labels]
    with closing(read_many(paths, remembered, processes)) as reading:
        tables = [next(reading)]  # labels are read by helpers while photos are listed here
        pairs = pair(photos(), labels, ledger)
        with progress.task(f"{source.name}: labels", len(labels), "labels") as task:
            for table in reading:
                tables.append(table.select("mark", "content"))
                task.advance(table.height)
    for photo in pairs.unlabelled:
        ledger.quarantine(photo.path, unlabelled_photo())
    place_of = {id(label): place for place, label in enumerate(labels)}
    table = pl.concat([tables[0].select("mark", "content"), *tables[1:]])
    table = table[[place_of[id(label)] for _, label in pairs.labelled]]
    marks = table.get_column("mark").to_numpy()
    failed = (marks & BROKEN) > 0
    if source.role == "damaged":
        failed |= (marks & HAS_BOX) == 0
    content = table.get_column("content")
    for position in np.flatnonzero(failed).tolist():
        error = _error(_decoded(content[position]))
        ledger.quarantine(pairs.labelled[position][1].path, error)
    used = np.flatnonzero(~failed)
    types = (None, *DAMAGE_TYPES)
    if marks.size and (marks & TYPE_BITS).max() >= len(types):
        raise _spoilt()
    return _Labelled(
        photos=[pairs.labelled[position][0] for position in used.tolist()],
        first_types=[types[number] for number in (marks[used] & TYPE_BITS).tolist()],
        readings=content.gather(used),
    )


def _decoded(content: bytes) -> Reading:
    try:
        return decode_reading(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _spoilt() from error


def _spoilt() -> UsageError:
    """Where the digest of a cache fits what it holds, yet no reader of ours wrote it."""
    return UsageError(
        "what was remembered of labels is not what was read", remedy="delete the run's folder `cache`"
    )


def _error(reading: Reading) -> InputError:
    """Why a label cannot be used: it is broken, or has no box though it must."""
    if reading.error is not None:
        reason, where, remedy = reading.error
        return InputError(reason, where=where, remedy=remedy)
    return InputError(
        "no usable damage box",
        where=", ".join(sorted(set(reading.left_out))),
        remedy="label its damage, or give the source the role normal or background",
    )


class _Labelled:
    """Photos and what their labels say, encoded."""

    def __init__(self, photos: Sequence[File], first_types: Sequence[str | None], readings: pl.Series) -> None:
        self._photos, self._readings = photos, readings
        self.names = [photo.name for photo in photos]
        self.first_types = first_types

    def paths(self, which: Iterable[int]) -> list[str]:
        """Of the photos at these positions."""
        return [self._photos[position].path for position in which]

    def candidates(self, which: Iterable[int]) -> Iterator[Candidate]:
        """Those at these positions, in this order."""
        for position in which:
            photo, reading = self._photos[position], _decoded(self._readings[position])
            yield Candidate(
                name=photo.name,
                path=photo.path,
                boxes=box_array(reading.boxes),
                kinds=tuple(reading.kinds),
                damage_types=tuple(reading.damage_types),
                claim=reading.claim or claim_from_name(photo.name),
                label_size=reading.size,
                left_out=tuple(reading.left_out),
            )
