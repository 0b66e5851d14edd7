"""What can be said about the figures: intervals, verdicts, claims, slices, shortcuts, and the test set's history."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.curate.groups import contrary_pairs
from wreckognize.curate.lock import read_lock
from wreckognize.curate.looks import count_looks, looks_by_system, read_looks
from wreckognize.evaluation.image_level import is_called_vehicle, photo_scores
from wreckognize.evidence.box_bootstrap import match_boxes
from wreckognize.evidence.claims import CLAIM_RULES, claim_figures
from wreckognize.evidence.findings import (
    CorrectedTruth,
    Findings,
    GroupNotes,
    NearPair,
    SystemFindings,
    TestSetRecord,
    Unlocking,
)
from wreckognize.evidence.intervals import proportion
from wreckognize.evidence.judge import SystemSample, judge
from wreckognize.evidence.person import third_answer_figures
from wreckognize.evidence.prevalence import PredictiveValues, at_prevalence
from wreckognize.evidence.shortcuts import ShortcutCheck
from wreckognize.evidence.slices import slice_table
from wreckognize.evidence.truth import truth_of
from wreckognize.files import atomic_write
from wreckognize.settings import SystemSettings
from wreckognize.stages.collecting import reviewed_of
from wreckognize.stages.deciding import frozen_threshold, threshold_stage
from wreckognize.stages.looking import predictions_stage
from wreckognize.stages.results import LOOKS_FILE, metrics_stage
from wreckognize.stages.run import REVISIONS, Run
from wreckognize.stages.shortcuts import photo_traits, shortcut_check, slices_of_test

NEAR_PAIRS_NAMED = 10


def findings(run: Run, names: Sequence[str]) -> Findings:
    """All that can be said about these systems -> ``report/evidence.json``."""
    output = run.path("report", "evidence.json")
    study = run.study
    systems = [study.system(name) for name in names]
    photo_traits(run)
    checks = {}
    if study.evidence.shortcuts:
        for system in systems:
            threshold = frozen_threshold(run, system).chosen.threshold
            checks[system.name] = shortcut_check(run, system, threshold=threshold)

    def action() -> None:
        found = find(run, systems, checks)
        text = json.dumps(found.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        atomic_write(output, text)

    digest = run.workspace.digest
    inputs = {
        "revision": REVISIONS["evidence"],
        "catalog": digest("collect"),
        "split": digest("split"),
        "traits": digest("traits"),
        "systems": {
            system.name: [
                [
                    digest(threshold_stage(system, number)),
                    digest(predictions_stage(system, "test", number)),
                    digest(metrics_stage(system, number)),
                ]
                for number in _numbers(system)
            ]
            for system in systems
        },
        "shortcuts": {name: digest(f"shortcuts:{name}") for name in checks},
        "settings": study.evidence.model_dump(mode="json"),
        "hard": sorted(source.name for source in study.sources if source.hard),
        "seed": study.seed,
    }
    run.workspace.run_stage("evidence", inputs, [output], action)
    return Findings.from_dict(json.loads(output.read_text(encoding="utf-8")))


def _numbers(system: SystemSettings) -> range:
    return range(system.train.seeds if system.trained else 1)


def find(run: Run, systems: Sequence[SystemSettings], checks: Mapping[str, ShortcutCheck]) -> Findings:
    """All that can be said about these systems, from their stored predictions, thresholds and figures.

    Args:
        run: after the systems were evaluated, and `photo_traits`.
        systems: in the order of the report.
        checks: the check for shortcuts of each system that has one.
    """
    study, settings = run.study, run.study.evidence
    photos = run.photos_of("test").drop("split")
    groups = photos.select("photo").join(run.split, on="photo", how="left", maintain_order="left")["group"]
    samples = [_sample(run, system, photos) for system in systems]
    judged = judge(
        photos["has_vehicle"].to_numpy(),
        photos["role"].to_numpy(),
        groups.rank("dense").cast(pl.Int64).to_numpy(),
        samples,
        level=settings.level,
        draws=settings.draws,
        seed=study.seed,
    )
    hard = {source.name for source in study.sources if source.hard}
    return Findings(
        judged=judged,
        systems=tuple(
            _system_findings(run, system, photos, groups.to_numpy(), checks.get(system.name)) for system in systems
        ),
        truth=truth_of(photos, run.split.select("photo", "group"), seed=study.seed),
        test=_test_record(run),
        groups=_group_notes(run),
        claim_rule=settings.claim,
        prevalence=settings.prevalence,
        hard_backgrounds=photos.filter(pl.col("source").is_in(list(hard))).height,
        pinned_test=photos.filter(pl.col("pinned") == "test").height,
    )


def _sample(run: Run, system: SystemSettings, photos: pl.DataFrame) -> SystemSample:
    """What each training of a system said of the test photos."""
    scores, called, matched = [], [], []
    for number in _numbers(system):
        predictions = _predictions(run, system, number)
        score = photo_scores(photos, predictions)["score"].to_numpy()
        scores.append(score)
        called.append(is_called_vehicle(score, frozen_threshold(run, system, number).chosen.threshold))
        matched.append(match_boxes(photos, run.catalog.boxes, predictions))
    return SystemSample(
        name=system.name,
        trained=system.trained,
        score=np.stack(scores),
        called=np.stack(called),
        boxes=tuple(found for found in matched if found is not None) or None,
    )


def _predictions(run: Run, system: SystemSettings, number: int = 0) -> pl.DataFrame:
    return pl.read_parquet(run.trained_folder(system, number) / "predictions" / "test.parquet")


def _system_findings(
    run: Run,
    system: SystemSettings,
    photos: pl.DataFrame,
    groups: NDArray[np.str_],
    shortcuts: ShortcutCheck | None,
) -> SystemFindings:
    settings = run.study.evidence
    scores = photo_scores(photos, _predictions(run, system))
    frozen = tuple(frozen_threshold(run, system, number) for number in _numbers(system))
    threshold = frozen[0].chosen.threshold
    third = frozen[0].third_answer
    free = (photos["pinned"].fill_null("") != "test").to_numpy()
    return SystemFindings(
        name=system.name,
        frozen=frozen,
        third_answer=third_answer_figures(scores, groups, third, level=settings.level),
        third_answer_free=None
        if free.all() or not free.any()
        else third_answer_figures(scores.filter(free), groups[free], third, level=settings.level),
        claims=tuple(claim_figures(scores, groups, threshold, rule, level=settings.level) for rule in CLAIM_RULES),
        predictive=_predictive(scores, groups, threshold, settings.prevalence, settings.level),
        slices=slice_table(
            system.name,
            scores,
            run.split.select("photo", "group"),
            slices_of_test(run),
            threshold=threshold,
            level=settings.level,
        ),
        shortcuts=shortcuts,
    )


def _predictive(
    scores: pl.DataFrame, groups: NDArray[np.str_], threshold: float, prevalence: float | None, level: float
) -> PredictiveValues | None:
    if prevalence is None:
        return None
    truth = scores["has_vehicle"].to_numpy()
    called = is_called_vehicle(scores["score"].to_numpy(), threshold)
    recall = proportion(called[truth], groups[truth], level)
    return at_prevalence(recall, proportion(called[~truth], groups[~truth], level), prevalence)


def _test_record(run: Run) -> TestSetRecord:
    lock = read_lock(run.path("test.lock.json"))
    file = run.path(LOOKS_FILE)
    looks = read_looks(file.read_text(encoding="utf-8"), where=str(file)) if file.exists() else ()
    notes = reviewed_of(run)
    reviewed = set(notes["photos"]) & set(run.split.filter(pl.col("split") == "test")["photo"])
    return TestSetRecord(
        locked=lock.created,
        photos=len(lock.photos),
        groups=run.split.filter(pl.col("split") == "test")["group"].n_unique(),
        unlocked=tuple(
            Unlocking(
                when=change.when,
                reason=change.reason,
                photos_before=change.photos,
                added=change.added,
                removed=change.removed,
            )
            for change in lock.unlocked
        ),
        reviewed=len(reviewed),
        corrected=tuple(CorrectedTruth(**one) for one in notes["corrections"] if one["photo"] in reviewed),
        looks=count_looks(looks),
        looks_by_system=looks_by_system(looks),
    )


def _group_notes(run: Run) -> GroupNotes:
    notes = json.loads(run.path("catalog", "split.json").read_text(encoding="utf-8"))
    near = pl.read_parquet(run.path("catalog", "near.parquet"))
    looks = near.filter(pl.col("reason").is_in(["hash", "embedding"])).sort("distance", "left", "right")
    contrary = contrary_pairs(run.catalog.photos, near)
    return GroupNotes(
        pairs=notes["pairs"],
        groups_of_several=notes["groups_of_several"],
        closest=_near_pairs(looks),
        contrary=contrary.height,
        contrary_pairs=_near_pairs(contrary),
    )


def _near_pairs(links: pl.DataFrame) -> tuple[NearPair, ...]:
    return tuple(
        NearPair(left=left, right=right, reason=reason, distance=float(distance))
        for left, right, reason, distance in links.select("left", "right", "reason", "distance")
        .head(NEAR_PAIRS_NAMED)
        .iter_rows()
    )
