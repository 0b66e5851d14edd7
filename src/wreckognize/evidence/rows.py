"""Each system's figures, every one with its interval, and the two trivial systems beside them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wreckognize.evidence.intervals import (
    Limits,
    effective_groups,
    logit_limits,
    proportion,
    recovered,
    roc_area_limits,
    square_and_add,
    t_quantile,
)
from wreckognize.evidence.resampling import percentile_interval
from wreckognize.evidence.sample import (
    FALSE_ALARM_RATES,
    MAP,
    ROC_AREA,
    LockedSet,
    Measured,
    SystemSample,
    found_at,
    one_photo,
)
from wreckognize.evidence.trainings import least_variance
from wreckognize.evidence.verdicts import Estimate, Row
from wreckognize.evidence.weighted import DECISION_FIGURES, best_kept_out, from_rates

ENOUGH_GROUPS = 10
"""Fewer effective groups of a kind than this are not resampled."""

ENOUGH_ERRORS = 20
"""The bootstrap of a decision figure needs so many groups with an error on either side. Below, percentiles cover too
rarely, and the limits recovered from Wilson's are taken (``benchmarks/evidence.py decisions``)."""

UNDEFINED_DRAWS = 0.05
"""An interval cannot be said where a larger share of the draws has none of what the figure needs."""

WILSON = "clustered Wilson"
BOOTSTRAP = "bootstrap over groups"
RECOVERED = "recovered from clustered Wilson limits"
LOGIT = "bootstrap over groups, log odds"
NEWCOMBE = "Newcombe with effective groups"
DEFINED = "by definition"

_WITHIN: dict[str, Limits] = {"mcc": (-1.0, 1.0)}  # elsewhere 0 to 1
_CURVED = ("balanced_accuracy", "f1", "mcc")
_NO_BOXES = "no test photo has boxes drawn by a person"


def row_of(test: LockedSet, measured: Measured) -> Row:
    """A system's row: every figure with its interval, the spread between its trainings included."""
    sample = measured.sample
    called = sample.share_called()
    right = np.where(test.truth, called, 1 - called)
    damaged, normal, background = (test.of_role(role) for role in ("damaged", "normal", "background"))
    everything = np.ones(test.truth.size, dtype=np.bool_)
    shares = {
        "accuracy": (everything, right, "photo"),
        "recall": (test.truth, called, "photo of a vehicle"),
        "damaged_found": (damaged, called, "damaged photo"),
        "normal_found": (normal, called, "normal photo"),
        "false_alarms": (background, called, "background photo"),
    }
    figures = {name: _share(test, *what) for name, what in shares.items()}
    figures["accuracy"] = _missing(test) or figures["accuracy"]
    figures["precision"] = _precision(test, sample)
    for name in _CURVED:
        figures[name] = _decision(test, measured, name, right)
    figures[ROC_AREA] = _roc_area(test, measured)
    for rate in FALSE_ALARM_RATES:
        figures[found_at(rate)] = _found_at(test, measured, rate)
    figures[MAP] = _map(test, measured)
    by_seed = _shares_by_seed(test, sample) | measured.seeds
    boxed = int(sample.boxes[0].judged.sum()) if sample.boxes else 0
    return Row(
        name=sample.name,
        trivial=False,
        trained=sample.trained,
        seeds=sample.seeds,
        note=_note(sample),
        figures={
            name: with_seeds(figure, by_seed.get(name), test.level, name, step=one_photo(test, name, boxed))
            for name, figure in figures.items()
        },
    )


