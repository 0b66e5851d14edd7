"""Selected photos are opened, their boxes placed, and both become rows of the catalog."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import polars as pl

from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, Catalog
from wreckognize.collect.candidates import Candidate, Wanted, origin_of
from wreckognize.collect.folderstamp import stamp
from wreckognize.collect.labelwords import ZERO_AREA
from wreckognize.collect.ledger import Ledger
from wreckognize.collect.opening import Elsewhere, Workers, open_many
from wreckognize.collect.photofile import Glance, Opened, glance, recalled
from wreckognize.collect.placing import Placed, place
from wreckognize.collect.remembered import REMEMBERED_SCHEMA, STAMP_SCHEMA, Remembered
from wreckognize.errors import InputError
from wreckognize.progress import Progress
from wreckognize.settings import Source

_BATCH = 512  # candidates at once, and rows in a frame: half a million of either would fill the memory
_PLAIN_SUFFIXES = (".jpg", ".jpeg", ".png")  # what Ultralytics looks for without being told


@dataclass(frozen=True, slots=True)
class Assembled:
    """A source's part of the catalog.

    Attributes:
        catalog: photos that can be used, and their boxes.
        stamps: ``STAMP_SCHEMA``; every photo that was selected, used or not.
    """

    catalog: Catalog
    stamps: pl.DataFrame


def assemble(
    source: Source,
    wanted: Wanted,
    selected: Sequence[int],
    ledger: Ledger,
    progress: Progress,
    workers: Workers,
    remembered: Remembered,
    elsewhere: Elsewhere | None = None,
) -> Assembled:
    """Open the selected photos and build their rows, which do not depend on who opens them, or how many.

    Photos that are as they were when they were last opened are not opened again.
    """
    photos, boxes, stamps = [PHOTO_SCHEMA.to_frame()], [BOX_SCHEMA.to_frame()], [STAMP_SCHEMA.to_frame()]
    known = remembered.lookup([os.fsencode(path) for path in wanted.paths(selected)])
    same = _unchanged(known)
    missing = known.get_column("path").filter(~pl.Series(same, dtype=pl.Boolean)).to_list()
    if elsewhere is None:
        opening = open_many(missing, workers)
    else:
        names = [wanted.names[one] for one, is_same in zip(selected, same, strict=True) if not is_same]
        opening = elsewhere.open_many(source.name, names, missing, progress)
    # Batches, as half a million candidates and their rows would fill the memory.
    with closing(opening), progress.task(f"{source.name}: photos", len(selected)) as task:
        for start in range(0, len(selected), _BATCH):
            part = slice(start, start + _BATCH)
            batch = list(wanted.candidates(selected[part]))
            glances = _open_all(known[part], same[part], opening, remembered)
            stamps.append(_stamps(known[part], glances))
            usable = _usable(batch, glances, ledger)
            placed = place([one.candidate for one in usable], [one.opened.header for one in usable])
            used = [one for position, one in enumerate(usable) if position not in placed.outside]
            _count(ledger, usable, placed)
            photos.append(_photo_table(source, used))
            boxes.append(_box_table(source, usable, placed))
            task.advance(len(batch))
    return Assembled(Catalog(pl.concat(photos), pl.concat(boxes)), pl.concat(stamps))


def _stamps(known: pl.DataFrame, glances: Sequence[Glance]) -> pl.DataFrame:
    columns = {
        "path": known.get_column("path"),
        "size": [one.size for one in glances],
        "mtime_ns": [one.mtime_ns for one in glances],
    }
    return pl.DataFrame(columns, schema=STAMP_SCHEMA)


@dataclass(frozen=True, slots=True)
class _Usable:
    """A photo that is whole, and what its label says."""

    candidate: Candidate
    opened: Opened


def _usable(batch: Sequence[Candidate], glances: Sequence[Glance], ledger: Ledger) -> list[_Usable]:
    usable: list[_Usable] = []
    for candidate, one in zip(batch, glances, strict=True):
        if isinstance(one.opened, InputError):
            ledger.quarantine(candidate.path, one.opened)
        else:
            usable.append(_Usable(candidate, one.opened))
    return usable


def _unchanged(known: pl.DataFrame) -> list[bool]:
    """Which photos are as they were when what is known of them (``REMEMBERED_SCHEMA``) was learned."""
    columns = [known.get_column(name) for name in ("path", "size", "mtime_ns")]
    return [
        size is not None and stamp(path) == (size, mtime_ns) for path, size, mtime_ns in zip(*columns, strict=True)
    ]


def _open_all(
    known: pl.DataFrame, same: Sequence[bool], opening: Iterator[Glance], remembered: Remembered
) -> list[Glance]:
    """What opening each photo tells: from memory where it is the same, else the next that is opened."""
    columns = [known.get_column(name) for name in ("path", "size", "mtime_ns", "content")]
    glances: list[Glance] = []
    kept: list[bytes] = []
    for is_same, path, size, mtime_ns, content in zip(same, *columns, strict=True):
        found = recalled(size, mtime_ns, content) if is_same else next(opening)
        one = found or glance(path)
        glances.append(one)
        if one.encoded is not None:
            kept.append(path)
    lasting = [one for one in glances if one.encoded is not None]
    table = {
        "path": kept,
        "size": [one.size for one in lasting],
        "mtime_ns": [one.mtime_ns for one in lasting],
        "mark": [0] * len(lasting),
        "content": [one.encoded for one in lasting],
    }
    remembered.keep(pl.DataFrame(table, schema=REMEMBERED_SCHEMA), learned=not all(same))
    return glances


def _count(ledger: Ledger, usable: Sequence[_Usable], placed: Placed) -> None:
    notes: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for position, (one, note) in enumerate(zip(usable, placed.notes, strict=True)):
        if position in placed.outside:
            remedy = "correct the box, or the photo that it goes with"
            ledger.quarantine(one.candidate.path, InputError("box wholly outside the photo", remedy=remedy))
            continue
        notes.update(one.opened.header.notes)
        notes.update([note] if note else ())
        left_out.update(one.candidate.left_out)
    ledger.count("used", number=len(usable) - len(placed.outside))
    ledger.count("box_clipped", "partly outside the photo", placed.clipped)
    for note, number in notes.items():
        ledger.count("noted", note, number)
    for reason, number in left_out.items():
        ledger.count("box_left_out", reason, number)
    ledger.count("box_left_out", ZERO_AREA, placed.flat)


def _photo_table(source: Source, used: Sequence[_Usable]) -> pl.DataFrame:
    """``PHOTO_SCHEMA``."""
    candidates = [one.candidate for one in used]
    headers = [one.opened.header for one in used]
    background = source.role == "background"
    columns = {
        "photo": [f"{source.name}/{one.name}" for one in candidates],
        "path": [one.path for one in candidates],
        "source": [source.name] * len(used),
        "role": [source.role] * len(used),
        "has_vehicle": [not background] * len(used),
        "width": [one.width for one in headers],
        "height": [one.height for one in headers],
        "damage_types": _lists([one.damage_types for one in candidates]),
        "claim": [one.claim for one in candidates],
        "sha256": [one.opened.sha256 for one in used],
        "pinned": [source.split] * len(used),
        "box_truth": [background or one.has_vehicle_box for one in candidates],
        "plain": [
            header.plain and one.path.lower().endswith(_PLAIN_SUFFIXES)
            for header, one in zip(headers, candidates, strict=True)
        ],
    }
    return pl.DataFrame(columns, schema=PHOTO_SCHEMA)


def _lists(words: Sequence[tuple[str, ...]]) -> pl.Series:
    """Lists of words; each of the few that differ is made once, as every one takes as long as a row."""
    numbers = {one: number for number, one in enumerate(dict.fromkeys(words))}
    lists = pl.Series([list(one) for one in numbers], dtype=pl.List(pl.String))
    return lists.gather(pl.Series([numbers[one] for one in words], dtype=pl.UInt32))


def _box_table(source: Source, usable: Sequence[_Usable], placed: Placed) -> pl.DataFrame:
    """``BOX_SCHEMA``."""
    owners = [usable[position].candidate for position in placed.photos.tolist()]
    which = placed.kept.tolist()
    kinds = [one.kinds[index] for one, index in zip(owners, which, strict=True)]
    x1, y1, x2, y2 = placed.boxes.T.copy()
    columns = {
        "photo": [f"{source.name}/{one.name}" for one in owners],
        "x1": x1,
        "y1": y1,
        "x2": x2,
        "y2": y2,
        "kind": kinds,
        "origin": [origin_of(kind) for kind in kinds],
        "confidence": [None] * len(kinds),
        "crowd": [index in one.crowds for one, index in zip(owners, which, strict=True)],
    }
    return pl.DataFrame(columns, schema=BOX_SCHEMA)
