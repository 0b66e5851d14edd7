"""Label policies: which boxes each train and val photo gets, where they come from, and what is left out.

A photo takes its boxes from the first of these that has any:

    damaged      human boxes (where ``human`` is set), then
                 policy ``damage``: its damage boxes
                 policy ``hybrid``: the teacher's, else the fallback: ``damage`` boxes one by one,
                 ``union``: one box round them, ``frame``: one box over the whole photo,
                 ``leave_out``: none, so that the photo is left out
    normal       human boxes (where ``human`` is set), then the teacher's
    background   none: an empty label

A photo for which nothing is found is left out and counted: without a box it would teach the detector that its
vehicle is background.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from wreckognize.catalog import (
    BOX_SCHEMA,
    DAMAGE_TYPES,
    LABEL_SCHEMA,
    PHOTO_SCHEMA,
    PREDICTION_SCHEMA,
    SPLIT_SCHEMA,
    VEHICLE,
    require_schema,
)
from wreckognize.labeling.limits import apply_limits
from wreckognize.settings import LabelSettings

OUTCOME_SCHEMA = pl.Schema(
    {
        "photo": pl.String,
        "split": pl.String,
        "role": pl.String,
        "outcome": pl.String,  # labelled, background (an empty label), left_out
        "reason": pl.String,  # why it was left out, else empty
        "origin": pl.String,  # of its boxes: human, teacher, damage, frame; null without boxes
        "boxes": pl.UInt32,
    }
)

_CORNERS = ("x1", "y1", "x2", "y2")
_PREFERENCE = {"human": 0, "teacher": 1, "damage": 2, "frame": 3}


@dataclass(frozen=True, slots=True)
class LabelResult:
    """The labels of one system.

    Attributes:
        labels: ``LABEL_SCHEMA``, sorted by photo, then confidence (highest first), then corners.
        photos: ``OUTCOME_SCHEMA``, every train and val photo once, sorted by photo.
        boxes_outside: boxes that could have been labels but have no area within their photo's frame.
    """

    labels: pl.DataFrame
    photos: pl.DataFrame
    boxes_outside: int

    def summary(self) -> pl.DataFrame:
        """Count ``photos`` and ``boxes`` by ``split, role, outcome, reason, origin``, sorted by these."""
        keys = ["split", "role", "outcome", "reason", "origin"]
        return (
            self.photos.group_by(keys)
            .agg(photos=pl.len(), boxes=pl.col("boxes").sum())
            .sort(keys, nulls_last=False)
        )


def make_labels(
    photos: pl.DataFrame,
    split: pl.DataFrame,
    boxes: pl.DataFrame,
    teacher_predictions: pl.DataFrame,
    settings: LabelSettings,
    limits: Mapping[str, int],
    *,
    seed: int,
) -> LabelResult:
    """Label the train and val photos of one system.

    Limits come first, so that two systems with the same limits draw the same photos whatever their policies; a
    photo that then has no box is not replaced by another.

    Args:
        photos: ``PHOTO_SCHEMA``.
        split: ``SPLIT_SCHEMA``; photos in test or held back are never labelled.
        boxes: ``BOX_SCHEMA``, as the sources gave them.
        teacher_predictions: ``PREDICTION_SCHEMA``; those below ``settings.confidence`` are not used.
        settings: the policy.
        limits: role or source name -> photos of train and val.
        seed: of the study.
    """
    require_schema(photos, PHOTO_SCHEMA, "photos")
    require_schema(split, SPLIT_SCHEMA, "split")
    require_schema(boxes, BOX_SCHEMA, "boxes")
    require_schema(teacher_predictions, PREDICTION_SCHEMA, "teacher predictions")

    study = split.filter(pl.col("split").is_in(["train", "val"])).join(photos, on="photo", how="inner")
    limited = study.join(apply_limits(study, limits, seed=seed), on="photo")
    usable = limited.filter(pl.col("reason") == "", pl.col("role") != "background")

    candidates = _candidates(usable, boxes, teacher_predictions, settings)
    found = candidates.filter(pl.col("x2") > pl.col("x1"), pl.col("y2") > pl.col("y1"))
    preference = pl.col("origin").replace_strict(_PREFERENCE, return_dtype=pl.Int8)
    wanted = found.filter(preference == preference.min().over("photo"))
    if settings.fallback == "union" and settings.policy == "hybrid":
        wanted = _one_box_round_damage(wanted)

    labels = (
        wanted.join(study.select("photo", "split"), on="photo")
        .with_columns(kind=pl.lit(VEHICLE))
        .select(LABEL_SCHEMA.names())
        .sort("photo", "confidence", *_CORNERS, descending=[False, True, *[False] * 4], nulls_last=True)
    )
    return LabelResult(
        labels=labels,
        photos=_outcomes(limited, labels, settings),
        boxes_outside=len(candidates) - len(found),
    )


def _tried(role: str, settings: LabelSettings) -> list[str]:
    """The origins that photos of a role may take their boxes from, best first."""
    human = ["human"] if settings.human else []
    if role == "normal":
        return [*human, "teacher"]
    if settings.policy == "damage":
        return [*human, "damage"]
    fallback = {"frame": ["frame"], "leave_out": []}.get(settings.fallback, ["damage"])
    return [*human, "teacher", *fallback]


def _candidates(
    usable: pl.DataFrame, boxes: pl.DataFrame, teacher_predictions: pl.DataFrame, settings: LabelSettings
) -> pl.DataFrame:
    """Every box that a label could be made of, cut to the frame: ``photo``, corners, ``confidence, origin``."""
    no_confidence = pl.lit(None, dtype=pl.Float32).alias("confidence")
    whole_vehicles = boxes.filter(pl.col("kind") == VEHICLE, pl.col("origin") == "human", ~pl.col("crowd"))
    sources = {
        "human": whole_vehicles.with_columns(no_confidence),
        # In float32, like the predictions: a box at exactly the threshold is in.
        "teacher": teacher_predictions.filter(
            pl.col("confidence") >= pl.lit(settings.confidence, dtype=pl.Float32)
        ),
        "damage": boxes.filter(pl.col("kind").is_in(DAMAGE_TYPES)).with_columns(no_confidence),
        "frame": usable.select(
            "photo",
            no_confidence,
            x1=pl.lit(0, dtype=pl.Float32),
            y1=pl.lit(0, dtype=pl.Float32),
            x2=pl.col("width").cast(pl.Float32),
            y2=pl.col("height").cast(pl.Float32),
        ),
    }
    tables = []
    for origin, table in sources.items():
        roles = [role for role in ("damaged", "normal") if origin in _tried(role, settings)]
        photos = usable.filter(pl.col("role").is_in(roles)).select("photo", "width", "height")
        tables.append(
            table.join(photos, on="photo")
            .with_columns(pl.col("x1", "x2").clip(0, pl.col("width").cast(pl.Float32)))
            .with_columns(pl.col("y1", "y2").clip(0, pl.col("height").cast(pl.Float32)))
            .select("photo", *_CORNERS, "confidence", origin=pl.lit(origin))
        )
    return pl.concat(tables)


def _one_box_round_damage(wanted: pl.DataFrame) -> pl.DataFrame:
    """Put the damage boxes of each photo into the one box that encloses them."""
    is_damage = pl.col("origin") == "damage"
    enclosing = (
        wanted.filter(is_damage)
        .group_by("photo", "origin")
        .agg(pl.col("x1", "y1").min(), pl.col("x2", "y2").max(), pl.col("confidence").first())
        .select(wanted.columns)
    )
    return pl.concat([wanted.filter(~is_damage), enclosing])


def _outcomes(limited: pl.DataFrame, labels: pl.DataFrame, settings: LabelSettings) -> pl.DataFrame:
    """What became of every train and val photo, ``OUTCOME_SCHEMA``."""
    without = {
        role: f"{role} photo without a {_either(_tried(role, settings))} box" for role in ("damaged", "normal")
    }
    labelled, limit = pl.col("boxes") > 0, pl.col("reason") != ""
    background = pl.col("role") == "background"
    return (
        limited.join(
            labels.group_by("photo").agg(pl.col("origin").first(), boxes=pl.len()), on="photo", how="left"
        )
        .with_columns(pl.col("boxes").fill_null(0).cast(pl.UInt32))
        .with_columns(
            outcome=pl.when(limit)
            .then(pl.lit("left_out"))
            .when(background)
            .then(pl.lit("background"))
            .when(labelled)
            .then(pl.lit("labelled"))
            .otherwise(pl.lit("left_out")),
            reason=pl.when(limit | background | labelled)
            .then("reason")
            .otherwise(pl.col("role").replace_strict(without, default="", return_dtype=pl.String)),
        )
        .select(OUTCOME_SCHEMA.names())
        .sort("photo")
    )


def _either(names: Sequence[str]) -> str:
    *firsts, last = names
    return f"{', '.join(firsts)} or {last}" if firsts else last
