"""What photos are like apart from what they show, and whether a system's figures hang on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import polars as pl

from wreckognize.detectors.port import Detector
from wreckognize.errors import InputError, UsageError
from wreckognize.evaluation.image_level import photo_scores
from wreckognize.evidence.altering import PHOTOS_OF_ROLE, Alteration, effective, forms_of, plan_alterations
from wreckognize.evidence.shortcuts import ShortcutCheck, check_shortcuts
from wreckognize.evidence.slicing import slices_of
from wreckognize.files import atomic_write, write_table
from wreckognize.inference.alterations import Form, ToAlter, look_at_altered
from wreckognize.inference.traits import TRAIT_SCHEMA, Traits, read_traits
from wreckognize.settings import SystemSettings
from wreckognize.stages.looking import Looker, predictions_stage
from wreckognize.stages.run import Run, versions

_REVISIONS = {"traits": 1, "altered": 1, "shortcuts": 1}
_THREADS = 2
_NAMED = 10


def photo_traits(run: Run) -> None:
    """Brightness and compression of every test photo -> ``catalog/traits.parquet``."""
    photos = run.photos_of("test")
    output = run.path("catalog", "traits.parquet")

    def traits_of(path: str) -> Traits | InputError:
        try:
            return read_traits(Path(path))
        except InputError as error:
            return error

    def action() -> None:
        rows: list[tuple[str, float, int | None]] = []
        unread: list[str] = []
        with (
            run.progress.task("brightness and compression", photos.height) as task,
            ThreadPoolExecutor(_THREADS, thread_name_prefix="traits") as pool,
        ):
            for photo, found in zip(photos["photo"], pool.map(traits_of, photos["path"]), strict=True):
                task.advance()
                if isinstance(found, InputError):
                    unread.append(f"{photo}: {found.reason}")
                else:
                    rows.append((photo, found.brightness, found.quality))
        if unread:
            raise UsageError(
                f"{len(unread)} photos can no longer be read as they were collected:\n    "
                + "\n    ".join(unread[:_NAMED]),
                remedy="put them back as they were, or run again: what has changed is collected anew",
            )
        write_table(output, pl.DataFrame(rows, schema=TRAIT_SCHEMA, orient="row"))

    inputs = {
        "revision": _REVISIONS["traits"],
        "photos": run.workspace.digest("collect")["catalog/photos.parquet"],
        "split": run.workspace.digest("split")["split.parquet"],
        "versions": {name: versions()[name] for name in ("opencv-python-headless",)},
    }
    run.workspace.run_stage("traits", inputs, [output], action)


def traits_of_test(run: Run) -> pl.DataFrame:
    """``TRAIT_SCHEMA`` of every test photo (after `photo_traits`)."""
    return pl.read_parquet(run.path("catalog", "traits.parquet"))


def slices_of_test(run: Run) -> pl.DataFrame:
    """``SLICE_SCHEMA``: the slices that each test photo is in (after `photo_traits`)."""
    hard = {source.name for source in run.study.sources if source.hard}
    return slices_of(run.photos_of("test").drop("split"), run.catalog.boxes, traits_of_test(run), hard)


def shortcut_check(run: Run, system: SystemSettings, *, threshold: float) -> ShortcutCheck:
    """Whether a system's figures hang on photo shape -> ``systems/NAME/shortcuts.json`` and ``shortcuts/``.

    The system's first training looks again at test photos altered in shape and compression. Each alteration is a stage
    of its own, so that a killed check goes on where it stood; copies of photos lie in the run's folder a few at a time.

    Args:
        run: after `photo_traits` and the system's predictions on the test set.
        system: the system.
        threshold: its own, frozen before the test set was opened.
    """
    alterations, _ = plan_alterations(_forms(run), seed=run.study.seed)
    looker = Looker.of_system(run, system)
    open_once = cache(looker.open)  # by the first stage that is not done yet
    for alteration in alterations:
        _look(run, system, looker, alteration, _table(run, system, alteration), open_once)

    output = run.path("systems", system.name, "shortcuts.json")

    def action() -> None:
        check = check_of(run, system, threshold=threshold)
        atomic_write(output, json.dumps(check.to_dict(), indent=1, ensure_ascii=False, allow_nan=False))

    digest = run.workspace.digest
    inputs = {
        "revision": _REVISIONS["shortcuts"],
        "traits": digest("traits"),
        "split": digest("split")["split.parquet"],
        "predictions": digest(predictions_stage(system, "test")),
        "altered": {alteration.name: digest(_stage(system, alteration)) for alteration in alterations},
        "threshold": threshold,
        "level": run.study.evidence.level,
        "seed": run.study.seed,
        "trained": system.trained,
    }
    run.workspace.run_stage(f"shortcuts:{system.name}", inputs, [output], action)
    check = ShortcutCheck.from_dict(json.loads(output.read_text(encoding="utf-8")))
    for warning in check.warnings:
        run.progress.say(f"  warning: {system.name}: {warning}")
    return check


def check_of(run: Run, system: SystemSettings, *, threshold: float) -> ShortcutCheck:
    """The check for shortcuts, from the stored predictions on whole and altered photos."""
    forms = _forms(run)
    alterations, notes = plan_alterations(forms, seed=run.study.seed)
    predictions = pl.read_parquet(run.path("systems", system.name, "predictions", "test.parquet"))
    scores = photo_scores(run.photos_of("test").drop("split"), predictions)
    return check_shortcuts(
        system.name,
        scores,
        run.split.select("photo", "group"),
        forms,
        [
            (alteration, _scores_of(alteration, pl.read_parquet(_table(run, system, alteration)), scores))
            for alteration in alterations
        ],
        notes,
        threshold=threshold,
        level=run.study.evidence.level,
        trained=system.trained,
    )


def _forms(run: Run) -> pl.DataFrame:
    return forms_of(run.photos_of("test").drop("split"), traits_of_test(run))


def _table(run: Run, system: SystemSettings, alteration: Alteration) -> Path:
    return run.path("systems", system.name, "shortcuts", f"{alteration.name}.parquet")


def _stage(system: SystemSettings, alteration: Alteration) -> str:
    return f"altered:{system.name}:{alteration.name}"


def _look(
    run: Run,
    system: SystemSettings,
    looker: Looker,
    alteration: Alteration,
    output: Path,
    open_detector: Callable[[], Detector],
) -> None:
    """One alteration through a system's detector -> its predictions; what it leaves unchanged is not looked at."""
    items = [
        ToAlter(row["photo"], Path(row["path"]), Form(row["like_width"], row["like_height"], row["like_quality"]))
        for row in effective(alteration).iter_rows(named=True)
    ]

    def action() -> None:
        with run.progress.task(f"{system.name} on {alteration.name}", len(items)) as task:
            predictions = look_at_altered(
                items,
                alteration.kind,
                open_detector(),
                looker.stream,
                folder=output.with_name(f"copies-{alteration.name}"),
                task=task,
            )
        write_table(output, predictions)

    digest = run.workspace.digest
    inputs = {
        "revision": _REVISIONS["altered"],
        "looker": looker.identity,
        "photos": digest("collect")["catalog/photos.parquet"],
        "split": digest("split")["split.parquet"],
        "traits": digest("traits"),
        "at_most": PHOTOS_OF_ROLE,
        "seed": run.study.seed,
    }
    run.workspace.run_stage(_stage(system, alteration), inputs, [output], action)


def _scores_of(alteration: Alteration, predictions: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """``photo, score`` of each photo of an alteration; one that it leaves unchanged keeps its score."""
    looked_at = effective(alteration).select("photo")
    best = predictions.group_by("photo").agg(score=pl.col("confidence").max())
    after = looked_at.join(best, on="photo", how="left").with_columns(pl.col("score").fill_null(0.0))
    kept = alteration.photos.select("photo").join(looked_at, on="photo", how="anti")
    return pl.concat([after, kept.join(before.select("photo", "score"), on="photo")])
