"""Where a detector looks at photos: the teacher pass, predictions, timing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from wreckognize.detectors.port import Detector, Merge
from wreckognize.errors import UsageError
from wreckognize.files import atomic_write, sha256_of, write_table
from wreckognize.inference.passes import Pass, run_pass
from wreckognize.inference.stream import StreamSettings
from wreckognize.progress import Progress
from wreckognize.settings import SystemAsTeacher, SystemSettings, TeacherSettings
from wreckognize.stages.run import REVISIONS, Run, versions
from wreckognize.study.weights import is_random
from wreckognize.workspace import fingerprint_of

LATENCY_PHOTOS = 60


@dataclass(frozen=True)
class Looker:
    """Weights and how they are read: all that decides what is seen in a photo."""

    weights: str
    imgsz: int
    classes: tuple[str, ...]
    merge: Merge
    device: str | int | None = None

    @classmethod
    def of_teacher(cls, run: Run, teacher: TeacherSettings) -> Looker:
        """The detector that a teacher's settings describe."""
        return cls(run.start_weights(teacher.weights), teacher.imgsz, teacher.classes, teacher.merge)

    @classmethod
    def of_system(cls, run: Run, system: SystemSettings, number: int = 0) -> Looker:
        """The detector that a system's ``number``-th training made, or that it always was."""
        weights = run.weights_of(system, number)
        return cls(weights, system.predict_imgsz, system.classes, system.merge, system.predict.device)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """For fingerprints: the bytes of the weights, not where they lie."""
        weights = self.weights if is_random(self.weights) else sha256_of(Path(self.weights))
        return {**asdict(self), "weights": weights, "settings": asdict(self.stream), "versions": versions()}

    @property
    def stream(self) -> StreamSettings:
        """How photos go through it."""
        return StreamSettings(self.imgsz)

    def open(self) -> Detector:
        """Load it."""
        from wreckognize.detectors.ultralytics import open_detector

        return open_detector(self.weights, classes=self.classes, merge=self.merge, device=self.device)


def teacher_pass(run: Run) -> None:
    """Every photo through the study's teacher -> ``teacher/``."""
    teacher = run.study.teacher
    _pass_stage(
        run,
        stage="teacher",
        photos=run.catalog.photos,
        depends=_seen(run),
        looker=Looker.of_teacher(run, teacher),
        folder=run.path("teacher"),
        files={"predictions": "predictions.parquet", "embeddings": "embeddings.parquet"},
        description="teacher pass",
    )


def teacher_predictions(run: Run, system: SystemSettings) -> tuple[str, Path, str]:
    """The table of the teacher that this system learns from, made now if it is not the study's own."""
    teacher = system.teacher
    if isinstance(teacher, SystemAsTeacher):
        name, looker = f"system-{teacher.system}", Looker.of_system(run, run.study.system(teacher.system))
    else:
        looker = Looker.of_teacher(run, teacher)
        if looker == Looker.of_teacher(run, run.study.teacher):
            stage = "teacher"
            return (
                stage,
                run.path("teacher", "predictions.parquet"),
                _digest(run, stage, "teacher/predictions.parquet"),
            )
        name = f"of-{system.name}"
    stage, folder = f"teacher:{name}", run.path("teacher", name)
    _pass_stage(
        run,
        stage=stage,
        photos=run.photos_of("train", "val"),
        depends={**_seen(run), "split": _digest(run, "split", "split.parquet")},
        looker=looker,
        folder=folder,
        files={"predictions": "predictions.parquet"},
        description=f"teacher of {system.name}",
    )
    return stage, folder / "predictions.parquet", _digest(run, stage, f"teacher/{name}/predictions.parquet")


def _seen(run: Run) -> dict[str, str]:
    """What a pass over photos depends on: their bytes, not their roles or boxes, which a review changes."""
    rows = run.catalog.photos.select("photo", "path", "sha256", "width", "height").rows()
    return {"photos": fingerprint_of({"rows": rows})}


def _digest(run: Run, stage: str, output: str) -> str:
    return run.workspace.digest(stage)[output]


def _pass_stage(
    run: Run,
    *,
    stage: str,
    photos: pl.DataFrame,
    depends: Mapping[str, str],
    looker: Looker,
    folder: Path,
    files: Mapping[str, str],
    description: str,
) -> None:
    """One detector over some photos; ``files`` says which tables are kept under which names."""
    outputs = [folder / name for name in files.values()]
    inputs = {"revision": REVISIONS["pass"], "depends": dict(depends), "looker": looker.identity}
    parts = folder / f"parts-{stage.replace(':', '-')}"

    def action() -> None:
        seen = run_pass(
            photos,
            looker.open,
            looker.stream,
            parts=parts,
            key=json.dumps(inputs, sort_keys=True, default=str),
            progress=run.progress,
            description=description,
        )
        _require_all_read(seen)
        for table, name in files.items():
            write_table(folder / name, getattr(seen, table))

    if run.workspace.run_stage(stage, inputs, outputs, action):
        shutil.rmtree(parts)


