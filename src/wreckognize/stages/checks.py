"""What a verification finds: checks, their outcome, and where two JSON values differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

TOLERANCE = 1e-9
"""Figures may differ by so much, relatively: sums in another order on another processor."""
NAMED = 20

_MISSING = object()

Outcome = Literal["holds", "differs", "not checked"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: in words.
        outcome: whether it holds; "not checked" where that could not be found out, with the reason.
        details: what differs, or why it was not checked; one sentence each.
    """

    what: str
    outcome: Outcome
    details: tuple[str, ...] = ()


def differences(derived: Any, stored: Any, where: str = "") -> list[str]:
    """Where two JSON values differ, as sentences; numbers may differ by `TOLERANCE`, relatively.

    >>> differences({"tp": 3, "auc": 0.5}, {"tp": 4, "auc": 0.5 + 1e-12})
    ['tp: 4 is recorded, 3 follows']
    """
    if isinstance(derived, Mapping) and isinstance(stored, Mapping):
        keys = [*derived, *(key for key in stored if key not in derived)]
        return [
            sentence
            for key in keys
            for sentence in differences(
                derived.get(key, _MISSING), stored.get(key, _MISSING), f"{where}.{key}" if where else str(key)
            )
        ]
    if isinstance(derived, list | tuple) and isinstance(stored, list | tuple) and len(derived) == len(stored):
        return [
            sentence
            for place, (one, other) in enumerate(zip(derived, stored, strict=True))
            for sentence in differences(one, other, f"{where}[{place}]")
        ]
    if _is_number(derived) and _is_number(stored):
        if abs(derived - stored) <= TOLERANCE * max(abs(derived), abs(stored)):
            return []
    elif derived == stored and type(derived) is type(stored):
        return []
    return [f"{where}: {_short(stored)} is recorded, {_short(derived)} follows"]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."