def trivial_row(test: LockedSet, name: str, *, says_vehicle: bool) -> Row:
    """The row of a system that says the same of every photo.

    Nothing of it is uncertain: its figures follow from the share of vehicles in this test set.
    """
    vehicles = float(test.truth.sum())
    others = test.truth.size - vehicles
    counts = from_rates(vehicles, others)(float(says_vehicle), float(says_vehicle))
    values = {figure: float(make(counts)) for figure, make in DECISION_FIGURES.items()}
    roles = {"damaged_found": "damaged", "normal_found": "normal", "false_alarms": "background"}
    values |= dict.fromkeys(roles, float(says_vehicle))

    def estimate(figure: str, value: float) -> Estimate:
        where = test.of_role(roles[figure]) if figure in roles else np.ones_like(test.truth)
        photos, groups = int(where.sum()), test.groups_in(where)
        if not photos:
            return _unsaid(f"the test set has no {roles[figure]} photo", photos, groups)
        if math.isnan(value):
            return _unsaid("0/0: it says the same of every photo", photos, groups)
        return Estimate(value=value, low=value, high=value, method=DEFINED, photos=photos, groups=groups)

    figures = {figure: _missing_for(test, figure) or estimate(figure, value) for figure, value in values.items()}
    unranked = _unsaid("it ranks no photos and draws no boxes", test.truth.size, test.count)
    figures |= {name: unranked for name in (ROC_AREA, *map(found_at, FALSE_ALARM_RATES), MAP)}
    return Row(name=name, trivial=True, trained=False, seeds=1, note=None, figures=figures)


def with_seeds(
    estimate: Estimate, seeds: NDArray[np.float64] | None, level: float, figure: str, *, step: float
) -> Estimate:
    """Take the spread between trainings into an interval.

    The interval over photos and that of the mean of ``k`` trainings (``t * s / sqrt(k)``) are squared and added
    (MOVER; Zou and Donner 2008). A tie by luck does not shrink it, see `trainings`.

    Args:
        estimate: its interval is over photos only.
        seeds: ``(k,)``.
        level: of confidence.
        figure: its name.
        step: how far one photo moves it.
    """
    if estimate.value is None or seeds is None:
        return estimate
    each = tuple(seeds.tolist())
    if seeds.size < 2:
        return replace(estimate, seeds=each)
    deviation = float(seeds.std(ddof=1))
    if estimate.low is None or estimate.high is None:
        return replace(estimate, seeds=each, seeds_sd=deviation)
    spread = max(deviation, math.sqrt(least_variance(step, seeds.size)))
    reach = t_quantile(level, seeds.size - 1) * spread / math.sqrt(seeds.size)
    low, high = square_and_add(
        estimate.value,
        (estimate.value, (estimate.low, estimate.high)),
        (0.0, (-reach, reach)),
        within=_WITHIN.get(figure, (0.0, 1.0)),
    )
    method = f"{estimate.method}; spread of {seeds.size} trainings"
    return replace(estimate, low=low, high=high, method=method, seeds=each, seeds_sd=deviation)


def settled(drawn: NDArray[np.float64]) -> tuple[NDArray[np.float64], str | None]:
    """The draws in which a figure could be said, and why no interval can be made of them, if so."""
    kept = drawn[np.isfinite(drawn)]
    lost = drawn.size - kept.size
    if lost > UNDEFINED_DRAWS * drawn.size:
        return kept, f"{lost} of {drawn.size} bootstrap draws lack what the figure needs"
    if np.ptp(kept) == 0:
        return kept, "every bootstrap draw gives the same value, which says nothing of how sure it is"
    return kept, None


def too_few(test: LockedSet, photos: NDArray[np.bool_], kind: str) -> str | None:
    """Why these photos are not resampled: too few groups, or too much in one of them; None where they can be."""
    effective = effective_groups(test.groups[photos])
    if effective >= ENOUGH_GROUPS:
        return None
    groups, count = test.groups_in(photos), int(photos.sum())
    if not count:
        return f"the test set has no {kind} photo"
    largest = int(np.bincount(test.groups[photos]).max())
    unequal = f", the largest with {largest} of {count} photos" if groups >= ENOUGH_GROUPS else ""
    return f"the {kind} photos are too few to resample: {count} in {groups} groups{unequal}"


def _unsaid(why: str, photos: int, groups: int) -> Estimate:
    return Estimate(value=None, low=None, high=None, method=None, photos=photos, groups=groups, why=why)


def _share(test: LockedSet, photos: NDArray[np.bool_], hit: NDArray[np.float64], kind: str) -> Estimate:
    found = proportion(hit[photos], test.groups[photos], test.level)
    if found.share is None:
        return _unsaid(f"the test set has no {kind}", 0, 0)
    return Estimate(
        value=found.share, low=found.low, high=found.high, method=WILSON, photos=found.photos, groups=found.groups
    )


