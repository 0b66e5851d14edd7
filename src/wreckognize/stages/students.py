"""Students: trained on all folds but one, to look at the photos of that one."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from wreckognize.audit.folds import students_photos
from wreckognize.files import claim, sha256_of, write_table
from wreckognize.progress import Progress
from wreckognize.settings import SystemSettings, TrainSettings
from wreckognize.stages.data import refuse_test_photos
from wreckognize.stages.learning import Lesson, learn
from wreckognize.stages.looking import Looker, look
from wreckognize.stages.run import Run, versions
from wreckognize.study.weights import is_random

_REVISION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    """What the student of a fold is made from.

    Attributes:
        system: whose classes, merging and size of photos it has.
        weights: it starts from.
        train: its training settings.
        seed: of its training.
        name: for progress and errors.
        key: everything its predictions depend on, as text; what another key left behind is thrown away.
    """

    system: SystemSettings
    weights: str
    train: TrainSettings
    seed: int
    name: str
    key: str


def fold_stage(system: SystemSettings, number: int) -> str:
    """The name of the stage of one fold."""
    return f"audit:{system.name}:fold{number}"


def fold_file(run: Run, system: SystemSettings, number: int) -> Path:
    """The student's predictions on one fold (after `look_at_fold`)."""
    return run.path("audit", system.name, f"fold{number}.parquet")


def look_at_fold(
    run: Run, system: SystemSettings, photos: pl.DataFrame, dealt: pl.DataFrame, number: int, epochs: int | None
) -> None:
    """Train the student of one fold -> ``audit/NAME/foldN.parquet``, its predictions on the photos it has not seen.

    Args:
        run: after the system's labels were made.
        system: whose labels.
        photos: ``PHOTO_SCHEMA`` and ``labelled, group``: all that are audited.
        dealt: ``FOLD_SCHEMA`` of these photos.
        number: of the fold.
        epochs: of the student; None: the system's.

    Raises:
        LeakError: a photo to learn from belongs to the locked test set.
    """
    output, folds = fold_file(run, system, number), dealt["fold"].n_unique()
    weights = run.start_weights(system.weights)
    train = system.train if epochs is None else system.train.model_copy(update={"epochs": epochs})
    folder = output.with_suffix("")
    looker = Looker(weights, system.predict_imgsz, system.classes, system.merge, system.predict.device)
    digest = run.workspace.digest
    inputs = {
        "revision": _REVISION,
        "photos": digest("collect")["catalog/photos.parquet"],
        "split": digest("split")["split.parquet"],
        "labels": digest(f"label:{system.name}"),
        "weights": weights if is_random(weights) else sha256_of(Path(weights)),
        "train": train.model_dump(mode="json", exclude={"seeds", "cache"}),
        "looker": looker.identity,
        "fold": [number, folds],
        "seed": run.study.seed,
        "versions": versions(),
    }

    def action() -> None:
        chosen = students_photos(photos.filter("labelled"), dealt, number, seed=run.study.seed)
        learnt = photos.drop("split").join(chosen, on="photo").sort("photo")
        refuse_test_photos(run, learnt, f"audit of {system.name}")
        seen = out_of_fold(
            Student(
                system=system,
                weights=weights,
                train=train,
                seed=run.study.seed,
                name=f"{system.name}, fold {number} of {folds}",
                key=json.dumps(inputs, sort_keys=True, default=str),
            ),
            learnt,
            pl.read_parquet(run.path("systems", system.name, "labels.parquet")),
            photos.join(dealt.filter(fold=number), on="photo", how="semi"),
            folder,
            progress=run.progress,
            inherited=(run.workspace.lock_descriptor,),
        )
        write_table(output, seen)

    run.workspace.run_stage(fold_stage(system, number), inputs, [output], action)
    shutil.rmtree(folder, ignore_errors=True)


def out_of_fold(
    student: Student,
    learnt: pl.DataFrame,
    labels: pl.DataFrame,
    held_out: pl.DataFrame,
    folder: Path,
    *,
    progress: Progress,
    inherited: tuple[int, ...] = (),
) -> pl.DataFrame:
    """Train one student and let it look at the photos it has not seen.

    Args:
        student: what it is made from.
        learnt: ``PHOTO_SCHEMA`` and ``split`` (train or val): photos it learns from.
        labels: ``LABEL_SCHEMA`` of those photos.
        held_out: ``PHOTO_SCHEMA`` of the fold.
        folder: for the training and what was seen so far; a killed call goes on from it. The caller removes it.
        progress: where to report.
        inherited: file descriptors that the training keeps open.

    Returns:
        ``PREDICTION_SCHEMA`` of the photos held out.

    Raises:
        TrainingError: the training ended without a result.
        UsageError: a photo can no longer be read.
    """
    claim(folder, student.key)
    system = student.system
    lesson = Lesson(
        weights=student.weights,
        train=student.train,
        seed=student.seed,
        name=student.name,
        trained_on=f"{learnt.filter(split='train').height} photos of the other folds, for an audit",
    )
    learn(lesson, learnt, labels, folder / "training", progress=progress, inherited=inherited)
    looker = Looker(
        str(folder / "weights" / "best.safetensors"),
        system.predict_imgsz,
        system.classes,
        system.merge,
        system.predict.device,
    )
    return look(
        looker,
        held_out,
        folder / "parts",
        key=student.key,
        progress=progress,
        description=f"{student.name}: looking",
    )
