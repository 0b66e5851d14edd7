"""Two systems on the same photos: differences with intervals, tests and verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wreckognize.evidence.intervals import Limits, paired_difference, ratio_error, square_and_add, t_quantile
from wreckognize.evidence.paired import holm, mcnemar_exact, photos_for_power, sign_flip
from wreckognize.evidence.resampling import percentile_interval, sign_share
from wreckognize.evidence.rows import BOOTSTRAP, ENOUGH_ERRORS, settled, too_few
from wreckognize.evidence.sample import MAP, LockedSet, Measured, SystemSample, one_photo
from wreckognize.evidence.trainings import (
    FEW_FREEDOM,
    TRAININGS,
    Spread,
    p_with_trainings,
    pooled_spread,
    variance_of_mean,
)
from wreckognize.evidence.verdicts import COMPARED, Difference, Pair, Verdict

WILSON = "clustered Wilson of gains and losses"
MCNEMAR = "exact McNemar"
SIGN_FLIP = "sign-flip over groups"
INVERTED = "bootstrap over groups, interval inverted"

_ROLE_OF = {"damaged_found": "damaged", "normal_found": "normal", "false_alarms": "background"}
_POSSIBLE: Limits = (-1.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A difference over photos, before trainings are looked at."""

    value: float | None
    photos: int
    groups: int
    limits: Limits | None = None
    method: str | None = None
    p_value: float | None = None
    test: str | None = None
    error: float = 0.0
    why: str | None = None


def compare(test: LockedSet, systems: Sequence[Measured]) -> tuple[Pair, ...]:
    """Every two systems in every figure of `COMPARED`, Holm-corrected within each figure."""
    couples = [(one, other) for place, one in enumerate(systems) for other in systems[place + 1 :]]
    trainings = [each.sample.seeds for each in systems if each.sample.trained and each.sample.seeds > 1]
    few = sum(trainings) - len(trainings) < FEW_FREEDOM
    found = {}
    for name in COMPARED:
        spread = pooled_spread([_by_seed(test, name, each) for each in systems])
        found[name] = [_difference(test, name, *couple, spread) for couple in couples]
    for name, differences in found.items():
        corrected = holm([difference.p_value for difference in differences])
        found[name] = [
            _judged(replace(difference, p_holm=p_holm), test.level)
            for difference, p_holm in zip(differences, corrected, strict=True)
        ]
    return tuple(
        Pair(
            first=one.sample.name,
            second=other.sample.name,
            holds_for=holds_for(one.sample, other.sample, few=few),
            differences={name: found[name][place] for name in COMPARED},
        )
        for place, (one, other) in enumerate(couples)
    )


def holds_for(first: SystemSample, second: SystemSample, *, few: bool) -> str:
    """A sentence: whether a verdict is about the recipes, or about the detectors that were trained.

    Args:
        first: a system.
        second: another.
        few: whether the trainings of the study are too few to know their spread well.
    """
    trained = [system for system in (first, second) if system.trained]
    once = [system.name for system in trained if system.seeds == 1]
    if not trained:
        return "The verdicts hold for these two detectors; neither was trained here."
    if once:
        names = " and ".join(once)
        whom = "these two trained detectors" if len(trained) == 2 else "this trained detector"
        return (
            f"The verdicts hold for {whom}, not for the recipe: {names} {'was' if len(once) == 1 else 'were'} trained"
            " once, so the spread between trainings is unknown."
        )
    times = " and ".join(f"{system.name} was trained {system.seeds} times" for system in trained)
    hardly = ", though so few trainings say little about it" if few else ""
    return f"The verdicts hold for the recipe: {times}, and the spread between trainings is included{hardly}."


