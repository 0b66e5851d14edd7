"""What a reader hands on: a photo with all that its label says, before the photo is opened.

Where there may be half a million, a reader keeps what it read as columns, and makes candidates of those selected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from wreckognize.collect.labelwords import Corners
from wreckognize.words import VEHICLE

Origin = Literal["damage", "human"]

COCO_VEHICLES = ("car", "bus", "truck")
NOT_BACKGROUND = (*COCO_VEHICLES, "motorcycle")
"""A background photo shows none of these."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One photo that could be used.

    Attributes:
        name: path below the source, POSIX.
        path: absolute path.
        boxes: ``(N, 4) float64`` xyxy as the label has them: pixels, or shares of the sides if ``relative``.
        kinds: for each box `VEHICLE` or a damage type; the kind tells the origin.
        crowds: indices of the boxes that are regions to be ignored.
        relative: whether boxes are shares of the photo's sides, as shown.
        damage_types: mapped types in order of first appearance, without doubles.
        claim: the accident or case, if the label or the file name gives it.
        label_size: width and height that the label says, in pixels.
        left_out: for each box that was left out, why.
    """

    name: str
    path: str
    boxes: NDArray[np.float64]
    kinds: tuple[str, ...] = ()
    crowds: frozenset[int] = frozenset()
    relative: bool = False
    damage_types: tuple[str, ...] = ()
    claim: str | None = None
    label_size: tuple[float, float] | None = None
    left_out: tuple[str, ...] = ()

    @property
    def has_vehicle_box(self) -> bool:
        """Whether a person drew a box round one vehicle."""
        return any(kind == VEHICLE and index not in self.crowds for index, kind in enumerate(self.kinds))


def origin_of(kind: str) -> Origin:
    """Who drew a box of this kind: damage boxes come with damage labels, vehicle boxes from a person."""
    return "human" if kind == VEHICLE else "damage"


def box_array(boxes: Sequence[Corners]) -> NDArray[np.float64]:
    """``(N, 4) float64``, also for no box at all."""
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def largest_share(boxes: Iterable[Corners], width: float, height: float) -> float:
    """The share of a ``width`` x ``height`` frame that the largest box covers, its parts outside not counted."""
    shares = [
        max(0.0, min(x2, width) - max(x1, 0.0)) * max(0.0, min(y2, height) - max(y1, 0.0)) / (width * height)
        for x1, y1, x2, y2 in boxes
    ]
    return max(shares, default=0.0)


class Wanted(Protocol):
    """The candidates of a source before some are selected: names and types of all, the rest of those asked for."""

    @property
    def names(self) -> Sequence[str]:
        """Of the photos, below the source."""
        ...

    @property
    def first_types(self) -> Sequence[str | None]:
        """The first damage type of each."""
        ...

    def paths(self, which: Iterable[int]) -> list[str]:
        """Of the photos at these positions."""
        ...

    def candidates(self, which: Iterable[int]) -> Iterator[Candidate]:
        """Those at these positions, in this order."""
        ...


class Listed:
    """Candidates that are all in memory."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self.names = [one.name for one in candidates]
        self.first_types = [one.damage_types[0] if one.damage_types else None for one in candidates]

    def paths(self, which: Iterable[int]) -> list[str]:
        """Of the photos at these positions."""
        return [self._candidates[position].path for position in which]

    def candidates(self, which: Iterable[int]) -> Iterator[Candidate]:
        """Those at these positions, in this order."""
        return (self._candidates[position] for position in which)
