"""The training process: ``python -m wreckognize.training.child JOB.json``.

It is started by `wreckognize.training.fine_tune`, trains one system, and ends when its parent does.
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

from wreckognize.detectors.ultralytics import device_name, import_library
from wreckognize.files import PART_SUFFIX, atomic_write
from wreckognize.processor import has_bfloat16
from wreckognize.training.events import Events
from wreckognize.training.job import TrainJob, TrainResult, precision, wants_bf16
from wreckognize.training.key import check_fit, key_of
from wreckognize.training.orphans import end_with_parent
from wreckognize.training.state import Facts, UnfitState, read_facts, weights_folder


def main() -> None:
    """Read the job named on the command line and do it."""
    job = TrainJob.model_validate_json(Path(sys.argv[1]).read_bytes())
    end_with_parent(job.parent)
    for part in job.folder.glob(f"*{PART_SUFFIX}"):
        part.unlink()  # of a process that was killed while it wrote
    import_library()
    facts = _finished(job)
    if facts is None:
        _train(job)
        facts = read_facts(job.state)
    _finish(job, facts)


def _finished(job: TrainJob) -> Facts | None:
    """The facts of a training that was killed between its last epoch and its result; None if epochs are missing."""
    try:
        facts = read_facts(job.state)
        check_fit(facts, job.folder, key_of(job))
    except UnfitState:
        return None  # the trainer looks again, and says why
    return facts if facts.finished else None


def _train(job: TrainJob) -> None:
    from wreckognize.training.trainer import FineTuner

    overrides: dict[str, Any] = {
        **job.settings,
        "task": "detect",
        "model": job.weights,
        "data": str(job.data),
        "project": str(job.folder),
        "name": "work",
        "exist_ok": True,
        "plots": False,
        "verbose": False,
    }
    if device_name(job.settings.get("device")) == "cpu":
        FineTuner.cpu_bf16 = wants_bf16(job.settings) and has_bfloat16()
        overrides["amp"] = False
    FineTuner(_library_defaults(), overrides).train()


def _library_defaults() -> dict[str, Any]:
    from ultralytics.utils import DEFAULT_CFG_DICT

    return {**DEFAULT_CFG_DICT, "save_dir": None}


def _finish(job: TrainJob, facts: Facts) -> None:
    """Put the best weights in their place, and say what was done.

    Everything is read from files, because on several GPUs this process has not trained itself.
    """
    if facts.best is None:
        raise UnfitState("no epoch was finished")
    Events(job.events).catch_up(facts.epochs)
    best = weights_folder(job.folder, facts.best.epoch)
    for name in ("best.safetensors", "model.json"):
        atomic_write(job.folder.parent / "weights" / name, (best / name).read_bytes())
    atomic_write(job.folder / "work" / "results.csv", facts.curves)
    device = device_name(job.settings.get("device"))
    result = TrainResult(
        epochs_run=facts.epoch,
        best_epoch=facts.best.epoch,
        seconds=round(facts.seconds, 1),
        weights_sha256=facts.best.sha256,
        device=device,
        precision=precision(job.settings, on_cpu=device == "cpu", cpu_bf16=has_bfloat16()),
        versions={name: importlib.metadata.version(name) for name in ("torch", "ultralytics-opencv-headless")},
    )
    atomic_write(job.result, result.model_dump_json(indent=1))


if __name__ == "__main__":
    main()
