"""Where a detector looks at photos: the teacher pass, predictions, timing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from wreckognize.detectors.engines import TORCH, Choice, versions_of
from wreckognize.detectors.port import Calibration, Detector, Merge
from wreckognize.detectors.weights import card_path
from wreckognize.errors import UsageError
from wreckognize.files import atomic_write, sha256_of, write_table
from wreckognize.inference.passes import Pass, run_pass
from wreckognize.inference.samples import letterboxed, photo_files
from wreckognize.inference.stream import StreamSettings
from wreckognize.progress import Progress
from wreckognize.settings import EngineSettings, SystemAsTeacher, SystemSettings, TeacherSettings
from wreckognize.stages.run import REVISIONS, Run, versions
from wreckognize.state import fingerprint_of
from wreckognize.study.weights import is_random

LATENCY_PHOTOS = 60


@dataclass(frozen=True)
class Looker:
    """Weights and how they are read: all that decides what is seen in a photo.

    Attributes:
        weights: absolute path, or an architecture's name.
        imgsz: longest side in pixels that photos are scaled to.
        classes: read as vehicle where the weights know several classes.
        merge: how their scores become one.
        device: for torch.
        choice: of engine and precision.
        learn_from: photos, ``PHOTO_SCHEMA``, on which int8 learns; needed for int8 only.
        cache: a folder for what engines make of the weights.
    """

    weights: str
    imgsz: int
    classes: tuple[str, ...]
    merge: Merge
    device: str | int | None = None
    choice: Choice = TORCH
    learn_from: pl.DataFrame | None = field(default=None, compare=False)
    cache: Path | None = field(default=None, compare=False)

    @classmethod
    def of_teacher(cls, run: Run, teacher: TeacherSettings) -> Looker:
        """The detector that a teacher's settings describe; for ``engine: auto``, once it was picked."""
        from wreckognize.stages.picking import for_teacher

        plain = cls(run.start_weights(teacher.weights), teacher.imgsz, teacher.classes, teacher.merge)
        return plain if plain_torch(teacher) else for_teacher(run, teacher, plain)

    @classmethod
    def of_system(cls, run: Run, system: SystemSettings, number: int = 0, also: tuple[float, ...] = ()) -> Looker:
        """The detector that a system's ``number``-th training made, or that it always was.

        Args:
            run: after the training; for ``engine: auto``, after the split too.
            system: whose settings.
            number: of the training.
            also: thresholds that matter besides 0.10, 0.25 and the system's fixed one, where a second look is given.
        """
        from wreckognize.stages.picking import for_system

        weights = run.weights_of(system, number)
        plain = cls(weights, system.predict_imgsz, system.classes, system.merge, system.predict.device)
        return plain if plain_torch(system.predict) else for_system(run, system, number, plain, also)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """For fingerprints: the bytes of the weights, not where they lie; the engine where it is not the usual one."""
        weights = self.weights if is_random(self.weights) else sha256_of(Path(self.weights))
        known = {
            "weights": weights,
            "imgsz": self.imgsz,
            "classes": self.classes,
            "merge": self.merge,
            "device": self.device,
            "settings": asdict(self.stream),
            "versions": versions(),
        }
        if self.choice == TORCH:
            return known
        engine: dict[str, Any] = {"choice": asdict(self.choice), "versions": versions_of(self.choice)}
        if self.choice.precision == "int8":
            engine["learnt_from"] = self._learnt_from
        return {**known, "engine": engine}

    @property
    def _learnt_from(self) -> str:
        rows = [] if self.learn_from is None else self.learn_from.select("photo", "sha256").rows()
        return fingerprint_of({"photos": rows, "imgsz": self.imgsz})

    @property
    def stream(self) -> StreamSettings:
        """How photos go through it."""
        return StreamSettings(self.imgsz)

    @property
    def files(self) -> tuple[Path, ...]:
        """The weights, and the card beside them."""
        if is_random(self.weights):
            return ()
        weights = Path(self.weights)
        return (weights, card_path(weights)) if weights.suffix == ".safetensors" else (weights,)

    def moved(self, folder: Path) -> Looker:
        """The same detector, loaded from copies of `files` in another folder, where engines keep their graphs too."""
        weights = str(folder / Path(self.weights).name) if self.files else self.weights
        return replace(self, weights=weights, cache=folder)

    def open(self, *, requests: int | None = None) -> Detector:
        """Load it; ``requests`` 1 gives a single photo all the cores."""
        from wreckognize.detectors.engines import open_engine

        return open_engine(
            self.weights,
            self.choice,
            classes=self.classes,
            merge=self.merge,
            device=self.device,
            cache=self.cache,
            calibration=self._calibration(),
            requests=requests,
        )

    def _calibration(self) -> Calibration | None:
        if self.choice.precision != "int8" or self.learn_from is None:
            return None
        files = photo_files(self.learn_from)
        return Calibration(lambda: letterboxed(files, self.imgsz), self._learnt_from)


def plain_torch(settings: EngineSettings) -> bool:
    """Whether nothing but torch in float32 is asked for."""
    return settings.engine == "torch" and settings.precision == "float32"


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
        if "teacher" in run.workspace.stages and looker == Looker.of_teacher(run, run.study.teacher):
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
            looker,
            looker.stream,
            parts=parts,
            key=json.dumps(inputs, sort_keys=True, default=str),
            progress=run.progress,
            description=description,
            executor=run.executor,
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
        photos, looker, looker.stream, parts=parts, key=key, progress=progress, description=description
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
    twice = split == "test" and not plain_torch(system.predict)  # only coarse engines look a second time
    looker = Looker.of_system(run, system, number, _frozen(run, system, number) if twice else ())
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


def _frozen(run: Run, system: SystemSettings, number: int) -> tuple[float, ...]:
    """Thresholds that were frozen for the test set, its third answer's too."""
    from wreckognize.stages.deciding import frozen_threshold

    frozen = frozen_threshold(run, system, number)
    third = frozen.third_answer
    return tuple(cut for cut in (frozen.chosen.threshold, third.low, third.high) if cut is not None)


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
    from wreckognize.inference.stream import look_at
    from wreckognize.stages.picking import why_picked

    looker = Looker.of_system(run, system)
    output = run.path("systems", system.name, "latency.json")

    def action() -> None:
        test = run.photos_of("test")
        photos = test.gather_every(max(1, test.height // LATENCY_PHOTOS)).head(LATENCY_PHOTOS)
        files = {file.path: file for file in photo_files(photos)}
        detector = looker.open(requests=1)
        settings = StreamSettings(looker.imgsz, batch=1, workers=1)
        with run.progress.task(f"timing {system.name}", len(files) + WARMUP) as task:

            def look(path: Path) -> None:
                next(look_at([files[path]], detector, settings))
                task.advance()

            latency = measure(look, list(files))
        info = asdict(detector.info)
        if system.predict.engine == "auto":
            info["engine"] += f" ({why_picked(run, system)})"
        atomic_write(output, json.dumps({"latency": asdict(latency), "info": info}, indent=1))

    inputs = {
        "revision": REVISIONS["latency"],
        "looker": looker.identity,
        "split": _digest(run, "split", "split.parquet"),
    }
    run.workspace.run_stage(f"latency:{system.name}", inputs, [output], action)
