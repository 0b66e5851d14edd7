"""Where a system's best settings are looked for: trials on train and validation photos; the test set stays shut.

A trial learns from the training photos, and is judged on the *stopping* part of validation. The calibration photos are
kept out of it, so that the threshold, and what is promised about it, still rest on photos that chose nothing else.
"""

from __future__ import annotations

import json
import math
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from wreckognize.errors import MissingExtraError, StudyError, TrainingError, UsageError, WeightsError
from wreckognize.files import atomic_write, claim, held_file, read_sealed, sha256_of, write_sealed, write_table
from wreckognize.labeling.policies import LabelResult, make_labels
from wreckognize.reporting.wording import hide_folders
from wreckognize.search.figures import Figures, missing_for, trial_figures
from wreckognize.search.records import Trial, best_of
from wreckognize.search.space import drawn_now
from wreckognize.search.words import said_of_trial
from wreckognize.settings import OBJECTIVES, SearchSettings, SystemAsTeacher, SystemSettings
from wreckognize.stages.data import refuse_test_photos
from wreckognize.stages.learning import Lesson, learn
from wreckognize.stages.looking import Looker, look, teacher_predictions
from wreckognize.stages.run import Run
from wreckognize.state import fingerprint_of
from wreckognize.study.weights import is_random

if TYPE_CHECKING:
    from wreckognize.search.store import Asked, Store

REASON_LETTERS = 400

_NOT_COMPARED: dict[str, Any] = {
    "name": True,
    "predict": {"device", "threshold"},
    "train": {"device", "seeds", "cache"},
}
"""Parts of a system that make no difference to its trials."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A search that can begin.

    Attributes:
        settings: of the search.
        system: as it stands in the study.
        photos: ``PHOTO_SCHEMA`` and ``split``: train and val, none of the test set.
        judged: those of them that trials are judged on.
        boxes: ``BOX_SCHEMA`` of these photos.
        teacher: ``PREDICTION_SCHEMA`` of the system's own teacher on these photos.
        folder: ``search/KEY``: all that its trials write.
        here: names the run's folder.
        store: where trials are kept.
        notes: what a reader must know.
    """

    settings: SearchSettings
    system: SystemSettings
    photos: pl.DataFrame
    judged: pl.DataFrame
    boxes: pl.DataFrame
    teacher: pl.DataFrame
    folder: Path
    here: str
    store: Store
    notes: tuple[str, ...]


class _Pruned(Exception):
    """A trial does worse than half of those before it."""


def require_extra() -> None:
    """Make sure that Optuna is installed, before anything is done.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("optuna") is None:
        raise MissingExtraError("search", "a search for the best settings")


def require_storage(settings: SearchSettings) -> None:
    """Make sure that the storage a search asks for can be spoken to, before photos are looked at for it.

    Raises:
        UsageError: it is no URL, or the driver is not installed.
    """
    if settings.storage:
        from wreckognize.search import store

        store.require_storage(settings.storage)


def prepare(run: Run, settings: SearchSettings) -> Plan:
    """Make sure that a search can be done, and begin it or join it.

    Args:
        run: after the split, and after the training of the system that teaches, if one does.
        settings: of the search.

    Raises:
        UsageError: the photos cannot say the objective, or the storage cannot be opened.
        LeakError: a photo belongs to the locked test set.
    """
    from wreckognize.search.store import open_store

    system = run.study.system(settings.system)
    photos = run.photos_of("train", "val")
    stopping = run.validation.filter(pl.col("part") == "stopping")
    judged = photos.join(stopping, on="photo", how="semi").drop("split")
    boxes = run.catalog.boxes.join(photos, on="photo", how="semi")
    refuse_test_photos(run, photos, f"search for {system.name}")
    lacking = missing_for(settings.objective, judged, boxes)
    if lacking:
        raise UsageError(
            f"{OBJECTIVES[settings.objective]} cannot be said of the {judged.height} photos that judge trials: "
            f"{lacking}",
            where="search.objective",
            remedy="give more photos, raise split.val or lower split.calibration, or choose another objective",
        )
    _, teacher_file, _ = teacher_predictions(run, system)
    teacher = pl.scan_parquet(teacher_file).join(photos.select("photo").lazy(), on="photo", how="semi").collect()
    identity = _identity(run, system, settings, photos, boxes)
    key = fingerprint_of(identity)[:8]
    here = _folder_name(run)
    url = settings.storage or f"sqlite:///{run.path('search', 'search.db')}"
    prefix = f"{run.study.study}/{system.name}/"
    store = open_store(
        url,
        name=prefix + key,
        identity=identity,
        space=settings.space,
        seed=run.study.seed,
        pruner=settings.pruner,
        warmup=max(1, system.train.epochs // 5),
    )
    with store.failures_told():
        now = drawn_now(settings.space, system)
        if now is not None:
            store.begin_with(now)
        notes = tuple(
            f"The storage also holds another search for {system.name} ({count} trials), which is not shared: it "
            f"differs in {', '.join(parts) or 'nothing that is known'}."
            for count, parts in store.others(prefix)
        )
    return Plan(
        settings=settings,
        system=system,
        photos=photos,
        judged=judged,
        boxes=boxes,
        teacher=teacher,
        folder=run.path("search", key),
        here=here,
        store=store,
        notes=notes,
    )


def _identity(
    run: Run, system: SystemSettings, settings: SearchSettings, photos: pl.DataFrame, boxes: pl.DataFrame
) -> dict[str, str]:
    """What must be the same for two trials to be comparable, by its name in words; the same on every machine."""
    parts = photos.join(run.validation, on="photo", how="left").sort("photo")
    as_it_stands = system.model_dump(mode="json", exclude=_NOT_COMPARED)
    as_it_stands["weights"] = _bytes_of(run, system.weights)
    if not isinstance(system.teacher, SystemAsTeacher):
        as_it_stands["teacher"]["weights"] = _bytes_of(run, system.teacher.weights)
    for dimension in settings.space:
        section, _, key = dimension.field.partition(".")
        (as_it_stands[section] if key else as_it_stands).pop(key or section, None)
    return {
        "photos": fingerprint_of({"rows": parts.select("photo", "sha256", "role", "split", "part").rows()}),
        "boxes": fingerprint_of({"rows": boxes.sort(boxes.columns).rows()}),
        "system": fingerprint_of(as_it_stands),
        "space": fingerprint_of({"space": [dimension.model_dump(mode="json") for dimension in settings.space]}),
        "objective": settings.objective,
        "seed": str(run.study.seed),
    }


def _bytes_of(run: Run, weights: str) -> str:
    found = run.start_weights(weights)
    return found if is_random(found) else sha256_of(Path(found))


def _folder_name(run: Run) -> str:
    """A name of the run's folder that no other has, wherever it is mounted."""
    file = run.path("search", "folder.txt")
    if not file.exists():
        atomic_write(file, uuid.uuid4().hex)
    return file.read_text(encoding="utf-8")


