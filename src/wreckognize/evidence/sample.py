"""What is judged: a locked test set, what each system said of its photos, and its figures in every bootstrap draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wreckognize.catalog import ROLES
from wreckognize.errors import UsageError
from wreckognize.evidence.box_bootstrap import MatchedBoxes, average_precisions
from wreckognize.evidence.resampling import Draws, draw_groups, in_chunks, majority_strata, number_groups
from wreckognize.evidence.weighted import DECISION_FIGURES, Ranking, Table

FALSE_ALARM_RATES = (0.05, 0.025, 0.01)
MAP = "map50_95"
ROC_AREA = "roc_area"

_CHUNK = 250  # draws at a time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SystemSample:
    """What one system said of the test photos; one row for each time it was trained.

    Attributes:
        name: the system's.
        score: ``(k, N)``.
        called: ``(k, N)``: whether each photo is called a vehicle at that training's frozen threshold.
        trained: whether this study trained it. A system that was not has no spread between trainings.
        boxes: its matched boxes, ``k`` of them; None where no photo has human boxes.
    """

    name: str
    score: NDArray[np.float32]
    called: NDArray[np.bool_]
    trained: bool = True
    boxes: Sequence[MatchedBoxes] | None = None

    @property
    def seeds(self) -> int:
        """How often it was trained."""
        return len(self.score)

    def share_called(self) -> NDArray[np.float64]:
        """The share of trainings that call each photo a vehicle, ``(N,)``."""
        share: NDArray[np.float64] = self.called.mean(axis=0)
        return share


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LockedSet:
    """The test photos and the bootstrap over their groups; made by `of`.

    Attributes:
        truth: ``(N,)``, whether the photo shows a vehicle.
        role: ``(N,)``.
        groups: ``(N,)``, numbered from 0.
        count: how many groups.
        weights: ``(draws, G)``.
        level: of confidence.
        seed: of everything drawn.
    """

    truth: NDArray[np.bool_]
    role: NDArray[Any]
    groups: NDArray[np.intp]
    count: int
    weights: Draws
    level: float
    seed: int

    @classmethod
    def of(
        cls,
        truth: NDArray[np.bool_],
        role: NDArray[Any],
        groups: NDArray[Any],
        *,
        level: float,
        draws: int,
        seed: int,
    ) -> LockedSet:
        """Check the photos and draw.

        Raises:
            UsageError: there is no photo.
            ValueError: the arrays differ in length, a role is unknown or contradicts the truth, or ``level`` or
                ``draws`` are of no use.
        """
        if not truth.size:
            raise UsageError("the test set has no photo", where="test set", remedy="raise split.test")
        if not (truth.shape == role.shape == groups.shape) or truth.ndim != 1:
            raise ValueError(f"truth {truth.shape}, role {role.shape} and groups {groups.shape} must be one list")
        if unknown := sorted(set(np.unique(role).tolist()) - set(ROLES)):
            raise ValueError(f"unknown roles {unknown}; expected {ROLES}")
        if np.any(truth != (role != "background")):
            raise ValueError("truth must be True for damaged and normal photos and False for background")
        if not 0 < level < 1:
            raise ValueError(f"the level of confidence is {level}; it must lie between 0 and 1")
        if (draws + 1) * (1 - level) / 2 < 1:
            raise ValueError(f"{draws} draws are too few for intervals of {level:g}")
        numbers, count = number_groups(groups)
        weights = draw_groups(majority_strata(truth, numbers), draws, seed)
        return cls(truth=truth, role=role, groups=numbers, count=count, weights=weights, level=level, seed=seed)

    def of_role(self, role: str) -> NDArray[np.bool_]:
        """``(N,)``, whether the photo has this role."""
        return np.asarray(self.role == role)

    def groups_in(self, photos: NDArray[np.bool_]) -> int:
        """How many groups these photos belong to; ``photos`` is ``(N,)``."""
        return int(np.unique(self.groups[photos]).size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """A system's figures, in the test set as it is and in every draw. NaN stands for what cannot be said.

    Attributes:
        sample: the system.
        seeds: name of the figure -> ``(k,)``, its value for each training.
        drawn: name of the figure -> ``(draws,)``, averaged over trainings.
    """

    sample: SystemSample
    seeds: dict[str, NDArray[np.float64]]
    drawn: dict[str, NDArray[np.float64]]


def found_at(rate: float) -> str:
    """The name of the figure: the share of damaged vehicles found at a rate of false alarms.

    >>> found_at(0.025)
    'damaged_found_at_0.025'
    """
    return f"damaged_found_at_{rate:g}"


def one_photo(test: LockedSet, figure: str, boxed: int = 0) -> float:
    """How far one photo moves a figure, at most: what trainings that differ by less than a photo cannot show.

    Args:
        test: the photos.
        figure: its name.
        boxed: photos with human boxes, on which mAP is measured.
    """
    vehicle, background = int(test.truth.sum()), int((~test.truth).sum())
    damaged, normal = (int(test.of_role(role).sum()) for role in ("damaged", "normal"))
    photos: dict[str, float] = {
        "accuracy": vehicle + background,
        "damaged_found": damaged,
        "normal_found": normal,
        "false_alarms": background,
        "balanced_accuracy": 2 * min(vehicle, background),
        "mcc": min(vehicle, background),
        ROC_AREA: 2 * min(damaged, background),  # from the middle of the other photos to their end
        MAP: boxed,
    }
    photos |= {found_at(rate): damaged for rate in FALSE_ALARM_RATES}
    return 1 / max(1.0, photos.get(figure, vehicle))  # recall, precision, F1: of the vehicles


def require_sample(sample: SystemSample, photos: int) -> None:
    """Check that a system's scores are numbers and belong to these photos.

    Raises:
        UsageError: a score is NaN; the system is named.
        ValueError: an array has another shape.
    """
    shape = (sample.seeds, photos)
    if sample.score.ndim != 2 or sample.score.shape != shape or not sample.seeds or sample.called.shape != shape:
        raise ValueError(
            f"system {sample.name!r}: score {sample.score.shape} and called {sample.called.shape} must both have a row"
            f" for each training and a column for each of the {photos} photos"
        )
    if sample.boxes is not None and len(sample.boxes) != sample.seeds:
        raise ValueError(f"system {sample.name!r}: {len(sample.boxes)} matched boxes for {sample.seeds} trainings")
    for boxes in sample.boxes or ():
        if boxes.judged.size != photos:
            raise ValueError(f"system {sample.name!r}: its boxes are of {boxes.judged.size} photos, not {photos}")
    missing = int(np.isnan(sample.score).sum())
    if missing:
        raise UsageError(
            f"{missing} of {sample.score.size} scores of system {sample.name!r} are NaN",
            where=f"system {sample.name!r}",
            remedy="predict again; if it comes back, the weights are damaged",
        )


def measure(test: LockedSet, sample: SystemSample) -> Measured:
    """All bootstrapped figures of one system, and its value in each for every training."""
    tables = [Table.of(test.truth, called, test.groups, test.count) for called in sample.called]
    damaged, background = test.of_role("damaged"), test.of_role("background")
    rankings = [Ranking.of(score, damaged, background, test.groups, test.count) for score in sample.score]

    def figures(weights: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        """Name -> ``(k, draws)``."""
        counts = [table.counts(weights) for table in tables]
        found = {name: np.stack([make(each) for each in counts]) for name, make in DECISION_FIGURES.items()}
        ranked = [ranking.figures(weights, FALSE_ALARM_RATES) for ranking in rankings]
        found[ROC_AREA] = np.stack([area for area, _ in ranked])
        for rate in FALSE_ALARM_RATES:
            found[found_at(rate)] = np.stack([at[rate] for _, at in ranked])
        return found

    seeds = {name: values[:, 0] for name, values in figures(np.ones((test.count, 1), np.float32)).items()}
    drawn = {name: np.empty(test.weights.shape[0]) for name in seeds}
    for place, weights in in_chunks(test.weights, _CHUNK):
        for name, values in figures(np.ascontiguousarray(weights.T, dtype=np.float32)).items():
            drawn[name][place] = values.mean(axis=0)
    if sample.boxes is not None:
        once = np.ones((1, test.count), np.uint8)
        averages = [average_precisions(boxes, test.groups, once)[0] for boxes in sample.boxes]
        seeds[MAP] = np.array([each.mean() for each in averages])
        draws = [average_precisions(boxes, test.groups, test.weights).mean(axis=1) for boxes in sample.boxes]
        drawn[MAP] = np.mean(draws, axis=0)
    return Measured(sample=sample, seeds=seeds, drawn=drawn)
