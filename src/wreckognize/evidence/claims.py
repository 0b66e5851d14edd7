"""One decision for each claim, from all its photos.

Three rules, each at a system's threshold:

* ``any``: vehicle if any photo of the claim is called a vehicle. Finds most; also alarms most, the more photos a claim
  has.
* ``majority``: vehicle if at least half of its photos are. A tie counts as vehicle, since a miss costs more here than
  a look.
* ``mean_top_two``: vehicle if the mean of its two highest scores is at or above the threshold.

A claim of one photo gets that photo's decision under every rule.

Truth: a claim shows a vehicle if any of its photos does. The photos of a claim should agree; where they do not, the
claim is counted as mixed.

Photos without a claim: a background is counted as a claim of one photo, for backgrounds have no claims and false alarms
could not be said otherwise; a photo with a vehicle is left out and counted, unless ``lone_vehicles`` is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.catalog import require_schema
from wreckognize.evaluation.image_level import SCORE_SCHEMA, ImageFigures, as_scores, is_called_vehicle
from wreckognize.evidence.intervals import Proportion, proportion

ClaimRule = Literal["any", "majority", "mean_top_two"]
CLAIM_RULES: tuple[ClaimRule, ...] = get_args(ClaimRule)

DECISION_SCHEMA = pl.Schema(
    {
        "claim": pl.String,  # null where one photo without a claim stands for itself
        "photo": pl.String,  # the first of the claim's photos by name; it leads to the group
        "photos": pl.UInt32,
        "has_vehicle": pl.Boolean,
        "mixed": pl.Boolean,  # some of its photos show a vehicle, others none
        "called": pl.Boolean,
    }
)
"""One row a claim, sorted by ``photo``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFigures:
    """How often claims are decided rightly under one rule.

    Attributes:
        rule: how the photos of a claim give one decision.
        claims: how many there are, lone photos included.
        photos: photos in them.
        several: claims of more than one photo; only in these can the rules differ.
        mixed: claims of which some photos show a vehicle and others none; their truth is vehicle.
        lone_backgrounds: of ``claims``, backgrounds without a claim, each counted as a claim of one photo.
        lone_vehicles: of ``claims``, photos with a vehicle and without a claim, each counted as a claim of one photo.
        left_out: photos with a vehicle and without a claim that are not counted.
        figures: of the claims, as they are made for photos.
        recall: of the claims that show a vehicle, the share called one.
        false_alarms: of the other claims, the share called a vehicle.
        accuracy: share of right decisions.
        note: what the figures rest on, in words.
    """

    rule: ClaimRule
    claims: int
    photos: int
    several: int
    mixed: int
    lone_backgrounds: int
    lone_vehicles: int
    left_out: int
    figures: ImageFigures
    recall: Proportion
    false_alarms: Proportion
    accuracy: Proportion
    note: str


def claim_decisions(
    scores: pl.DataFrame, threshold: float, rule: ClaimRule, *, lone_vehicles: bool = False
) -> pl.DataFrame:
    """Decide each claim.

    Args:
        scores: ``SCORE_SCHEMA``. A null or empty ``claim`` is none; claims of one name are one claim across sources.
        threshold: the system's; compared as ``float32``.
        rule: see the module.
        lone_vehicles: count a photo with a vehicle and without a claim as a claim of one photo, too.

    Returns:
        ``DECISION_SCHEMA``.

    Raises:
        ValueError: ``scores`` has other columns, the rule is unknown, or a score is NaN.
    """
    require_schema(scores, SCORE_SCHEMA, "scores")
    if rule not in CLAIM_RULES:
        raise ValueError(f"the rule for claims is {rule!r}; it must be one of {', '.join(CLAIM_RULES)}")
    as_scores(scores["score"].to_numpy())
    named = pl.col("claim").is_not_null() & (pl.col("claim") != "")
    wanted = scores if lone_vehicles else scores.filter(named | ~pl.col("has_vehicle"))
    claims = (
        wanted.with_columns(
            claim=pl.when(named).then("claim"),
            called=pl.Series(is_called_vehicle(wanted["score"].to_numpy(), threshold), dtype=pl.Boolean),
            lone=pl.when(~named).then("photo"),
        )
        .group_by("claim", "lone")
        .agg(
            photo=pl.col("photo").min(),
            photos=pl.len(),
            has_vehicle=pl.col("has_vehicle").any(),
            mixed=pl.col("has_vehicle").any() & ~pl.col("has_vehicle").all(),
            called_photos=pl.col("called").sum(),
            top_two=pl.col("score").cast(pl.Float64).top_k(2).mean(),
        )
        .sort("photo")
    )
    match rule:
        case "any":
            called = (claims["called_photos"] > 0).to_numpy()
        case "majority":
            called = (2 * claims["called_photos"] >= claims["photos"]).to_numpy()
        case "mean_top_two":
            called = is_called_vehicle(claims["top_two"].to_numpy(), threshold)
    return claims.with_columns(called=pl.Series(called, dtype=pl.Boolean)).select(DECISION_SCHEMA.names())