def make_trials(run: Run, plan: Plan, publish: Callable[[], None]) -> None:
    """Make trials until there are as many as were asked for, by all processes together, or the time is up.

    Args:
        run: its folder shared.
        plan: from `prepare`.
        publish: called after each trial and at the end.

    Raises:
        UsageError: the storage failed, or a photo can no longer be read.
    """
    settings, store = plan.settings, plan.store
    ends = time.monotonic() + settings.minutes * 60 if settings.minutes is not None else math.inf
    with store.failures_told():
        while True:
            if time.monotonic() >= ends:
                run.progress.say(f"{settings.minutes:g} minutes are over; no further trial is begun")
                break
            with ExitStack() as until_made:
                begun = _begin(run, plan, until_made)
                if begun is None:
                    break
                asked, lock = begun
                _make(run, plan, asked, lock)
            trials = store.trials()
            run.progress.say(said_of_trial(trials[asked.number], best_of(trials), settings.objective))
            publish()
        publish()


def _begin(run: Run, plan: Plan, until_made: ExitStack) -> tuple[Asked, int] | None:
    """Begin the next trial and hold its lock; None if enough are made or under way.

    One process at a time does this: a trial that is under way and whose lock nobody holds was interrupted.
    """
    store, locks = plan.store, plan.folder / "locks"
    with held_file(locks / "next"):
        for number, origin in store.running_in(plan.here):
            with held_file(locks / f"{origin:04d}", wait=False) as lock:
                if lock is not None and store.interrupted(number):
                    run.progress.say(f"trial {number} was interrupted; it is gone on with")
        if _made_or_under_way(store.trials()) >= plan.settings.trials:
            return None
        asked = store.ask(plan.here)
        lock = until_made.enter_context(held_file(locks / f"{asked.origin:04d}"))
    assert lock is not None  # for the type checker: it was waited for
    earlier = [trial for trial in store.trials() if trial.number < asked.number]
    if _made_or_under_way(earlier) >= plan.settings.trials:  # another machine was quicker
        store.fail(asked.number, "", outcome="surplus")
        return None
    return asked, lock


def _made_or_under_way(trials: Sequence[Trial]) -> int:
    return sum(trial.counts or trial.outcome == "running" for trial in trials)


def _make(run: Run, plan: Plan, asked: Asked, lock: int) -> None:
    """Make one trial and note what came of it; a trial that fails costs only itself."""
    store, number = plan.store, asked.number
    folder = plan.folder / "trials" / f"{asked.origin:04d}"
    began = time.monotonic()
    try:
        twin = next(
            (one for one in store.trials() if one.outcome == "complete" and one.values == asked.values), None
        )
        if twin is not None and twin.value is not None:
            same_as = twin.number if twin.same_as is None else twin.same_as
            store.complete(number, twin.value, figures=dict(twin.figures), same_as=same_as)
            return
        figures, epochs_run = _train_and_judge(run, plan, asked, folder, lock)
        value = figures[plan.settings.objective]
        if value is None:
            raise TrainingError(f"{OBJECTIVES[plan.settings.objective]} cannot be said")
        seconds = round(time.monotonic() - began, 1)
        store.complete(number, value, figures=figures, seconds=seconds, epochs_run=epochs_run)
        record = {"trial": number, "values": dict(asked.values), "figures": figures, "seconds": seconds}
        atomic_write(folder / "trial.json", json.dumps(record, indent=1, ensure_ascii=False))
    except _Pruned as pruned:
        store.prune(number, str(pruned), seconds=round(time.monotonic() - began, 1))
    except (TrainingError, StudyError, WeightsError, RuntimeError, MemoryError, ValueError) as error:
        store.fail(number, _reason(error))
    except BaseException:
        store.interrupted(number)
        raise
    finally:
        # After an interruption everything stays, to be gone on with.
        if store.has_ended(number):
            _tidy(folder)


