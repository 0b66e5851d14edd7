"""The spread between trainings, and the p-value of a difference that it takes part in.

Three trainings tell little about the spread of one recipe. Systems of one study are trained alike, so their spreads are
pooled, as in an analysis of variance; a system whose own spread is larger keeps its own.

Figures are counts of photos, so trainings that differ by less than a photo look alike: two that tie by luck have a
standard deviation of 0, and no t quantile widens that. So a spread is never taken to be smaller than the smallest that
these photos can show, that of trainings of which one differs by one photo (`least_variance`). In simulation (27 to 400
photos, ``benchmarks/evidence.py trainings``) two trainings whose counts tie have 95 % intervals that hold the true
share in 88 to 97 % of cases without this, and in 94 % or more with it; with three it makes next to no difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TRAININGS = "photos and trainings, Cochran and Cox"

FEW_FREEDOM = 4
"""With fewer degrees of freedom the spread between trainings is hardly known (t = 3.2 or more at 95 %)."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure varies between trainings of one system.

    Attributes:
        variance: of one training, pooled over systems.
        freedom: degrees of freedom it was estimated with.
    """

    variance: float
    freedom: int


def pooled_spread(by_system: Sequence[NDArray[np.float64]]) -> Spread | None:
    """Pool the variance between trainings over systems.

    Args:
        by_system: for each system ``(k,)``, a figure of each training.

    Returns:
        None where no system was trained more than once.
    """
    several = [values for values in by_system if values.size > 1 and np.isfinite(values).all()]
    if not several:
        return None
    freedom = sum(values.size - 1 for values in several)
    squares = sum(float(values.var(ddof=1)) * (values.size - 1) for values in several)
    return Spread(squares / freedom, freedom)


def least_variance(step: float, trainings: int) -> float:
    """The smallest variance above 0 between trainings: all alike but one, which differs by one step.

    >>> values = np.array([0.5, 0.5, 0.6])
    >>> bool(np.isclose(values.var(ddof=1), least_variance(0.1, 3)))
    True

    Args:
        step: how far one photo moves the figure.
        trainings: at least 1.
    """
    return step**2 / trainings


def variance_of_mean(values: NDArray[np.float64], spread: Spread, step: float) -> float:
    """The variance of a system's mean over its trainings; 0 for one that was trained once, or not at all.

    Args:
        values: ``(k,)``, a figure of each training.
        spread: pooled over systems.
        step: how far one photo moves the figure.
    """
    if values.size < 2:
        return 0.0
    own = max(float(values.var(ddof=1)), least_variance(step, values.size))
    return max(own, spread.variance) / values.size


def p_with_trainings(value: float, error: float, groups: int, variance: float, freedom: int) -> float:
    """The two-sided p-value of a difference that varies with the photos and with the trainings.

    The critical value is the average of the two t quantiles, each weighted with its variance (Cochran and Cox 1950,
    *Experimental Designs*, section 4.14); the p-value is the level at which it is just reached. It errs to the safe
    side: where nothing differs, 2.1 to 5.6 % of verdicts at 5 % in simulation, with 2, 3 and 5 trainings and a spread
    between trainings from nothing to ten times that between photos. (Satterthwaite's approximation came to 7.8 %
    with three trainings.)

    Args:
        value: the difference.
        error: its standard error over photos.
        groups: that the photos belong to.
        variance: of the difference over trainings.
        freedom: of ``variance``.
    """
    from scipy import optimize, stats

    total = error**2 + variance
    if not total > 0:
        return 0.0 if value else 1.0
    weights = error**2 / total, variance / total
    freedoms = max(1, groups - 1), max(1, freedom)
    reached = abs(value) / math.sqrt(total)

    def lacks(half: float) -> float:
        """By how much the critical value at the level ``2 exp(half)`` is above what was reached."""
        quantiles = (stats.t.isf(math.exp(half), each) for each in freedoms)
        critical = sum(weight * quantile for weight, quantile in zip(weights, quantiles, strict=True))
        return float(critical) - reached

    least, most = math.log(1e-12), math.log(0.5)
    if lacks(least) <= 0:
        return 2e-12
    if lacks(most) >= 0:
        return 1.0
    return min(1.0, 2 * math.exp(optimize.brentq(lacks, least, most)))