def claim_figures(
    scores: pl.DataFrame,
    groups: NDArray[Any],
    threshold: float,
    rule: ClaimRule,
    *,
    level: float = 0.95,
    lone_vehicles: bool = False,
) -> ClaimFigures:
    """The figures of one rule.

    Args:
        scores: ``SCORE_SCHEMA``.
        groups: ``(N,)``, the group of each photo, in the order of ``scores``: claims may belong together, too.
        threshold: the system's.
        rule: see the module.
        level: of the intervals.
        lone_vehicles: see `claim_decisions`.

    Raises:
        ValueError: as `claim_decisions`, or ``groups`` has another length than ``scores``.
    """
    if groups.shape != (scores.height,):
        raise ValueError(f"groups have shape {groups.shape} and there are {scores.height} scores")
    decided = claim_decisions(scores, threshold, rule, lone_vehicles=lone_vehicles)
    truth, called = decided["has_vehicle"].to_numpy(), decided["called"].to_numpy()
    lone = decided["claim"].is_null().to_numpy()
    place = dict(zip(scores["photo"].to_list(), range(scores.height), strict=True))
    group = groups[[place[photo] for photo in decided["photo"]]]
    photos = int(decided["photos"].sum())
    counts = {
        "several": int((decided["photos"] > 1).sum()),
        "mixed": int(decided["mixed"].sum()),
        "lone_backgrounds": int((lone & ~truth).sum()),
        "lone_vehicles": int((lone & truth).sum()),
        "left_out": scores.height - photos,
    }
    return ClaimFigures(
        rule=rule,
        claims=decided.height,
        photos=photos,
        figures=ImageFigures.from_counts(
            threshold,
            tp=int(np.sum(truth & called)),
            fp=int(np.sum(~truth & called)),
            fn=int(np.sum(truth & ~called)),
            tn=int(np.sum(~truth & ~called)),
        ),
        recall=proportion(called[truth], group[truth], level),
        false_alarms=proportion(called[~truth], group[~truth], level),
        accuracy=proportion(called == truth, group, level),
        note=_note(decided.height, counts),
        **counts,
    )


def _note(claims: int, counts: Mapping[str, int]) -> str:
    """What a reader must know before comparing these figures with those of photos."""
    if not claims:
        return "cannot be said: no test photo has a claim, and there is no background"
    parts = [f"claims: {claims}, of which with more than one photo: {counts['several']}"]
    if not counts["several"]:
        parts.append("the three rules cannot differ")
    said = {
        "lone_backgrounds": "backgrounds without a claim, each counted as a claim of one photo",
        "lone_vehicles": "photos with a vehicle and without a claim, each counted as a claim of one photo",
        "left_out": "photos with a vehicle and without a claim, left out",
        "mixed": "claims with photos with and without a vehicle, counted as vehicle",
    }
    parts += [f"{words}: {counts[name]}" for name, words in said.items() if counts[name]]
    return "; ".join(parts)
