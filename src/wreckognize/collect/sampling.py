"""Which candidates are taken when a source asks for fewer: by seed, the same on any machine.

The order is that of `wreckognize.lots`: neither folder order nor library versions matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest

from wreckognize.lots import lots_by


def seeded_order(names: Sequence[str], which: Iterable[int], source: str, seed: int) -> list[int]:
    """Positions ``which`` of ``names`` in the seed's order."""
    return sorted(which, key=_lots(names, source, seed))


def _lots(names: Sequence[str], source: str, seed: int) -> Callable[[int], bytes]:
    """`lot` by the seed and each photo's name in the catalog, of the photo at a position."""
    by_name = lots_by(seed)
    return lambda position: by_name(f"{source}/{names[position]}")


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
    lots = _lots(names, source, seed)
    return [one for same in by_type.values() for one in nsmallest(number, same, key=lots)]
