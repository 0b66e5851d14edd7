"""The review round trip: a run's photos out to an annotation tool, people's answers back into the reviews file.

Neither changes the run: the next `collect` reads the reviews that the study names, and all that follows from them is
made anew. So neither holds the run's folder, and photos can be exported while a training runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import polars as pl

from wreckognize.catalog import SPLITS, Catalog, SplitName
from wreckognize.errors import UsageError
from wreckognize.files import atomic_folder, atomic_write
from wreckognize.progress import Progress, Silent
from wreckognize.review import coco, labelstudio, yolo
from wreckognize.review.answers import Incoming, check
from wreckognize.review.apply import of_these_files
from wreckognize.review.boxfiles import LookedAt
from wreckognize.review.compare import Conflict, resolve, settle
from wreckognize.review.copies import copy_photos
from wreckognize.review.manifest import (
    MANIFEST,
    ORDER,
    PHOTOS,
    Manifest,
    Tool,
    manifest_json,
    manifest_of,
    order_csv,
)
from wreckognize.review.plan import Predicted, Task, plan
from wreckognize.review.reading import read_answers
from wreckognize.review.records import Merged, Review, merge, read_reviews, write_reviews
from wreckognize.settings import SystemSettings
from wreckognize.spreadsheet import rows_to_csv
from wreckognize.stages.feedback import FeedbackTaken, feedback_place, read_feedback, take_photos
from wreckognize.stages.records import RECORD_FILE, files_below, record
from wreckognize.study import Study
from wreckognize.study.reader import read_document


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """What went out.

    Attributes:
        folder: where it lies.
        photos: how many.
        drawn_by: whose boxes are drawn -> photos; the empty text: photos without boxes.
        audited: whether an audit gave the order.
    """

    folder: Path
    photos: int
    drawn_by: Mapping[str, int]
    audited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What came in.

    Attributes:
        file: the reviews file that new reviews went to.
        named: whether the study names it; what it does not name is not used.
        merged: all reviews now.
        incomplete: places in the file of answers that lack a box; they were not taken.
        unanswered: photos in the file that nobody answered.
        skipped: of these, photos that a person saw and skipped.
        conflicts: photos on which reviewers differ.
        conflicts_file: a table of them; None if there never was one.
        feedback: what else became of corrections from the service; None: it was a tool's file.
    """

    file: Path
    named: bool
    merged: Merged
    incomplete: tuple[str, ...]
    unanswered: int
    skipped: int
    conflicts: tuple[Conflict, ...]
    conflicts_file: Path | None
    feedback: FeedbackTaken | None = None


def review_files(study: Study) -> tuple[Path, ...]:
    """The reviews files of a study: those it names, else ``<study>-reviews.json`` beside the study file."""
    if study.reviews:
        return study.reviews
    folder = study.file.parent if study.file else Path.cwd()
    return (folder / f"{study.study}-reviews.json",)


def read_all(study: Study, files: Iterable[Path]) -> tuple[Review, ...]:
    """The reviews of several files; where two have the same person and photo, the later one counts.

    Raises:
        UsageError: see `read_reviews`.
    """
    return merge((), chain.from_iterable(read_reviews(file, study=study.study) for file in files)).reviews


