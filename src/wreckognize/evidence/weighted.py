"""Figures of many bootstrap draws at once, from the weights of the photos in each draw.

Counts are linear in the weights, so the confusion matrices of all draws are one matrix product. What follows from a
ranking (ROC area, what is found at a rate of false alarms) needs the photos sorted once, then sums along them. NaN
stands for 0/0 here; whoever makes an interval of the draws leaves those out and counts them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from scipy import sparse

Values = NDArray[np.float64]
"""One figure for each draw, ``(draws,)``; NaN where it cannot be said."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """The confusion matrix of each draw: four arrays of one shape.

    Attributes:
        tp: weight of the vehicles called vehicle.
        fp: of the others called vehicle.
        fn: of the vehicles missed.
        tn: of the others called so.
    """

    tp: NDArray[np.float64]
    fp: NDArray[np.float64]
    fn: NDArray[np.float64]
    tn: NDArray[np.float64]


def accuracy(counts: Counts) -> Values:
    """Share of right decisions."""
    return _ratio(counts.tp + counts.tn, counts.tp + counts.fp + counts.fn + counts.tn)


def recall(counts: Counts) -> Values:
    """Share of the vehicles called vehicle."""
    return _ratio(counts.tp, counts.tp + counts.fn)


def specificity(counts: Counts) -> Values:
    """Share of the others called so."""
    return _ratio(counts.tn, counts.tn + counts.fp)


def precision(counts: Counts) -> Values:
    """Share of vehicles among the photos called vehicle."""
    return _ratio(counts.tp, counts.tp + counts.fp)


def f1(counts: Counts) -> Values:
    """Harmonic mean of precision and recall for vehicle."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def balanced_accuracy(counts: Counts) -> Values:
    """Mean of recall and specificity."""
    return (recall(counts) + specificity(counts)) / 2


def matthews(counts: Counts) -> Values:
    """Matthews' correlation coefficient (1975, *BBA* 405); NaN where a row or column of the matrix is empty."""
    tp, fp, fn, tn = counts.tp, counts.fp, counts.fn, counts.tn
    margins = np.sqrt(tp + fp) * np.sqrt(tp + fn) * np.sqrt(tn + fp) * np.sqrt(tn + fn)
    return np.clip(_ratio(tp * tn - fp * fn, margins), -1.0, 1.0)  # roots round


DECISION_FIGURES: dict[str, Callable[[Counts], Values]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "f1": f1,
    "mcc": matthews,
    "precision": precision,
    "recall": recall,
}