def _precision(test: LockedSet, sample: SystemSample) -> Estimate:
    """Of the photos called vehicle; the limits of several trainings are averaged."""
    if missing := _missing(test):
        return missing
    each = [proportion(test.truth[called], test.groups[called], test.level) for called in sample.called]
    photos, groups = max(found.photos for found in each), max(found.groups for found in each)
    if any(found.share is None for found in each):
        return _unsaid("0/0: nothing was called a vehicle", photos, groups)
    value, low, high = np.array([(found.share, found.low, found.high) for found in each], dtype=np.float64).mean(0)
    return Estimate(
        value=float(value), low=float(low), high=float(high), method=WILSON, photos=photos, groups=groups
    )


def _decision(test: LockedSet, measured: Measured, name: str, right: NDArray[np.float64]) -> Estimate:
    """Balanced accuracy, F1 or MCC: bootstrap where errors are plenty, else from the limits of the two rates."""
    if missing := _missing(test):
        return missing
    photos, groups, value = test.truth.size, test.count, float(measured.seeds[name].mean())
    if math.isnan(value):
        return _unsaid("0/0: every photo was called the same", photos, groups)
    wrong = right < 1
    erring = min(test.groups_in(wrong & test.truth), test.groups_in(wrong & ~test.truth))
    kept, unsettled = settled(measured.drawn[name])
    few = too_few(test, test.truth, "vehicle") or too_few(test, ~test.truth, "background")
    if erring >= ENOUGH_ERRORS and not unsettled and not few:
        low, high = percentile_interval(kept, test.level)
        return Estimate(value=value, low=low, high=high, method=BOOTSTRAP, photos=photos, groups=groups)
    limits = _recovered(test, measured.sample.share_called(), name, value)
    return Estimate(
        value=value,
        low=limits[0] if limits else None,
        high=limits[1] if limits else None,
        method=RECOVERED if limits else None,
        photos=photos,
        groups=groups,
        why=None if limits else "the limits of recall and false alarms allow 0/0",
    )


def _recovered(test: LockedSet, called: NDArray[np.float64], name: str, value: float) -> Limits | None:
    make = DECISION_FIGURES[name]
    found = proportion(called[test.truth], test.groups[test.truth], test.level)
    alarms = proportion(called[~test.truth], test.groups[~test.truth], test.level)
    mix = from_rates(float(found.photos), float(alarms.photos))
    within = _WITHIN.get(name, (0.0, 1.0))
    limits = recovered(lambda one, other: float(make(mix(one, other))), found, alarms, within=within)
    if limits is None:
        return None
    # The average over trainings is not exactly the figure of the average counts.
    return min(limits[0], value), max(limits[1], value)


def _roc_area(test: LockedSet, measured: Measured) -> Estimate:
    damaged, background = test.of_role("damaged"), test.of_role("background")
    both = damaged | background
    photos, groups = int(both.sum()), test.groups_in(both)
    value = float(measured.seeds[ROC_AREA].mean())
    if math.isnan(value):
        return _unsaid(f"the test set has no {'background' if damaged.any() else 'damaged'} photo", photos, groups)
    kept, unsettled = settled(measured.drawn[ROC_AREA])
    few = too_few(test, damaged, "damaged") or too_few(test, background, "background")
    if unsettled or few or _misordered(test, measured.sample) < ENOUGH_GROUPS:
        # Scores of groups that are copies of each other: the least that these photos can tell.
        effective = effective_groups(test.groups[damaged]), effective_groups(test.groups[background])
        low, high = roc_area_limits(value, *effective, test.level)
        return Estimate(value=value, low=low, high=high, method=NEWCOMBE, photos=photos, groups=groups)
    low, high = logit_limits(value, float(kept.std(ddof=1)), test.level)
    return Estimate(value=value, low=low, high=high, method=LOGIT, photos=photos, groups=groups)


