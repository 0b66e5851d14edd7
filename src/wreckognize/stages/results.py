"""From predictions to what people read: figures, comparison, report."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from datetime import UTC, datetime
from typing import Any

import polars as pl

from wreckognize.evaluation import writers
from wreckognize.evaluation.comparison import (
    Comparison,
    JudgedPhotos,
    Provenance,
    SystemFigures,
    evaluate_system,
)
from wreckognize.evaluation.image_level import photo_scores
from wreckognize.evaluation.latency import Latency, LatencyContext
from wreckognize.files import atomic_write
from wreckognize.settings import SystemSettings
from wreckognize.stages.data import split_notes
from wreckognize.stages.run import REVISIONS, Run, versions
from wreckognize.study.weights import is_random


def evaluate(run: Run, system: SystemSettings) -> None:
    """A system's figures on the locked test set -> ``systems/NAME/metrics.json``."""
    folder = run.path("systems", system.name)
    output = folder / "metrics.json"

    def action() -> None:
        timing = json.loads((folder / "latency.json").read_text())
        info = timing["info"]
        figures = evaluate_system(
            system.name,
            run.photos_of("test").drop("split"),
            run.catalog.boxes,
            pl.read_parquet(folder / "predictions" / "test.parquet"),
            threshold=system.predict.threshold.value or 0.1,
            provenance=_provenance(run, system, info["weights_sha256"]),
            latency=Latency(**timing["latency"]),
            context=LatencyContext(
                info["device"], info["threads"], info["precision"], system.predict_imgsz, info["engine"]
            ),
        )
        atomic_write(output, json.dumps(figures.to_dict(), indent=1, ensure_ascii=False, allow_nan=False))

    digest = run.workspace.digest
    inputs = {
        "revision": REVISIONS["evaluate"],
        "catalog": digest("collect"),
        "split": digest("split"),
        "predictions": digest(f"predict:{system.name}:test"),
        "latency": digest(f"latency:{system.name}"),
        "trained": digest(f"train:{system.name}") if system.trained else None,
        "threshold": system.predict.threshold.model_dump(mode="json"),
        "recipe": system.recipe,
    }
    run.workspace.run_stage(f"evaluate:{system.name}", inputs, [output], action)


def _provenance(run: Run, system: SystemSettings, weights_sha256: str) -> Provenance:
    weights = system.weights.rsplit("/", 1)[-1]
    random = is_random(system.weights)
    if not system.trained:
        return Provenance(
            recipe=system.recipe,
            weights=weights,
            weights_sha256=weights_sha256,
            trained=False,
            random_weights=random,
        )
    from wreckognize.training.fine_tune import read_result

    folder = run.path("systems", system.name)
    result = read_result(folder / "training")
    origins = pl.read_parquet(folder / "labels.parquet").group_by("origin").len().iter_rows()
    return Provenance(
        recipe=system.recipe,
        weights=weights,
        weights_sha256=weights_sha256,
        trained=True,
        epochs_run=result.epochs_run,
        train_seconds=result.seconds,
        labels=dict(origins),
        random_weights=random,
    )


def compare(run: Run, names: list[str]) -> Comparison:
    """The figures of these systems side by side."""
    figures = [
        SystemFigures.from_dict(json.loads(run.path("systems", name, "metrics.json").read_text()))
        for name in names
    ]
    return Comparison(run.study.study, JudgedPhotos.of(run.photos_of("test")), tuple(figures))


def report(run: Run, names: list[str]) -> Comparison:
    """Comparison, decisions and the page -> ``report/``."""
    comparison = compare(run, names)
    folder = run.path("report")
    files = ("comparison.json", "comparison.csv", "comparison.md", "decisions.csv", "index.html")
    outputs = [folder / name for name in files]

    def action() -> None:
        atomic_write(outputs[0], writers.comparison_json(comparison))
        atomic_write(outputs[1], writers.comparison_csv(comparison))
        atomic_write(outputs[2], writers.comparison_markdown(comparison))
        atomic_write(outputs[3], _decisions(run, comparison))
        _write_page(run, comparison)

    digest = run.workspace.digest
    inputs = {
        "revision": REVISIONS["report"],
        "systems": {name: [digest(f"evaluate:{name}"), digest(f"predict:{name}:test")] for name in names},
        "catalog": digest("collect"),
        "split": digest("split"),
        "study": run.study.resolved(),
        "labels": {name: digest(f"label:{name}") for name in names if run.study.system(name).trained},
    }
    run.workspace.run_stage("report", inputs, outputs, action)
    return comparison


def _decisions(run: Run, comparison: Comparison) -> str:
    photos = run.photos_of("test").drop("split")
    tables = []
    for system in comparison.systems:
        predictions = pl.read_parquet(run.path("systems", system.name, "predictions", "test.parquet"))
        scores = photo_scores(photos, predictions)
        tables.append(writers.decisions(scores, system.name, system.threshold))
    return writers.decisions_csv(tables)


def _write_page(run: Run, comparison: Comparison) -> None:
    from wreckognize.reporting.inputs import LABEL_PHOTO_SCHEMA, ReportInput, SystemReport
    from wreckognize.reporting.page import render, write_figures

    systems = []
    for figures in comparison.systems:
        folder = run.path("systems", figures.name)
        tables: dict[str, Any] = {}
        if figures.trained:
            from wreckognize.training.curves import read_curves

            tables = {
                "labels": pl.read_parquet(folder / "labels.parquet"),
                "label_photos": pl.read_parquet(folder / "photos.parquet").select(LABEL_PHOTO_SCHEMA.names()),
                "training_curves": read_curves(folder / "training" / "work" / "results.csv"),
            }
        predictions = pl.read_parquet(folder / "predictions" / "test.parquet")
        systems.append(SystemReport(figures.name, figures, predictions, **tables))
    page = ReportInput(
        study=run.study.study,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        notice=run.study.notice,
        comparison=comparison,
        systems=tuple(systems),
        photos=run.catalog.photos,
        boxes=run.catalog.boxes,
        split=run.split,
        quarantine=pl.read_parquet(run.path("catalog", "quarantine.parquet")),
        tally=pl.read_parquet(run.path("catalog", "tally.parquet")),
        shortfalls=(*split_notes(run), *_random_weights(run)),
        environment=_environment(),
        settings_yaml=run.study.resolved(),
    )
    atomic_write(run.path("report", "index.html"), render(page, run.progress))
    for name, data in write_figures(page).items():
        atomic_write(run.path("report", "figures", name), data)


def _random_weights(run: Run) -> list[str]:
    users = [system.name for system in run.study.systems if is_random(system.weights)]
    if is_random(run.study.teacher.weights):
        users.append("the teacher")
    if not users:
        return []
    return [f"Random weights instead of published ones: {', '.join(users)}. Their figures say only that they ran."]


def _environment() -> tuple[tuple[str, str], ...]:
    return (
        ("wreckognize", importlib.metadata.version("wreckognize")),
        ("Python", platform.python_version()),
        *versions().items(),
        ("processor", f"{platform.machine()}, {os.cpu_count()} cores"),
        ("system", platform.system()),
    )
