"""The training process: ``python -m wreckognize.training.child JOB.json``.

It is started by `wreckognize.training.fine_tune`, trains one system, and ends when its parent does.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wreckognize.detectors.ultralytics import (
    cpu_computes_bfloat16,
    device_name,
    import_library,
    load_network,
    save_network,
)
from wreckognize.files import atomic_write
from wreckognize.training.curves import read_curves
from wreckognize.training.job import TrainJob, TrainResult, precision, seconds_spent, wants_bf16

EVENT_SECONDS = 0.5


def main() -> None:
    """Read the job named on the command line and do it."""
    job = TrainJob.model_validate_json(Path(sys.argv[1]).read_bytes())
    import_library()
    from wreckognize.training.trainer import FineTuner, end_with_parent

    end_with_parent(job.parent)
    work = job.folder / "work"
    overrides: dict[str, Any] = {
        **job.settings,
        "task": "detect",
        "model": job.weights,
        "data": str(job.data),
        "project": str(job.folder),
        "name": work.name,
        "exist_ok": True,
        "plots": False,
        "verbose": False,
    }
    if device_name(job.settings.get("device")) == "cpu":
        FineTuner.cpu_bf16 = wants_bf16(job.settings) and cpu_computes_bfloat16()
        overrides["amp"] = False
    if job.checkpoint.exists():
        _restore(job, work)
        overrides |= {"resume": str(job.checkpoint), "save_dir": str(work)}
    if not job.checkpoint.exists() or _epochs_done(job.checkpoint) < int(job.settings["epochs"]):
        trainer = FineTuner(_library_defaults(), overrides)
        for event, callback in _Events(job.events).callbacks().items():
            trainer.add_callback(event, callback)
        trainer.train()
    _finish(job, work)


def _epochs_done(checkpoint: Path) -> int:
    from ultralytics.nn.tasks import load_checkpoint

    return int(load_checkpoint(checkpoint)[1]["epoch"]) + 1


def _library_defaults() -> dict[str, Any]:
    from ultralytics.utils import DEFAULT_CFG_DICT

    return {**DEFAULT_CFG_DICT, "save_dir": None}


def _restore(job: TrainJob, work: Path) -> None:
    """Put the whole copies back where the library looks for its checkpoints."""
    weights = work / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(job.checkpoint, weights / "last.pt")
    if job.best_checkpoint.exists():
        shutil.copyfile(job.best_checkpoint, weights / "best.pt")


class _Events:
    """Appends to the events file what the parent shows as progress."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._began = time.monotonic()
        self._last = 0.0
        self._batches = 0  # since the last event

    def callbacks(self) -> dict[str, Callable[[Any], None]]:
        return {
            "on_train_start": self.start,
            "on_train_batch_end": self.batch_end,
            "on_model_save": self.epoch_end,  # once an epoch, unlike on_fit_epoch_end
        }

    def start(self, trainer: Any) -> None:
        self._write("start", epoch=trainer.start_epoch, epochs=trainer.epochs, batches=len(trainer.train_loader))

    def batch_end(self, trainer: Any) -> None:
        self._batches += 1
        if time.monotonic() - self._last >= EVENT_SECONDS:
            self._last = time.monotonic()
            self._write("batch", epoch=trainer.epoch, **self._loss(trainer))

    def epoch_end(self, trainer: Any) -> None:
        map50 = trainer.metrics.get("metrics/mAP50-95(B)")
        self._write(
            "epoch",
            epoch=trainer.epoch + 1,
            map50_95=None if map50 is None else float(map50),
            roc_area=trainer.validator.roc_area(),
        )

    def _loss(self, trainer: Any) -> dict[str, float]:
        return {"loss": sum(float(value) for value in trainer.tloss.values())} if trainer.tloss else {}

    def _write(self, event: str, **values: Any) -> None:
        seconds = round(time.monotonic() - self._began, 2)
        line = json.dumps({"event": event, "seconds": seconds, "batches_new": self._batches, **values})
        self._batches = 0
        with self._file.open("a") as file:
            file.write(line + "\n")


def _finish(job: TrainJob, work: Path) -> None:
    """Turn the best checkpoint into data, and say what was done.

    Everything is read from files, because on several GPUs this process has not trained itself.
    """
    best = load_network(str(work / "weights" / "best.pt"))
    weights = job.folder.parent / "weights" / "best.safetensors"
    card = save_network(best.model, weights, imgsz=int(job.settings["imgsz"]), trained_on=job.trained_on)
    curves = read_curves(work / "results.csv")
    device = device_name(job.settings.get("device"))
    result = TrainResult(
        epochs_run=curves.height,
        best_epoch=int(curves["epoch"][curves["metrics/mAP50-95(B)"].arg_max() or 0]),
        seconds=seconds_spent(job.events.read_text()),
        weights_sha256=card.sha256,
        device=device,
        precision=precision(job.settings, on_cpu=device == "cpu", cpu_bf16=cpu_computes_bfloat16()),
        versions={name: importlib.metadata.version(name) for name in ("torch", "ultralytics-opencv-headless")},
    )
    atomic_write(job.result, result.model_dump_json(indent=1))


if __name__ == "__main__":
    main()
