"""Labels' boxes brought to the frames of their photos, for many photos at once.

A photo has a handful of boxes, and every call of NumPy takes longer than they do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wreckognize.boxes import Boxes, area, as_boxes
from wreckognize.collect.candidates import Candidate, box_array
from wreckognize.images import ImageHeader, orient_boxes

_ROUNDING = 0.02  # pixels: labels round to two decimals; a box this far outside was not drawn outside


@dataclass(frozen=True, slots=True)
class Placed:
    """The boxes of photos, in pixels of each photo as shown.

    Attributes:
        boxes: ``(N, 4)``, each within its photo; none of a photo that has one outside.
        photos: ``(N,)``; the position of each box's photo.
        kept: ``(N,)``; which of its label's boxes each is.
        outside: positions of the photos that have a box wholly outside.
        clipped: how many were cut to their photo.
        flat: how many were left out, too thin for float32.
        notes: for each photo what was done besides, or None.
    """

    boxes: Boxes
    photos: NDArray[np.intp]
    kept: NDArray[np.intp]
    outside: frozenset[int]
    clipped: int
    flat: int
    notes: tuple[str | None, ...]


def place(candidates: Sequence[Candidate], headers: Sequence[ImageHeader]) -> Placed:
    """Bring labels' boxes to the frames of their photos as shown, and cut them to these.

    A label whose size is that of the stored photo, before EXIF orientation turned it on its side, was drawn on the
    stored photo: its boxes are turned as the photo is. Any other label is taken to be drawn on the photo as shown.
    """
    counts = np.array([len(candidate.boxes) for candidate in candidates], dtype=np.intp)
    starts = np.cumsum(counts) - counts
    photos = np.repeat(np.arange(len(candidates)), counts)
    boxes = np.concatenate([box_array([]), *(candidate.boxes for candidate in candidates)])
    limits = box_array([(one.width, one.height, one.width, one.height) for one in headers])[photos]
    relative = np.array([candidate.relative for candidate in candidates], dtype=np.bool_)[photos]
    with np.errstate(over="ignore"):  # a far edge at infinity is cut like any other
        boxes[relative] *= limits[relative]
    notes: list[str | None] = []
    for candidate, header, start in zip(candidates, headers, starts.tolist(), strict=True):
        note = _note(candidate, header)
        if note == _TURNED:
            boxes[start : start + len(candidate.boxes)] = orient_boxes(candidate.boxes, header)
        notes.append(note)
    outside = np.unique(photos[(boxes[:, :2] >= limits[:, :2]).any(axis=1) | (boxes[:, 2:] <= 0).any(axis=1)])
    usable = ~np.isin(photos, outside)
    cut = np.clip(boxes, 0.0, limits)
    clipped = np.abs(cut - boxes).max(axis=1, initial=0) > _ROUNDING
    within = as_boxes(cut)
    kept = np.flatnonzero(usable & (area(within) > 0))  # a box can be too thin for float32
    return Placed(
        boxes=within[kept],
        photos=photos[kept],
        kept=kept - starts[photos[kept]],
        outside=frozenset(outside.tolist()),
        clipped=int((clipped & usable).sum()),
        flat=int(usable.sum()) - len(kept),
        notes=tuple(notes),
    )


_TURNED = "boxes turned with the photo"


def _note(candidate: Candidate, header: ImageHeader) -> str | None:
    if candidate.relative or candidate.label_size is None:
        return None
    shown = (header.width, header.height)
    if candidate.label_size == shown:
        return None
    if candidate.label_size == (header.raw_width, header.raw_height):
        return _TURNED
    return "label says another size than the photo has"
