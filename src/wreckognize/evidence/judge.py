"""The judge: every system on the locked test set, each figure with its interval, and a verdict for every two.

`judge` takes arrays and gives `Evidence`; the parts stand in `sample` (figures of all draws), `rows` (intervals) and
`pairs` (differences, tests and verdicts).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wreckognize.evidence.pairs import compare
from wreckognize.evidence.rows import row_of, trivial_row
from wreckognize.evidence.sample import LockedSet, SystemSample, measure, require_sample
from wreckognize.evidence.verdicts import Evidence

__all__ = ["ALWAYS", "DRAWS", "NEVER", "Evidence", "SystemSample", "judge"]

ALWAYS, NEVER = "always vehicle", "never vehicle"
DRAWS = 2000


def judge(
    truth: NDArray[np.bool_],
    role: NDArray[Any],
    groups: NDArray[Any],
    systems: Sequence[SystemSample],
    *,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Evidence:
    """Judge systems on one test set.

    Args:
        truth: ``(N,)``, whether each photo shows a vehicle: from its role, never from a model.
        role: ``(N,)``, ``damaged``, ``normal`` or ``background``.
        groups: ``(N,)``, equal where photos belong together (one accident, or nearly alike).
        systems: with different names.
        level: of confidence of every interval; verdicts are at ``1 - level`` after Holm's correction.
        draws: of the bootstrap.
        seed: of the bootstrap. The same input and seed give the same evidence.

    Raises:
        UsageError: there is no photo, or a score is NaN; the system is named.
        ValueError: arrays that do not fit, an unknown role, systems that share a name, a level outside 0 to 1, or
            too few draws for it.
    """
    names = [system.name for system in systems]
    if len({*names, ALWAYS, NEVER}) < len(names) + 2:
        raise ValueError(f"systems share a name, or are named {ALWAYS!r} or {NEVER!r}: {names}")
    test = LockedSet.of(truth, role, groups, level=level, draws=draws, seed=seed)
    for system in systems:
        require_sample(system, truth.size)
    measured = [measure(test, system) for system in systems]
    rows = [row_of(test, each) for each in measured]
    trivial = [trivial_row(test, name, says_vehicle=name == ALWAYS) for name in (ALWAYS, NEVER)]
    vehicles = int(truth.sum())
    return Evidence(
        level=level,
        draws=draws,
        seed=seed,
        photos=truth.size,
        groups=test.count,
        vehicle=vehicles,
        background=truth.size - vehicles,
        rows=(*rows, *trivial),
        pairs=compare(test, measured),
    )