def _reason(error: Exception) -> str:
    """An error in a line or two, without folders: of a training's log, its last line."""
    if isinstance(error, StudyError):
        text = "; ".join(
            f"{problem.key}: {problem.found}; expected {problem.expected}" for problem in error.problems
        )
    else:
        what = error.what if isinstance(error, TrainingError) else str(error) or type(error).__name__
        lines = [line.strip(" |") for line in what.splitlines() if line.strip(" |")]
        text = "; ".join(dict.fromkeys((lines[0], lines[-1])))
    return hide_folders(text)[:REASON_LETTERS]


def _tidy(folder: Path) -> None:
    """Of a trial that has ended, keep figures, predictions, curves and the log."""
    training = folder / "training"
    for kept in (training / "train.log", training / "work" / "results.csv"):
        if kept.exists():
            kept.replace(folder / kept.name)
    for gone in ("training", "weights", "parts", "teacher-parts"):
        shutil.rmtree(folder / gone, ignore_errors=True)


def _train_and_judge(run: Run, plan: Plan, asked: Asked, folder: Path, lock: int) -> tuple[Figures, int]:
    """Labels, training, predictions and figures of one trial; and how many epochs it took."""
    from wreckognize.training.fine_tune import epochs_so_far, read_result

    system = run.study.system_with(plan.system.name, asked.values)
    weights = run.start_weights(system.weights)
    name = f"trial {asked.number} of {system.name}"
    key = fingerprint_of({"system": system.model_dump(mode="json"), "weights": _bytes_of(run, weights)})
    claim(folder, key)
    labelled = _labels(run, plan, system, folder, name)
    learnt = _learnt(run, plan, labelled)
    refuse_test_photos(run, learnt, f"training of {name}")
    training = folder / "training"
    reported: set[int] = set()

    def each_epoch(epoch: int, area: float | None) -> None:
        if area is None or epoch in reported:
            return
        reported.add(epoch)
        if plan.store.report(asked.number, epoch, area) and epoch < system.train.epochs:
            raise _Pruned(f"after epoch {epoch}, where its ROC area was {area:.3f}")

    for epoch, area in epochs_so_far(training).items():
        each_epoch(epoch, area)
    lesson = Lesson(
        weights=weights,
        train=system.train,
        seed=run.study.seed,
        name=name,
        trained_on=f"study {run.study.study}, {name}: {learnt.filter(split='train').height} photos",
    )
    learn(
        lesson,
        learnt,
        labelled.labels,
        training,
        progress=run.progress,
        inherited=(run.workspace.lock_descriptor, lock),
        each_epoch=each_epoch,
    )
    made = str(folder / "weights" / "best.safetensors")
    looker = Looker(made, system.predict_imgsz, system.classes, system.merge, system.predict.device)
    seen = look(
        looker, plan.judged, folder / "parts", key=key, progress=run.progress, description=f"{name}: looking"
    )
    write_table(folder / "predictions.parquet", seen)
    return trial_figures(plan.judged, plan.boxes, seen), read_result(training).epochs_run


def _labels(run: Run, plan: Plan, system: SystemSettings, folder: Path, name: str) -> LabelResult:
    """The labels that these settings make of the train and val photos."""
    photos = plan.photos.drop("split")
    split = run.split.join(photos, on="photo", how="semi")
    teacher = plan.teacher
    if not isinstance(system.teacher, SystemAsTeacher):
        looker = Looker.of_teacher(run, system.teacher)
        if isinstance(plan.system.teacher, SystemAsTeacher) or looker != Looker.of_teacher(
            run, plan.system.teacher
        ):
            key = fingerprint_of(looker.identity)
            file = plan.folder / "teachers" / f"{key[:16]}.table"
            seen = read_sealed(file)
            if seen is None:
                seen = look(
                    looker,
                    photos,
                    folder / "teacher-parts",
                    key=key,
                    progress=run.progress,
                    description=f"teacher of {name}",
                )
                write_sealed(file, seen)
            teacher = seen
    return make_labels(photos, split, plan.boxes, teacher, system.labels, system.limits, seed=run.study.seed)


def _learnt(run: Run, plan: Plan, labelled: LabelResult) -> pl.DataFrame:
    """The photos a trial learns from: train, and of validation only what chooses the epoch."""
    outcomes = labelled.photos.filter(pl.col("outcome") != "left_out").select("photo", "split")
    photos = plan.photos.drop("split").join(outcomes, on="photo")
    return photos.join(run.calibration_photos(), on="photo", how="anti").sort("photo")
