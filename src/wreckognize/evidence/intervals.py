"""Intervals for shares of photos, where photos come in groups that are not independent within themselves.

Plain Wilson intervals take every photo for an independent observation; with three photos an accident that agree
with each other they cover 82-85 % instead of 95. Here the number of photos is first divided by the design effect,
the factor by which groups inflate the variance (Kish 1965, *Survey Sampling*), and the Wilson interval
is computed with that effective number (Korn and Graubard 1998, *Survey Methodology* 24; Dean and
Pagano 2015, *Journal of Survey Statistics and Methodology* 3, which found Wilson's form the best of seven).

What the simulation in ``benchmarks/evidence.py`` shows for a nominal 95 %: with 200 groups or more of one to five
photos (also fixed sizes, also a few groups of up to twelve), correlation 0 to 0.5 within a group, and a true share of 3
to 97 %, between 93 and 97 % of the intervals hold the true share. Beyond, at 98 and 99 % with 200 groups, fewer than
about six errors are expected and no interval from counts is exact: coverage lies between 92 and 98 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Limits = tuple[float, float]
"""Low and high."""

_PRIOR_GROUPS = 0.5
"""How many erring groups the prior design effect weighs as much as; chosen by simulation, see `proportion`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A share of photos and what is known about it.

    Attributes:
        photos: on which the share was counted.
        groups: they belong to.
        share: None where there is no photo.
        low: lower limit of the interval; None where there is no photo.
        high: upper limit.
        design_effect: by how much the groups widen the variance, at least 1; None where there is no photo.
    """

    photos: int
    groups: int
    share: float | None
    low: float | None
    high: float | None
    design_effect: float | None

    @property
    def limits(self) -> Limits | None:
        """Low and high; None where there is no photo."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def wilson(hits: float, photos: float, level: float = 0.95) -> Limits:
    """The score interval for ``hits`` of ``photos`` independent ones (Wilson 1927, *JASA* 22).

    >>> low, high = wilson(9, 10)
    >>> f"{low:.3f} {high:.3f}"
    '0.596 0.982'

    Args:
        hits: may be a fraction, as may ``photos`` (an effective number).
        photos: above 0.
        level: of confidence, between 0 and 1.

    Raises:
        ValueError: ``photos`` is not above 0, ``hits`` lies outside 0 to ``photos``, or ``level`` outside 0 to 1.
    """
    _require_level(level)
    if not (photos > 0 and 0 <= hits <= photos):
        raise ValueError(f"{hits} hits of {photos} photos; hits must lie between 0 and photos, photos above 0")
    z = normal_quantile(level)
    share = hits / photos
    centre = share + z * z / (2 * photos)
    half = z * math.sqrt(share * (1 - share) / photos + (z / (2 * photos)) ** 2)
    scale = 1 + z * z / photos
    # Rounding must not leave 0.9999999999999999 as the upper limit of ten out of ten.
    low = 0.0 if hits == 0 else max(0.0, (centre - half) / scale)
    high = 1.0 if hits == photos else min(1.0, (centre + half) / scale)
    return low, high


def proportion(hit: NDArray[Any], groups: NDArray[Any], level: float = 0.95) -> Proportion:
    """The share of hits with an interval that takes groups into account.

    The variance of the share, a ratio of group totals, is estimated by leaving out one group at a time (the
    jackknife for a ratio; Shao and Wu 1989, *Annals of Statistics* 17), and the design effect is that variance
    over that of as many independent photos. Three corrections:

    * The estimate has few degrees of freedom where groups are few or unequal: the effective number is multiplied by
      the squared ratio of two t quantiles (Korn and Graubard 1998), with the effective number of groups
      ``photos² / sum of squared group sizes`` in the place of the number of groups (Carter, Schnepel and Steigerwald
      2017, *Review of Economics and Statistics* 99).
    * Where the rarer answer occurs in few groups the estimate is hardly one, and at 0 or 100 % there is none. It is
      drawn towards the largest value that exchangeable photos can have, that of groups whose photos are copies of
      each other (``sum of squared group sizes / photos``), with the weight of half a group. So 0 or 100 % is judged
      on the effective number of groups, not on photos.
    * It is never taken to be below 1.

    With groups of one photo each this is exactly Wilson's interval.

    Args:
        hit: ``(N,)``, bool, or a share from 0 to 1 for each photo (the average over several trainings).
        groups: ``(N,)``, equal where photos belong together.
        level: of confidence.

    Raises:
        ValueError: the arrays differ in length, a hit is not a number from 0 to 1, or ``level`` is outside 0 to 1.
    """
    _require_level(level)
    values = np.asarray(hit, dtype=np.float64)
    if values.shape != groups.shape or values.ndim != 1:
        raise ValueError(f"hit has shape {values.shape} and groups {groups.shape}; they must be the same photos")
    if not np.all((values >= 0) & (values <= 1)):  # NaN is refused here too
        raise ValueError("a hit is not a number from 0 to 1")
    if not values.size:
        return Proportion(photos=0, groups=0, share=None, low=None, high=None, design_effect=None)
    _, place, size = np.unique(groups, return_inverse=True, return_counts=True)
    return proportion_of_groups(np.bincount(place, weights=values).astype(np.float64), size, level)