def export_review(
    study: Study,
    run: Path,
    *,
    tool: Tool,
    folder: Path | None = None,
    system: str | None = None,
    split: SplitName | Literal["all"] = "all",
    limit: int | None = None,
    blank: bool = False,
    again: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
    """Write photos with their boxes for an annotation tool, most doubtful first.

    Args:
        study: the study.
        run: its run's folder, after `label`.
        tool: for which.
        folder: where to; it must be new or empty. Default ``review/<tool>`` in the run's folder.
        system: whose labels and doubts; default the last trained one.
        split: whose photos.
        limit: at most so many.
        blank: tell the reviewer nothing that a model or the study holds: no boxes, no verdict, no reason for doubt,
            and the order by lot.
        again: also photos that were reviewed before.
        progress: where to report.

    Raises:
        UsageError: the run is not as far, the folder is in use, or there is no photo to review.
    """
    target = (folder or run / "review" / tool).absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(
            "the folder is not empty; an export that somebody works on is never written over",
            where=str(target),
            remedy="give another folder with --into DIR",
        )
    catalog = _catalog(study, run)
    chosen = _system(study, run, system)
    reviews = of_these_files(read_all(study, filter(Path.exists, review_files(study))), catalog.photos)
    doubts = run / "audit" / chosen.name / "doubts.parquet"
    tasks = plan(
        catalog,
        _read(run / "split.parquet", "split"),
        labels={chosen.name: _read(_labels(run, chosen), "label")} if chosen.trained else {},
        predicted=_predicted(run, chosen),
        doubts=pl.read_parquet(doubts) if doubts.exists() else None,
        conflicts=settle(reviews).conflicts,
        leave_out=() if again else {review.photo for review in reviews},
        splits=SPLITS if split == "all" else (split,),
        limit=limit,
        blank=blank,
        seed=study.seed,
    )
    if not tasks:
        raise UsageError(
            "there is no photo to review",
            where=f"split {split}",
            remedy="choose another --split, or --again to ask for reviewed photos once more",
        )
    manifest = manifest_of(tasks, study=study.study, tool=tool, system=chosen.name, blank=blank)
    _write_export(target, tasks, manifest, progress or Silent())
    return ExportResult(
        folder=target,
        photos=len(tasks),
        drawn_by=Counter(task.drawn_by for task in tasks),
        audited=doubts.exists() and not blank,
    )


def _write_export(target: Path, tasks: Sequence[Task], manifest: Manifest, progress: Progress) -> None:
    """The folder appears whole or not at all."""
    match manifest.tool:
        case "label-studio":
            files = labelstudio.files(tasks, manifest, target.name)
        case "coco":
            files = coco.files(tasks, manifest)
        case "yolo":
            files = yolo.files(tasks, manifest)
    files |= {MANIFEST: manifest_json(manifest), ORDER: order_csv(manifest).encode()}
    try:
        if target.is_dir():
            target.rmdir()  # an empty one may be given
        with atomic_folder(target) as part:
            (part / PHOTOS).mkdir()
            copy_photos(tasks, manifest, part / PHOTOS, progress)
            for name, content in files.items():
                (part / name).parent.mkdir(exist_ok=True)
                (part / name).write_bytes(content)
            whole = (path.relative_to(part).as_posix() for path in files_below(part))
            record(
                part / RECORD_FILE, part, written=[name for name in whole if not _is_theirs(name, manifest.tool)]
            )
    except OSError as error:
        raise UsageError(
            f"the export cannot be written ({error.strerror or error})",
            where=str(target),
            remedy="give another --into DIR",
        ) from error


def _is_theirs(name: str, tool: Tool) -> bool:
    """Whether a file of an export is there for people to change."""
    return (tool == "coco" and name == coco.INSTANCES) or (tool == "yolo" and name.startswith(f"{yolo.LABELS}/"))


def import_review(
    study: Study,
    run: Path,
    source: Path | None,
    *,
    now: str,
    tool: Tool | None = None,
    reviewer: str | None = None,
    looked_at: LookedAt = None,
    export: Path | None = None,
    choices: Sequence[str] = (),
) -> ImportResult:
    """Take answers into the reviews file. Nothing is written if one of them cannot be right.

    Args:
        study: the study.
        run: its run's folder, after `collect`.
        source: what came back: a file, or for YOLO a folder; or where the service keeps corrections, a folder or a URL;
            None: only let entries decide.
        now: the time, for answers whose file has none; ISO 8601.
        tool: that it is from; default: as it looks.
        reviewer: who answered; default: as the file says.
        looked_at: how far the person got, for tools that do not say (COCO, YOLO).
        export: the folder that `export_review` wrote; default: where ``source`` lies.
        choices: ``REVIEWER`` or ``PHOTO=REVIEWER``: whose entry decides a conflict.

    Raises:
        UsageError: what came back is of another study, or has answers that cannot be right; all are named.
        StorageError: the place of corrections cannot be read.
    """
    catalog = _catalog(study, run)
    files = review_files(study)
    stored = {file: read_reviews(file, study=study.study) for file in files if file.exists()}
    incoming, checked, photos = Incoming(), None, catalog.photos
    read = None
    if source is not None:
        place = feedback_place(source, study) if tool is None else None
        if place is not None:
            read = read_feedback(study, place, catalog)
            incoming, photos = read.incoming, read.photos
        else:
            incoming = read_answers(source, tool, photos, looked_at=looked_at, export=export)
        checked = check(incoming, photos, study=study.study, reviewer=_name(reviewer), now=now, where=str(source))
    merged = merge(merge((), chain(*stored.values())).reviews, checked.reviews if checked else ())
    reviews = resolve(merged.reviews, choices)
    feedback = take_photos(study, read, run) if read else None
    _write_reviews(study, files, stored, reviews)
    conflicts = settle(of_these_files(reviews, photos)).conflicts
    return ImportResult(
        file=files[0],
        named=bool(study.reviews),
        merged=merged,
        incomplete=checked.incomplete if checked else (),
        unanswered=incoming.unanswered,
        skipped=incoming.skipped,
        conflicts=conflicts,
        conflicts_file=_write_conflicts(files[0], conflicts),
        feedback=feedback,
    )


def _name(reviewer: str | None) -> str | None:
    if reviewer is not None and (not reviewer.strip() or "=" in reviewer or not reviewer.isprintable()):
        raise UsageError(
            f"{reviewer!r} is not a name", where="--reviewer", remedy="use letters and digits, without ="
        )
    return reviewer


def _write_reviews(
    study: Study, files: Sequence[Path], stored: Mapping[Path, Sequence[Review]], reviews: Iterable[Review]
) -> None:
    """Every file keeps the people and photos that it had; new ones go to the first."""
    left = {(review.photo, review.reviewer): review for review in reviews}
    held = {file: [(one.photo, one.reviewer) for one in stored.get(file, ())] for file in files}
    new = left.keys() - set(chain(*held.values()))
    held[files[0]] += new
    for file in files:
        write_reviews(file, [left[key] for key in held[file]], study=study.study)


def _write_conflicts(file: Path, conflicts: Sequence[Conflict]) -> Path | None:
    path = file.with_name(f"{file.stem}-conflicts.csv")
    if not conflicts and not path.exists():
        return None
    rows = ([one.photo, ", ".join(one.reviewers), one.why] for one in conflicts)
    atomic_write(path, rows_to_csv(["photo", "reviewers", "why"], rows))
    return path


def _catalog(study: Study, run: Path) -> Catalog:
    if not (run / "catalog" / "photos.parquet").exists():
        raise _not_yet(run, "collect")
    resolved = run / "study.yaml"
    name = read_document(resolved).content.get("study") if resolved.exists() else study.study
    if name != study.study:
        raise UsageError(
            f"this is the run of the study {name!r}, not of {study.study!r}",
            where=str(run),
            remedy="name the run of this study with --out DIR",
        )
    return Catalog.read(run / "catalog")


def _read(file: Path, step: str) -> pl.DataFrame:
    if not file.exists():
        raise _not_yet(file, step)
    try:
        return pl.read_parquet(file)
    except pl.exceptions.PolarsError as error:
        raise UsageError(
            "the table is not as the run wrote it",
            where=str(file),
            remedy=f"let the run make it again: wreckognize {step} STUDY.yaml",
        ) from error


def _not_yet(where: Path, step: str) -> UsageError:
    return UsageError(
        f"the run has not got to `{step}`", where=str(where), remedy=f"first: wreckognize {step} STUDY.yaml"
    )


def _labels(run: Path, system: SystemSettings) -> Path:
    return run / "systems" / system.name / "labels.parquet"


def _system(study: Study, run: Path, name: str | None) -> SystemSettings:
    if name is None:
        trained = [system for system in study.systems if system.trained]
        labelled = [system for system in trained if _labels(run, system).exists()]
        return (labelled or trained or list(study.systems))[-1]
    try:
        return study.system(name)
    except KeyError:
        known = ", ".join(system.name for system in study.systems)
        raise UsageError(
            f"the study has no system {name!r}", where="--system", remedy=f"choose among {known}"
        ) from None


def _predicted(run: Path, system: SystemSettings) -> Predicted | None:
    """The teacher's predictions rather than the system's: truth drawn over a system's own boxes would favour it."""
    teacher = run / "teacher" / "predictions.parquet"
    if teacher.exists():
        return Predicted(
            table=pl.read_parquet(teacher),
            confidence=system.labels.confidence,
            origin="teacher",
            drawn_by="predictions of the teacher",
        )
    folder = run / "systems" / system.name / "predictions"
    tables = [pl.read_parquet(file) for file in sorted(folder.glob("*.parquet"))]
    if not tables:
        return None
    return Predicted(
        table=pl.concat(tables),
        confidence=system.labels.confidence,
        origin="system",
        drawn_by=f"predictions of {system.name}",
    )