def _difference(test: LockedSet, name: str, one: Measured, other: Measured, spread: Spread | None) -> Difference:
    if name in _ROLE_OF:
        seen = _of_role(test, one.sample, other.sample, _ROLE_OF[name])
    elif name == "balanced_accuracy":
        seen = _of_balanced_accuracy(test, one, other)
    else:
        seen = _of_ranking(test, name, one, other)
    by_seed = [_by_seed(test, name, each) for each in (one, other)]
    limits, method, p_value, tested = seen.limits, seen.method, seen.p_value, seen.test
    if (
        spread is not None
        and seen.value is not None
        and limits is not None
        and any(values.size > 1 for values in by_seed)
    ):
        step = one_photo(test, name, seen.photos)
        variance = sum(variance_of_mean(values, spread, step) for values in by_seed)
        reach = t_quantile(test.level, spread.freedom) * math.sqrt(variance)
        limits = square_and_add(seen.value, (seen.value, limits), (0.0, (-reach, reach)), within=_POSSIBLE)
        method = f"{method}; spread of trainings"
        over_both = p_with_trainings(seen.value, seen.error, seen.groups, variance, spread.freedom)
        if p_value is not None and over_both > p_value:
            p_value, tested = over_both, TRAININGS
    needed = None if seen.value is None else photos_for_power(seen.photos, seen.value, seen.error, test.level)
    if needed is not None and needed <= seen.photos:
        needed = None  # photos are not what is lacking: the spread between trainings or the other pairs are
    return Difference(
        figure=name,
        value=seen.value,
        low=limits[0] if limits else None,
        high=limits[1] if limits else None,
        method=method,
        p_value=p_value,
        p_holm=None,
        test=tested,
        verdict="cannot be said",
        why=seen.why,
        photos=seen.photos,
        groups=seen.groups,
        photos_needed=needed,
        groups_needed=None if needed is None else math.ceil(needed * seen.groups / seen.photos),
    )


def _of_role(test: LockedSet, one: SystemSample, other: SystemSample, role: str) -> _Seen:
    where = test.of_role(role)
    photos, groups = int(where.sum()), test.groups_in(where)
    if why := _hopeless(groups, role, test.level):
        return _Seen(value=None, photos=photos, groups=groups, why=why)
    gain = (one.share_called() - other.share_called())[where]
    by_group = _whole_differences(test, where, one, other)
    if groups == photos and one.seeds == other.seeds == 1:
        p_value, tested = mcnemar_exact(int((gain > 0).sum()), int((gain < 0).sum())), MCNEMAR
    else:
        p_value, tested = sign_flip(by_group, seed=test.seed), SIGN_FLIP
    return _Seen(
        value=float(gain.mean()),
        photos=photos,
        groups=groups,
        limits=paired_difference(gain, test.groups[where], test.level),
        method=WILSON,
        p_value=p_value,
        test=tested,
        error=_error(test, where, gain),
    )


def _of_balanced_accuracy(test: LockedSet, one: Measured, other: Measured) -> _Seen:
    """Half the difference on vehicles less half that on backgrounds."""
    photos = test.truth.size
    for where, kind in ((test.truth, "vehicle"), (~test.truth, "background")):
        if why := _hopeless(test.groups_in(where), kind, test.level):
            return _Seen(value=None, photos=photos, groups=test.count, why=why)
    gain = one.sample.share_called() - other.sample.share_called()
    vehicle, background = gain[test.truth], -gain[~test.truth]
    value = (float(vehicle.mean()) + float(background.mean())) / 2
    weight = np.where(test.truth, 1 / vehicle.size, -1 / background.size)
    by_group = np.bincount(test.groups, weights=gain * weight, minlength=test.count)
    kept, unsettled = settled(one.drawn["balanced_accuracy"] - other.drawn["balanced_accuracy"])
    differing = min(test.groups_in(test.truth & (gain != 0)), test.groups_in(~test.truth & (gain != 0)))
    few = too_few(test, test.truth, "vehicle") or too_few(test, ~test.truth, "background")
    limits: Limits | None
    if differing >= ENOUGH_ERRORS and not unsettled and not few:
        limits, method = percentile_interval(kept, test.level), BOOTSTRAP
    else:
        halves = [
            (float(part.mean()) / 2, _halved(paired_difference(part, test.groups[where], test.level)))
            for part, where in ((vehicle, test.truth), (background, ~test.truth))
        ]
        limits, method = square_and_add(value, *halves, within=_POSSIBLE), WILSON
    error = math.hypot(_error(test, test.truth, vehicle), _error(test, ~test.truth, background)) / 2
    return _Seen(
        value=value,
        photos=photos,
        groups=test.count,
        limits=limits,
        method=method,
        p_value=sign_flip(by_group, seed=test.seed),
        test=SIGN_FLIP,
        error=error,
    )


