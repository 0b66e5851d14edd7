"""Thresholds with a promise for groups to come: conformal risk control.

Source: Angelopoulos, Bates, Fisch, Lei and Schuster 2022, *Conformal Risk Control*, arXiv:2208.02814, theorem 1. Let
``L_i(lambda)`` be the loss of group ``i``, at most ``B`` and not rising in ``lambda``. With ``n`` calibration groups of
mean loss ``R_n``, the smallest ``lambda`` for which ::

    n / (n + 1) * R_n(lambda) + B / (n + 1) <= alpha

has ``E[L_{n+1}] <= alpha`` for a further group that is exchangeable with them, whatever the distribution of the scores
and however bad the detector.

Here the loss of a group is the share of its vehicle photos that are missed (``lambda`` grows as the threshold falls) or
the share of its background photos that are called a vehicle (``lambda`` grows as the threshold rises); ``B`` is 1.
Groups, not photos, are the exchangeable units, since photos of one claim resemble each other. ``n`` counts only groups
that hold a photo of the kind in question, so the promise is about such groups.

What is promised, exactly: the *expected* loss, over the calibration groups and the further group together. It is not
a statement about one given calibration set (there the risk may lie above ``alpha``), it weighs groups alike whatever
their number of photos, and it says nothing about groups of another kind than those of the calibration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wreckognize.evaluation.image_level import as_scores

LOWEST = 0.001
"""The lowest threshold that means anything: predictions are kept from this confidence on, a photo without any scores 0,
and at the threshold 0 every photo would be a vehicle."""

_DECIMALS = 5

Groups = NDArray[Any]
"""``(N,)``, what names each photo's group: numbers or texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromisedThreshold:
    """A threshold by conformal risk control, or why there is none.

    Attributes:
        threshold: from ``LOWEST`` to 1; None where the promise cannot be made.
        at_most: the expected loss of a further group that is promised.
        photos: calibration photos of the kind in question (vehicle or background).
        groups: calibration groups that hold one.
        groups_needed: the fewest groups with which this can be promised at all.
        why: what is promised, or why nothing is: one sentence.
    """

    threshold: float | None
    at_most: float
    photos: int
    groups: int
    groups_needed: int | None
    why: str


def groups_needed(at_most: float) -> int | None:
    """The fewest calibration groups for a promise of ``at_most``: those with ``1 / (n + 1) <= at_most``.

    None at 0, which no number of groups can promise.

    >>> groups_needed(0.01), groups_needed(0.05), groups_needed(0.0)
    (99, 19, None)
    """
    return max(math.ceil(1 / _exact(at_most)) - 1, 1) if at_most > 0 else None


def promise_misses(
    scores: ArrayLike, truth: NDArray[np.bool_], groups: Groups, at_most: float
) -> PromisedThreshold:
    """The highest threshold with which the expected share of a group's vehicle photos missed is ``at_most``.

    Any lower threshold keeps the promise too. The threshold is rounded down to five decimals for that reason.

    Args:
        scores: ``(N,)`` of the calibration photos, compared as ``float32``.
        truth: ``(N,)``, True where the photo shows a vehicle.
        groups: ``(N,)``, see `Groups`.
        at_most: the promise, from 0 to 1.

    Raises:
        ValueError: the arrays differ in length, a score is NaN or outside 0 to 1, or ``at_most`` is.
    """
    values, vehicle, names = calibration_arrays(scores, truth, groups)
    kind = _Kind(values[vehicle], names[vehicle], at_most, "vehicle", "vehicles missed")
    refused = kind.too_few()
    if refused:
        return refused
    order = np.argsort(kind.scores, kind="stable")
    first_kept = kind.first_over_budget(order)
    if first_kept is None:
        return kind.promise(1.0)
    if first_kept < np.float32(LOWEST):
        unseen = int((kind.scores < np.float32(LOWEST)).sum())
        return kind.refuse(
            f"in {unseen} of {kind.scores.size} calibration photos with a vehicle nothing at all was found, so even "
            f"the lowest threshold ({LOWEST:g}) misses too many"
        )
    scale = 10**_DECIMALS
    return kind.promise(math.floor(float(first_kept) * scale) / scale)


def promise_false_alarms(
    scores: ArrayLike, truth: NDArray[np.bool_], groups: Groups, at_most: float
) -> PromisedThreshold:
    """The lowest threshold with which the expected share of a group's backgrounds called a vehicle is ``at_most``.

    Any higher threshold keeps the promise too. The threshold is rounded up to five decimals for that reason.

    Args:
        scores: ``(N,)`` of the calibration photos, compared as ``float32``.
        truth: ``(N,)``, True where the photo shows a vehicle.
        groups: ``(N,)``, see `Groups`.
        at_most: the promise, from 0 to 1.

    Raises:
        ValueError: the arrays differ in length, a score is NaN or outside 0 to 1, or ``at_most`` is.
    """
    values, vehicle, names = calibration_arrays(scores, truth, groups)
    kind = _Kind(values[~vehicle], names[~vehicle], at_most, "background", "backgrounds called a vehicle")
    refused = kind.too_few()
    if refused:
        return refused
    order = np.argsort(-kind.scores, kind="stable")
    first_out = kind.first_over_budget(order)
    if first_out is None or first_out < np.float32(LOWEST):
        return kind.promise(LOWEST)
    if first_out >= 1:
        return kind.refuse("too many calibration backgrounds have the highest score there is (1)")
    scale = 10**_DECIMALS
    step = math.ceil(float(first_out) * scale)
    above = step if np.float32(step / scale) > first_out else step + 1
    return kind.promise(above / scale)


