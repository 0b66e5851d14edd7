"""How far two distributions are apart: the population stability index and the Kolmogorov-Smirnov distance.

Both are worked out from counts in bins, which is all that a service keeps of the photos it has seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BINS = 10  # of the stability index
_CHANCE = 0.99  # quantile of what chance alone gives


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the photos that came are from the reference.

    Attributes:
        psi: population stability index.
        psi_by_chance: what it exceeds once in a hundred times where nothing has changed.
        ks: greatest distance of the two distribution functions; None for verdicts, which have no order.
        ks_p: chance of a distance at least as great where nothing has changed; None for verdicts.
    """

    psi: float
    psi_by_chance: float
    ks: float | None = None
    ks_p: float | None = None


def stability_index(reference: ArrayLike, seen: ArrayLike) -> float:
    """Population stability index, ``sum (a_i - e_i) ln(a_i / e_i)``, of shares ``e`` expected and ``a`` seen.

    Siddiqi (2006), "Credit Risk Scorecards", chapter 9; the sum is Jeffreys' divergence. So that an empty bin does not
    make it infinite, half a photo is added to every bin of both (Jeffreys' prior on the shares).

    Args:
        reference: ``(K,)`` counts.
        seen: ``(K,)`` counts in the same bins.

    >>> round(stability_index([500, 500], [500, 500]), 6), round(stability_index([500, 500], [250, 750]), 2)
    (0.0, 0.27)
    """
    expected, actual = _shares(reference), _shares(seen)
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def stability_by_chance(bins: int, reference: int, seen: int, level: float = _CHANCE) -> float:
    """The index that chance alone exceeds with probability ``1 - level``: ``(1/n + 1/m)`` times a chi-squared quantile.

    Yurdakul and Naranjo (2020), "Statistical properties of the population stability index", Journal of Risk Model
    Validation 14(4): with nothing changed the index is distributed as ``(1/n + 1/m)`` times chi-squared with one degree
    of freedom less than bins. With 50 photos of reference 0.2, the usual limit, is still chance.

    Args:
        bins: K.
        reference: n, photos.
        seen: m, photos.
        level: of the quantile.
    """
    from scipy.special import chdtri

    return float((1 / reference + 1 / seen) * chdtri(bins - 1, 1 - level)) if bins > 1 else 0.0


def kolmogorov_smirnov(reference: ArrayLike, seen: ArrayLike) -> tuple[float, float]:
    """Two-sample Kolmogorov-Smirnov distance of binned counts, and its p-value.

    The distance is the greatest difference of the two distribution functions at the bins' edges: at most the true one,
    and short of it by at most what one bin holds. The p-value is Smirnov's asymptotic one (1948, "Table for estimating
    the goodness of fit of empirical distributions"), ``Q(sqrt(n m / (n + m)) D)``; for values in bins it errs on the
    side of silence.

    Args:
        reference: ``(K,)`` counts.
        seen: ``(K,)`` counts in the same bins.

    Raises:
        ValueError: one of both is empty.
    """
    from scipy.special import kolmogorov

    expected, actual = np.asarray(reference, np.float64), np.asarray(seen, np.float64)
    n, m = expected.sum(), actual.sum()
    if n == 0 or m == 0:
        raise ValueError("a distribution without photos")
    distance = float(np.abs(np.cumsum(expected) / n - np.cumsum(actual) / m).max())
    return distance, float(kolmogorov(np.sqrt(n * m / (n + m)) * distance))


def coarse(reference: ArrayLike, bins: int = _BINS) -> NDArray[np.intp]:
    """Where to cut fine bins into about ten that hold about the same share of the reference each.

    Args:
        reference: ``(K,)`` counts in fine bins.
        bins: wanted.

    Returns:
        First fine bin of each coarse bin, rising, for ``np.add.reduceat``.

    >>> coarse([5, 0, 5, 5, 5], 2).tolist()
    [0, 3]
    """
    counts = np.asarray(reference, np.float64)
    before = np.cumsum(counts) - counts
    wanted = counts.sum() * np.arange(1, bins) / bins
    cuts = np.searchsorted(before, wanted - 1e-9)
    return np.unique(np.concatenate([[0], cuts[cuts < len(counts)]]))


def distance_of(reference: ArrayLike, seen: ArrayLike, *, ordered: bool = True) -> Distance:
    """How far photos that came are from the reference.

    Args:
        reference: ``(K,)`` counts.
        seen: ``(K,)`` counts in the same bins.
        ordered: the bins are of a number; otherwise they are kinds, compared as they are.
    """
    expected, actual = np.asarray(reference), np.asarray(seen)
    n, m = int(expected.sum()), int(actual.sum())
    if not ordered:
        there = (expected + actual) > 0
        return Distance(
            stability_index(expected[there], actual[there]), stability_by_chance(int(there.sum()), n, m)
        )
    cuts = coarse(expected)
    psi = stability_index(np.add.reduceat(expected, cuts), np.add.reduceat(actual, cuts))
    return Distance(psi, stability_by_chance(len(cuts), n, m), *kolmogorov_smirnov(expected, actual))


def _shares(counts: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(counts, np.float64) + 0.5
    return np.asarray(values / values.sum(), dtype=np.float64)
