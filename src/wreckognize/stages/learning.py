"""Where a system learns."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from wreckognize.errors import TrainingError, WriteError
from wreckognize.files import claim, sha256_of
from wreckognize.progress import Progress
from wreckognize.settings import SystemSettings, TrainSettings
from wreckognize.stages.data import refuse_test_photos
from wreckognize.stages.run import REVISIONS, Run, versions
from wreckognize.state import fingerprint_of
from wreckognize.study.weights import is_random

_FULL_BYTES = 1 << 20
_FULL_SIGNS = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "PytorchStreamWriter failed writing",
)
"""How a training's log ends where its files could not be written; the last is what torch says of any such reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """How a network is taught.

    Attributes:
        weights: it starts from.
        train: its training settings.
        seed: of the training.
        name: for progress and errors.
        trained_on: a sentence for the model card.
    """

    weights: str
    train: TrainSettings
    seed: int
    name: str
    trained_on: str


def learn(
    lesson: Lesson,
    photos: pl.DataFrame,
    labels: pl.DataFrame,
    training: Path,
    *,
    progress: Progress,
    inherited: tuple[int, ...] = (),
    each_epoch: Callable[[int, float | None], None] | None = None,
) -> None:
    """Train one network -> ``training/`` and ``weights/`` beside it, unless that is done; a killed call goes on.

    Args:
        lesson: how.
        photos: ``PHOTO_SCHEMA`` and ``split`` (train or val), none of them of the locked test set.
        labels: ``LABEL_SCHEMA`` of these photos.
        training: the folder; `claim` it first.
        progress: where to report.
        inherited: file descriptors that the training keeps open.
        each_epoch: see `wreckognize.training.fine_tune.fine_tune`.

    Raises:
        TrainingError: train or val would be empty, or the training ended without a result.
        WriteError: it ended so because the disk takes no more.
    """
    from wreckognize.training.fine_tune import fine_tune
    from wreckognize.training.layout import write_layout

    if (training / "result.json").exists():
        return
    layout = write_layout(photos, labels, training / "data", progress=progress)
    try:
        fine_tune(
            lesson.weights,
            layout,
            lesson.train,
            training,
            seed=lesson.seed,
            name=lesson.name,
            progress=progress,
            inherited=inherited,
            trained_on=lesson.trained_on,
            each_epoch=each_epoch,
        )
    except TrainingError as error:
        free = shutil.disk_usage(training).free
        signs = [sign for sign in _FULL_SIGNS if sign in error.what]
        if signs or free < _FULL_BYTES:
            raise WriteError(
                f"training of {lesson.name} ended because the disk takes no more "
                f"({''.join(f'{sign}; ' for sign in signs[:1])}{free:,} bytes are free)",
                where=str(training),
                remedy="make room on the disk, raise the limit, or choose a folder on another disk; the same command "
                "goes on after the last whole epoch",
            ) from error
        raise


def train_stage(system: SystemSettings, number: int = 0) -> str:
    """The name of the stage that trains."""
    return f"train:{system.name}:{number}" if number else f"train:{system.name}"


def train(run: Run, system: SystemSettings, number: int = 0) -> None:
    """Fine-tune a system from its ``number``-th seed -> ``weights/`` and ``training/`` in `Run.trained_folder`."""
    labelled = run.path("systems", system.name)
    folder = run.trained_folder(system, number)
    training = folder / "training"
    seed = run.study.seed + number
    outputs = [
        folder / "weights" / "best.safetensors",
        folder / "weights" / "model.json",
        training / "result.json",
        training / "work" / "results.csv",
    ]
    weights = run.start_weights(system.weights)
    photos = _learnt(run, labelled)
    inputs = {
        "revision": REVISIONS["train"],
        "labels": run.workspace.digest(f"label:{system.name}")[f"systems/{system.name}/labels.parquet"],
        # Their pixels and their part, not what else is known of them: a review of test photos retrains nothing.
        "photos": fingerprint_of(
            {"rows": photos.select("photo", "split", "sha256", "width", "height", "plain").rows()}
        ),
        "weights": weights if is_random(weights) else sha256_of(Path(weights)),
        "train": system.train.model_dump(mode="json", exclude={"seeds", "cache"}),
        "seed": seed,
        "versions": versions(),
    }

    def action() -> None:
        claim(training, json.dumps(inputs, sort_keys=True, default=str))
        (training / "result.json").unlink(missing_ok=True)  # the stage is to be done, whatever stands there
        refuse_test_photos(run, photos, f"training of {system.name}")
        several = system.train.seeds > 1
        counts = dict(photos.group_by("split").len().iter_rows())
        lesson = Lesson(
            weights=weights,
            train=system.train,
            seed=seed,
            name=f"{system.name}, seed {number + 1} of {system.train.seeds}" if several else system.name,
            trained_on=f"study {run.study.study}, system {system.name}, recipe {system.recipe}: "
            f"{counts.get('train', 0)} photos, {counts.get('val', 0)} to choose the epoch",
        )
        learn(
            lesson,
            photos,
            pl.read_parquet(labelled / "labels.parquet"),
            training,
            progress=run.progress,
            inherited=(run.workspace.lock_descriptor,),
        )

    run.workspace.run_stage(train_stage(system, number), inputs, outputs, action)


def _learnt(run: Run, labelled: Path) -> pl.DataFrame:
    """The photos that a system learns from, with their ``split``: train, and val to choose the epoch.

    Without the calibration photos: what chooses the threshold must not have chosen the epoch.
    """
    outcomes = pl.read_parquet(labelled / "photos.parquet").filter(pl.col("outcome") != "left_out")
    photos = run.catalog.photos.join(outcomes.select("photo", "split"), on="photo")
    return photos.join(run.calibration_photos(), on="photo", how="anti").sort("photo")