def from_rates(vehicles: float, others: float) -> Callable[[ArrayLike, ArrayLike], Counts]:
    """The confusion matrix as a function of recall and false-alarm rate, for a given mix of photos."""

    def counts(found: ArrayLike, alarms: ArrayLike) -> Counts:
        tp, fp = vehicles * np.asarray(found, np.float64), others * np.asarray(alarms, np.float64)
        return Counts(tp, fp, vehicles - tp, others - fp)

    return counts


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Photos counted by group, ready for any weights.

    Attributes:
        by_group: ``(G, 4)``: vehicles called, others called, vehicles, others.
    """

    by_group: NDArray[np.float32]

    @classmethod
    def of(
        cls, truth: NDArray[np.bool_], called: NDArray[np.bool_], groups: NDArray[np.intp], count: int
    ) -> Table:
        """Count.

        Args:
            truth: ``(N,)``.
            called: ``(N,)``.
            groups: ``(N,)``, numbered from 0.
            count: how many groups there are.
        """
        columns = (truth & called, ~truth & called, truth, ~truth)
        counted = [np.bincount(groups, weights=column, minlength=count) for column in columns]
        return cls(np.stack(counted, axis=1).astype(np.float32))

    def counts(self, weights: NDArray[Any]) -> Counts:
        """The confusion matrix of each draw; ``weights`` are ``(G, draws)``."""
        tp, fp, vehicles, others = (self.by_group.T @ weights.astype(np.float32, copy=False)).astype(np.float64)
        return Counts(tp, fp, vehicles - tp, others - fp)


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Positives and negatives by score, ready for any weights; made by `of`.

    The different scores of the negatives, falling, are the steps. A positive stands on the step of its own score, or
    between two of them.

    Attributes:
        negatives: ``(S, G)``: how many negatives of each group stand on each step.
        on: ``(S, G)``: how many positives stand on it.
        above: ``(S + 1, G)``: how many stand between it and the step above; the last row is below all steps.
    """

    negatives: sparse.csr_array
    on: sparse.csr_array
    above: sparse.csr_array

    @classmethod
    def of(
        cls,
        score: NDArray[np.float32],
        positive: NDArray[np.bool_],
        negative: NDArray[np.bool_],
        groups: NDArray[np.intp],
        count: int,
    ) -> Ranking:
        """Sort.

        Args:
            score: ``(N,)``, no NaN.
            positive: ``(N,)``, those to be found.
            negative: ``(N,)``, those to be left alone; what is neither is passed over.
            groups: ``(N,)``, numbered from 0.
            count: how many groups there are.
        """
        from scipy import sparse

        steps = np.unique(-score[negative])  # falling scores as rising numbers
        falling = -score[positive]
        place = np.searchsorted(steps, falling)
        equal = place < steps.size
        equal[equal] = steps[place[equal]] == falling[equal]
        owner = groups[positive]

        def tally(rows: NDArray[np.intp], columns: NDArray[np.intp], height: int) -> sparse.csr_array:
            ones = np.ones(rows.size, dtype=np.float32)
            return sparse.csr_array((ones, (rows, columns)), shape=(height, count))

        return cls(
            negatives=tally(np.searchsorted(steps, -score[negative]), groups[negative], steps.size),
            on=tally(place[equal], owner[equal], steps.size),
            above=tally(place[~equal], owner[~equal], steps.size + 1),
        )

    def figures(self, weights: NDArray[Any], rates: tuple[float, ...] = ()) -> tuple[Values, dict[float, Values]]:
        """ROC area, and the share of positives found at each rate of false alarms, for each draw.

        Args:
            weights: ``(G, draws)``, whole numbers.
            rates: shares of negatives, above 0 and at most 1.

        Returns:
            The area, ties counted half (Hanley and McNeil 1982, *Radiology* 143), NaN where a draw lacks positives
            or negatives. For each rate the share of positives above the lowest threshold at which at most that share
            of negatives is at or above it (as `found_at_false_alarms`), NaN also where there are fewer than
            ``1 / rate`` negatives.
        """
        drawn = weights.astype(np.float32, copy=False)
        negatives = np.asarray(self.negatives @ drawn)
        on, above = np.asarray(self.on @ drawn), np.asarray(self.above @ drawn)
        # Up to and including each step, and strictly above it. Whole numbers below 2^24 are exact in float32.
        reached = np.cumsum(on + above[:-1], axis=0)
        wanted = (reached[-1] if reached.size else 0.0) + above[-1].astype(np.float64)
        left = negatives.sum(axis=0, dtype=np.float64)
        ahead = np.einsum("sd,sd->d", negatives, reached - on / 2, dtype=np.float64)
        area = _ratio(ahead, wanted * left)
        found = {}
        let_in = np.cumsum(negatives, axis=0)
        for rate in rates:
            allowed = _allowed(rate, left)
            stop = (let_in <= allowed).sum(axis=0)  # the first step that must stay out
            # Where every negative may be let in, every positive is found too.
            strictly = np.concatenate([reached - on, [wanted]], axis=0)
            share = _ratio(np.take_along_axis(strictly, stop[None], axis=0)[0].astype(np.float64), wanted)
            found[rate] = np.where(allowed >= 1, share, np.nan)
        return area, found


def best_kept_out(negatives: NDArray[np.float32], rate: float) -> float:
    """The highest score that must not count as found for at most a share ``rate`` of ``negatives`` to be found.

    Args:
        negatives: scores, ``(B,)``.
        rate: above 0 and at most 1.

    Returns:
        Minus infinity where all may be found.
    """
    falling = np.sort(negatives)[::-1]
    allowed = int(_allowed(rate, np.array([falling.size], dtype=np.float64))[0])
    return float(falling[allowed]) if allowed < falling.size else -np.inf


def _allowed(rate: float, negatives: NDArray[np.float64]) -> NDArray[np.float64]:
    # In exact decimals: 0.29 * 100 is 28.999999999999996 in binary.
    if not 0 < rate <= 1:
        raise ValueError(f"the rate of false alarms is {rate}; it must be above 0 and at most 1")
    exact = Fraction(str(rate))
    whole = negatives.astype(np.int64) * exact.numerator // exact.denominator
    return whole.astype(np.float64)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> Values:
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    ratio: Values = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return ratio
