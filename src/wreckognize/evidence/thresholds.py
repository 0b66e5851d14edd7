"""A system's threshold, chosen on the calibration photos and frozen before the test set is opened.

A photo is called a vehicle if its score is at or above the threshold, both as ``float32``. Between two neighbouring
scores all thresholds decide alike on the calibration photos; of these the middle one is taken, so that a new photo that
scores a little less than a calibration photo is still decided as that one was. (``miss_rate_at_most`` stays at the end
that its theorem names, see `conformal`.) Where several such intervals do equally well, the lowest is taken: it misses
fewest.

A threshold lies from ``LOWEST`` to 1. The threshold 0 would call every photo a vehicle and is never chosen. Where a
rule cannot be kept, the customary threshold stands in, and the result says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from wreckognize.errors import UsageError
from wreckognize.evaluation.image_level import ImageFigures, figures_at
from wreckognize.evidence.conformal import (
    LOWEST,
    Groups,
    PromisedThreshold,
    calibration_arrays,
    percent,
    promise_misses,
)
from wreckognize.evidence.person import ThirdAnswer
from wreckognize.evidence.record import Record
from wreckognize.reading import RECORD_BYTES, read_regular
from wreckognize.settings import ThresholdRule, ThresholdSettings

CUSTOMARY = 0.10
"""The threshold that stands in where a rule cannot be kept."""

_FEWEST_DECIMALS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenThreshold:
    """A threshold and how it came about.

    Attributes:
        threshold: a photo is called a vehicle if its score is at or above this.
        rule: how it was to be chosen.
        value: the rule's value; None for a rule without one.
        photos: calibration photos.
        groups: groups that they belong to.
        vehicle_groups: groups that hold a photo with a vehicle.
        background_groups: groups that hold a photo without one.
        reached: whether the rule was kept; if not, ``threshold`` is the customary one.
        guarantee: what is promised for photos to come; None where nothing is.
        why: what the rule did, or why it could not be kept: one sentence.
        calibration: the figures on the calibration photos at ``threshold``, which chose it and so flatter it.
    """

    threshold: float
    rule: ThresholdRule
    value: float | None
    photos: int
    groups: int
    vehicle_groups: int
    background_groups: int
    reached: bool
    guarantee: str | None
    why: str
    calibration: ImageFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenThreshold(Record):
    """What is written down for one trained system before its test predictions are opened.

    Attributes:
        system: its name.
        seed: of its training; None if it is not trained.
        chosen: its threshold.
        third_answer: the two thresholds between which photos go to a person.
        predictions_sha256: of the file of calibration predictions that both were chosen on.
        frozen_at: when, ISO 8601 in UTC.
    """

    CALLED = "a frozen threshold"

    system: str
    seed: int | None
    chosen: ChosenThreshold
    third_answer: ThirdAnswer
    predictions_sha256: str
    frozen_at: str


def read_frozen(file: Path) -> FrozenThreshold:
    """Read ``threshold.json``.

    Raises:
        UsageError: it cannot be read, or is not a frozen threshold.
    """
    try:
        values = msgspec.json.decode(read_regular(file, RECORD_BYTES))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"the frozen threshold cannot be read: {error}",
            where=str(file),
            remedy="put it back as the run wrote it, or run `wreckognize evaluate` again",
        ) from error
    return FrozenThreshold.from_dict(values)


class _Outcome(NamedTuple):
    """What a rule came to: ``threshold`` None where it cannot be kept."""

    threshold: float | None
    why: str
    guarantee: str | None = None


def choose(
    scores: ArrayLike, truth: NDArray[np.bool_], groups: Groups, rule: ThresholdSettings
) -> ChosenThreshold:
    """Choose a system's threshold by a rule.

    * ``fixed``: the value itself; the calibration photos have no say.
    * ``best_f1``, ``best_balanced_accuracy``: the highest such figure on the calibration photos.
    * ``recall_at_least``: the highest threshold that finds that share of the vehicle photos.
    * ``false_alarms_at_most``: the lowest threshold that calls at most that share of the other photos a vehicle.
    * ``miss_rate_at_most``: the highest threshold that promises that miss rate for groups to come, see
      `conformal.promise_misses`.

    Args:
        scores: ``(N,)`` of the calibration photos, compared as ``float32``.
        truth: ``(N,)``, True where the photo shows a vehicle.
        groups: ``(N,)``, what names each photo's group.
        rule: as in the study file.

    Raises:
        ValueError: the arrays differ in length, or a score is NaN or outside 0 to 1.
    """
    values, vehicle, names = calibration_arrays(scores, truth, groups)
    outcome = _apply(rule, values, vehicle, names)
    reached = outcome.threshold is not None
    threshold = CUSTOMARY if outcome.threshold is None else outcome.threshold
    why = outcome.why if reached else f"{outcome.why}; the customary threshold {CUSTOMARY:.2f} stands in"
    return ChosenThreshold(
        threshold=threshold,
        rule=rule.rule,
        value=rule.value,
        photos=values.size,
        groups=np.unique(names).size,
        vehicle_groups=np.unique(names[vehicle]).size,
        background_groups=np.unique(names[~vehicle]).size,
        reached=reached,
        guarantee=outcome.guarantee,
        why=why,
        calibration=figures_at(vehicle, values, threshold),
    )


def _apply(
    rule: ThresholdSettings, scores: NDArray[np.float32], truth: NDArray[np.bool_], names: Groups
) -> _Outcome:
    value = rule.value if rule.value is not None else math.nan
    match rule.rule:
        case "fixed":
            return _fixed(value)
        case "best_f1" | "best_balanced_accuracy":
            return _best(_Cuts.of(scores, truth), rule.rule)
        case "recall_at_least":
            return _recall_at_least(_Cuts.of(scores, truth), value)
        case "false_alarms_at_most":
            return _false_alarms_at_most(_Cuts.of(scores, truth), value)
        case "miss_rate_at_most":
            return _promised(promise_misses(scores, truth, names, value))


def _fixed(value: float) -> _Outcome:
    if np.float32(value) < np.float32(LOWEST):
        return _Outcome(
            None,
            f"cannot be said: a threshold below {LOWEST:g} is no threshold, for predictions are kept from there on; "
            "0 would call every photo a vehicle",
        )
    return _Outcome(value, f"fixed at {value:g} in the study")


@dataclass(frozen=True, slots=True, eq=False)
class _Cuts:
    """The ways in which a threshold from ``LOWEST`` to 1 can part the photos, from the lowest threshold up.

    Attributes:
        below: ``(K,)``, each way's thresholds lie above this ``float32`` ...
        up_to: ``(K,)``, ... and at or below this one.
        tp: ``(K,)``, vehicle photos called a vehicle.
        fp: ``(K,)``, other photos called a vehicle.
        vehicles: photos that show a vehicle.
        backgrounds: photos that show none.
    """

    below: NDArray[np.float32]
    up_to: NDArray[np.float32]
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    vehicles: int
    backgrounds: int

    @classmethod
    def of(cls, scores: NDArray[np.float32], truth: NDArray[np.bool_]) -> _Cuts:
        floor = np.float32(LOWEST)
        up_to = np.unique(np.append(scores[scores >= floor], np.float32(1)))
        below = np.append(np.nextafter(floor, np.float32(0)), up_to[:-1])
        return cls(
            below=below,
            up_to=up_to,
            tp=_at_or_above(scores[truth], up_to),
            fp=_at_or_above(scores[~truth], up_to),
            vehicles=int(truth.sum()),
            backgrounds=int((~truth).sum()),
        )

    def middle(self, cut: int) -> float:
        """The threshold halfway in a cut, with as few decimals (from four on) as keep it inside."""
        low, high = self.below[cut], self.up_to[cut]
        halfway = (float(low) + float(high)) / 2
        for decimals in range(_FEWEST_DECIMALS, 10):
            rounded = round(halfway, decimals)
            if low < np.float32(rounded) <= high:
                return rounded
        return float(high)

    def counts(self, cut: int) -> str:
        return (
            f"{self.tp[cut]} of {self.vehicles} calibration photos with a vehicle are found, "
            f"{self.fp[cut]} of {self.backgrounds} without are false alarms"
        )


def _best(cuts: _Cuts, rule: ThresholdRule) -> _Outcome:
    missing = "vehicle" if not cuts.vehicles else "background" if not cuts.backgrounds else None
    if missing:
        return _Outcome(
            None,
            f"cannot be said: the calibration photos hold no {missing}, and {rule} weighs both against each other",
        )
    if not cuts.tp.any():
        return _Outcome(None, "cannot be said: nothing at all is found in any calibration photo with a vehicle")
    if rule == "best_f1":
        figure = 2 * cuts.tp / (cuts.tp + cuts.fp + cuts.vehicles)
        best = int(np.argmax(figure))
        return _Outcome(cuts.middle(best), f"highest F1 ({figure[best]:.4f}): {cuts.counts(best)}")
    # Whole numbers, so that equal figures are equal.
    better_than_chance = cuts.tp * cuts.backgrounds - cuts.fp * cuts.vehicles
    best = int(np.argmax(better_than_chance))
    if better_than_chance[best] <= 0:
        return _Outcome(
            None,
            "cannot be said: no threshold does better on the calibration photos than always answering the same",
        )
    figure = (1 + better_than_chance[best] / (cuts.vehicles * cuts.backgrounds)) / 2
    return _Outcome(cuts.middle(best), f"highest balanced accuracy ({figure:.4f}): {cuts.counts(best)}")


def _recall_at_least(cuts: _Cuts, value: float) -> _Outcome:
    if not cuts.vehicles:
        return _Outcome(None, "cannot be said: the calibration photos hold no vehicle")
    wanted = math.ceil(Fraction(str(value)) * cuts.vehicles)
    enough = np.flatnonzero(cuts.tp >= wanted)
    if not enough.size:
        return _Outcome(
            None,
            f"cannot be kept: even the lowest threshold finds only {cuts.tp[0]} of {cuts.vehicles} calibration photos "
            f"with a vehicle, {wanted} are wanted",
        )
    cut = int(enough[-1])
    return _Outcome(
        cuts.middle(cut),
        f"highest threshold with a recall of at least {percent(value)}: {cuts.counts(cut)}; "
        "no promise for other photos",
    )


def _false_alarms_at_most(cuts: _Cuts, value: float) -> _Outcome:
    if not cuts.backgrounds:
        return _Outcome(None, "cannot be said: the calibration photos hold no background")
    allowed = math.floor(Fraction(str(value)) * cuts.backgrounds)
    few = np.flatnonzero(cuts.fp <= allowed)
    if not few.size:
        return _Outcome(
            None,
            f"cannot be kept: even the highest threshold calls {cuts.fp[-1]} of {cuts.backgrounds} calibration "
            f"backgrounds a vehicle, {allowed} are allowed",
        )
    cut = int(few[0])
    return _Outcome(
        cuts.middle(cut),
        f"lowest threshold with at most {percent(value)} false alarms: {cuts.counts(cut)}; "
        "no promise for other photos",
    )


def _promised(promise: PromisedThreshold) -> _Outcome:
    return _Outcome(promise.threshold, promise.why, guarantee=None if promise.threshold is None else promise.why)


def _at_or_above(scores: NDArray[np.float32], thresholds: NDArray[np.float32]) -> NDArray[np.int64]:
    return (scores.size - np.searchsorted(np.sort(scores), thresholds, side="left")).astype(np.int64)
