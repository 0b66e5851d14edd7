"""What the words and numbers of a label mean. Light, as processes that only read labels import it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from pathlib import PurePosixPath
from typing import TypeAlias

from wreckognize.errors import InputError
from wreckognize.words import DAMAGE_TYPES

Corners: TypeAlias = tuple[float, float, float, float]
"""``x1 y1 x2 y2`` as the label has them."""

ZERO_AREA = "zero-area box"
MISSING_BOX = "box missing"

_DAMAGE_BY_NAME = {name.lower(): name for name in DAMAGE_TYPES} | {"dent": "Crushed", "dented": "Crushed"}
_AS_WRITTEN = {name: name for name in DAMAGE_TYPES}  # nearly every label, and half a million of them
_CLAIM_IN_NAME = re.compile(r"\d{7}_((?:as|sc)-\d+)")


def corners(bbox: Sequence[float]) -> Corners | None:
    """Turn ``x y w h`` into ``x1 y1 x2 y2``; None for a box without area.

    Raises:
        InputError: if there are not four numbers, or one is NaN or infinite.
    """
    if len(bbox) != 4:
        raise wrong_box()
    x, y, width, height = bbox
    if not (isfinite(x) and isfinite(y) and isfinite(width) and isfinite(height)):
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
    if not isinstance(name, str):
        return None
    return _AS_WRITTEN.get(name) or _DAMAGE_BY_NAME.get(name.strip().lower())


def claim_from_name(name: str) -> str | None:
    """The claim that an AI-Hub file name carries.

    >>> claim_from_name("a/0000459_sc-226797.jpg")
    'sc-226797'
    """
    match = _CLAIM_IN_NAME.match(PurePosixPath(name).name)
    return match[1] if match else None
