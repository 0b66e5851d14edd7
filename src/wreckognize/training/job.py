"""What parent and child of a training say to each other, as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict


class TrainJob(BaseModel):
    """All that a child needs to train one system.

    Attributes:
        weights: what to start from, as `wreckognize.detectors.ultralytics.load_network` reads it.
        data: the training folder's ``data.yaml``.
        folder: where everything of this training goes.
        settings: Ultralytics training settings (epochs, imgsz, ...).
        parent: process id; the child ends when this process is gone.
        trained_on: a sentence for the model card.
    """

    model_config = ConfigDict(frozen=True)

    weights: str
    data: Path
    folder: Path
    settings: dict[str, Any]
    parent: int
    trained_on: str = ""

    @property
    def events(self) -> Path:
        """JSON lines, one an epoch or every few batches, appended by the child."""
        return self.folder / "events.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The last whole epoch, replaced as a whole."""
        return self.folder / "checkpoint.pt"

    @property
    def best_checkpoint(self) -> Path:
        """The best epoch so far, replaced as a whole."""
        return self.folder / "checkpoint-best.pt"

    @property
    def result(self) -> Path:
        """Written last; a training without it is not done."""
        return self.folder / "result.json"


class TrainResult(BaseModel):
    """What a finished training left."""

    model_config = ConfigDict(frozen=True)

    epochs_run: int
    best_epoch: int
    seconds: float  # of work, over all processes of a training that was resumed
    weights_sha256: str
    device: str
    precision: str
    versions: dict[str, str]


def seconds_spent(events: str) -> float:
    r"""Seconds of work from the text of an events file, over all processes that wrote to it.

    >>> seconds_spent('{"event": "start", "seconds": 0}\n{"event": "epoch", "seconds": 7.5}\n'
    ...               '{"event": "start", "seconds": 1}\n{"event": "epoch", "seconds": 2.5}\n')
    10.0
    """
    total = last = 0.0
    for line in events.splitlines():
        event = json.loads(line)
        if event["event"] == "start":
            total += last
        last = float(event["seconds"])
    return round(total + last, 1)


def wants_bf16(settings: Mapping[str, Any]) -> bool:
    """Whether these training settings ask for bfloat16."""
    return str(settings.get("amp")).lower() == "bf16"


def precision(settings: Mapping[str, Any], *, on_cpu: bool, cpu_bf16: bool) -> str:
    """The arithmetic that a training with these settings is done in, in words.

    >>> precision({"amp": "bf16"}, on_cpu=True, cpu_bf16=False)
    'float32 (this CPU computes no bfloat16)'

    Args:
        settings: of the training.
        on_cpu: whether it runs on a CPU.
        cpu_bf16: whether this CPU has instructions for bfloat16.
    """
    if wants_bf16(settings):
        return "float32 (this CPU computes no bfloat16)" if on_cpu and not cpu_bf16 else "bfloat16 (mixed)"
    if on_cpu or str(settings.get("amp", True)).lower() in {"fp32", "false"}:
        return "float32"
    return "float16 (mixed)"