def proportion_of_groups(
    hits: NDArray[np.float64], photos: NDArray[np.integer[Any]], level: float = 0.95
) -> Proportion:
    """`proportion` from each group's hits and photos, ``(G,)`` of at least one group without an empty one."""
    size = photos.astype(np.float64)
    effect = _design_effect(hits, size, level)
    count, total = int(size.sum()), float(hits.sum())
    low, high = wilson(min(total / count, 1.0) * (count / effect), count / effect, level)
    share = total / count
    return Proportion(photos=count, groups=size.size, share=share, low=low, high=high, design_effect=effect)


def square_and_add(value: float, *limits: tuple[float, Limits], within: Limits) -> Limits:
    """Limits of a sum of independent estimates from the limits of each: MOVER.

    Each side of the sum is the root of the summed squares of the parts' sides (Zou and Donner 2008, *Statistics in
    Medicine* 27).

    >>> low, high = square_and_add(0.4, (0.3, (0.0, 0.6)), (0.1, (-0.3, 0.5)), within=(-1, 1))
    >>> round(low, 3), round(high, 3)
    (-0.1, 0.9)

    Args:
        value: the sum.
        limits: of each part its estimate and its limits.
        within: what the sum can be; the limits are cut there.
    """
    below = math.hypot(*(estimate - low for estimate, (low, _) in limits))
    above = math.hypot(*(high - estimate for estimate, (_, high) in limits))
    return max(within[0], value - below), min(within[1], value + above)


def recovered(
    figure: Callable[[float, float], float], first: Proportion, second: Proportion, *, within: Limits
) -> Limits | None:
    """Limits of a figure made of two independent shares, from the limits of both (Zou and Donner 2008).

    Each share is moved to its limits while the other stays, and the figure's changes are squared and added. Unlike
    the bootstrap this widens also where no error was seen.

    Args:
        figure: rises with the first share and falls with the second; NaN where it cannot be said.
        first: for instance recall.
        second: for instance the false-alarm rate.
        within: what the figure can be.

    Returns:
        None where a share or the figure cannot be said.
    """
    rising, falling = first.limits, second.limits
    if first.share is None or second.share is None or rising is None or falling is None:
        return None
    value = figure(first.share, second.share)
    one = (value, (figure(rising[0], second.share), figure(rising[1], second.share)))
    other = (value, (figure(first.share, falling[1]), figure(first.share, falling[0])))
    if not np.all(np.isfinite([value, *one[1], *other[1]])):
        return None
    return square_and_add(value, one, other, within=within)


def paired_difference(gain: NDArray[Any], groups: NDArray[Any], level: float = 0.95) -> Limits | None:
    """Limits of the mean of ``gain``, the difference between two systems on the same photos.

    The difference is the share of photos gained less the share lost, each with its `proportion` interval; both are
    squared and added (MOVER) with the correlation of two shares of one multinomial. No disagreement at all gives an
    interval around 0 that shrinks with the number of groups, never one of no width.

    Args:
        gain: ``(N,)``, -1 to 1: 1 where the first system is right and the second wrong, -1 the other way round,
            fractions where several trainings were averaged.
        groups: ``(N,)``.
        level: of confidence.

    Returns:
        None where there is no photo.
    """
    gained = proportion(np.maximum(gain, 0.0), groups, level)
    lost = proportion(np.maximum(-np.asarray(gain, dtype=np.float64), 0.0), groups, level)
    gains, losses = gained.limits, lost.limits
    if gained.share is None or lost.share is None or gains is None or losses is None:
        return None
    value = gained.share - lost.share
    odds = gained.share * lost.share / max((1 - gained.share) * (1 - lost.share), 1e-300)
    correlation = -math.sqrt(min(odds, 1.0))

    def side(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one * one + other * other - 2 * correlation * one * other))

    below = side(gained.share - gains[0], losses[1] - lost.share)
    above = side(gains[1] - gained.share, lost.share - losses[0])
    return max(-1.0, value - below), min(1.0, value + above)


