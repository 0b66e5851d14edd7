"""Curves over all thresholds: ROC, precision-recall, and figures against the confidence.

Scores are compared as ``float32``, as in `image_level`. Points run from the highest threshold to the lowest, one
for each different score: none is left out, none is smoothed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wreckognize.evaluation.image_level import as_scores

Curve = NDArray[np.float64]
"""``(K,)``."""


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """Receiver operating characteristic: starts at (0, 0) with threshold infinity, ends at (1, 1).

    Attributes:
        false_alarm_rate: ``(K,)``, share of negatives at or above each threshold.
        found_rate: ``(K,)``, share of positives at or above each threshold.
        thresholds: ``(K,)``, falling.
    """

    false_alarm_rate: Curve
    found_rate: Curve
    thresholds: Curve

    @property
    def area(self) -> float:
        """Area under the curve by trapezoids; ties count half."""
        return float(np.sum(np.diff(self.false_alarm_rate) * (self.found_rate[1:] + self.found_rate[:-1]) / 2))


@dataclass(frozen=True, slots=True, eq=False)
class PrecisionRecall:
    """Precision and recall at each threshold.

    Attributes:
        precision: ``(K,)``.
        recall: ``(K,)``, rising.
        thresholds: ``(K,)``, falling.
    """

    precision: Curve
    recall: Curve
    thresholds: Curve

    @property
    def f1(self) -> Curve:
        """``(K,)``, harmonic mean of precision and recall; 0 where both are 0."""
        both = self.precision + self.recall
        return np.divide(2 * self.precision * self.recall, both, out=np.zeros_like(both), where=both > 0)


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceCurves:
    """Precision, recall and F1 for vehicle against the threshold; NaN where a figure cannot be said (0/0).

    Attributes:
        thresholds: ``(K,)``, as asked for.
        precision: ``(K,)``.
        recall: ``(K,)``.
        f1: ``(K,)``.
    """

    thresholds: Curve
    precision: Curve
    recall: Curve
    f1: Curve


def roc(truth: NDArray[np.bool_], score: NDArray[np.floating[Any]]) -> Roc | None:
    """The ROC of ``score`` (``(N,)``) for ``truth`` (``(N,)``); None where one of the two classes is empty.

    Raises:
        ValueError: a score is NaN.
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return None
    true, false, thresholds = _cumulated(truth, as_scores(score))
    return Roc(
        false_alarm_rate=np.concatenate([[0.0], false / negatives]),
        found_rate=np.concatenate([[0.0], true / positives]),
        thresholds=np.concatenate([[np.inf], thresholds]),
    )


def precision_recall(truth: NDArray[np.bool_], score: NDArray[np.floating[Any]]) -> PrecisionRecall | None:
    """Precision and recall of ``score`` (``(N,)``) for ``truth`` (``(N,)``); None where nothing is true.

    Raises:
        ValueError: a score is NaN.
    """
    positives = int(truth.sum())
    return precision_recall_of(truth, score, positives) if positives else None


def precision_recall_of(
    right: NDArray[np.bool_], score: NDArray[np.floating[Any]], to_find: int
) -> PrecisionRecall:
    """Precision and recall of a list of finds, where what was never found is not in the list.

    Args:
        right: ``(N,)``, whether each find is one of those to be found.
        score: ``(N,)``, its confidence.
        to_find: how many there are to be found, at least 1.

    Returns:
        The curve; without points where nothing was found.

    Raises:
        ValueError: a score is NaN.
    """
    true, false, thresholds = _cumulated(right, as_scores(score))
    return PrecisionRecall(precision=true / (true + false), recall=true / to_find, thresholds=thresholds)


def precision_recall_of_hits(
    hits: NDArray[np.floating[Any]], finds: NDArray[np.floating[Any]], to_find: int
) -> PrecisionRecall:
    """`precision_recall_of`, told the scores of what was found rightly and those of all finds.

    Args:
        hits: ``(H,)`` confidences of the finds that are among those to be found, in any order.
        finds: ``(N,)`` confidences of all finds, the hits included.
        to_find: how many there are to be found, at least 1.

    Raises:
        ValueError: a score is NaN.

    >>> curve = precision_recall_of_hits(np.array([0.9, 0.5]), np.array([0.5, 0.9, 0.5, 0.1]), 4)
    >>> curve.precision.round(3).tolist(), curve.recall.tolist()
    ([1.0, 0.667, 0.5], [0.25, 0.5, 0.5])
    """
    rising = np.unique(as_scores(finds)).astype(np.float64)
    true, every = _at_or_above(as_scores(hits), rising)[::-1], _at_or_above(as_scores(finds), rising)[::-1]
    return PrecisionRecall(precision=true / every, recall=true / to_find, thresholds=rising[::-1])


def confidence_curves(
    truth: NDArray[np.bool_], score: NDArray[np.floating[Any]], grid: ArrayLike | None = None
) -> ConfidenceCurves:
    """Precision, recall and F1 for vehicle at each threshold of ``grid``.

    Args:
        truth: ``(N,)``, True where the photo shows a vehicle.
        score: ``(N,)``.
        grid: ``(K,)`` thresholds; default: 0 to 1 in steps of 0.001.

    Raises:
        ValueError: a score is NaN.
    """
    thresholds = np.asarray(np.linspace(0, 1, 1001) if grid is None else grid, dtype=np.float64)
    scores = as_scores(score)
    true = _at_or_above(scores[truth], thresholds)
    false = _at_or_above(scores[~truth], thresholds)
    positives = np.full_like(true, truth.sum())
    return ConfidenceCurves(
        thresholds=thresholds,
        precision=_divide(true, true + false),
        recall=_divide(true, positives),
        f1=_divide(2 * true, true + false + positives),
    )


def _cumulated(truth: NDArray[np.bool_], score: NDArray[np.float32]) -> tuple[Curve, Curve, Curve]:
    """True and false ones at or above each different score, and those scores falling."""
    order = np.argsort(-score, kind="stable")
    ranked, right = score[order], truth[order]
    last_of_tie = np.flatnonzero(np.append(np.diff(ranked) != 0, True)) if ranked.size else np.zeros(0, np.intp)
    true = np.cumsum(right, dtype=np.float64)[last_of_tie]
    return true, last_of_tie + 1.0 - true, ranked[last_of_tie].astype(np.float64)


def _at_or_above(score: NDArray[np.float32], thresholds: Curve) -> Curve:
    below = np.searchsorted(np.sort(score), thresholds.astype(np.float32), side="left")
    return (score.size - below).astype(np.float64)


def _divide(part: Curve, whole: Curve) -> Curve:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
