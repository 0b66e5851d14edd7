"""Selected photos are opened, their boxes placed, and both become rows of the catalog."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.boxes import Boxes, area, as_boxes
from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, Catalog
from wreckognize.collect.candidates import Candidate, Wanted, origin_of
from wreckognize.collect.folderstamp import stamp
from wreckognize.collect.labelwords import ZERO_AREA
from wreckognize.collect.ledger import Ledger
from wreckognize.collect.opening import Elsewhere, Workers, open_many
from wreckognize.collect.photofile import Glance, Opened, glance, recalled
from wreckognize.collect.remembered import REMEMBERED_SCHEMA, STAMP_SCHEMA, Remembered
from wreckognize.errors import InputError
from wreckognize.images import ImageHeader, orient_boxes
from wreckognize.progress import Progress
from wreckognize.settings import Source

_BATCH = 512  # candidates at once, and rows in a frame: half a million of either would fill the memory
_ROUNDING = 0.02  # pixels: labels round to two decimals; a box this far outside was not drawn outside
_PLAIN_SUFFIXES = (".jpg", ".jpeg", ".png")  # what Ultralytics looks for without being told


@dataclass(frozen=True, slots=True)
class Placed:
    """The boxes of one photo, in pixels of the photo as shown.

    Attributes:
        boxes: ``(N, 4)``, all within the photo.
        kept: ``(N,)``; which of the label's boxes they are.
        clipped: how many were cut to the photo.
        notes: what was done besides.
    """

    boxes: Boxes
    kept: NDArray[np.intp]
    clipped: int
    notes: tuple[str, ...] = ()


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
            photo_rows: list[tuple[object, ...]] = []
            box_rows: list[tuple[object, ...]] = []
            for candidate, one in zip(batch, glances, strict=True):
                task.advance()
                opened = one.opened
                try:
                    if isinstance(opened, InputError):
                        raise opened
                    placed = place(candidate, opened.header)
                except InputError as error:
                    ledger.quarantine(candidate.path, error)
                    continue
                _count(ledger, candidate, opened.header, placed)
                photo_rows.append(_photo_row(source, candidate, opened))
                box_rows += _box_rows(source, candidate, placed)
            photos.append(pl.DataFrame(photo_rows, schema=PHOTO_SCHEMA, orient="row"))
            boxes.append(pl.DataFrame(box_rows, schema=BOX_SCHEMA, orient="row"))
    return Assembled(Catalog(pl.concat(photos), pl.concat(boxes)), pl.concat(stamps))


def _stamps(known: pl.DataFrame, glances: Sequence[Glance]) -> pl.DataFrame:
    columns = {
        "path": known.get_column("path"),
        "size": [one.size for one in glances],
        "mtime_ns": [one.mtime_ns for one in glances],
    }
    return pl.DataFrame(columns, schema=STAMP_SCHEMA)


def place(candidate: Candidate, header: ImageHeader) -> Placed:
    """Bring a label's boxes to the frame of the photo as shown, and cut them to it.

    A label whose size is that of the stored photo, before EXIF orientation turned it on its side, was drawn on the
    stored photo: its boxes are turned as the photo is. Any other label is taken to be drawn on the photo as shown.

    Raises:
        InputError: if a box lies wholly outside the photo.
    """
    boxes, notes = candidate.boxes, []
    shown, stored = (header.width, header.height), (header.raw_width, header.raw_height)
    limits = np.array([*shown, *shown], dtype=np.float64)
    if candidate.relative:
        with np.errstate(over="ignore"):  # a far edge at infinity is cut like any other
            boxes = boxes * limits
    elif candidate.label_size == stored != shown:
        boxes = orient_boxes(boxes, header)
        notes.append("boxes turned with the photo")
    elif candidate.label_size not in (None, shown):
        notes.append("label says another size than the photo has")
    if (boxes[:, :2] >= limits[:2]).any() or (boxes[:, 2:] <= 0).any():
        raise InputError("box wholly outside the photo", remedy="correct the box, or the photo that it goes with")
    cut = np.clip(boxes, 0.0, limits)
    clipped = int((np.abs(cut - boxes).max(axis=1, initial=0) > _ROUNDING).sum())
    within = as_boxes(cut)
    kept = np.flatnonzero(area(within) > 0)  # a box can be too thin for float32
    return Placed(within[kept], kept, clipped, tuple(notes))


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
    kept: list[tuple[bytes, int, int, int, bytes]] = []
    learned = False
    for is_same, path, size, mtime_ns, content in zip(same, *columns, strict=True):
        found = recalled(size, mtime_ns, content) if is_same else next(opening)
        one = found or glance(path)
        glances.append(one)
        learned |= not is_same
        if one.encoded is not None:
            kept.append((path, one.size, one.mtime_ns, 0, one.encoded))
    remembered.keep(pl.DataFrame(kept, schema=REMEMBERED_SCHEMA, orient="row"), learned=learned)
    return glances


def _count(ledger: Ledger, candidate: Candidate, header: ImageHeader, placed: Placed) -> None:
    ledger.count("used")
    ledger.count("box_clipped", "partly outside the photo", placed.clipped)
    for note in (*header.notes, *placed.notes):
        ledger.count("noted", note)
    for reason in candidate.left_out:
        ledger.count("box_left_out", reason)
    ledger.count("box_left_out", ZERO_AREA, len(candidate.kinds) - len(placed.kept))


def _photo_row(source: Source, candidate: Candidate, opened: Opened) -> tuple[object, ...]:
    header = opened.header
    background = source.role == "background"
    return (
        f"{source.name}/{candidate.name}",
        candidate.path,
        source.name,
        source.role,
        not background,
        header.width,
        header.height,
        list(candidate.damage_types),
        candidate.claim,
        opened.sha256,
        source.split,
        background or candidate.has_vehicle_box,
        header.plain and candidate.path.lower().endswith(_PLAIN_SUFFIXES),
    )


def _box_rows(source: Source, candidate: Candidate, placed: Placed) -> Iterator[tuple[object, ...]]:
    for box, index in zip(placed.boxes.tolist(), placed.kept.tolist(), strict=True):
        kind = candidate.kinds[index]
        yield (f"{source.name}/{candidate.name}", *box, kind, origin_of(kind), None, index in candidate.crowds)