def ratio_error(total: NDArray[np.float64], size: NDArray[np.float64]) -> float:
    """The standard error of ``sum(total) / sum(size)``, by leaving out one group at a time (Shao and Wu 1989).

    Args:
        total: ``(G,)``, of at least two groups.
        size: ``(G,)``, above 0.
    """
    photos = size.sum()
    left_out = (total - total.sum() / photos * size) / (photos - size)
    return math.sqrt((size.size - 1) / size.size * float(np.square(left_out).sum()))


def logit_limits(share: float, error: float, level: float) -> Limits:
    """Limits of a share or ROC area from its standard error, symmetric on the scale of log odds.

    ``logit(share) ± z * error / (share (1 - share))`` (Pepe 2003, *The Statistical Evaluation of Medical Tests*):
    never outside 0 to 1, and nearer to the nominal coverage than percentiles close to 1.

    Args:
        share: above 0 and below 1.
        error: its standard error.
        level: of confidence.
    """
    from scipy import special

    middle = math.log(share / (1 - share))
    half = normal_quantile(level) * error / (share * (1 - share))
    return float(special.expit(middle - half)), float(special.expit(middle + half))


def roc_area_limits(area: float, positives: float, negatives: float, level: float) -> Limits:
    """Limits of a ROC area from its size alone, also where it is 1.

    Method 5 of Newcombe (2006, *Statistics in Medicine* 25, 559-573): the areas whose distance from the one seen is at
    most ``z`` of their own standard errors, with the variance of Hanley and McNeil (1982, *Radiology* 143) for
    exponential scores.

    Args:
        area: 0 to 1.
        positives: independent ones, may be a fraction (effective groups).
        negatives: likewise.
        level: of confidence.
    """
    from scipy import optimize

    z, mean = normal_quantile(level), (positives + negatives) / 2

    def beyond(true: float) -> float:
        spread = 1 + (mean - 1) * ((1 - true) / (2 - true) + true / (1 + true))
        return abs(area - true) - z * math.sqrt(true * (1 - true) * spread / (positives * negatives))

    # At 0 and 1 both distance and error vanish; the limit sought lies inside.
    inside = min(max(area, 1e-12), 1 - 1e-12)
    low = float(optimize.brentq(beyond, 0.0, inside)) if area > 0 else 0.0
    high = float(optimize.brentq(beyond, inside, 1.0)) if area < 1 else 1.0
    return low, high


def effective_groups(groups: NDArray[Any]) -> float:
    """``photos² / sum of squared group sizes``: the number of groups, less where a few hold most photos.

    >>> effective_groups(np.array([0, 0, 1, 1])), round(effective_groups(np.array([0, 0, 0, 1])), 2)
    (2.0, 1.6)
    """
    if not groups.size:
        return 0.0
    size = np.unique(groups, return_counts=True)[1].astype(np.float64)
    return float(size.sum() ** 2 / np.square(size).sum())


def normal_quantile(level: float) -> float:
    """The two-sided quantile of the normal distribution, 1.96 for 95 %."""
    from scipy import special

    return float(special.ndtri((1 + level) / 2))


def t_quantile(level: float, freedom: float) -> float:
    """The two-sided quantile of Student's t with ``freedom`` degrees of freedom."""
    from scipy import special

    return float(special.stdtrit(freedom, (1 + level) / 2))


def _design_effect(total: NDArray[np.float64], size: NDArray[np.float64], level: float) -> float:
    """See `proportion`; ``total`` and ``size`` are each group's hits and photos, ``(G,)``."""
    photos, groups = size.sum(), size.size
    share = total.sum() / photos
    copies = float(np.square(size).sum() / photos)
    rarer = min(np.count_nonzero(total > 0), np.count_nonzero(total < size))
    if groups < 2 or not rarer:
        return max(1.0, copies)
    estimate = ratio_error(total, size) ** 2 * (photos - 1) / (share * (1 - share))
    freedom = max(photos / copies - 1, 1.0)
    estimate *= (t_quantile(level, freedom) / t_quantile(level, photos - 1)) ** 2
    weight = rarer / (rarer + _PRIOR_GROUPS)
    return float(max(1.0, weight * estimate + (1 - weight) * copies))


def _require_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"the level of confidence is {level}; it must lie between 0 and 1")
