"""The third answer: photos that the detector should not decide about go to a person.

Two thresholds. Below the lower one a photo is answered "no vehicle", at or above the upper one "vehicle", and between
them it goes to a person. The lower one keeps missed vehicles, the upper one false alarms under a rate, each by
`conformal` risk control on the calibration photos. A photo that goes to a person is neither missed nor a false alarm.

* If the two cross (the lower one may stand above the upper one), every single threshold between them keeps both
  promises, for a lower threshold never misses more and a higher one never alarms more. Then one threshold, halfway,
  serves both and no photo goes to a person.
* If a side cannot be promised, its answer is never given: those photos go to a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from wreckognize.catalog import ROLES, require_schema
from wreckognize.errors import UsageError
from wreckognize.evaluation.image_level import SCORE_SCHEMA, as_scores, is_called_vehicle
from wreckognize.evidence.conformal import (
    Groups,
    calibration_arrays,
    group_share,
    promise_false_alarms,
    promise_misses,
)
from wreckognize.evidence.intervals import Proportion, proportion
from wreckognize.settings import ToAPersonSettings

Answer = Literal["no_vehicle", "to_a_person", "vehicle"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThirdAnswer:
    """Two thresholds, and what each promises.

    Attributes:
        low: below it the answer is "no vehicle"; None: that answer is never given.
        high: at or above it the answer is "vehicle"; None: that answer is never given.
        misses_at_most: expected share of a group's vehicle photos answered "no vehicle", if ``low`` is not None.
        false_alarms_at_most: expected share of a group's backgrounds answered "vehicle", if ``high`` is not None.
        vehicle_groups: calibration groups that chose ``low``.
        background_groups: calibration groups that chose ``high``.
        why_low: what ``low`` promises, or why there is none.
        why_high: what ``high`` promises, or why there is none.

    Raises:
        ValueError: ``low`` is above ``high``.
    """

    low: float | None
    high: float | None
    misses_at_most: float
    false_alarms_at_most: float
    vehicle_groups: int
    background_groups: int
    why_low: str
    why_high: str

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the lower threshold {self.low} is above the upper one {self.high}")

    def answers(self, scores: ArrayLike) -> NDArray[np.str_]:
        """``(N,)`` of `Answer`, one for each score; thresholds are compared as ``float32``.

        Raises:
            ValueError: a score is NaN.
        """
        values = as_scores(scores)
        answer = np.full(values.shape, "to_a_person")
        if self.low is not None:
            answer[~is_called_vehicle(values, self.low)] = "no_vehicle"
        if self.high is not None:
            answer[is_called_vehicle(values, self.high)] = "vehicle"
        return answer


@dataclass(frozen=True, slots=True)
class Answers:
    """Photos of one kind, and how many get each answer."""

    photos: int
    no_vehicle: int
    to_a_person: int
    vehicle: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ThirdAnswerFigures:
    """What the third answer does on the test photos.

    Attributes:
        all: every photo.
        by_role: the photos of each role.
        shows_vehicle: the photos that show a vehicle.
        shows_none: the photos that show none.
        to_a_person: share of all photos that go to a person.
        misses: share of the photos with a vehicle that are answered "no vehicle".
        false_alarms: share of the photos without one that are answered "vehicle".
        group_miss_share: mean over groups of the share of a group's vehicle photos missed: the figure that
            ``misses_at_most`` promises; None without a vehicle.
        group_false_alarm_share: mean over groups of the share of a group's backgrounds answered "vehicle", as promised
            by ``false_alarms_at_most``; None without a background.
    """

    all: Answers
    by_role: Mapping[str, Answers]
    shows_vehicle: Answers
    shows_none: Answers
    to_a_person: Proportion
    misses: Proportion
    false_alarms: Proportion
    group_miss_share: float | None
    group_false_alarm_share: float | None


def choose_third_answer(
    scores: ArrayLike, truth: NDArray[np.bool_], groups: Groups, settings: ToAPersonSettings
) -> ThirdAnswer:
    """Two thresholds from the calibration photos; see the module.

    Args:
        scores: ``(N,)`` of the calibration photos.
        truth: ``(N,)``, True where the photo shows a vehicle.
        groups: ``(N,)``, what names each photo's group.
        settings: the rates to be kept.

    Raises:
        ValueError: the arrays differ in length, or a score is NaN or outside 0 to 1.
    """
    lower = promise_misses(scores, truth, groups, settings.misses_at_most)
    upper = promise_false_alarms(scores, truth, groups, settings.false_alarms_at_most)
    low, high = lower.threshold, upper.threshold
    why_low, why_high = lower.why, upper.why
    if low is not None and high is not None and low > high:
        low = high = (low + high) / 2
        both = "one threshold keeps both promises, so no photo goes to a person"
        why_low, why_high = f"{why_low}; {both}", f"{why_high}; {both}"
    if low is None:
        why_low = f"{why_low}; so no photo is answered 'no vehicle', it goes to a person instead"
    if high is None:
        why_high = f"{why_high}; so no photo is answered 'vehicle', it goes to a person instead"
    return ThirdAnswer(
        low=low,
        high=high,
        misses_at_most=settings.misses_at_most,
        false_alarms_at_most=settings.false_alarms_at_most,
        vehicle_groups=lower.groups,
        background_groups=upper.groups,
        why_low=why_low,
        why_high=why_high,
    )


def third_answer_figures(
    scores: pl.DataFrame, groups: Groups, third: ThirdAnswer, *, level: float = 0.95
) -> ThirdAnswerFigures:
    """Count the answers on the test photos.

    Args:
        scores: ``SCORE_SCHEMA``, the test photos.
        groups: ``(N,)``, the group of each photo, in the order of ``scores``.
        third: chosen on the calibration photos, see `choose_third_answer`.
        level: of the intervals.

    Raises:
        ValueError: ``scores`` has other columns, ``groups`` another length, or a score is NaN or outside 0 to 1.
        UsageError: a photo has a role that is none of ``ROLES``.
    """
    require_schema(scores, SCORE_SCHEMA, "scores")
    values, vehicle, names = calibration_arrays(
        scores["score"].to_numpy(), scores["has_vehicle"].to_numpy(), groups
    )
    role = scores["role"].to_numpy()
    unknown = sorted(set(role.tolist()) - set(ROLES))
    if unknown:
        raise UsageError(f"photos have a role that is none of {', '.join(ROLES)}: {', '.join(unknown)}")
    answer = third.answers(values)
    missed, alarmed = (answer == "no_vehicle")[vehicle], (answer == "vehicle")[~vehicle]
    return ThirdAnswerFigures(
        all=_count(answer),
        by_role={name: _count(answer[role == name]) for name in ROLES},
        shows_vehicle=_count(answer[vehicle]),
        shows_none=_count(answer[~vehicle]),
        to_a_person=proportion(answer == "to_a_person", names, level),
        misses=proportion(missed, names[vehicle], level),
        false_alarms=proportion(alarmed, names[~vehicle], level),
        group_miss_share=group_share(missed, names[vehicle]),
        group_false_alarm_share=group_share(alarmed, names[~vehicle]),
    )


def _count(answer: NDArray[np.str_]) -> Answers:
    counts = {name: int((answer == name).sum()) for name in ANSWERS}
    return Answers(photos=answer.size, **counts)
