"""Where a system learns."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from wreckognize.files import atomic_write, sha256_of
from wreckognize.settings import SystemSettings
from wreckognize.stages.data import refuse_test_photos
from wreckognize.stages.run import REVISIONS, Run, versions
from wreckognize.study.weights import is_random


def train_stage(system: SystemSettings, number: int = 0) -> str:
    """The name of the stage that trains."""
    return f"train:{system.name}:{number}" if number else f"train:{system.name}"


def train(run: Run, system: SystemSettings, number: int = 0) -> None:
    """Fine-tune a system from its ``number``-th seed -> ``weights/`` and ``training/`` in `Run.trained_folder`."""
    from wreckognize.training.fine_tune import fine_tune
    from wreckognize.training.layout import write_layout

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
    inputs = {
        "revision": REVISIONS["train"],
        "labels": run.workspace.digest(f"label:{system.name}"),
        "validation": run.workspace.digest("part"),
        "photos": run.workspace.digest("collect")["catalog/photos.parquet"],
        "weights": weights if is_random(weights) else sha256_of(Path(weights)),
        "train": system.train.model_dump(mode="json", exclude={"seeds"}),
        "seed": seed,
        "versions": versions(),
    }

    def action() -> None:
        _claim_training(training, inputs)
        outcomes = pl.read_parquet(labelled / "photos.parquet").filter(pl.col("outcome") != "left_out")
        photos = run.catalog.photos.join(outcomes.select("photo", "split"), on="photo")
        # What chooses the threshold must not have chosen the epoch.
        photos = photos.join(run.calibration_photos(), on="photo", how="anti")
        refuse_test_photos(run, photos, f"training of {system.name}")
        labels = pl.read_parquet(labelled / "labels.parquet")
        layout = write_layout(photos, labels, training / "data", progress=run.progress)
        fine_tune(
            weights,
            layout,
            system.train,
            training,
            seed=seed,
            name=f"{system.name}, seed {number + 1} of {system.train.seeds}"
            if system.train.seeds > 1
            else system.name,
            progress=run.progress,
            inherited=(run.workspace.lock_descriptor,),
            trained_on=f"study {run.study.study}, system {system.name}, recipe {system.recipe}: "
            f"{layout.train_photos} photos, {layout.val_photos} to choose the epoch",
        )

    run.workspace.run_stage(train_stage(system, number), inputs, outputs, action)


def _claim_training(training: Path, inputs: Mapping[str, Any]) -> None:
    """Throw away what an earlier training from other inputs left, so that it is not gone on with."""
    key = json.dumps(inputs, sort_keys=True, default=str)
    owner = training / "key.txt"
    if owner.exists() and owner.read_text(encoding="utf-8") != key:
        shutil.rmtree(training)
    atomic_write(owner, key)
