"""What a trial came to on the photos it is judged on."""

from __future__ import annotations

import math

import polars as pl

from wreckognize.catalog import PREDICTION_SCHEMA
from wreckognize.errors import TrainingError
from wreckognize.evaluation.box_level import box_figures
from wreckognize.evaluation.curves import roc
from wreckognize.evaluation.image_level import auc_damaged, found_at_false_alarms, photo_scores
from wreckognize.settings import Objective

FALSE_ALARMS = 0.05

Figures = dict[Objective, float | None]
"""Each figure a search may look for; None where the photos cannot say it."""


def trial_figures(photos: pl.DataFrame, boxes: pl.DataFrame, predictions: pl.DataFrame) -> Figures:
    """All figures of one trial.

    Args:
        photos: ``PHOTO_SCHEMA``, those that are judged.
        boxes: ``BOX_SCHEMA``, what people drew.
        predictions: ``PREDICTION_SCHEMA`` on these photos.

    Raises:
        TrainingError: a confidence is not a number.
    """
    if predictions.filter(~pl.col("confidence").is_finite()).height:
        raise TrainingError("the trained network gives confidences that are no numbers")
    scores = photo_scores(photos, predictions)
    curve = roc(scores["has_vehicle"].to_numpy(), scores["score"].to_numpy())
    found = found_at_false_alarms(scores, FALSE_ALARMS)
    fit = box_figures(photos, boxes, predictions)
    return {
        "roc_area": auc_damaged(scores),
        "found_at_5_percent": found.damaged if found is not None else None,
        "balanced_accuracy": float((1 + curve.found_rate - curve.false_alarm_rate).max() / 2) if curve else None,
        "map50_95": fit.figures.map50_95 if fit is not None else None,
    }


def missing_for(objective: Objective, photos: pl.DataFrame, boxes: pl.DataFrame) -> str:
    """What the judged photos lack for an objective, in words; empty if nothing."""
    roles = dict(photos.group_by("role").len().iter_rows())
    damaged, backgrounds = roles.get("damaged", 0), roles.get("background", 0)
    vehicles = int(photos["has_vehicle"].sum())
    if objective == "map50_95":
        drawn = box_figures(photos, boxes, pl.DataFrame(schema=PREDICTION_SCHEMA))
        return "" if drawn is not None else "none has a box that a person drew"
    needed = math.ceil(1 / FALSE_ALARMS) if objective == "found_at_5_percent" else 1
    if backgrounds < needed:
        return f"{backgrounds} show no vehicle, and {needed} must"
    if objective == "balanced_accuracy":
        return "" if vehicles else "none shows a vehicle"
    return "" if damaged else "none is of the role damaged"
