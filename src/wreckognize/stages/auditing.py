"""Where labels are doubted."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from wreckognize.errors import UsageError
from wreckognize.files import atomic_write
from wreckognize.inference.passes import run_pass
from wreckognize.progress import Progress
from wreckognize.settings import SystemSettings, TrainSettings
from wreckognize.stages.looking import Looker


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
    from wreckognize.training.fine_tune import fine_tune
    from wreckognize.training.layout import write_layout

    owner = folder / "key.txt"
    if folder.exists() and not (owner.exists() and owner.read_text(encoding="utf-8") == student.key):
        shutil.rmtree(folder)
    atomic_write(owner, student.key)
    training = folder / "training"
    if not (training / "result.json").exists():
        layout = write_layout(learnt, labels, training / "data", progress=progress)
        fine_tune(
            student.weights,
            layout,
            student.train,
            training,
            seed=student.seed,
            name=student.name,
            progress=progress,
            inherited=inherited,
            trained_on=f"{layout.train_photos} photos of the other folds, for an audit",
        )
    system = student.system
    looker = Looker(
        str(folder / "weights" / "best.safetensors"),
        system.predict_imgsz,
        system.classes,
        system.merge,
        system.predict.device,
    )
    seen = run_pass(
        held_out,
        looker.open,
        looker.stream,
        parts=folder / "parts",
        key=student.key,
        progress=progress,
        description=f"{student.name}: looking",
    )
    if not seen.unread.is_empty():
        rows = [f"{photo}: {reason}" for _, photo, reason, _ in seen.unread.head(10).iter_rows()]
        raise UsageError(
            f"{seen.unread.height} photos can no longer be read as they were collected:\n    "
            + "\n    ".join(rows),
            remedy="put them back as they were, or run again: what has changed is collected anew",
        )
    return seen.predictions
