"""Where labels are doubted: doubts from out-of-fold predictions, and the page that shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from wreckognize.audit.agreement import outside_crowds
from wreckognize.audit.doubts import Doubts, find_doubts, merged
from wreckognize.audit.folds import assign_folds
from wreckognize.audit.page import Page, Picture, cards_of, counts_by_kind, render
from wreckognize.catalog import LABEL_SCHEMA, VEHICLE
from wreckognize.errors import UsageError
from wreckognize.files import atomic_write, write_table
from wreckognize.reporting.thumbnails import make_thumbnails
from wreckognize.reporting.wording import visible
from wreckognize.settings import SystemSettings
from wreckognize.spreadsheet import table_to_csv
from wreckognize.stages.looking import predictions_stage, teacher_predictions
from wreckognize.stages.run import Run
from wreckognize.stages.students import fold_file, fold_stage, look_at_fold

SHOWN = 150
"""Photos on the page; the table has all."""

_REVISION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What an audit left.

    Attributes:
        folder: ``RUN/audit/NAME``.
        photos: how many were audited.
        kinds: what is doubted, in words, and how many photos.
        worst: the first photos: name, score, greatest doubt in words.
        notes: what the reader has to know.
    """

    folder: Path
    photos: int
    kinds: tuple[tuple[str, int], ...]
    worst: tuple[tuple[str, float, str], ...]
    notes: tuple[str, ...]

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.folder / "index.html"


def audit(run: Run, system: SystemSettings, *, folds: int, epochs: int | None = None) -> AuditResult:
    """Doubt the labels of a system -> ``audit/NAME``: ``doubts.parquet``, ``doubts.csv``, ``photos.parquet``, a page.

    Train and validation photos are divided into folds by group. Each fold is looked at by a student trained on the
    others, from the system's start weights. The truth of test photos is doubted by the system's own predictions on
    them, where they are there.

    Args:
        run: after the system's labels were made.
        system: whose labels.
        folds: at least 2.
        epochs: of each student; default: the system's.

    Raises:
        UsageError: the system is never trained, or the photos cannot be divided.
        LeakError: a photo to learn from belongs to the locked test set.
    """
    if not system.trained:
        raise UsageError(
            f"{system.name!r} is never trained, so it has no labels to audit",
            where="--system",
            remedy="name a system that is trained",
        )
    folder = run.path("audit", system.name)
    photos = _photos_with_labels(run, system)
    dealt = assign_folds(photos, folds, seed=run.study.seed)
    for number in range(1, folds + 1):
        look_at_fold(run, system, photos, dealt, number, epochs)
    outputs = [folder / name for name in ("doubts.parquet", "doubts.csv", "photos.parquet", "index.html")]
    teacher_stage, teacher_file, teacher_digest = teacher_predictions(run, system)
    test_stage = predictions_stage(system, "test")
    has_test = test_stage in run.workspace.stages
    notes = _notes(folds, has_test=has_test)

    def action() -> None:
        teacher = pl.read_parquet(teacher_file)
        labels = pl.read_parquet(run.path("systems", system.name, "labels.parquet"))
        seen = pl.concat([pl.read_parquet(fold_file(run, system, number)) for number in range(1, folds + 1)])
        parts = [_doubts(run, photos, labels, seen, teacher, student="the student")]
        shown = photos
        if has_test:
            test, truth = _test_photos_with_truth(run)
            of_system = pl.read_parquet(run.trained_folder(system) / "predictions" / "test.parquet")
            _note_look(run, system)
            parts.append(_doubts(run, test, truth, of_system, teacher, student="the system"))
            shown = pl.concat([photos, test], how="diagonal")
            labels, seen = pl.concat([labels, truth]), pl.concat([seen, of_system])
        doubts = merged(parts)
        facts = shown.select("photo", "split", "role").join(doubts.photos, on="photo").sort("rank")
        ranked = facts.rename({"score": "photo_score"})
        table = ranked.join(doubts.table, on="photo").sort(
            "rank", "score", "kind", "box", descending=[False, True, False, False]
        )
        write_table(outputs[0], table)
        atomic_write(outputs[1], table_to_csv(table))
        write_table(outputs[2], facts.join(dealt, on="photo", how="left").sort("rank"))
        atomic_write(outputs[3], render(_page(run, system, shown, table, labels, seen, notes)))

    digest = run.workspace.digest
    inputs = {
        "revision": _REVISION,
        "catalog": digest("collect"),
        "split": digest("split")["split.parquet"],
        "labels": digest(f"label:{system.name}"),
        "folds": [digest(fold_stage(system, number)) for number in range(1, folds + 1)],
        "teacher": {teacher_stage: teacher_digest},
        "test": digest(test_stage) if has_test else None,
    }
    run.workspace.run_stage(f"audit:{system.name}", inputs, outputs, action)
    return _result(folder, notes)


