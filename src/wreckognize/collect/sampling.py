"""Which candidates are taken when a source asks for fewer: by seed, the same on any machine.

The order is that of ``sha256(f"{seed}:{source}/{name}")``: neither folder order nor library versions matter.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence


def seeded_order(names: Sequence[str], which: Iterable[int], source: str, seed: int) -> list[int]:
    """Positions ``which`` of ``names`` in the seed's order."""
    start = f"{seed}:{source}/"
    return sorted(which, key=lambda position: hashlib.sha256(f"{start}{names[position]}".encode()).digest())


def sample_per_damage(
    names: Sequence[str], first_types: Sequence[str | None], number: int, source: str, seed: int
) -> list[int]:
    """Positions of at most ``number`` photos of each damage type.

    A photo counts under its first type; a photo without any is left out.
    """
    by_type: defaultdict[str, list[int]] = defaultdict(list)
    for position, first in enumerate(first_types):
        if first is not None:
            by_type[first].append(position)
    return [one for same in by_type.values() for one in seeded_order(names, same, source, seed)[:number]]
