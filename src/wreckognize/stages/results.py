"""From predictions to what people read: figures, comparison, report."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from wreckognize.errors import LockError, UsageError
from wreckognize.evaluation import writers
from wreckognize.evaluation.box_level import TeacherAgreement, teacher_agreement
from wreckognize.evaluation.comparison import (
    Comparison,
    JudgedPhotos,
    Provenance,
    SystemFigures,
    evaluate_system,
)
from wreckognize.evaluation.image_level import photo_scores
from wreckognize.evaluation.latency import Latency, LatencyContext
from wreckognize.evidence.findings import Findings
from wreckognize.files import atomic_write, sha256_of
from wreckognize.search.records import SUMMARY_FILE, SearchSummary
from wreckognize.settings import SystemSettings
from wreckognize.stages.data import split_notes
from wreckognize.stages.deciding import frozen_threshold, threshold_stage
from wreckognize.stages.learning import train_stage
from wreckognize.stages.looking import Looker, predictions_stage
from wreckognize.stages.run import REVISIONS, Run, versions
from wreckognize.state import fingerprint_of
from wreckognize.study.weights import is_random

if TYPE_CHECKING:
    from wreckognize.reporting.inputs import ReportInput

LOOKS_FILE = "test.looks.jsonl"
TEXT_FILES = ("comparison.json", "comparison.csv", "comparison.md", "decisions.csv")
PAGE_FILE, MADE_FILE = "index.html", "made.json"
AGREEMENT_CONFIDENCE = 0.25
"""The teacher's boxes count from here on where a system's boxes are compared with them."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the page says that follows from nothing else in the run's folder: ``report/made.json``.

    Attributes:
        created: when, as the page shows it.
        environment: what it was made with: name, version.
        search: what it says of a search that had been done by then; see `SearchSummary.in_words`.
        study: sha256 of the study as it was then.
    """

    created: str
    environment: tuple[tuple[str, str], ...]
    search: str
    study: str

    @classmethod
    def read(cls, file: Path, run: Run) -> Made:
        """What `report` wrote; what an earlier version did not write is as it is now."""
        stored = json.loads(file.read_text(encoding="utf-8"))
        return cls(
            created=stored["created"],
            environment=tuple((name, version) for name, version in stored["environment"]),
            search=stored.get("search", _search_in_words(run)),
            study=stored.get("study", study_digest(run)),
        )


def metrics_stage(system: SystemSettings, number: int = 0) -> str:
    """The name of the stage that computes a system's figures."""
    return f"evaluate:{system.name}:{number}" if number else f"evaluate:{system.name}"


def evaluate(run: Run, system: SystemSettings, number: int = 0) -> None:
    """Figures of a system's ``number``-th training on the locked test set -> ``metrics.json``; the look is noted."""
    folder = run.trained_folder(system, number)
    latency = run.path("systems", system.name, "latency.json")
    output = folder / "metrics.json"
    predicted = run.workspace.digest(predictions_stage(system, "test", number))
    look = look_digest(run, system, number)

    def action() -> None:
        timed = json.loads(latency.read_text(encoding="utf-8"))["info"]["weights_sha256"]
        _note_look(run, system, look)
        figures = figures_of(
            run,
            system,
            number,
            provenance=_provenance(run, system, number, timed),
            agrees=_has_own_eyes(run, system, number),
        )
        atomic_write(output, json.dumps(figures.to_dict(), indent=1, ensure_ascii=False, allow_nan=False))

    digest = run.workspace.digest
    inputs = {
        "revision": REVISIONS["evaluate"],
        "catalog": digest("collect"),
        "split": digest("split")["split.parquet"],
        "predictions": predicted,
        "latency": digest(f"latency:{system.name}"),
        "trained": digest(train_stage(system, number)) if system.trained else None,
        "threshold": digest(threshold_stage(system, number)),
        "teacher": digest("teacher") if "teacher" in run.workspace.stages else None,
        "recipe": system.recipe,
        "seeds": system.train.seeds,
    }
    run.workspace.run_stage(metrics_stage(system, number), inputs, [output], action)
    _require_look(run, system, look)


def _require_look(run: Run, system: SystemSettings, digest: str) -> None:
    """Make sure that the record of looks still holds the one that a system's figures came from.

    Raises:
        LockError: it does not: the record was cut, so nobody can say how often the test set was looked at.
    """
    from wreckognize.curate.looks import read_looks

    file = run.path(LOOKS_FILE)
    looks = (
        read_looks(file.read_text(encoding="utf-8", errors="replace"), where=str(file)) if file.exists() else ()
    )
    if digest not in {look.digest for look in looks}:
        raise LockError(
            f"the record of looks at the test set does not hold the one that the figures of {system.name} came from",
            where=str(file),
            remedy="put the file back as the run wrote it, or start a new run in another folder with --out DIR",
        )


