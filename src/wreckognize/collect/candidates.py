"""What a reader hands on: a photo with all that its label says, before the photo is opened.

Half a million candidates may be in memory at once, so boxes are arrays and everything else is shared or small.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wreckognize.catalog import DAMAGE_TYPES, VEHICLE
from wreckognize.errors import InputError

Origin = Literal["damage", "human"]
Corners: TypeAlias = tuple[float, float, float, float]
"""``x1 y1 x2 y2`` as the label has them."""

COCO_VEHICLES = ("car", "bus", "truck")
NOT_BACKGROUND = (*COCO_VEHICLES, "motorcycle")
"""A background photo shows none of these."""

ZERO_AREA = "zero-area box"
MISSING_BOX = "box missing"

_DAMAGE_BY_NAME = {name.lower(): name for name in DAMAGE_TYPES} | {"dent": "Crushed", "dented": "Crushed"}
_CLAIM_IN_NAME = re.compile(r"\d{7}_((?:as|sc)-\d+)")


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


def corners(bbox: Sequence[float]) -> Corners | None:
    """Turn ``x y w h`` into ``x1 y1 x2 y2``; None for a box without area.

    Raises:
        InputError: if there are not four numbers, or one is NaN or infinite.
    """
    if len(bbox) != 4:
        raise wrong_box()
    x, y, width, height = bbox
    if not all(map(math.isfinite, bbox)):
        raise InputError("box is NaN or infinite", remedy="correct the box in the label")
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None


def wrong_box() -> InputError:
    """A box that is not four numbers."""
    return InputError("box is not four numbers", remedy="correct the box in the label: x, y, width, height")


def damage_type(name: object) -> str | None:
    """The damage type that a label's word means; None for null and unknown words.

    >>> damage_type(" dented ")
    'Crushed'
    """
    return _DAMAGE_BY_NAME.get(name.strip().lower()) if isinstance(name, str) else None


def claim_from_name(name: str) -> str | None:
    """The claim that an AI-Hub file name carries.

    >>> claim_from_name("a/0000459_sc-226797.jpg")
    'sc-226797'
    """
    match = _CLAIM_IN_NAME.match(PurePosixPath(name).name)
    return match[1] if match else None


def largest_share(boxes: Iterable[Corners], width: float, height: float) -> float:
    """The share of a ``width`` x ``height`` frame that the largest box covers, its parts outside not counted."""
    shares = [
        max(0.0, min(x2, width) - max(x1, 0.0)) * max(0.0, min(y2, height) - max(y1, 0.0)) / (width * height)
        for x1, y1, x2, y2 in boxes
    ]
    return max(shares, default=0.0)