def look(
    looker: Looker, photos: pl.DataFrame, parts: Path, *, key: str, progress: Progress, description: str
) -> pl.DataFrame:
    """What a detector sees in some photos, outside any stage.

    Args:
        looker: the detector.
        photos: ``PHOTO_SCHEMA``.
        parts: a folder for what was seen so far; a killed call goes on from it. The caller removes it.
        key: what it depends on; parts of another key are thrown away.
        progress: where to report.
        description: what the progress bar says.

    Returns:
        ``PREDICTION_SCHEMA``.

    Raises:
        UsageError: a photo can no longer be read.
    """
    seen = run_pass(
        photos, looker.open, looker.stream, parts=parts, key=key, progress=progress, description=description
    )
    _require_all_read(seen)
    return seen.predictions


def _require_all_read(seen: Pass) -> None:
    """A photo that was whole when it was collected and is not now must not count as one without a vehicle."""
    if seen.unread.is_empty():
        return
    rows = [f"{photo}: {reason}" for _, photo, reason, _ in seen.unread.head(10).iter_rows()]
    raise UsageError(
        f"{seen.unread.height} photos can no longer be read as they were collected:\n    " + "\n    ".join(rows),
        remedy="put them back as they were, or run again: what has changed is collected anew",
    )


def predictions_stage(system: SystemSettings, split: str, number: int = 0) -> str:
    """The name of the stage that predicts a split."""
    stage = f"predict:{system.name}:{split}"
    return f"{stage}:{number}" if number else stage


def predict(run: Run, system: SystemSettings, split: Literal["val", "test"], number: int = 0) -> None:
    """A system's ``number``-th training on a split -> ``predictions/`` in `Run.trained_folder`."""
    looker = Looker.of_system(run, system, number)
    stage = predictions_stage(system, split, number)
    folder = run.trained_folder(system, number) / "predictions"
    if "teacher" in run.workspace.stages and looker == Looker.of_teacher(run, run.study.teacher):
        _take_from_teacher(run, stage, split, folder / f"{split}.parquet")
        return
    which = f", seed {number + 1}" if system.trained and system.train.seeds > 1 else ""
    _pass_stage(
        run,
        stage=stage,
        photos=run.photos_of(split),
        depends={**_seen(run), "split": _digest(run, "split", "split.parquet")},
        looker=looker,
        folder=folder,
        files={"predictions": f"{split}.parquet"},
        description=f"{system.name}{which} on {split}",
    )


def _take_from_teacher(run: Run, stage: str, split: str, output: Path) -> None:
    """The teacher has already looked at every photo in just this way."""
    source = run.path("teacher", "predictions.parquet")

    def action() -> None:
        wanted = run.photos_of(split).select("photo")
        write_table(output, pl.read_parquet(source).join(wanted, on="photo", how="semi"))

    inputs = {
        "revision": REVISIONS["pass"],
        "teacher": _digest(run, "teacher", "teacher/predictions.parquet"),
        "split": _digest(run, "split", "split.parquet"),
    }
    run.workspace.run_stage(stage, inputs, [output], action)


def time_system(run: Run, system: SystemSettings) -> None:
    """How long one photo takes -> ``systems/NAME/latency.json``."""
    from wreckognize.evaluation.latency import WARMUP, measure
    from wreckognize.inference.stream import PhotoFile, look_at

    looker = Looker.of_system(run, system)
    output = run.path("systems", system.name, "latency.json")

    def action() -> None:
        test = run.photos_of("test")
        photos = test.gather_every(max(1, test.height // LATENCY_PHOTOS)).head(LATENCY_PHOTOS)
        files = {
            Path(path): PhotoFile(photo, Path(path), width, height)
            for photo, path, width, height in photos.select("photo", "path", "width", "height").iter_rows()
        }
        detector = looker.open()
        settings = StreamSettings(looker.imgsz, batch=1, workers=1)
        with run.progress.task(f"timing {system.name}", len(files) + WARMUP) as task:

            def look(path: Path) -> None:
                next(look_at([files[path]], detector, settings))
                task.advance()

            latency = measure(look, list(files))
        info = detector.info
        atomic_write(output, json.dumps({"latency": asdict(latency), "info": asdict(info)}, indent=1))

    inputs = {
        "revision": REVISIONS["latency"],
        "looker": looker.identity,
        "split": _digest(run, "split", "split.parquet"),
    }
    run.workspace.run_stage(f"latency:{system.name}", inputs, [output], action)
