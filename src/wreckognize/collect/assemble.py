"""Selected photos are opened, their boxes placed, and both become rows of the catalog."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.boxes import Boxes, area, as_boxes
from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, Catalog
from wreckognize.collect.candidates import Candidate, Wanted, origin_of
from wreckognize.collect.labelwords import ZERO_AREA
from wreckognize.collect.ledger import Ledger
from wreckognize.collect.remembered import REMEMBERED_SCHEMA, Remembered
from wreckognize.errors import InputError
from wreckognize.images import MAX_BYTES, ImageHeader, orient_boxes, verify
from wreckognize.progress import Progress
from wreckognize.reading import read_regular
from wreckognize.settings import Source

READER = f"photos-1-pillow-{version('pillow')}-{version('pillow-heif')}"
"""Raised when photos are judged otherwise than before; the decoders have a say in which are whole."""

_BATCH = 512  # photos in flight at once, and rows in a frame: half a million of either would fill the memory
_ROUNDING = 0.02  # pixels: labels round to two decimals; a box this far outside was not drawn outside
_PLAIN_SUFFIXES = (".jpg", ".jpeg", ".png")  # what Ultralytics looks for without being told


@dataclass(frozen=True, slots=True)
class _Opened:
    """What opening one photo told."""

    header: ImageHeader
    sha256: str


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


def assemble(
    source: Source,
    wanted: Wanted,
    selected: Sequence[int],
    ledger: Ledger,
    progress: Progress,
    workers: int | None,
    remembered: Remembered,
) -> Catalog:
    """Open the selected photos, in threads, and build their rows, which do not depend on how many threads there are.

    Photos that are as they were when they were last opened are not opened again.
    """
    photos, boxes = [PHOTO_SCHEMA.to_frame()], [BOX_SCHEMA.to_frame()]
    known = remembered.lookup([os.fsencode(path) for path in wanted.paths(selected)])
    # Batches, as half a million candidates and their rows would fill the memory.
    pool = ThreadPoolExecutor(workers or min(16, os.cpu_count() or 1), "collect")
    with pool, progress.task(f"{source.name}: photos", len(selected)) as task:
        for start in range(0, len(selected), _BATCH):
            batch = list(wanted.candidates(selected[start : start + _BATCH]))
            opened_batch = _open_all(known.slice(start, _BATCH), pool, remembered)
            photo_rows: list[tuple[object, ...]] = []
            box_rows: list[tuple[object, ...]] = []
            for candidate, opened in zip(batch, opened_batch, strict=True):
                task.advance()
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
    return Catalog(pl.concat(photos), pl.concat(boxes))


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


def _open_all(known: pl.DataFrame, pool: ThreadPoolExecutor, remembered: Remembered) -> list[_Opened | InputError]:
    """What opening each photo tells; from memory (``REMEMBERED_SCHEMA``) where its size and time are as they were."""
    paths = known.get_column("path").to_list()
    before = zip(*(known.get_column(name) for name in ("size", "mtime_ns", "content")), strict=True)
    looks = [_recalled(path, *stamp) for path, stamp in zip(paths, before, strict=True)]
    missing = [place for place, look in enumerate(looks) if look is None]
    for place, look in zip(missing, pool.map(_look, [paths[place] for place in missing]), strict=True):
        looks[place] = look
    kept = [
        (path, look.size, look.mtime_ns, 0, look.encoded)
        for path, look in zip(paths, looks, strict=True)
        if look is not None and look.encoded is not None
    ]
    table = pl.DataFrame(kept, schema=REMEMBERED_SCHEMA, orient="row")
    remembered.keep(table, learned=bool(missing))
    return [look.opened for look in looks if look is not None]


@dataclass(frozen=True, slots=True)
class _Look:
    """One photo: what it told, its size and time before, and how to remember it (None: not to be remembered)."""

    opened: _Opened | InputError
    size: int = -1
    mtime_ns: int = -1
    encoded: bytes | None = None


def _recalled(path: bytes, size: int | None, mtime_ns: int | None, content: bytes | None) -> _Look | None:
    """What is known of a photo, if it is as it was."""
    if size is None or mtime_ns is None or content is None:
        return None
    try:
        status = os.stat(path)  # noqa: PTH116 - a path of bytes
    except OSError:
        return None
    if (status.st_size, status.st_mtime_ns) != (size, mtime_ns):
        return None
    try:
        return _Look(_decoded(content), size, mtime_ns, content)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # spoilt, or written by something else
        return None


def _look(path: bytes) -> _Look:
    photo = Path(os.fsdecode(path))
    try:
        status = photo.stat()  # before it is read, so that a change in between is seen next time
        data = read_regular(photo, MAX_BYTES)
    except OSError as error:  # says nothing about next time
        remedy = "put the file back as a whole photo, or give yourself the right to read it"
        return _Look(InputError("file cannot be read", where=error.strerror or "", remedy=remedy))
    try:
        opened: _Opened | InputError = _Opened(verify(data), hashlib.sha256(data).hexdigest())
    except InputError as error:
        opened = error
    return _Look(opened, status.st_size, status.st_mtime_ns, _encoded(opened))


_STORED = msgspec.msgpack.Decoder(_Opened | tuple[str, str, str])


def _encoded(opened: _Opened | InputError) -> bytes:
    refused = (opened.reason, opened.where, opened.remedy) if isinstance(opened, InputError) else None
    return msgspec.msgpack.encode(refused or opened)


def _decoded(data: bytes) -> _Opened | InputError:
    stored = _STORED.decode(data)
    if isinstance(stored, _Opened):
        return stored
    reason, where, remedy = stored
    return InputError(reason, where=where, remedy=remedy)


def _count(ledger: Ledger, candidate: Candidate, header: ImageHeader, placed: Placed) -> None:
    ledger.count("used")
    ledger.count("box_clipped", "partly outside the photo", placed.clipped)
    for note in (*header.notes, *placed.notes):
        ledger.count("noted", note)
    for reason in candidate.left_out:
        ledger.count("box_left_out", reason)
    ledger.count("box_left_out", ZERO_AREA, len(candidate.kinds) - len(placed.kept))


def _photo_row(source: Source, candidate: Candidate, opened: _Opened) -> tuple[object, ...]:
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
