"""One verdict for each claim, from the photos that were looked at; the rules are `wreckognize.evidence.claims`'.

With two thresholds a claim is "vehicle" if the rule says so at the upper one, "no vehicle" if it does not even at the
lower one, and goes to a person in between.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from wreckognize.collect.labelwords import claim_from_name
from wreckognize.errors import UsageError
from wreckognize.evaluation.image_level import SCORE_SCHEMA
from wreckognize.evidence.claims import ClaimRule, claim_decisions
from wreckognize.exporting.verdicts import Rule
from wreckognize.reading import TABLE_BYTES, open_regular

BY_NAME = "names"
CLAIM_SCHEMA = pl.Schema(
    {
        "claim": pl.String,  # null: one photo without a claim stands for itself
        "photo": pl.String,  # the first of its photos by name
        "photos": pl.UInt32,  # that were looked at
        "unread": pl.UInt32,  # further ones that could not be read: the verdict rests on the others
        "verdict": pl.String,  # null where no photo could be read
    }
)


def claims_by_name(name: str) -> str | None:
    """The claim in an AI-Hub file name, ``<7 digits>_<as|sc>-<digits>``; None in any other."""
    return claim_from_name(Path(name).name)


def claims_from(file: Path) -> Callable[[str], str | None]:
    """Read a CSV file with the columns ``photo`` and ``claim``.

    A photo is given by its path (relative ones from the file's folder or the current one), or by its file name alone
    where no path is given.

    Raises:
        UsageError: the file cannot be read, lacks a column, or gives one photo two claims.
    """
    remedy = "give a CSV file with the columns photo and claim, or `names` for AI-Hub file names"
    known: dict[str, str] = {}
    try:
        with TextIOWrapper(open_regular(file, TABLE_BYTES), encoding="utf-8-sig", newline="") as opened:
            rows = csv.DictReader(opened)
            missing = {"photo", "claim"} - set(rows.fieldnames or ())
            if missing:
                raise UsageError(f"no column {' and '.join(sorted(missing))}", where=str(file), remedy=remedy)
            for row in rows:
                _remember(known, row, file, rows.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot be read ({error})", where=str(file), remedy=remedy) from error

    def claim_of(name: str) -> str | None:
        for key in (name, _absolute(Path(name)), Path(name).name):
            if key in known:
                return known[key]
        return None

    return claim_of


def _remember(known: dict[str, str], row: Mapping[str, str | None], file: Path, line: int) -> None:
    photo, claim = (row["photo"] or "").strip(), (row["claim"] or "").strip()
    if not photo or not claim:
        return
    path = Path(photo)
    keys = [photo]
    if path.name != photo:
        keys = [_absolute(path), _absolute(file.absolute().parent / path)]
    for key in keys:
        if known.setdefault(key, claim) != claim:
            raise UsageError(
                f"{photo} belongs to two claims, {known[key]} and {claim}",
                where=f"{file}, line {line}",
                remedy="give each photo one claim",
            )


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (links are not followed: the name counts)


def decide_claims(lines: Iterable[Mapping[str, Any]], rule: Rule, how: ClaimRule) -> pl.DataFrame:
    """A verdict for each claim.

    Args:
        lines: of all photos, with ``photo``, ``claim`` and ``score`` (None where it could not be read).
        rule: thresholds.
        how: the photos of one claim give one verdict.

    Returns:
        ``CLAIM_SCHEMA``, sorted by ``photo``.
    """
    rows = pl.DataFrame(
        [(line["photo"], line["claim"], line["score"]) for line in lines],
        schema={"photo": pl.String, "claim": pl.String, "score": pl.Float32},
        orient="row",
    )
    scores = rows.filter(pl.col("score").is_not_null()).with_columns(
        source=pl.lit(""),
        role=pl.lit(""),
        damage_types=pl.lit([], dtype=pl.List(pl.String)),
        has_vehicle=pl.lit(True),  # what it shows is not known, and not asked
    )
    scores = scores.select(pl.col(name).cast(kind) for name, kind in SCORE_SCHEMA.items())
    lone = pl.when(pl.col("claim").is_null()).then("photo").alias("lone")
    unread = (
        rows.filter(pl.col("score").is_null())
        .group_by("claim", lone)
        .agg(first=pl.col("photo").min(), unread=pl.len())
    )
    decided = _verdicts(scores, rule, how).with_columns(lone)
    both = decided.join(unread, on=["claim", "lone"], how="full", coalesce=True, nulls_equal=True)
    return (
        both.with_columns(
            photo=pl.coalesce("photo", "first"),
            photos=pl.col("photos").fill_null(0),
            unread=pl.col("unread").fill_null(0),
        )
        .select(pl.col(name).cast(kind) for name, kind in CLAIM_SCHEMA.items())
        .sort("photo")
    )


def _verdicts(scores: pl.DataFrame, rule: Rule, how: ClaimRule) -> pl.DataFrame:
    """``claim, photo, photos, verdict`` of the photos that were looked at."""

    def called(threshold: float) -> pl.DataFrame:
        return claim_decisions(scores, threshold, how, lone_vehicles=True)

    band = rule.band
    if band is None:
        decided = called(rule.threshold)
        verdict = np.where(decided["called"].to_numpy(), "vehicle", "no vehicle")
    else:
        decided = called(rule.threshold)  # for its rows
        verdict = np.full(decided.height, "to a person")
        if band.low is not None:
            verdict[~called(band.low)["called"].to_numpy()] = "no vehicle"
        if band.high is not None:
            verdict[called(band.high)["called"].to_numpy()] = "vehicle"
    return decided.select("claim", "photo", "photos", verdict=pl.Series(verdict, dtype=pl.String))