def figures_of(
    run: Run, system: SystemSettings, number: int, *, provenance: Provenance, agrees: bool
) -> SystemFigures:
    """Figures of a system's ``number``-th training, from the stored predictions, threshold and timing.

    Args:
        run: after the predictions.
        system: the system.
        number: of the training.
        provenance: where its weights come from.
        agrees: whether its boxes are to be compared with the teacher's.
    """
    timing = json.loads(run.path("systems", system.name, "latency.json").read_text(encoding="utf-8"))
    info = timing["info"]
    photos = run.photos_of("test").drop("split")
    predictions = pl.read_parquet(run.trained_folder(system, number) / "predictions" / "test.parquet")
    return evaluate_system(
        system.name,
        photos,
        run.catalog.boxes,
        predictions,
        threshold=frozen_threshold(run, system, number).chosen.threshold,
        provenance=provenance,
        agreement=_teacher_agreement(run, photos, predictions) if agrees else None,
        latency=Latency(**timing["latency"]),
        context=LatencyContext(
            info["device"], info["threads"], info["precision"], system.predict_imgsz, info["engine"]
        ),
    )


def look_digest(run: Run, system: SystemSettings, number: int) -> str:
    """What tells one look at the test set from another: predictions, threshold, truth."""
    (sha256,) = run.workspace.digest(predictions_stage(system, "test", number)).values()
    threshold = frozen_threshold(run, system, number).chosen.threshold
    truth = _truth_of_test(run, run.photos_of("test").drop("split"))
    return fingerprint_of({"predictions": sha256, "threshold": threshold, "truth": truth})


def _note_look(run: Run, system: SystemSettings, digest: str) -> None:
    """Write down that the test set was looked at, before any figure of it exists.

    Other predictions are another look, and so is another threshold, or another truth (a review of test photos, say);
    the same ones again are not.
    """
    from wreckognize.curate.looks import Look, add_look

    file = run.path(LOOKS_FILE)
    before = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    atomic_write(file, add_look(before, Look(when=now, what=(system.name,), digest=digest)))


def _truth_of_test(run: Run, photos: pl.DataFrame) -> str:
    """What the test photos are judged by: roles, and the boxes that people drew round vehicles."""
    drawn = run.catalog.boxes.filter(pl.col("origin") == "human").join(photos, on="photo", how="semi")
    return fingerprint_of(
        {
            "photos": photos.select("photo", "role", "has_vehicle", "box_truth").rows(),
            "boxes": drawn.sort("photo", "x1", "y1", "x2", "y2").rows(),
        }
    )


def _has_own_eyes(run: Run, system: SystemSettings, number: int) -> bool:
    """Whether its boxes may be compared with the study's teacher: it looked, and with other weights."""
    if "teacher" not in run.workspace.stages:
        return False
    teacher = Looker.of_teacher(run, run.study.teacher)
    own = Looker.of_system(run, system, number)
    return bool(own.identity["weights"] != teacher.identity["weights"])


def _teacher_agreement(run: Run, photos: pl.DataFrame, predictions: pl.DataFrame) -> TeacherAgreement | None:
    boxes = pl.read_parquet(run.path("teacher", "predictions.parquet")).join(photos, on="photo", how="semi")
    return teacher_agreement(photos, boxes, predictions, confidence=AGREEMENT_CONFIDENCE)


def _provenance(run: Run, system: SystemSettings, number: int, timed_sha256: str) -> Provenance:
    weights = system.weights.rsplit("/", 1)[-1]
    random = is_random(system.weights)
    looker = Looker.of_system(run, system, number)
    given = Provenance(
        recipe=system.recipe,
        weights=weights,
        weights_sha256=timed_sha256 if is_random(looker.weights) else looker.identity["weights"],
        trained=False,
        random_weights=random,
        threshold_rule=rule_in_words(system),
    )
    if not system.trained:
        return given
    from wreckognize.training.fine_tune import read_result

    result = read_result(run.trained_folder(system, number) / "training")
    origins = (
        pl.read_parquet(run.path("systems", system.name, "labels.parquet")).group_by("origin").len().iter_rows()
    )
    return replace(
        given,
        trained=True,
        epochs_run=result.epochs_run,
        train_seconds=result.seconds,
        labels=dict(origins),
        seed=run.study.seed + number,
        seeds=system.train.seeds,
    )


def rule_in_words(system: SystemSettings) -> str:
    """How a system's threshold is chosen, as in the study file."""
    rule = system.predict.threshold
    return rule.rule if rule.value is None else f"{rule.rule} {rule.value:g}"


def compare(run: Run, names: list[str]) -> Comparison:
    """The figures of these systems side by side."""
    figures = [
        SystemFigures.from_dict(json.loads(run.path("systems", name, "metrics.json").read_text()))
        for name in names
    ]
    return Comparison(run.study.study, JudgedPhotos.of(run.photos_of("test")), tuple(figures))


