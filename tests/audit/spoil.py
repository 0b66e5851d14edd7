"""Labels spoiled on purpose, by seed, to see whether an audit finds them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize import boxes as bx

SPOILT_SCHEMA = pl.Schema({"photo": pl.String, "kind": pl.String})
KINDS = ("moved", "dropped", "swapped", "added")

MIN_SHIFT, MAX_SHIFT = 0.3, 0.6  # of the box's side
ADDED_SIDES = (0.15, 0.6)  # of the photo's sides
OVERLAP_OF_ADDED = 0.3  # IoU with what is there already, at most
SAME_LABELS = 0.5  # two photos' labels are swapped only if their best boxes overlap less

_CORNERS = ["x1", "y1", "x2", "y2"]
Rows: TypeAlias = NDArray[np.float64]
"""``(N, 5)``: corners, and the number of the row of the label table that confidence and origin are taken from."""
Size: TypeAlias = tuple[int, int]


def spoil(
    photos: pl.DataFrame, labels: pl.DataFrame, share: float, *, seed: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Spoil the labels of a share of the photos, each kind of spoiling equally often.

    * ``moved``: a box is shifted by 0.3 to 0.6 of its width, its height or both, then cut to the photo;
    * ``dropped``: a box is removed;
    * ``swapped``: two photos have each other's labels; in every second pair one of them is a background;
    * ``added``: a box where there is none, with the confidence of another photo's box.

    Args:
        photos: ``photo, split, role, width, height``.
        labels: ``LABEL_SCHEMA`` of these photos.
        share: of the photos, 0 to 1.
        seed: decides everything.

    Returns:
        The labels, and ``SPOILT_SCHEMA``: what was done to which photo.
    """
    rng = np.random.default_rng(seed)
    sizes: dict[str, Size] = {row["photo"]: (row["width"], row["height"]) for row in photos.iter_rows(named=True)}
    background = set(photos.filter(role="background")["photo"])
    given: dict[str, Rows] = {photo: np.zeros((0, 5)) for photo in sizes}
    numbered = labels.with_row_index("row")
    for (photo,), rows in numbered.partition_by("photo", as_dict=True).items():
        given[photo] = rows.select(*_CORNERS, "row").to_numpy().astype(np.float64)
    names = sorted(sizes)
    spoilt: dict[str, tuple[str, Rows]] = {}

    def free(wanted: Callable[[str], bool]) -> str:
        order = rng.permutation(len(names))  # anew each time: what one kind left over is no fair sample
        return next(names[n] for n in order if names[n] not in spoilt and wanted(names[n]))

    def has_boxes(photo: str) -> bool:
        return len(given[photo]) > 0

    def swap(one: str, other: str) -> None:
        spoilt[one] = "swapped", _scaled(given[other], sizes[other], sizes[one])
        spoilt[other] = "swapped", _scaled(given[one], sizes[one], sizes[other])

    def can_swap(first: str, other: str) -> bool:
        return has_boxes(other) and _differ(first, other, given, sizes)

    counts = np.diff(np.round(np.linspace(0, share * len(sizes), len(KINDS) + 1))).astype(int)
    for kind, count in zip(KINDS, counts, strict=True):
        done = 0
        while done < count:
            photo = free(has_boxes if kind != "added" else lambda photo: True)
            rows = given[photo]
            if kind == "swapped":
                if done % 4:
                    swap(photo, free(partial(can_swap, photo)))
                else:
                    swap(photo, free(background.__contains__))
                done += 2
                continue
            if kind == "moved":
                changed = _moved(rows, int(rng.integers(len(rows))), sizes[photo], rng)
            elif kind == "dropped":
                changed = np.delete(rows, int(rng.integers(len(rows))), axis=0)
            else:
                changed = np.concatenate([rows, _new_box(rows, sizes[photo], labels.height, rng)])
            spoilt[photo] = kind, changed
            done += 1
    table = _table(labels, {photo: rows for photo, (_, rows) in spoilt.items()}, photos)
    kinds = sorted((photo, kind) for photo, (kind, _) in spoilt.items())
    return table, pl.DataFrame(kinds, schema=SPOILT_SCHEMA, orient="row")


def _scaled(rows: Rows, before: Size, after: Size) -> Rows:
    return rows * np.array([*after, *after, 1]) / np.array([*before, *before, 1])


def _differ(one: str, other: str, given: dict[str, Rows], sizes: dict[str, Size]) -> bool:
    if one == other or len(given[one]) != len(given[other]):
        return one != other
    return float(_iou(given[one], _scaled(given[other], sizes[other], sizes[one])).max()) < SAME_LABELS


def _iou(left: Rows, right: Rows) -> NDArray[np.float32]:
    return bx.iou(bx.as_boxes(left[:, :4]), bx.as_boxes(right[:, :4]))


def _moved(rows: Rows, number: int, size: Size, rng: np.random.Generator) -> Rows:
    """Shift one box along x, y or both, to the side where there is more room."""
    moved = rows.copy()
    box = moved[number]
    axes = [(0,), (1,), (0, 1)][int(rng.integers(3))]
    for axis in axes:
        shift = (box[axis + 2] - box[axis]) * rng.uniform(MIN_SHIFT, MAX_SHIFT)
        room_before, room_after = box[axis], size[axis] - box[axis + 2]
        before = room_before > room_after or (room_before == room_after and rng.random() < 0.5)
        box[[axis, axis + 2]] += -shift if before else shift
    box[:4] = bx.clip(bx.as_boxes(box[None, :4]), *size)[0]
    return moved


def _new_box(rows: Rows, size: Size, facts: int, rng: np.random.Generator) -> Rows:
    while True:
        sides = rng.uniform(*ADDED_SIDES, 2) * size
        corner = rng.uniform(0, 1, 2) * (size - sides)
        new = np.array([[*corner, *(corner + sides), rng.integers(facts)]])
        if _iou(new, rows).max(initial=0) <= OVERLAP_OF_ADDED:
            return new


def _table(labels: pl.DataFrame, changed: dict[str, Rows], photos: pl.DataFrame) -> pl.DataFrame:
    splits = dict(photos.select("photo", "split").iter_rows())
    rows = [
        (
            photo,
            splits[photo],
            *row[:4].tolist(),
            "vehicle",
            *labels.select("origin", "confidence").row(int(row[4])),
        )
        for photo in sorted(changed)
        for row in changed[photo]
    ]
    kept = labels.filter(~pl.col("photo").is_in(list(changed)))
    added = pl.DataFrame(rows, schema=labels.schema, orient="row")
    return pl.concat([kept, added]).sort("photo", maintain_order=True)