def _result(folder: Path, notes: tuple[str, ...]) -> AuditResult:
    table = pl.read_parquet(folder / "doubts.parquet")
    first = table.unique("photo", keep="first", maintain_order=True).head(10)
    return AuditResult(
        folder=folder,
        photos=pl.read_parquet(folder / "photos.parquet").height,
        kinds=counts_by_kind(table),
        worst=tuple(first.select("photo", "photo_score", "reason").iter_rows()),
        notes=notes,
    )


def _notes(folds: int, *, has_test: bool) -> tuple[str, ...]:
    about_students = (
        f"Train and validation photos were each looked at by one of {folds} students, trained on the photos of the "
        "other folds."
    )
    about_test = (
        "Test photos were looked at by the system itself, which was not trained on them; only their truth is doubted."
        if has_test
        else "Test photos were not audited: the system has not predicted them yet (wreckognize evaluate)."
    )
    return about_students, about_test


def _photos_with_labels(run: Run, system: SystemSettings) -> pl.DataFrame:
    """Train and val photos with ``split, labelled, group``; those that only a limit left out are not there."""
    outcomes = pl.read_parquet(run.path("systems", system.name, "photos.parquet"))
    wanted = outcomes.filter(~pl.col("reason").str.starts_with("limit "))
    labelled = wanted.select("photo", "split", labelled=pl.col("outcome") != "left_out")
    groups = run.split.select("photo", "group")
    return run.catalog.photos.join(labelled, on="photo").join(groups, on="photo").sort("photo")


def _test_photos_with_truth(run: Run) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Test photos with ``split, labelled``, and the boxes people drew in them as ``LABEL_SCHEMA``."""
    photos = run.photos_of("test").with_columns(labelled=pl.col("box_truth") | ~pl.col("has_vehicle"))
    drawn = run.catalog.boxes.filter(pl.col("kind") == VEHICLE, pl.col("origin") == "human", ~pl.col("crowd"))
    truth = drawn.join(photos.select("photo", "split"), on="photo").select(LABEL_SCHEMA.names())
    return photos, truth


def _doubts(
    run: Run,
    photos: pl.DataFrame,
    labels: pl.DataFrame,
    seen: pl.DataFrame,
    teacher: pl.DataFrame,
    *,
    student: str,
) -> Doubts:
    boxes = run.catalog.boxes
    by_teacher = teacher.join(photos, on="photo", how="semi")
    return find_doubts(
        photos, labels, outside_crowds(seen, boxes), outside_crowds(by_teacher, boxes), student=student
    )


def _page(
    run: Run,
    system: SystemSettings,
    photos: pl.DataFrame,
    table: pl.DataFrame,
    labels: pl.DataFrame,
    seen: pl.DataFrame,
    notes: tuple[str, ...],
) -> Page:
    doubtful = table["photo"].unique(maintain_order=True)
    first = photos.filter(pl.col("photo").is_in(doubtful.head(SHOWN).to_list()))
    paths = {photo: Path(path) for photo, path in first.select("photo", "path").iter_rows()}
    pictures = {
        photo: Picture(
            name=visible(photo), href=thumbnail.data_uri if thumbnail.jpeg else "", problem=thumbnail.problem
        )
        for photo, thumbnail in make_thumbnails(paths, run.progress).items()
    }
    sizes = {
        photo: (width, height) for photo, width, height in first.select("photo", "width", "height").iter_rows()
    }
    return Page(
        study=run.study.study,
        system=system.name,
        photos=photos.height,
        doubtful=doubtful.len(),
        notes=notes,
        kinds=counts_by_kind(table),
        cards=cards_of(table, sizes, labels, seen, pictures),
    )


def _note_look(run: Run, system: SystemSettings) -> None:
    """Write down that predictions on the test set were looked at, unless these have been before."""
    from wreckognize.curate.looks import Look, add_look
    from wreckognize.stages.results import LOOKS_FILE

    file = run.path(LOOKS_FILE)
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    (sha256,) = run.workspace.digest(predictions_stage(system, "test")).values()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    atomic_write(file, add_look(before, Look(when=now, what=(system.name,), digest=sha256)))
