"""Where a system's threshold is chosen and frozen, before its test predictions are opened."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl

from wreckognize.errors import UsageError
from wreckognize.evaluation.image_level import photo_scores
from wreckognize.evidence.person import choose_third_answer
from wreckognize.evidence.thresholds import FrozenThreshold, choose, read_frozen
from wreckognize.files import atomic_write
from wreckognize.settings import SystemSettings
from wreckognize.stages.data import refuse_test_photos
from wreckognize.stages.looking import predictions_stage
from wreckognize.stages.run import REVISIONS, Run


def threshold_stage(system: SystemSettings, number: int = 0) -> str:
    """The name of the stage that freezes a threshold."""
    return f"threshold:{system.name}:{number}" if number else f"threshold:{system.name}"


def freeze_threshold(run: Run, system: SystemSettings, number: int = 0) -> None:
    """Choose the threshold of a system's ``number``-th training on the calibration photos -> ``threshold.json``.

    Raises:
        LeakError: a calibration photo belongs to the locked test set.
    """
    folder = run.trained_folder(system, number)
    output = folder / "threshold.json"
    predicted = run.workspace.digest(predictions_stage(system, "val", number))

    def action() -> None:
        refuse_test_photos(run, run.calibration_photos(), f"threshold choice of {system.name}")
        (sha256,) = predicted.values()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        frozen = choose_threshold(run, system, number, predictions_sha256=sha256, frozen_at=now)
        with suppress(UsageError):  # a damaged file says nothing of when it was frozen
            if output.exists() and _same(before := frozen_threshold(run, system, number), frozen):
                frozen = before  # nothing that decides is another: it was frozen then
        atomic_write(output, json.dumps(frozen.to_dict(), indent=1, ensure_ascii=False, allow_nan=False))
        if not frozen.chosen.reached:
            run.progress.say(f"  note: threshold of {system.name}: {frozen.chosen.why}")

    inputs = {
        "revision": REVISIONS["threshold"],
        "photos": run.workspace.digest("collect")["catalog/photos.parquet"],
        "split": run.workspace.digest("split")["split.parquet"],
        "validation": run.workspace.digest("part"),
        "predictions": predicted,
        "rule": system.predict.threshold.model_dump(mode="json"),
        "to_a_person": run.study.evidence.to_a_person.model_dump(mode="json"),
        "seed": run.study.seed,
    }
    run.workspace.run_stage(threshold_stage(system, number), inputs, [output], action)


def choose_threshold(
    run: Run, system: SystemSettings, number: int, *, predictions_sha256: str, frozen_at: str
) -> FrozenThreshold:
    """The threshold and the third answer that the calibration photos give, from the stored predictions."""
    photos = run.calibration_photos()
    predictions = pl.read_parquet(run.trained_folder(system, number) / "predictions" / "val.parquet")
    scores = photo_scores(photos, predictions.join(photos.select("photo"), on="photo", how="semi"))
    groups = scores.select("photo").join(run.split, on="photo", maintain_order="left")["group"].to_numpy()
    score, truth = scores["score"].to_numpy(), scores["has_vehicle"].to_numpy()
    return FrozenThreshold(
        system=system.name,
        seed=run.study.seed + number if system.trained else None,
        chosen=choose(score, truth, groups, system.predict.threshold),
        third_answer=choose_third_answer(score, truth, groups, run.study.evidence.to_a_person),
        predictions_sha256=predictions_sha256,
        frozen_at=frozen_at,
    )


def _same(one: FrozenThreshold, other: FrozenThreshold) -> bool:
    """Whether two thresholds differ in nothing but when they were frozen."""
    return replace(one, frozen_at="") == replace(other, frozen_at="")


def frozen_threshold(run: Run, system: SystemSettings, number: int = 0) -> FrozenThreshold:
    """What `freeze_threshold` wrote."""
    return read_frozen(run.trained_folder(system, number) / "threshold.json")