def report(run: Run, names: list[str], findings: Findings) -> Comparison:
    """Comparison, decisions and the page -> ``report/``."""
    from wreckognize.reporting.page import render, write_figures

    comparison = compare(run, names)
    folder = run.path("report")
    outputs = [folder / name for name in (*TEXT_FILES, PAGE_FILE, MADE_FILE)]

    def action() -> list[Path]:
        for name, text in report_texts(run, comparison, findings).items():
            atomic_write(folder / name, text)
        made = Made(
            created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            environment=environment(),
            search=_search_in_words(run),
            study=study_digest(run),
        )
        page = page_input(run, comparison, findings, made)
        atomic_write(folder / PAGE_FILE, render(page, run.progress))
        plots = {folder / "figures" / name: data for name, data in write_figures(page).items()}
        for file, data in plots.items():
            atomic_write(file, data)
        atomic_write(folder / MADE_FILE, json.dumps(asdict(made), indent=1, ensure_ascii=False))
        return list(plots)

    digest = run.workspace.digest
    searched = run.path("search", SUMMARY_FILE)
    inputs = {
        "revision": REVISIONS["report"],
        "systems": {name: [digest(f"evaluate:{name}"), digest(f"predict:{name}:test")] for name in names},
        "evidence": digest("evidence"),
        "catalog": digest("collect"),
        "split": digest("split"),
        "study": run.study.resolved(),
        "labels": {name: digest(f"label:{name}") for name in names if run.study.system(name).trained},
        **({"search": sha256_of(searched)} if searched.exists() else {}),
    }
    run.workspace.run_stage("report", inputs, outputs, action)
    return comparison


def report_texts(run: Run, comparison: Comparison, findings: Findings) -> dict[str, str]:
    """The files of ``report/`` that are text: name -> content."""
    from wreckognize.reporting.verdicts_text import verdicts_markdown

    texts = (
        writers.comparison_json(comparison),
        writers.comparison_csv(comparison),
        f"{writers.comparison_markdown(comparison)}\n{verdicts_markdown(findings)}",
        _decisions(run, comparison),
    )
    return dict(zip(TEXT_FILES, texts, strict=True))


def _decisions(run: Run, comparison: Comparison) -> str:
    photos = run.photos_of("test").drop("split")
    tables = []
    for system in comparison.systems:
        predictions = pl.read_parquet(run.path("systems", system.name, "predictions", "test.parquet"))
        scores = photo_scores(photos, predictions)
        third = frozen_threshold(run, run.study.system(system.name)).third_answer
        answers = third.answers(scores["score"].to_numpy()).tolist()
        tables.append(writers.decisions(scores, system.name, system.threshold, answers))
    return writers.decisions_csv(tables)


def page_input(run: Run, comparison: Comparison, findings: Findings, made: Made) -> ReportInput:
    """All that the page is drawn from."""
    from wreckognize.reporting.inputs import LABEL_PHOTO_SCHEMA, ReportInput, SystemReport

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
    return ReportInput(
        study=run.study.study,
        created=made.created,
        notice=run.study.notice,
        comparison=comparison,
        systems=tuple(systems),
        photos=run.catalog.photos,
        boxes=run.catalog.boxes,
        split=run.split,
        quarantine=pl.read_parquet(run.path("catalog", "quarantine.parquet")),
        tally=pl.read_parquet(run.path("catalog", "tally.parquet")),
        shortfalls=(*split_notes(run), *_random_weights(run)),
        environment=made.environment,
        settings_yaml=run.study.resolved(),
        search=made.search,
        findings=findings,
    )


def study_digest(run: Run) -> str:
    """sha256 of the study with nothing left to defaults, as the page shows it."""
    return hashlib.sha256(run.study.resolved().encode()).hexdigest()


def _search_in_words(run: Run) -> str:
    """That settings were searched in this folder; empty if they were not, or no trial came to its end."""
    file = run.path("search", SUMMARY_FILE)
    if not file.exists():
        return ""
    try:
        found = SearchSummary(**json.loads(file.read_bytes()))
    except (ValueError, TypeError) as error:
        raise UsageError(
            "the summary of the search is not as it was written",
            where=str(file),
            remedy="run `wreckognize search` again, or remove the file: the report then says nothing of the search",
        ) from error
    return "" if found.best is None else found.in_words()


def _random_weights(run: Run) -> list[str]:
    users = [system.name for system in run.study.systems if is_random(system.weights)]
    if is_random(run.study.teacher.weights):
        users.append("the teacher")
    if not users:
        return []
    return [f"Random weights instead of published ones: {', '.join(users)}. Their figures say only that they ran."]


def environment() -> tuple[tuple[str, str], ...]:
    """What the report is made with: name, version."""
    return (
        ("wreckognize", importlib.metadata.version("wreckognize")),
        ("Python", platform.python_version()),
        *versions().items(),
        ("processor", f"{platform.machine()}, {os.cpu_count()} cores"),
        ("system", platform.system()),
    )
