"""Values of a search's dimensions: as they are drawn, as they are used, and as a system has them now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wreckognize.settings import Dimension, SystemSettings

SIGNIFICANT_DIGITS = 4
"""Of a drawn number that is used; more would only be harder to read and to write down."""

Drawn = str | int | float
"""A value as the store keeps it: a number, or the label of a choice."""


def label(choice: Any) -> str:
    """A choice as text, the same for a value and what JSON makes of it.

    >>> label("frame"), label(10), label([0, 1]), label(None), label("10")
    ('frame', '10', '[0, 1]', 'null', '"10"')
    """
    text = json.dumps(choice, ensure_ascii=False)
    plain = isinstance(choice, str) and not _is_json(choice)
    return choice if plain else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def used(dimension: Dimension, drawn: Drawn) -> Any:
    """The value a system is given for a drawn one: of a label its choice, of any other number a round one.

    >>> used(Dimension(field="train.lr0", low=1e-5, high=1e-2), 0.00123456)
    0.001235
    >>> used(Dimension(field="train.freeze", choices=(0, [0, 1])), "[0, 1]")
    [0, 1]
    """
    if dimension.choices:
        return next(choice for choice in dimension.choices if label(choice) == drawn)
    if dimension.whole:
        return int(drawn)
    if dimension.step is not None:
        return round(float(drawn), 10)  # steps add up to 0.30000000000000004
    rounded = float(f"{float(drawn):.{SIGNIFICANT_DIGITS}g}")
    return min(max(rounded, float(dimension.low)), float(dimension.high))


def values_of(space: tuple[Dimension, ...], drawn: Mapping[str, Drawn]) -> dict[str, Any]:
    """The values a system is given, by field."""
    return {dimension.field: used(dimension, drawn[dimension.field]) for dimension in space}


def value_now(system: SystemSettings, field: str) -> Any:
    """What a system has in a field now; None where it leaves that to the library."""
    section, _, key = field.partition(".")
    value = getattr(system, section)
    if key:
        value = value.get(key) if isinstance(value, dict) else getattr(value, key, None)
    return list(value) if isinstance(value, tuple) else value


def drawn_now(space: tuple[Dimension, ...], system: SystemSettings) -> dict[str, Drawn] | None:
    """The system's present settings as if they had been drawn; None if one of them lies outside the space."""
    drawn: dict[str, Drawn] = {}
    for dimension in space:
        value = value_now(system, dimension.field)
        if dimension.choices:
            known = {label(choice) for choice in dimension.choices}
            if label(value) not in known:
                return None
            drawn[dimension.field] = label(value)
        elif not _between(dimension, value):
            return None
        else:
            drawn[dimension.field] = int(value) if dimension.whole else float(value)
    return drawn


def _between(dimension: Dimension, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if not dimension.low <= value <= dimension.high:
        return False
    steps = (value - dimension.low) / dimension.step if dimension.step else 0.0
    return abs(steps - round(steps)) < 1e-6
