"""What parent and child of a training say to each other, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

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
        cache: where decoded photos are kept.
    """

    model_config = ConfigDict(frozen=True)

    weights: str
    data: Path
    folder: Path
    settings: dict[str, Any]
    parent: int
    trained_on: str = ""
    cache: Literal["auto", "ram", "disk", "off"] = "auto"

    @property
    def events(self) -> Path:
        """What the child tells; see `wreckognize.training.events`."""
        return self.folder / "events.jsonl"

    @property
    def state(self) -> Path:
        """The training's state after its last whole epoch; see `wreckognize.training.state`."""
        return self.folder / "state.safetensors"

    @property
    def result(self) -> Path:
        """Written last; a training without it is not done."""
        return self.folder / "result.json"


class TrainResult(BaseModel):
    """What a finished training left."""

    model_config = ConfigDict(frozen=True)

    epochs_run: int
    best_epoch: int
    seconds: float  # of work, over all processes; without what a killed one did after its last whole epoch
    weights_sha256: str
    device: str
    precision: str
    versions: dict[str, str]


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
