"""All figures of every system on the locked test set: what ``report/comparison.json`` holds.

The dataclasses have the fields of that file, in its order; None (``null``) stands for what cannot be said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar

import msgspec
import polars as pl

from wreckognize.errors import UsageError
from wreckognize.evaluation.box_level import TeacherAgreement, box_figures
from wreckognize.evaluation.image_level import (
    Found,
    FoundAt,
    FoundInSource,
    ImageFigures,
    PerClass,
    auc_damaged,
    by_damage_type,
    by_role,
    by_source,
    figures_at,
    found_at_false_alarms,
    photo_scores,
)
from wreckognize.evaluation.latency import Latency, LatencyContext

REPORTED_THRESHOLDS = (0.10, 0.25)
FALSE_ALARM_RATES = (0.01, 0.025, 0.05)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a system's weights come from.

    Attributes:
        recipe: the recipe it was made by.
        weights: name of the weights it started from.
        weights_sha256: of the weights that predicted.
        trained: whether this study trained it.
        epochs_run: epochs until training ended; None if not trained.
        train_seconds: time of the training; None if not trained.
        labels: origin -> labels it was trained on.
        random_weights: whether it started from random numbers instead of the published weights.
        threshold_rule: how its threshold was chosen.
        seed: of its training; None if not trained.
        seeds: how often the system was trained.
    """

    recipe: str
    weights: str
    weights_sha256: str
    trained: bool
    epochs_run: int | None = None
    train_seconds: float | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    random_weights: bool = False
    threshold_rule: str = "fixed"
    seed: int | None = None
    seeds: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFigures:
    """One row of the comparison. Counts and shares are those of `ImageFigures` at the system's own ``threshold``.

    Attributes:
        by_role: `Found` at ``threshold`` for each role (on background: false alarms).
        by_damage_type: `Found` at ``threshold`` for each damage type.
        by_source: `FoundInSource` at ``threshold`` for each source.
        at: the image figures at 0.10 and 0.25.
        found_at_false_alarms: for 1, 2.5 and 5 % false alarms; None where there are too few backgrounds.
        auc_damaged: area under the ROC, damaged against background.
        map50: mAP at IoU 0.5, on human boxes only.
        map50_95: mAP at IoU 0.50 to 0.95.
        box_truth: whose boxes ``map50`` and the like were measured against.
        box_precision: at the confidence of the highest F1, IoU 0.5.
        box_recall: at the same confidence.
        box_confidence: that confidence.
        box_photos: photos with box truth, those without a vehicle included.
        box_truth_boxes: vehicles that people drew on them.
        teacher_agreement: how far its boxes agree with the teacher's, which are no truth; None for the teacher.
        threshold_rule: how ``threshold`` was chosen, before the test set was opened.
        seed: of its training.
        seeds: trainings of this system; this is the first.
        ms_per_image: median milliseconds a photo, everything included.
        ms_p95: 95th percentile of the same.
        fps: photos a second.
    """

    name: str
    threshold: float
    tp: int
    fp: int
    fn: int
    tn: int
    accuracy: float | None
    precision: PerClass
    recall: PerClass
    f1: PerClass
    by_role: Mapping[str, Found]
    by_damage_type: Mapping[str, Found]
    by_source: Mapping[str, FoundInSource]
    at: Mapping[str, ImageFigures]
    found_at_false_alarms: Mapping[str, FoundAt | None]
    auc_damaged: float | None
    map50: float | None
    map50_95: float | None
    box_truth: Literal["human", "teacher", "none"]
    box_precision: float | None
    box_recall: float | None
    box_confidence: float | None
    box_photos: int
    box_truth_boxes: int
    ms_per_image: float | None
    ms_p95: float | None
    fps: float | None
    device: str | None
    threads: int | None
    precision_dtype: str | None
    imgsz: int | None
    engine: str | None
    recipe: str
    weights: str
    weights_sha256: str
    trained: bool
    epochs_run: int | None
    train_seconds: float | None
    labels: Mapping[str, int]
    random_weights: bool
    teacher_agreement: TeacherAgreement | None = None
    threshold_rule: str = "fixed"
    seed: int | None = None
    seeds: int = 1

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, keys in the order of the fields."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave; unknown fields are passed over.

        Raises:
            UsageError: a field is missing or has a wrong type; its path is named.
        """
        return _from_dict(values, cls)


@dataclass(frozen=True, slots=True)
class JudgedPhotos:
    """The test set that all systems were judged on.

    Attributes:
        photos: how many.
        vehicle: how many of them show a vehicle.
        background: how many do not.
        truth: what says so: the role of each photo, never a model.
    """

    photos: int
    vehicle: int
    background: int
    truth: str = "role"

    @classmethod
    def of(cls, photos: pl.DataFrame) -> Self:
        """Count a table of photos (``PHOTO_SCHEMA``)."""
        vehicle = int(photos["has_vehicle"].sum())
        return cls(photos.height, vehicle, photos.height - vehicle)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every system of a study on the same test set.

    Raises:
        ValueError: two systems share a name, or a system was judged on another number of vehicles or backgrounds.
    """

    study: str
    test: JudgedPhotos
    systems: tuple[SystemFigures, ...]

    def __post_init__(self) -> None:
        names = [system.name for system in self.systems]
        if len(set(names)) < len(names):
            raise ValueError(f"systems share a name: {names}")
        for system in self.systems:
            judged = (system.tp + system.fn, system.fp + system.tn)
            if judged != (self.test.vehicle, self.test.background):
                raise ValueError(
                    f"system {system.name!r} was judged on {judged[0]} vehicles and {judged[1]} backgrounds; "
                    f"the test set has {self.test.vehicle} and {self.test.background}"
                )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, keys in the order of the fields."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave; unknown fields are passed over.

        Raises:
            UsageError: a field is missing or has a wrong type; its path is named.
        """
        return _from_dict(values, cls)


def evaluate_system(
    name: str,
    photos: pl.DataFrame,
    boxes: pl.DataFrame,
    predictions: pl.DataFrame,
    *,
    threshold: float,
    provenance: Provenance,
    agreement: TeacherAgreement | None = None,
    latency: Latency | None = None,
    context: LatencyContext | None = None,
) -> SystemFigures:
    """All figures of one system.

    Args:
        name: the system's.
        photos: the test photos, ``PHOTO_SCHEMA``.
        boxes: the catalog's boxes, ``BOX_SCHEMA``.
        predictions: the system's on the test photos, ``PREDICTION_SCHEMA``.
        threshold: the system's own; 0.10 and 0.25 are reported too.
        provenance: where its weights come from.
        agreement: with the teacher's boxes, see `teacher_agreement`.
        latency: how long it takes; None if it was not timed.
        context: on what it ran.

    Raises:
        UsageError: predictions that do not belong to these photos or are not numbers, see `require_predictions`.
    """
    scores = photo_scores(photos, predictions)
    truth, score = scores["has_vehicle"].to_numpy(), scores["score"].to_numpy()
    image = figures_at(truth, score, threshold)
    result = box_figures(photos, boxes, predictions)
    box = result.figures if result else None
    return SystemFigures(
        name=name,
        threshold=image.threshold,
        tp=image.tp,
        fp=image.fp,
        fn=image.fn,
        tn=image.tn,
        accuracy=image.accuracy,
        precision=image.precision,
        recall=image.recall,
        f1=image.f1,
        by_role=by_role(scores, threshold),
        by_damage_type=by_damage_type(scores, threshold),
        by_source=by_source(scores, threshold),
        at={f"{value:.2f}": figures_at(truth, score, value) for value in REPORTED_THRESHOLDS},
        found_at_false_alarms={f"{rate:g}": found_at_false_alarms(scores, rate) for rate in FALSE_ALARM_RATES},
        auc_damaged=auc_damaged(scores),
        map50=box.map50 if box else None,
        map50_95=box.map50_95 if box else None,
        box_truth="human" if box else "none",
        box_precision=box.precision if box else None,
        box_recall=box.recall if box else None,
        box_confidence=box.confidence if box else None,
        box_photos=box.photos if box else 0,
        box_truth_boxes=box.truth_boxes if box else 0,
        ms_per_image=latency.median_ms if latency else None,
        ms_p95=latency.p95_ms if latency else None,
        fps=latency.fps if latency else None,
        device=context.device if context else None,
        threads=context.threads if context else None,
        precision_dtype=context.precision if context else None,
        imgsz=context.imgsz if context else None,
        engine=context.engine if context else None,
        recipe=provenance.recipe,
        weights=provenance.weights,
        weights_sha256=provenance.weights_sha256,
        trained=provenance.trained,
        epochs_run=provenance.epochs_run,
        train_seconds=provenance.train_seconds,
        labels=dict(sorted(provenance.labels.items())),
        random_weights=provenance.random_weights,
        teacher_agreement=agreement,
        threshold_rule=provenance.threshold_rule,
        seed=provenance.seed,
        seeds=provenance.seeds,
    )


def _to_dict(figures: SystemFigures | Comparison) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(figures)
    return values


def _from_dict(values: Mapping[str, Any], kind: type[_T]) -> _T:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"these are not the figures of a comparison: {error}",
            where="comparison",
            remedy="evaluate again with this version: wreckognize evaluate STUDY.yaml",
        ) from error
