"""Precision at a prevalence of one's own.

Precision in a test depends on how many of its photos show a vehicle. Where their share is ``p`` instead, Bayes' rule
gives, with recall ``r`` on vehicles and false-alarm rate ``f`` on photos without one, ::

    precision of "vehicle"      PPV = p r / (p r + (1 - p) f)
                                    = 1 / (1 + (1 - p) / p * (f / r))
    precision of "no vehicle"   NPV = (1 - p)(1 - f) / ((1 - p)(1 - f) + p (1 - r))
                                    = 1 / (1 + p / (1 - p) * ((1 - r) / (1 - f)))

Each falls as one ratio of two rates rises, and the two rates are measured on different photos. So the interval of
that ratio gives the interval of the precision: the method of variance estimates recovery for a ratio (MOVER-R; Donner
and Zou 2012, *Statistical Methods in Medical Research* 21). It takes the intervals of the two rates as
they come, so that what they do about groups holds here too, and it is defined where a rate is 0 or 1. The logit
intervals of Mercaldo, Lau and Zhou 2007 (*Statistics in Medicine* 26), which are not, agree with it
in large samples.

The prevalence is taken as known; its own uncertainty is not in the interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from wreckognize.evidence.intervals import Proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictiveValue:
    """How often one of the two decisions is right at a prevalence.

    Attributes:
        value: the share of such decisions that are right; None where it cannot be said.
        low: lower end of its interval, at the level of the intervals it was made from.
        high: upper end.
        why: what the value rests on where it is 0, 1 or cannot be said; else empty.
    """

    value: float | None
    low: float | None
    high: float | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictiveValues:
    """Precision of both decisions at a prevalence.

    Attributes:
        prevalence: the share of photos that show a vehicle.
        vehicle: of the photos called a vehicle, the share that show one (PPV).
        no_vehicle: of the other photos, the share that show none (NPV).
    """

    prevalence: float
    vehicle: PredictiveValue
    no_vehicle: PredictiveValue


@dataclass(frozen=True, slots=True)
class _Rate:
    share: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.share <= self.high <= 1:
            raise ValueError(f"{self.share} with the interval {self.low} to {self.high} is not a share")

    @property
    def complement(self) -> _Rate:
        return _Rate(1 - self.share, 1 - self.high, 1 - self.low)


def at_prevalence(recall: Proportion, false_alarms: Proportion, prevalence: float) -> PredictiveValues:
    """Precision of both decisions where a share ``prevalence`` of photos shows a vehicle.

    Args:
        recall: share of the test's vehicle photos called a vehicle.
        false_alarms: share of the test's other photos called a vehicle.
        prevalence: above 0 and below 1.

    Raises:
        ValueError: ``prevalence`` is outside, or a share and its interval are not ``0 <= low <= share <= high <= 1``.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"the prevalence is {prevalence}; it must be above 0 and below 1")
    found, alarms = _rate(recall), _rate(false_alarms)
    if found is None or alarms is None:
        kind = "vehicle" if found is None else "background"
        unknown = PredictiveValue(
            value=None, low=None, high=None, why=f"cannot be said: the test has no {kind} photo"
        )
        return PredictiveValues(prevalence=prevalence, vehicle=unknown, no_vehicle=unknown)
    odds = prevalence / (1 - prevalence)
    return PredictiveValues(
        prevalence=prevalence,
        vehicle=_predictive_value(
            alarms,
            found,
            1 / odds,
            never="no photo was called a vehicle",
            flawless=f"no false alarm among {false_alarms.photos} photos without a vehicle",
            always_wrong=f"none of {recall.photos} vehicles was found",
        ),
        no_vehicle=_predictive_value(
            found.complement,
            alarms.complement,
            odds,
            never="every photo was called a vehicle",
            flawless=f"no miss among {recall.photos} photos with a vehicle",
            always_wrong=f"each of {false_alarms.photos} photos without a vehicle was called one",
        ),
    )


def _mover_ratio(top: _Rate, bottom: _Rate) -> tuple[float, float]:
    """Interval of ``top / bottom``; its upper end is infinite where ``bottom`` may be 0.

    The lower end is the published one with its root moved below the line: there it stays defined where
    ``bottom.high`` is twice ``bottom.share``.
    """
    product = top.share * bottom.share
    least = top.low * (2 * top.share - top.low)
    most_below = bottom.high * (2 * bottom.share - bottom.high)
    reach = product + math.sqrt(max(product**2 - least * most_below, 0.0))
    low = least / reach if reach > 0 else 0.0
    most = top.high * (2 * top.share - top.high)
    least_below = bottom.low * (2 * bottom.share - bottom.low)
    if least_below <= 0:
        return low, math.inf
    return low, (product + math.sqrt(max(product**2 - most * least_below, 0.0))) / least_below


def _predictive_value(
    wrong: _Rate, right: _Rate, odds: float, *, never: str, flawless: str, always_wrong: str
) -> PredictiveValue:
    """``right / (right + odds * wrong)`` and its interval."""
    if wrong.share == 0 and right.share == 0:
        return PredictiveValue(value=None, low=None, high=None, why=f"cannot be said: {never}")
    low, high = _mover_ratio(wrong, right)
    why = flawless if wrong.share == 0 else always_wrong if right.share == 0 else ""
    return PredictiveValue(
        value=right.share / (right.share + odds * wrong.share),
        low=1 / (1 + odds * high),
        high=1 / (1 + odds * low),
        why=why,
    )


def _rate(measured: Proportion) -> _Rate | None:
    if measured.share is None or measured.low is None or measured.high is None:
        return None
    # Ends are computed: one may miss a share of 0 or 1 by a rounding error.
    return _Rate(
        measured.share,
        _snapped(measured.low, measured.share),
        _snapped(measured.high, measured.share),
    )


def _snapped(end: float, share: float) -> float:
    return share if math.isclose(end, share, abs_tol=1e-12) else min(max(end, 0.0), 1.0)
