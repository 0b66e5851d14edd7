"""The bootstrap over groups: which groups a draw holds, and how often.

A draw takes as many groups as the test set has, with replacement, always whole (the cluster bootstrap; Davison and
Hinkley 1997, *Bootstrap Methods and their Application*, section 3.8; Field and Welsh 2007, *JRSS B* 69). A draw is
kept as one weight a group, so every figure is computed from weights and no photo is ever copied.

Groups are drawn within two strata, those that mostly show a vehicle and those that mostly do not. The test set was
composed so on purpose, and no draw is without backgrounds where the test set has some.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Draws = NDArray[np.uint8]
"""``(draws, G)``: how often each group is in each draw."""

_ROWS = 256  # drawn at a time


def number_groups(groups: NDArray[np.generic]) -> tuple[NDArray[np.intp], int]:
    """Groups numbered from 0 in the order of their names, ``(N,)``, and how many there are."""
    names, numbers = np.unique(groups, return_inverse=True)
    return numbers.reshape(-1), names.size


def majority_strata(truth: NDArray[np.bool_], groups: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether at least half of a group's photos show a vehicle, ``(G,)``.

    Args:
        truth: ``(N,)``.
        groups: ``(N,)``, numbered from 0.
    """
    size = np.bincount(groups)
    vehicles = np.bincount(groups, weights=truth)
    return np.asarray(2 * vehicles >= size)


def draw_groups(strata: NDArray[np.bool_], draws: int, seed: int) -> Draws:
    """Draw groups with replacement, each stratum to its own number.

    The same strata, draws and seed give the same weights on any machine (PCG64, integers only).

    Args:
        strata: ``(G,)``, see `majority_strata`.
        draws: how many, at least 1.
        seed: not negative.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    weights = np.zeros((draws, strata.size), dtype=np.uint8)  # 256 of one group has a chance below 10^-300
    for stratum in (True, False):
        members = np.flatnonzero(strata == stratum)
        if not members.size:
            continue
        for start in range(0, draws, _ROWS):
            rows = min(_ROWS, draws - start)
            drawn = rng.integers(0, members.size, (rows, members.size))
            drawn += np.arange(rows)[:, None] * members.size
            counted = np.bincount(drawn.ravel(), minlength=rows * members.size)
            weights[start : start + rows, members] = counted.reshape(rows, members.size)
    return weights


def in_chunks(weights: Draws, rows: int) -> Iterator[tuple[slice, Draws]]:
    """The draws ``rows`` at a time, each with its place."""
    for start in range(0, weights.shape[0], rows):
        place = slice(start, min(start + rows, weights.shape[0]))
        yield place, weights[place]


def percentile_interval(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    """The percentile interval of bootstrap values ``(draws,)``, none of them NaN.

    The limits are the values of rank ``(draws + 1) * (1 - level) / 2`` from either end, rounded outwards (Davison and
    Hinkley 1997, equation 5.18), so that the interval leaves out 0 exactly where `sign_share` is at most
    ``1 - level``.

    Raises:
        ValueError: too few draws for this level.
    """
    ordered = np.sort(values)
    rank = math.floor((ordered.size + 1) * (1 - level) / 2 + 1e-9)
    if rank < 1:
        raise ValueError(f"{ordered.size} draws are too few for an interval of {level:g}")
    return float(ordered[rank - 1]), float(ordered[-rank])


def sign_share(values: NDArray[np.float64]) -> float:
    """The two-sided p-value that belongs to `percentile_interval`: how rarely draws fall on the other side of 0.

    ``2 (1 + k) / (1 + draws)``, at most 1, where ``k`` draws are at or beyond 0 on the rarer side (Davison and
    Hinkley 1997, equation 4.11; the interval inverted).

    >>> sign_share(np.array([0.1, 0.2, 0.3, -0.1]))
    0.8
    """
    beyond = int(min(np.count_nonzero(values <= 0), np.count_nonzero(values >= 0)))
    return min(1.0, 2 * (1 + beyond) / (1 + values.size))