def group_share(lost: NDArray[np.bool_], groups: Groups) -> float | None:
    """Mean over groups of the share of a group's photos that are lost: the figure that a promise is about.

    Args:
        lost: ``(M,)``, for photos of one kind: missed, or called a vehicle.
        groups: ``(M,)``, see `Groups`.

    Returns:
        None without photos.

    >>> group_share(np.array([True, False, False]), np.array(["a", "a", "b"]))
    0.25
    """
    if not lost.size:
        return None
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return float((np.bincount(group.reshape(-1), weights=lost) / sizes).mean())


def percent(share: float) -> str:
    """A share in words of a report.

    >>> percent(0.025)
    '2.5 %'
    """
    return f"{100 * share:.4g} %"


def calibration_arrays(
    scores: ArrayLike, truth: NDArray[np.bool_], groups: Groups
) -> tuple[NDArray[np.float32], NDArray[np.bool_], Groups]:
    """The three arrays, ``(N,)`` each, checked.

    Raises:
        ValueError: they differ in length, or a score is NaN or outside 0 to 1.
    """
    values, vehicle, names = as_scores(scores), np.asarray(truth, dtype=np.bool_), np.asarray(groups)
    if values.ndim != 1 or not values.shape == vehicle.shape == names.shape:
        raise ValueError(
            f"scores have shape {values.shape}, truth {vehicle.shape} and groups {names.shape}; "
            "they must be one row of the same photos"
        )
    outside = int(((values < 0) | (values > 1)).sum())
    if outside:
        raise ValueError(f"{outside} of {values.size} scores lie outside 0 to 1")
    return values, vehicle, names


class _Kind:
    """The calibration photos of one kind, with the loss that each adds to the sum over groups."""

    def __init__(self, scores: NDArray[np.float32], names: Groups, at_most: float, kind: str, loss: str) -> None:
        if not 0 <= at_most <= 1:
            raise ValueError(f"the promise is {at_most}; it must be a share from 0 to 1")
        self.scores, self.at_most, self.kind, self.loss = scores, at_most, kind, loss
        _, group, sizes = np.unique(names, return_inverse=True, return_counts=True)
        self.groups = len(sizes)
        self._size = sizes[group.reshape(-1)]

    def too_few(self) -> PromisedThreshold | None:
        needed = groups_needed(self.at_most)
        if needed is None:
            return self.refuse("a rate of 0 cannot be promised with any number of groups")
        if self.groups < needed:
            return self.refuse(
                f"too few calibration groups with a {self.kind} photo: {percent(self.at_most)} takes at least "
                f"{needed}, there are {self.groups}"
            )
        return None

    def first_over_budget(self, order: NDArray[np.intp]) -> np.float32 | None:
        """The score of the first photo in ``order`` that must not be lost; None if all may be.

        The sum of the groups' losses may be ``alpha (n + 1) - 1``. Whole numbers throughout, each photo worth the
        least common multiple of the groups' sizes over its own group's size: exactly 99 groups promise 1 %.
        """
        unit = math.lcm(*set(self._size.tolist()))
        lost = np.cumsum(np.array([unit // size for size in self._size[order].tolist()], dtype=object))
        budget = (_exact(self.at_most) * (self.groups + 1) - 1) * unit
        over = int(np.searchsorted(lost, math.floor(budget), side="right"))
        return None if over == lost.size else self.scores[order[over]]

    def promise(self, threshold: float) -> PromisedThreshold:
        return self._result(
            threshold,
            f"expected share of {self.loss} in a further group like the {self.groups} calibration groups with a "
            f"{self.kind} photo: at most {percent(self.at_most)} (conformal risk control)",
        )

    def refuse(self, reason: str) -> PromisedThreshold:
        return self._result(None, f"cannot be said: {reason}")

    def _result(self, threshold: float | None, why: str) -> PromisedThreshold:
        return PromisedThreshold(
            threshold=threshold,
            at_most=self.at_most,
            photos=self.scores.size,
            groups=self.groups,
            groups_needed=groups_needed(self.at_most),
            why=why,
        )


def _exact(share: float) -> Fraction:
    """``share`` as the decimal it was written as: 0.01 is a hundredth, not the nearest binary number."""
    return Fraction(str(share))
