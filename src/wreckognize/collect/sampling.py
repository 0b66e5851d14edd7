"""Which candidates are taken when a source asks for fewer: by seed, the same on any machine.

The order is that of ``sha256(f"{seed}:{source}/{name}")``: neither folder order nor library versions matter.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from wreckognize.collect.candidates import Candidate


def seeded_order(candidates: Iterable[Candidate], source: str, seed: int) -> list[Candidate]:
    """Candidates in the seed's order."""
    return sorted(candidates, key=lambda one: hashlib.sha256(f"{seed}:{source}/{one.name}".encode()).digest())


def sample_per_damage(candidates: Iterable[Candidate], number: int, source: str, seed: int) -> list[Candidate]:
    """At most ``number`` photos of each damage type.

    A photo counts under its first type; a photo without any is left out.
    """
    by_type: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if candidate.damage_types:
            by_type[candidate.damage_types[0]].append(candidate)
    return [one for same in by_type.values() for one in seeded_order(same, source, seed)[:number]]
