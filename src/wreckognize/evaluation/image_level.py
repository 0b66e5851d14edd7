"""Vehicle or not, photo by photo: what a system decides, and how often it is right.

A photo's score is the highest confidence of its predictions, 0 where it has none. The decision is *vehicle* if the
score is at or above the threshold. Confidences are stored as ``float32``, so scores and thresholds are both
compared as ``float32``: a box of confidence 0.1 counts at the threshold 0.10, although ``float32(0.1)`` and
Python's ``0.1`` are different numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from wreckognize.catalog import (
    DAMAGE_TYPES,
    PHOTO_SCHEMA,
    PREDICTION_SCHEMA,
    ROLES,
    require_schema,
)
from wreckognize.errors import UsageError

SCORE_SCHEMA = pl.Schema(
    {name: PHOTO_SCHEMA[name] for name in ("photo", "source", "role", "damage_types", "claim", "has_vehicle")}
    | {"score": pl.Float32}
)
"""One row a test photo, sorted by ``photo``."""


@dataclass(frozen=True, slots=True)
class PerClass:
    """One figure for each of the two classes; None where it cannot be said (0/0)."""

    vehicle: float | None
    non_vehicle: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFigures:
    """The confusion matrix at one threshold and what follows from it; made by `from_counts`.

    Attributes:
        threshold: a photo is called a vehicle if its score is at or above this.
        tp: vehicles called vehicle.
        fp: photos without a vehicle called vehicle (false alarms).
        fn: vehicles missed.
        tn: photos without a vehicle called so.
        accuracy: share of right decisions. Like precision and F1 it weighs vehicles against photos without one, and
            is None where the photos lack either: 100 % would say only that nobody asked.
        precision: of the photos called so, the share that is so.
        recall: of the photos that are so, the share called so.
        f1: harmonic mean of precision and recall, ``2 tp / (2 tp + fp + fn)``.
    """

    threshold: float
    tp: int
    fp: int
    fn: int
    tn: int
    accuracy: float | None
    precision: PerClass
    recall: PerClass
    f1: PerClass

    @classmethod
    def from_counts(cls, threshold: float, *, tp: int, fp: int, fn: int, tn: int) -> Self:
        """Derive every figure from the four counts; what cannot be said (0/0, or one class only) is None.

        >>> ImageFigures.from_counts(0.1, tp=3, fp=1, fn=0, tn=0).precision
        PerClass(vehicle=0.75, non_vehicle=None)
        >>> ImageFigures.from_counts(0.1, tp=3, fp=0, fn=0, tn=0).precision
        PerClass(vehicle=None, non_vehicle=None)
        """
        both = tp + fn > 0 and fp + tn > 0
        nothing = PerClass(None, None)
        return cls(
            threshold=threshold,
            tp=tp,
            fp=fp,
            fn=fn,
            tn=tn,
            accuracy=_share(tp + tn, tp + fp + fn + tn) if both else None,
            precision=PerClass(_share(tp, tp + fp), _share(tn, tn + fn)) if both else nothing,
            recall=PerClass(_share(tp, tp + fn), _share(tn, tn + fp)),
            f1=PerClass(_share(2 * tp, 2 * tp + fp + fn), _share(2 * tn, 2 * tn + fn + fp)) if both else nothing,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """Photos of one kind, and how many have a score at or above the threshold (on background: false alarms)."""

    photos: int
    found: int


@dataclass(frozen=True, slots=True)
class FoundInSource:
    """`Found` for one source, with the role of its photos."""

    role: str
    photos: int
    found: int


@dataclass(frozen=True, slots=True)
class FoundAt:
    """Shares (0 to 1) of damaged and normal photos found at a threshold; None where the test has none of them."""

    threshold: float
    damaged: float | None
    normal: float | None


def require_predictions(photos: pl.DataFrame, predictions: pl.DataFrame) -> None:
    """Check that predictions belong to these photos and are numbers that figures can be made of.

    Args:
        photos: ``PHOTO_SCHEMA``.
        predictions: ``PREDICTION_SCHEMA``.

    Raises:
        ValueError: a table has other columns.
        UsageError: a prediction names a photo that is not among ``photos``, has a confidence outside 0 to 1 (NaN
            included), or a side that is not a finite number; the photos are named.
    """
    require_schema(photos, PHOTO_SCHEMA, "photos")
    require_schema(predictions, PREDICTION_SCHEMA, "predictions")
    _refuse(
        predictions.join(photos, on="photo", how="anti"),
        "name photos that are not in the test set",
        "predict this split again; the predictions were made for other photos",
    )
    _refuse(
        predictions.filter(~pl.col("confidence").is_between(0, 1).fill_null(False)),
        "have a confidence that is not a number from 0 to 1",
        "predict again; if it comes back, the weights are damaged",
    )
    finite = pl.all_horizontal(pl.col("x1", "y1", "x2", "y2").is_finite().fill_null(False))
    _refuse(
        predictions.filter(~finite),
        "have a side that is not a finite number",
        "predict again; if it comes back, the weights are damaged",
    )


def photo_scores(photos: pl.DataFrame, predictions: pl.DataFrame) -> pl.DataFrame:
    """Each photo's score: the highest confidence of its predictions, 0 where it has none.

    Args:
        photos: the photos to judge, ``PHOTO_SCHEMA``.
        predictions: a system's predictions on them, ``PREDICTION_SCHEMA``.

    Returns:
        ``SCORE_SCHEMA``, one row a photo, sorted by ``photo``.

    Raises:
        UsageError: see `require_predictions`.
    """
    require_predictions(photos, predictions)
    best = predictions.group_by("photo").agg(pl.col("confidence").max().alias("score"))
    return (
        photos.join(best, on="photo", how="left")
        .with_columns(pl.col("score").fill_null(0.0))
        .select(SCORE_SCHEMA.names())
        .sort("photo")
    )


def as_scores(values: ArrayLike) -> NDArray[np.float32]:
    """``values`` as the ``float32`` that every decision and curve is made on.

    Raises:
        ValueError: a value is NaN; such a photo would be "not a vehicle" at every threshold.
    """
    scores = np.asarray(values, dtype=np.float32)
    missing = int(np.isnan(scores).sum())
    if missing:
        raise ValueError(f"{missing} of {scores.size} scores are NaN; scores must be numbers from 0 to 1")
    return scores


def is_called_vehicle(score: ArrayLike, threshold: float) -> NDArray[np.bool_]:
    """The decision: ``score >= threshold``, both as ``float32``.

    >>> is_called_vehicle(np.float32([0.1, 0.0999]), 0.10).tolist()
    [True, False]
    """
    called: NDArray[np.bool_] = as_scores(score) >= np.float32(threshold)
    return called


def figures_at(truth: NDArray[np.bool_], score: NDArray[np.floating[Any]], threshold: float) -> ImageFigures:
    """The figures at one threshold.

    Args:
        truth: ``(N,)``, True where the photo shows a vehicle.
        score: ``(N,)``.
        threshold: compared as ``float32``; kept in the result as given.

    Raises:
        ValueError: the arrays differ in length, or a score is NaN.
    """
    if truth.shape != score.shape:
        raise ValueError(f"truth has shape {truth.shape} and score {score.shape}; they must be the same photos")
    called = is_called_vehicle(score, threshold)
    return ImageFigures.from_counts(
        threshold,
        tp=int((truth & called).sum()),
        fp=int((~truth & called).sum()),
        fn=int((truth & ~called).sum()),
        tn=int((~truth & ~called).sum()),
    )


def by_role(scores: pl.DataFrame, threshold: float) -> dict[str, Found]:
    """`Found` for each of the three roles, in the order of ``ROLES``; a role without photos has zeros."""
    counted = _count(scores, "role", threshold)
    return {role: counted.get(role, Found(0, 0)) for role in ROLES}


def by_damage_type(scores: pl.DataFrame, threshold: float) -> dict[str, Found]:
    """`Found` for each damage type in the photos; a photo with several types counts under each."""
    typed = scores.explode("damage_types").drop_nulls("damage_types")
    counted = _count(typed, "damage_types", threshold)
    known = [name for name in DAMAGE_TYPES if name in counted]
    return {name: counted[name] for name in known + sorted(counted.keys() - set(known))}


def by_source(scores: pl.DataFrame, threshold: float) -> dict[str, FoundInSource]:
    """`FoundInSource` for each source, sorted by name.

    Photos whose role a reviewer corrected stand apart from the others of their source, as ``NAME (ROLE)``: found
    vehicles and false alarms must not be added up.
    """
    most = (
        scores.group_by("source", "role")
        .agg(pl.len().alias("photos"))
        .sort("source", "photos", "role", descending=[False, True, False])
        .group_by("source", maintain_order=True)
        .agg(pl.col("role").first().alias("usual"))
    )
    apart = pl.format("{} ({})", "source", "role")
    named = scores.join(most, on="source", how="left", maintain_order="left").with_columns(
        name=pl.when(pl.col("role") == pl.col("usual")).then("source").otherwise(apart)
    )
    roles = dict(named.select("name", "role").iter_rows())
    counted = _count(named, "name", threshold)
    return {
        name: FoundInSource(roles[name], counted[name].photos, counted[name].found) for name in sorted(counted)
    }


def found_at_false_alarms(scores: pl.DataFrame, rate: float) -> FoundAt | None:
    """What is found where at most a share ``rate`` of the backgrounds is called a vehicle.

    Args:
        scores: ``SCORE_SCHEMA``.
        rate: the share of false alarms allowed, above 0 and at most 1.

    Returns:
        The lowest threshold that keeps to the rate (just above the score of the best background that must stay
        out, so backgrounds of equal score stay out together), and the shares found there. None where there are
        fewer than ``1 / rate`` backgrounds: a single false alarm would already break the rate.

    Raises:
        ValueError: ``rate`` is not above 0 and at most 1.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"the rate of false alarms is {rate}; it must be above 0 and at most 1")
    background = np.sort(_scores_of(scores, "background"))[::-1]
    # In exact decimals: 0.29 * 100 is 28.999999999999996 in binary.
    allowed = int(Fraction(str(rate)) * background.size)
    if allowed < 1:
        return None
    threshold = float(_just_above(background[allowed])) if allowed < background.size else 0.0
    return FoundAt(
        threshold,
        damaged=_share_found(_scores_of(scores, "damaged"), threshold),
        normal=_share_found(_scores_of(scores, "normal"), threshold),
    )


