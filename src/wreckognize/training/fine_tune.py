"""Running a training: start the child, show how far it is, bring back what it made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from wreckognize.detectors.ultralytics import fence
from wreckognize.errors import TrainingError
from wreckognize.files import atomic_write
from wreckognize.progress import Progress, Task
from wreckognize.settings import TrainSettings
from wreckognize.training.events import read_events, since_anew
from wreckognize.training.job import TrainJob, TrainResult
from wreckognize.training.layout import Layout

POLL_SECONDS = 0.2
LOG_LINES_SHOWN = 12
_WORKER_KILLED = "is killed by signal: Killed"  # as torch says it of a data loader's worker


def fine_tune(
    weights: str,
    layout: Layout,
    settings: TrainSettings,
    folder: Path,
    *,
    seed: int,
    name: str,
    progress: Progress,
    inherited: Sequence[int] = (),
    trained_on: str = "",
    each_epoch: Callable[[int, float | None], None] | None = None,
) -> TrainResult:
    """Train one system and write ``../weights/best.safetensors`` with its card.

    A training that was interrupted goes on after its last whole epoch, and ends as if it had not been.

    Args:
        weights: what to start from.
        layout: the training folder.
        settings: of the system.
        folder: ``systems/NAME/training``; holds ``work/results.csv``, the log and, while it trains, its state.
        seed: used unless the settings name one.
        name: of the system, for progress and errors.
        progress: where to report.
        inherited: file descriptors the child keeps open (the lock of the run's folder).
        trained_on: a sentence for the model card.
        each_epoch: called after each epoch with its number (from 1) and the ROC area of photos with a label against
            those without, among those that choose the epoch; None where one kind is missing. What it raises ends the
            training and all its processes.

    Raises:
        TrainingError: the child ended without a result; the end of its log is in the text.
    """
    job = TrainJob(
        weights=weights,
        data=layout.data_file,
        folder=folder,
        settings={"seed": seed, "deterministic": True, **library_settings(settings)},
        parent=os.getpid(),
        trained_on=trained_on,
        cache=settings.cache,
    )
    job_file = folder / "job.json"
    atomic_write(job_file, job.model_dump_json(indent=1))
    log = folder / "train.log"
    library = _library_folder(folder)
    caches = dict.fromkeys(("XDG_CACHE_HOME", "XDG_CONFIG_HOME"), str(library))
    environment = {**os.environ, **fence(library), **caches, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "wreckognize.training.child", str(job_file)]
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(inherited),
            start_new_session=True,  # so that the child and all it starts can be ended together
            cwd=folder,
        )
    try:
        _follow(child, job, name, progress, each_epoch)
    finally:
        _end(child)
    if child.returncode != 0 or not job.result.exists():
        raise _failed(name, child.returncode, log)
    _tidy(folder)
    return read_result(folder)


def read_result(folder: Path) -> TrainResult:
    """What the finished training in ``folder`` left."""
    return TrainResult.model_validate_json((folder / "result.json").read_bytes())


def library_settings(settings: TrainSettings) -> dict[str, Any]:
    """Settings in the form the library takes (several devices as one string)."""
    values = settings.library_settings()
    device = values.get("device")
    if isinstance(device, list | tuple):
        values["device"] = ",".join(str(number) for number in device)
    return values


def epochs_so_far(folder: Path) -> dict[int, float]:
    """The ROC area after each epoch of a training that was begun in ``folder``, by epoch from 1; see `fine_tune`."""
    file = TrainJob(weights="", data=folder, folder=folder, settings={}, parent=0).events
    events, _ = read_events(file, 0)
    return {
        int(event["epoch"]): event["roc_area"]
        for event in since_anew(events)
        if event["event"] == "epoch" and event.get("roc_area") is not None
    }


def _library_folder(folder: Path) -> Path:
    library = folder / "library"
    library.mkdir(parents=True, exist_ok=True)
    return library


def _follow(
    child: subprocess.Popen[bytes],
    job: TrainJob,
    name: str,
    progress: Progress,
    each_epoch: Callable[[int, float | None], None] | None,
) -> None:
    """Show the child's events until it ends."""
    position = job.events.stat().st_size if job.events.exists() else 0
    total = _total_batches(job)
    with progress.task(f"training {name}", total, unit="batches") as task:
        done = 0
        while True:
            ended = child.poll() is not None
            events, position = read_events(job.events, position)
            for event in events:
                done = _show(event, done, task)
                if event["event"] == "note":
                    progress.say(f"  note: {name}: {event['text']}")
                if each_epoch is not None and event["event"] == "epoch":
                    each_epoch(int(event["epoch"]), event.get("roc_area"))
            if ended:
                return
            time.sleep(POLL_SECONDS)


def _total_batches(job: TrainJob) -> int:
    photos = sum(1 for _ in (job.data.parent / "images" / "train").iterdir())
    batch, epochs = int(job.settings["batch"]), int(job.settings["epochs"])
    return -(-photos // batch) * epochs


def _show(event: Mapping[str, Any], done: int, task: Task) -> int:
    """Advance the bar to where the event says the training stands; return the batches shown as done."""
    if event["event"] == "start":
        now = int(event["epoch"]) * int(event["batches"])  # a resumed training starts further on
        task.advance(now - done)
        return now
    if event["event"] == "epoch" and event.get("map50_95") is not None:
        task.note(f"epoch {event['epoch']}  mAP50-95 {event['map50_95']:.3f}")
    steps = int(event.get("batches_new", 0))
    task.advance(steps)
    return done + steps


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and everything it started, if it still runs."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _failed(name: str, code: int, log: Path) -> TrainingError:
    """What to tell of a child that left no result."""
    tail = _tail(log)
    again = "run the same command again: it goes on after the last whole epoch"
    remedy = f"read the end of the log above; after mending the cause, {again}"
    ended = f"ended with exit code {code} and no result"
    if code < 0:
        ended = f"was ended by signal {-code} ({_signal(-code)})"
        remedy = again
    if code == -signal.SIGKILL or _WORKER_KILLED in tail:
        remedy = (
            f"{again}. If nobody killed it, memory ran out: `cache: disk` under `train` needs less; so do a smaller "
            "`batch` and fewer `workers`, with which it begins anew"
        )
    return TrainingError(f"training of {name} {ended}\n{tail}", where=str(log), remedy=remedy)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    return "\n".join(f"    | {line}" for line in lines)


def _tidy(folder: Path) -> None:
    """Remove what only a resume would need, and the linked photos."""
    (folder / "state.safetensors").unlink(missing_ok=True)
    for left in (folder / "library", folder / "work" / "weights", *folder.glob("best-*")):
        shutil.rmtree(left, ignore_errors=True)
