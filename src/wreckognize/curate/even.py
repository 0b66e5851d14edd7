"""Whole groups moved and swapped between splits until every stratum has its shares, or nothing helps any more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.01
"""A stratum may be off its share by this much of its photos, or by one photo, whichever is more."""

_KINDS = 300
_STEPS = 500
_EPSILON = 1e-9


def tolerance(target: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how many photos each stratum of ``target``, ``(S, K)`` photos wanted, may be off: ``(S, 1)``."""
    room: NDArray[np.float64] = np.maximum(1.0, TOLERANCE * target.sum(axis=1, keepdims=True))
    return room


def even_out(
    counts: NDArray[np.int64], splits: NDArray[np.int64], target: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Improve a split of groups step by step.

    A step moves one group to another split, or swaps two groups of different splits; the step that takes the most off
    the photos beyond the tolerance, summed over strata and splits, is done, until there is none or nothing is beyond
    it. Groups that hold the same photos of the same strata are interchangeable, so steps are looked for among kinds
    of groups (the 300 smallest kinds; large groups were placed first and leave little room). The best of all splits
    is a multiple knapsack problem; where every group was of one stratum and it could be computed, all but 2 of
    some 350 strata were split as well as they could be; those two needed three groups to change places at once.

    Args:
        counts: ``(G, S)`` photos of each group in each stratum.
        splits: ``(G,)`` the split of each group, 0 to K - 1.
        target: ``(S, K)`` photos wanted; a split that wants none at all is given none.

    Returns:
        ``(G,)`` the splits, improved; of interchangeable groups the last one in order goes.
    """
    room = tolerance(target)
    open_splits = np.flatnonzero(target.any(axis=0))
    off = np.stack([counts[splits == split].sum(axis=0) for split in range(target.shape[1])], axis=1) - target
    if np.all(np.abs(off) <= room + _EPSILON):
        return splits
    kinds, kind_of = np.unique(counts, axis=0, return_inverse=True)
    kind_of = kind_of.ravel()
    small = np.argsort(kinds.sum(axis=1), kind="stable")[:_KINDS]
    splits = splits.copy()
    for _ in range(_STEPS):
        step = _best_step(kinds, small, kind_of, splits, off, room, open_splits)
        if step is None:
            break
        for kind, source, goal in step:
            splits[np.flatnonzero((kind_of == kind) & (splits == source))[-1]] = goal
            off[:, source] -= kinds[kind]
            off[:, goal] += kinds[kind]
    return splits


def _best_step(
    kinds: NDArray[np.int64],
    small: NDArray[np.int64],
    kind_of: NDArray[np.int64],
    splits: NDArray[np.int64],
    off: NDArray[np.float64],
    room: NDArray[np.float64],
    open_splits: NDArray[np.int64],
) -> list[tuple[int, int, int]] | None:
    """The step that helps most, as moves ``(kind, from, to)``; None if none helps."""
    excess = np.clip(np.abs(off) - room, 0, None).sum(axis=0)
    best, chosen = -_EPSILON, None
    for one, source in enumerate(open_splits.tolist()):
        here = _present(small, kind_of, splits, source)
        for goal in open_splits[one + 1 :].tolist():
            there = _present(small, kind_of, splits, goal)
            # Photos that go from source to goal: rows are kinds here (or nothing), columns kinds there (or nothing).
            gone = np.vstack([kinds[here], np.zeros_like(kinds[:1])])
            come = np.vstack([kinds[there], np.zeros_like(kinds[:1])])
            net = gone[:, None, :] - come[None, :, :]
            change = (
                np.clip(np.abs(off[:, source] - net) - room[:, 0], 0, None).sum(axis=2)
                + np.clip(np.abs(off[:, goal] + net) - room[:, 0], 0, None).sum(axis=2)
                - (excess[source] + excess[goal])
            )
            row, column = np.unravel_index(int(change.argmin()), change.shape)
            if change[row, column] < best:
                best = float(change[row, column])
                chosen = [(int(kind), source, goal) for kind in here[row : row + 1]]
                chosen += [(int(kind), goal, source) for kind in there[column : column + 1]]
    return chosen


def _present(
    small: NDArray[np.int64], kind_of: NDArray[np.int64], splits: NDArray[np.int64], split: int
) -> NDArray[np.int64]:
    """The kinds among ``small`` of which a split has a group."""
    return small[np.isin(small, kind_of[splits == split])]