def auc_damaged(scores: pl.DataFrame) -> float | None:
    """Area under the full ROC of score, damaged against background.

    It is the chance that a damaged car scores higher than a background, ties counted half (Mann-Whitney; Hanley
    and McNeil 1982, *Radiology* 143). None where the test has no damaged photo or no background.
    """
    damaged = _scores_of(scores, "damaged")
    background = np.sort(_scores_of(scores, "background"))
    if not damaged.size or not background.size:
        return None
    below = np.searchsorted(background, damaged, side="left")
    not_above = np.searchsorted(background, damaged, side="right")
    return float((below + not_above).sum() / (2 * damaged.size * background.size))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _share_found(score: NDArray[np.float32], threshold: float) -> float | None:
    return _share(int(is_called_vehicle(score, threshold).sum()), score.size)


def _just_above(score: np.float32) -> np.float32:
    # Never a subnormal: some libraries switch the processor to read those as 0, and 0 >= 0 would count.
    return max(np.nextafter(score, np.float32(np.inf)), np.finfo(np.float32).tiny)


def _scores_of(scores: pl.DataFrame, role: str) -> NDArray[np.float32]:
    return as_scores(scores.filter(pl.col("role") == role)["score"].to_numpy())


def _count(scores: pl.DataFrame, column: str, threshold: float) -> dict[str, Found]:
    called = pl.Series("called", is_called_vehicle(scores["score"].to_numpy(), threshold))
    counted = (
        scores.with_columns(called)
        .group_by(column)
        .agg(pl.len().alias("photos"), pl.col("called").sum().alias("found"))
    )
    return {name: Found(photos, found) for name, photos, found in counted.iter_rows()}


def _refuse(rows: pl.DataFrame, what: str, remedy: str, named: int = 5) -> None:
    if rows.is_empty():
        return
    names = rows["photo"].unique().sort()
    shown = ", ".join(map(repr, names.head(named).to_list()))
    more = f" and {len(names) - named} more" if len(names) > named else ""
    raise UsageError(f"{len(rows)} predictions {what}: {shown}{more}", where="predictions", remedy=remedy)