def _misordered(test: LockedSet, sample: SystemSample) -> int:
    """Groups on the rarer side with a damaged photo not above every background, or a background not below every one."""
    damaged, background = test.of_role("damaged"), test.of_role("background")
    least = test.truth.size
    for score in sample.score:
        low = damaged & (score <= score[background].max())
        high = background & (score >= score[damaged].min())
        least = min(least, test.groups_in(low), test.groups_in(high))
    return least


def _found_at(test: LockedSet, measured: Measured, rate: float) -> Estimate:
    """Each side is the wider of the bootstrap and of the clustered Wilson limits with the threshold held."""
    damaged, background = test.of_role("damaged"), test.of_role("background")
    photos, groups = int(damaged.sum()), test.groups_in(damaged)
    if not photos:
        return _unsaid("the test set has no damaged photo", photos, groups)
    value = float(measured.seeds[found_at(rate)].mean())
    if math.isnan(value):
        count = int(background.sum())
        if not count:
            return _unsaid("the test set has no background photo", photos, groups)
        return _unsaid(
            f"{count} background photos are fewer than the {math.ceil(1 / rate)} that a rate of {100 * rate:g} % needs",
            photos,
            groups,
        )
    above = [score > best_kept_out(score[background], rate) for score in measured.sample.score]
    held = proportion(np.mean(above, axis=0)[damaged], test.groups[damaged], test.level)
    drawn = measured.drawn[found_at(rate)]
    kept, unsettled = settled(drawn)
    why = too_few(test, damaged, "damaged") or too_few(test, background, "background")
    if unsettled and np.isfinite(drawn).mean() < 1 - UNDEFINED_DRAWS:
        why = why or unsettled
    if why:
        return Estimate(value=value, low=None, high=None, method=None, photos=photos, groups=groups, why=why)
    low, high = percentile_interval(kept, test.level)
    return Estimate(
        value=value,
        low=low if held.low is None else min(low, held.low),
        high=high if held.high is None else max(high, held.high),
        method=f"{BOOTSTRAP}, at least {WILSON}",
        photos=photos,
        groups=groups,
    )


def _map(test: LockedSet, measured: Measured) -> Estimate:
    if measured.sample.boxes is None:
        return _unsaid(_NO_BOXES, 0, 0)
    judged = measured.sample.boxes[0].judged
    photos, groups = int(judged.sum()), test.groups_in(judged)
    value = float(measured.seeds[MAP].mean())
    if math.isnan(value):
        return _unsaid(_NO_BOXES, photos, groups)
    kept, unsettled = settled(measured.drawn[MAP])
    if why := too_few(test, judged, "boxed") or unsettled:
        return Estimate(value=value, low=None, high=None, method=None, photos=photos, groups=groups, why=why)
    low, high = percentile_interval(kept, test.level)
    return Estimate(value=value, low=low, high=high, method=BOOTSTRAP, photos=photos, groups=groups)


def _missing_for(test: LockedSet, figure: str) -> Estimate | None:
    return _missing(test) if figure in (*_CURVED, "precision", "accuracy") else None


def _missing(test: LockedSet) -> Estimate | None:
    """Figures of both classes cannot be said of one; 100 % precision without a background would mean nothing."""
    if test.truth.all():
        return _unsaid("the test set has no background photo", test.truth.size, test.count)
    if not test.truth.any():
        return _unsaid("the test set has no photo of a vehicle", test.truth.size, test.count)
    return None


def _shares_by_seed(test: LockedSet, sample: SystemSample) -> dict[str, NDArray[np.float64]]:
    roles = {"damaged_found": "damaged", "normal_found": "normal", "false_alarms": "background"}
    photos = {name: test.of_role(role) for name, role in roles.items()}
    return {name: sample.called[:, where].mean(axis=1) for name, where in photos.items() if where.any()}


def _note(sample: SystemSample) -> str | None:
    if not sample.trained:
        return None
    if sample.seeds == 1:
        return "trained once: how much another training would differ is unknown and not in the intervals"
    if sample.seeds == 2:
        return (
            "trained twice: two trainings say little about their spread (t = 12.7 at 95 %), so intervals are wide; "
            "the spread is never taken to be less than what one photo makes"
        )
    return None
