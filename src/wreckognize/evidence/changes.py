"""How far a figure moves when the same photos are altered, with an interval that respects pairs and groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wreckognize.evaluation.image_level import as_scores
from wreckognize.evidence.intervals import normal_quantile, paired_difference

FEWEST = 10
"""Photos below which a figure is too few to say anything of."""

_Flags = NDArray[np.bool_]
_Scores = NDArray[np.floating[Any]]
_Groups = NDArray[np.integer[Any]]
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A figure before and after, on the same photos.

    Attributes:
        photos: that were altered.
        groups: of photos that belong together.
        before: the figure on the photos as they are; None where it cannot be said.
        after: the same on the altered photos.
        change: ``after - before``.
        low: lower end of the interval of ``change``.
        high: upper end.
        why: why something is None; empty otherwise.
    """

    photos: int
    groups: int
    before: float | None
    after: float | None
    change: float | None
    low: float | None
    high: float | None
    why: str = ""

    @property
    def beyond_chance(self) -> bool:
        """Whether the interval leaves no change out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def points(difference: float) -> str:
    """A difference of shares in points, with its sign; 0 has none.

    >>> points(0.0371), points(-0.028), points(-0.0001)
    ('+3.7', '-2.8', '0.0')
    """
    text = f"{100 * difference:+z.1f}"
    return "0.0" if text == "+0.0" else text


def rate_change(before: _Flags, after: _Flags, groups: _Groups, level: float) -> Change:
    """How far a share moves: vehicles found, or false alarms; its interval is `intervals.paired_difference`.

    Args:
        before: ``(N,)``, called a vehicle as it is.
        after: ``(N,)``, called a vehicle when altered.
        groups: ``(N,)``, the group of each photo.
        level: of the interval, e.g. 0.95.
    """
    photos, several = before.size, int(np.unique(groups).size)
    gain = after.astype(np.float64) - before
    limits = paired_difference(gain, groups, level) if photos >= FEWEST else None
    if limits is None:
        return _too_few(photos, several)
    return Change(
        photos=photos,
        groups=several,
        before=float(before.mean()),
        after=float(after.mean()),
        change=float(gain.mean()),
        low=limits[0],
        high=limits[1],
    )


def area_change(
    before: _Scores,
    after: _Scores,
    others: _Scores,
    groups: _Groups,
    other_groups: _Groups,
    *,
    level: float,
    altered_are_vehicles: bool,
) -> Change:
    """How far the area under the ROC moves when the photos of one side are altered and those of the other are not.

    The interval is by placement values (DeLong, DeLong and Clarke-Pearson 1988, *Biometrics* 44:837) summed over groups
    (Obuchowski 1997, *Biometrics* 53:567).

    Args:
        before: ``(N,)`` scores as they are.
        after: ``(N,)`` scores when altered.
        others: ``(M,)`` scores of the side that stays.
        groups: ``(N,)``.
        other_groups: ``(M,)``, numbered as ``groups`` are: a group may have photos on both sides.
        level: of the interval.
        altered_are_vehicles: whether ``others`` are the backgrounds.

    Raises:
        ValueError: a score is NaN.
    """
    photos, several = before.size, int(np.unique(groups).size)
    if photos < FEWEST or others.size < FEWEST:
        return _too_few(min(photos, others.size), several)
    first, second, rest = as_scores(before), as_scores(after), as_scores(others)
    of_altered = _placements(second, rest) - _placements(first, rest)
    # What an unaltered photo is worth is seen from the other side, so with the other sign.
    of_others = -(_placements(rest, second) - _placements(rest, first))
    area = float(_placements(first, rest).mean())
    change = float(of_altered.mean())
    sign = 1.0 if altered_are_vehicles else -1.0
    before_area = area if altered_are_vehicles else 1.0 - area
    deviation = _deviation(of_altered, of_others, groups, other_groups)
    reach = normal_quantile(level) * deviation if deviation else None
    return Change(
        photos=photos,
        groups=several,
        before=before_area,
        after=before_area + sign * change,
        change=sign * change,
        low=None if reach is None else sign * change - reach,
        high=None if reach is None else sign * change + reach,
        why=""
        if reach is not None
        else "no photo changed places with one of the other side, so chance cannot be gauged",
    )


def _too_few(photos: int, groups: int) -> Change:
    return Change(
        photos=photos,
        groups=groups,
        before=None,
        after=None,
        change=None,
        low=None,
        high=None,
        why=f"too few to say: {photos} photos, at least {FEWEST} are needed",
    )


def _placements(scores: NDArray[np.float32], others: NDArray[np.float32]) -> _Floats:
    """Share of ``others`` below each score, ties half, ``(N,)``."""
    ranked = np.sort(others)
    below = np.searchsorted(ranked, scores, side="left")
    not_above = np.searchsorted(ranked, scores, side="right")
    return (below + not_above) / (2.0 * others.size)


def _deviation(one: _Floats, other: _Floats, groups: _Groups, other_groups: _Groups) -> float:
    """Standard error of the mean of placement values, groups on both sides taken into account."""
    numbers = np.unique(np.concatenate([groups, other_groups]))
    at, other_at = np.searchsorted(numbers, groups), np.searchsorted(numbers, other_groups)
    sums = np.bincount(at, one - one.mean(), numbers.size) / one.size
    other_sums = np.bincount(other_at, other - other.mean(), numbers.size) / other.size
    variance = (
        float(sums @ sums) * _unbiased(np.unique(at).size)
        + float(other_sums @ other_sums) * _unbiased(np.unique(other_at).size)
        + 2 * float(sums @ other_sums) * _unbiased(numbers.size)
    )
    return math.sqrt(max(0.0, variance))


def _unbiased(groups: int) -> float:
    return groups / (groups - 1) if groups > 1 else 0.0
