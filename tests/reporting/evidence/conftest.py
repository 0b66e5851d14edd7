"""Findings on the made-up study: the real statistics on made-up scores, so that every part fits the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from wreckognize.evaluation.image_level import is_called_vehicle, photo_scores
from wreckognize.evidence.changes import Change
from wreckognize.evidence.claims import CLAIM_RULES, claim_figures
from wreckognize.evidence.findings import (
    Findings,
    GroupNotes,
    NearPair,
    SystemFindings,
    TestSetRecord,
)
from wreckognize.evidence.intervals import proportion
from wreckognize.evidence.judge import SystemSample, judge
from wreckognize.evidence.person import choose_third_answer, third_answer_figures
from wreckognize.evidence.prevalence import at_prevalence
from wreckognize.evidence.sample import FALSE_ALARM_RATES, found_at
from wreckognize.evidence.shapes import role_shapes, separations, size_sentences
from wreckognize.evidence.shortcuts import AlterationResult, ShortcutCheck
from wreckognize.evidence.slices import slice_table
from wreckognize.evidence.slicing import SLICE_SCHEMA
from wreckognize.evidence.thresholds import FrozenThreshold, choose
from wreckognize.evidence.truth import truth_of
from wreckognize.evidence.verdicts import COMPARED, Difference, Estimate, Evidence, Pair, Row
from wreckognize.reporting.inputs import ReportInput
from wreckognize.settings import ThresholdSettings, ToAPersonSettings

MakeFindings = Callable[..., Findings]

FIXED = ThresholdSettings(rule="fixed", value=0.10)
ALTERATIONS = (("damaged", "background", "stretched"), ("background", "damaged", "padded"))


def no_change(photos: int = 60) -> Change:
    """A figure that the alteration left alone."""
    return Change(photos=photos, groups=photos, before=0.9, after=0.905, change=0.005, low=-0.01, high=0.02)


def shortcut_check(system: str, photos: pl.DataFrame, warning: str | None = None) -> ShortcutCheck:
    """A check of two alterations; with a ``warning`` the second moved its figures."""
    forms = photos.select("role", "width", "height").with_columns(quality=pl.lit(90, pl.Int32))
    moved = replace(no_change(), before=0.1, after=0.34, change=0.24, low=0.1, high=0.38)
    results = tuple(
        AlterationResult(
            role=role, like=like, kind=kind, photos=60, changed=58, of=60,
            rate=moved if warning and number else no_change(), area=no_change(), warning=warning if number else None,
        )
        for number, (role, like, kind) in enumerate(ALTERATIONS)
    )  # fmt: skip
    return ShortcutCheck(
        system=system,
        threshold=0.1,
        level=0.95,
        move=0.02,
        shapes=role_shapes(forms),
        separations=separations(forms),
        facts=size_sentences(forms),
        alterations=results,
        warnings=(warning,) if warning else (),
        notes=(),
        conclusion="Figures moved by up to 24.0 points." if warning else "No figure moved by more than 2 points.",
    )


def slices_of(photos: pl.DataFrame) -> pl.DataFrame:
    """Role, and halves of each role by name."""
    by_role = photos.select("photo", trait=pl.lit("role"), slice="role")
    half = pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.lit("dark (below 80)")).otherwise(pl.lit("bright"))
    return pl.concat([by_role, photos.select("photo", trait=pl.lit("brightness"), slice=half)]).cast(SLICE_SCHEMA)


@pytest.fixture(scope="session")
def small_report(make_report) -> ReportInput:
    """Three systems on 100 test photos."""
    return make_report(["baseline", "ver5", "ver6"], (80, 40, 80))


@pytest.fixture(scope="session")
def make_findings() -> MakeFindings:
    """Findings on the systems of a report input; ``changes`` replace fields of the result."""

    def make(
        report: ReportInput,
        *,
        trainings: int = 1,
        rule: ThresholdSettings = FIXED,
        several: int = 1,
        prevalence: float | None = None,
        warned: Sequence[str] = (),
        **changes: Any,
    ) -> Findings:
        """``several``: photos a claim; 1: no photo has a claim."""
        photos = report.test_photos().sort("photo")
        number = pl.int_range(pl.len()).over("role") // several
        named = pl.format("{}-{}", "role", number)
        claim = pl.when(pl.col("has_vehicle") & (several > 1)).then(named)
        photos = photos.with_columns(claim=claim)
        groups = photos.select("photo", group=named)
        numbers = groups["group"].rank("dense").cast(pl.Int64).to_numpy()
        truth = photos["has_vehicle"].to_numpy()
        random = np.random.default_rng(5)
        samples, systems = [], []
        for system in report.systems:
            scores = photo_scores(photos, system.test_predictions).sort("photo")
            score = scores["score"].to_numpy()
            trained = system.figures.trained
            runs = trainings if trained else 1
            noise = random.normal(0, 0.03, (runs - 1, score.size))
            each = np.clip(np.vstack([score, score + noise]), 0, 1).astype(np.float32)
            chosen = [choose(one, truth, numbers, rule) for one in each]
            third = choose_third_answer(score, truth, numbers, ToAPersonSettings(misses_at_most=0.05))
            called = np.stack(
                [is_called_vehicle(one, own.threshold) for one, own in zip(each, chosen, strict=True)]
            )
            samples.append(SystemSample(name=system.name, score=each, called=called, trained=trained))
            at = chosen[0].threshold
            rates = [proportion(called[0][side], numbers[side]) for side in (truth, ~truth)]
            systems.append(
                SystemFindings(
                    name=system.name,
                    frozen=tuple(
                        FrozenThreshold(
                            system=system.name,
                            seed=seed if trained else None,
                            chosen=own,
                            third_answer=third,
                            predictions_sha256="cd" * 32,
                            frozen_at="2026-11-23T10:00:00+00:00",
                        )
                        for seed, own in enumerate(chosen)
                    ),
                    third_answer=third_answer_figures(scores, numbers, third),
                    claims=tuple(claim_figures(scores, numbers, at, own) for own in CLAIM_RULES),
                    predictive=None if prevalence is None else at_prevalence(rates[0], rates[1], prevalence),
                    slices=slice_table(system.name, scores, groups, slices_of(photos), threshold=at, level=0.95),
                    shortcuts=shortcut_check(
                        system.name,
                        photos,
                        "Backgrounds moved: shape may have been learnt." if system.name in warned else None,
                    ),
                )
            )
        found = Findings(
            judged=judge(truth, photos["role"].to_numpy(), numbers, samples, draws=200),
            systems=tuple(systems),
            truth=truth_of(photos, groups, seed=0),
            test=TestSetRecord(
                locked="2026-11-20T08:30:00+00:00",
                photos=photos.height,
                groups=groups["group"].n_unique(),
                unlocked=(),
                reviewed=0,
                corrected=(),
                looks=sum(len(system.frozen) for system in systems),
                looks_by_system={system.name: len(system.frozen) for system in systems},
            ),
            groups=GroupNotes(
                pairs={"claim": 40, "file": 0, "hash": 2, "embedding": 1},
                groups_of_several=20,
                closest=(
                    NearPair(
                        left="damaged-photos/0001.jpg",
                        right="damaged-photos/0002.jpg",
                        reason="hash",
                        distance=3.0,
                    ),
                ),
                contrary=0,
                contrary_pairs=(),
            ),
            claim_rule="any",
            prevalence=prevalence,
            hard_backgrounds=0,
            pinned_test=0,
        )
        return replace(found, **changes)

    return make


VALUES = {"better": 0.05, "worse": -0.05, "no difference shown": 0.01, "cannot be said": None}


def difference(figure: str, verdict: str) -> Difference:
    """A difference that fits a verdict on a figure of which more is better."""
    value = VALUES[verdict]
    sign = 1 if COMPARED[figure].higher_is_better else -1
    limits = None if value is None else sorted((sign * value - 0.02, sign * value + 0.02))
    return Difference(
        figure=figure,
        value=None if value is None else sign * value,
        low=limits[0] if limits else None,
        high=limits[1] if limits else None,
        method="by hand",
        p_value=None if value is None else 0.01,
        p_holm=None if value is None else 0.02 if abs(value) > 0.02 else 0.4,
        test="by hand",
        verdict=verdict,
        why="the test set has no background photo" if value is None else None,
        photos=200,
        groups=100,
        photos_needed=3412 if value else None,
        groups_needed=1706 if value else None,
    )


def estimate(value: float | None) -> Estimate:
    low, high = (None, None) if value is None else (value - 0.02, min(1.0, value + 0.02))
    return Estimate(
        value=value,
        low=low,
        high=high,
        method="by hand",
        photos=200,
        groups=100,
        why=None if value else "no photo",
    )


MakeJudged = Callable[..., Evidence]


@pytest.fixture(scope="session")
def make_judged() -> MakeJudged:
    """Evidence by hand: ``verdicts[a, b]`` is the verdict on a against b in every figure; seeds 0: not trained."""

    def make(seeds: dict[str, int], verdicts: dict[tuple[str, str], str]) -> Evidence:
        figures = {figure: estimate(0.9) for figure in (*COMPARED, *map(found_at, FALSE_ALARM_RATES))}
        rows = tuple(
            Row(name=name, trivial=False, trained=times > 0, seeds=times or 1, note=None, figures=figures)
            for name, times in seeds.items()
        )
        always = Row(
            name="always vehicle",
            trivial=True,
            trained=False,
            seeds=1,
            note=None,
            figures={"recall": estimate(1.0)},
        )
        pairs = tuple(
            Pair(
                first=first,
                second=second,
                holds_for="",
                differences={figure: difference(figure, verdict) for figure in COMPARED},
            )
            for (first, second), verdict in verdicts.items()
        )
        return Evidence(
            level=0.95, draws=200, seed=0, photos=200, groups=100, vehicle=150, background=50, rows=(*rows, always),
            pairs=pairs,
        )  # fmt: skip

    return make