def _of_ranking(test: LockedSet, name: str, one: Measured, other: Measured) -> _Seen:
    """ROC area and mAP: the bootstrap, both systems in the same draws."""
    if name == MAP:
        where = one.sample.boxes[0].judged if one.sample.boxes else np.zeros_like(test.truth)
        kinds = [(where, "boxed")]
    else:
        kinds = [(test.of_role(role), role) for role in ("damaged", "background")]
        where = kinds[0][0] | kinds[1][0]
    few = next((why for part, kind in kinds if (why := too_few(test, part, kind))), None)
    photos, groups = int(where.sum()), test.groups_in(where)
    if name not in one.seeds or name not in other.seeds:
        return _Seen(value=None, photos=photos, groups=groups, why="no test photo has boxes drawn by a person")
    value = float(one.seeds[name].mean() - other.seeds[name].mean())
    if math.isnan(value):
        return _Seen(value=None, photos=photos, groups=groups, why=few or "there is nothing to be found")
    kept, unsettled = settled(one.drawn[name] - other.drawn[name])
    if why := few or unsettled:
        return _Seen(value=value, photos=photos, groups=groups, why=why)
    return _Seen(
        value=value,
        photos=photos,
        groups=groups,
        limits=percentile_interval(kept, test.level),
        method=BOOTSTRAP,
        p_value=sign_share(kept),
        test=INVERTED,
        error=float(kept.std(ddof=1)),
    )


def _judged(difference: Difference, level: float) -> Difference:
    low, high, value = difference.low, difference.high, difference.value
    if value is None or low is None or high is None or difference.p_holm is None:
        return difference
    verdict: Verdict = "no difference shown"
    if difference.p_holm <= 1 - level + 1e-12 and (low > 0 or high < 0):
        verdict = "better" if (value > 0) == COMPARED[difference.figure].higher_is_better else "worse"
    return replace(difference, verdict=verdict, level=level)


def _hopeless(groups: int, kind: str, level: float) -> str | None:
    """With five groups or fewer even the clearest result, all one way, has a p-value above 5 %."""
    if not groups:
        return f"the test set has no {kind} photo"
    if 2.0 ** (1 - groups) <= 1 - level:
        return None
    number = f"{groups} group{'' if groups == 1 else 's'}"
    return f"with {number} of {kind} photos not even the clearest result would be beyond chance"


def _whole_differences(
    test: LockedSet, where: NDArray[np.bool_], one: SystemSample, other: SystemSample
) -> NDArray[np.int64]:
    """Each group's difference in photos called, ``(G,)``, times the least common multiple of trainings: whole."""
    times = math.lcm(one.seeds, other.seeds)
    counts = [times // system.seeds * system.called[:, where].sum(axis=0) for system in (one, other)]
    owners = test.groups[where]
    summed = np.bincount(owners, weights=counts[0] - counts[1], minlength=test.count)
    return np.rint(summed).astype(np.int64)


def _error(test: LockedSet, where: NDArray[np.bool_], gain: NDArray[np.float64]) -> float:
    _, place, size = np.unique(test.groups[where], return_inverse=True, return_counts=True)
    return ratio_error(np.bincount(place, weights=gain).astype(np.float64), size.astype(np.float64))


def _by_seed(test: LockedSet, name: str, measured: Measured) -> NDArray[np.float64]:
    if name in _ROLE_OF:
        where = test.of_role(_ROLE_OF[name])
        return measured.sample.called[:, where].mean(axis=1) if where.any() else np.zeros(0)
    return measured.seeds.get(name, np.zeros(0))


def _halved(limits: Limits | None) -> Limits:
    assert limits is not None  # there are photos
    return limits[0] / 2, limits[1] / 2
