"""Tests of two systems on the same photos, and the correction for having made several."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ENUMERATED = 16
"""Up to this many groups that differ, all sign patterns are looked at."""

_LARGEST_TABLE = 200_000_000
"""Steps of the exact distribution of whole-numbered differences; beyond, signs are drawn."""


def mcnemar_exact(first_only: int, second_only: int) -> float:
    """The exact McNemar test for photos that are independent of each other.

    Under the hypothesis of no difference, a photo on which only one system is right is as likely the one's as the
    other's: a binomial test of one half (McNemar 1947, *Psychometrika* 12; two-sided, doubled).

    >>> mcnemar_exact(9, 1)
    0.021484375

    Args:
        first_only: photos on which only the first system is right.
        second_only: on which only the second is.

    Raises:
        ValueError: a number is negative.
    """
    from scipy import stats

    if first_only < 0 or second_only < 0:
        raise ValueError(f"{first_only} and {second_only} photos; numbers of photos are not negative")
    if first_only + second_only == 0:
        return 1.0
    tail = stats.binom.cdf(min(first_only, second_only), first_only + second_only, 0.5)
    return min(1.0, 2 * float(tail))


def sign_flip(differences: NDArray[np.number], *, draws: int = 10_000, seed: int = 0) -> float:
    """The sign-flip test: are the groups' differences as likely one way as the other?

    Under the hypothesis of no difference the two systems could change places in any group, so every pattern of signs
    is equally likely (Fisher 1935, *The Design of Experiments*, section 21; for groups: Winkler et al. 2015,
    *NeuroImage* 123). The p-value is the share of patterns whose sum is at least as far from 0 as the one seen.
    Exact where the differences are whole numbers (their distribution is built up group by group) or at most 16
    groups differ; else from ``draws`` patterns, ``(1 + count) / (1 + draws)`` (Phipson and Smyth 2010). With
    differences of -1, 0 and 1 it is `mcnemar_exact`.

    Args:
        differences: ``(G,)``, each group's sum of the first system's figure less the second's.
        draws: patterns where they cannot all be looked at.
        seed: of these.

    Raises:
        ValueError: a difference is not finite.
    """
    values = np.asarray(differences)
    if not np.isfinite(values).all():
        raise ValueError("a difference is not a finite number")
    sizes = np.abs(values[values != 0])
    if not sizes.size:
        return 1.0
    seen = abs(float(values.sum()))
    if np.all(sizes == np.round(sizes)) and sizes.sum() * sizes.size <= _LARGEST_TABLE:
        return _exact(sizes.astype(np.int64), round(seen))
    # Sums of the same numbers in another order must count as equal.
    bound = seen - 1e-9 * float(sizes.sum())
    if sizes.size <= _ENUMERATED:
        patterns = (np.arange(2**sizes.size)[:, None] >> np.arange(sizes.size)) & 1
        return float(np.mean(np.abs((2 * patterns - 1) @ sizes) >= bound))
    rng = np.random.Generator(np.random.PCG64(seed))
    count = 0
    rows = max(1, 4_000_000 // sizes.size)
    for start in range(0, draws, rows):
        signs = rng.integers(0, 2, (min(rows, draws - start), sizes.size), dtype=np.int8)
        # The sum over signs of +1 and -1 is twice that over 1 and 0, less the whole.
        count += int(np.count_nonzero(np.abs(2 * (signs @ sizes) - sizes.sum()) >= bound))
    return (1 + count) / (1 + draws)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for having made several tests (Holm 1979, *Scandinavian Journal of Statistics* 6).

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]

    Args:
        p_values: None where no test could be made; such do not count.
    """
    made = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (value, place) in enumerate(made):
        highest = max(highest, min(1.0, (len(made) - rank) * value))
        corrected[place] = highest
    return corrected


def photos_for_power(photos: int, value: float, error: float, level: float, power: float = 0.80) -> int | None:
    """How many photos would show the difference that was seen, if it is the true one.

    ``photos * ((z_level + z_power) * error / value)²``: the standard error falls with the root of the number of photos
    as long as they are grouped as they are now (Chow, Shao and Wang 2008, *Sample Size Calculations in Clinical
    Research*, section 3.1, for a mean of paired differences).

    >>> photos_for_power(400, 0.02, 0.01, 0.95)
    785

    Args:
        photos: looked at now.
        value: the difference.
        error: its standard error now.
        level: of confidence, two-sided.
        power: the chance of showing it.

    Returns:
        None where there is no difference, or no spread to reckon from.
    """
    from scipy import stats

    if value == 0 or not error > 0:
        return None
    reach = float(stats.norm.ppf((1 + level) / 2) + stats.norm.ppf(power))
    return math.ceil(photos * (reach * error / value) ** 2)


def _exact(sizes: NDArray[np.int64], seen: int) -> float:
    """Share of sign patterns whose sum of ``sizes`` is at least ``seen`` from 0."""
    chance = np.ones(1)  # chance[s]: that the sizes counted as positive sum to s
    for size in np.sort(sizes):
        longer = np.zeros(chance.size + size)
        longer[: chance.size] = chance
        longer[size:] += chance
        chance = longer / 2
    sums = 2 * np.arange(chance.size) - (chance.size - 1)
    return min(1.0, float(chance[np.abs(sums) >= seen].sum()))
