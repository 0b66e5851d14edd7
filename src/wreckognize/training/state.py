"""The state of a training after a whole epoch, in one file: tensors as safetensors, the rest as JSON in its header.

What is random is not stored. Each epoch draws its order, its augmentation and all else from (seed, epoch) alone
(`wreckognize.training.trainer.FineTuner`), so a training that goes on from a state ends, on a CPU, with the same bits
as one that was never interrupted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from wreckognize.files import atomic_path, sha256_of

if TYPE_CHECKING:
    from torch import Tensor

REVISION = 1
"""Of the file's form and of what the trainer makes of it; a state of another revision is not gone on from."""


class UnfitState(Exception):
    """A stored state cannot be gone on from; the text says why."""


class Epoch(BaseModel):
    """What was reported after an epoch (numbered from 1)."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    map50_95: float | None
    roc_area: float | None


class Best(BaseModel):
    """The best epoch so far, its fitness, and the sha256 of its weights (`weights_folder`)."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    fitness: float
    sha256: str


class Facts(BaseModel):
    """All of a state that is no tensor.

    Attributes:
        key: what the training is made from: settings, data, weights, versions; see `wreckognize.training.key`.
        epoch: whole epochs done.
        finished: whether that was the last one.
        best: None before the first epoch has ended.
        stopper: early stopping: ``best_fitness, best_epoch, possible_stop``.
        scaler: of the loss, for float16; empty where it is not scaled.
        groups: settings of the optimizer's parameter groups, learning rates included.
        scalars: of the optimizer's state, what is no tensor, by parameter.
        ema_updates: how often the moving average of the weights was updated; its decay depends on it.
        loss_updates: of a loss that changes over the epochs; None where it does not.
        pending: batches whose gradients are summed up and not yet applied.
        batch: photos a batch; less than asked for where memory ran out.
        seconds: of work so far.
        curves: the text of ``results.csv``.
        epochs: one for each epoch that was reported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: int = REVISION
    key: dict[str, Any]
    epoch: int
    finished: bool
    best: Best | None
    stopper: dict[str, Any]
    scaler: dict[str, Any]
    groups: list[dict[str, Any]]
    scalars: dict[str, dict[str, Any]]
    ema_updates: int
    loss_updates: int | None
    pending: int
    batch: int
    seconds: float
    curves: str
    epochs: list[Epoch]


@dataclass(frozen=True, slots=True)
class State:
    """Facts, and tensors by name: ``model.*``, ``ema.*``, ``optimizer.PARAMETER.*`` and ``gradient.PARAMETER``."""

    facts: Facts
    tensors: dict[str, Tensor]


def write_state(file: Path, state: State) -> None:
    """Write a state, whole or not at all, synced to disk; the one before it is gone then."""
    from safetensors.torch import save_file

    # A copy's strides are those of a plain tensor, as safetensors wants them; whoever loads gives them theirs back.
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
    facts = json.dumps(state.facts.model_dump(mode="json"), allow_nan=True)
    with atomic_path(file) as part:
        save_file(tensors, part, {"facts": facts, "sha256": _digest(facts, tensors)})


def read_facts(file: Path) -> Facts:
    """The facts of a state, from the header of its file alone.

    Raises:
        UnfitState: there is none, or it is torn or of another revision.
    """
    return _facts(_open(file).metadata())


def read_state(file: Path) -> State:
    """A whole state, every byte checked.

    Raises:
        UnfitState: there is none, or it is torn, altered or of another revision.
    """
    opened = _open(file)
    metadata = opened.metadata()
    facts = _facts(metadata)
    tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
    if _digest(metadata["facts"], tensors) != metadata.get("sha256"):
        raise UnfitState("its bytes are not those that were written")
    return State(facts, tensors)


def weights_folder(training: Path, epoch: int) -> Path:
    """Where the weights of the best epoch are kept: ``best.safetensors`` and ``model.json``."""
    return training / f"best-{epoch:04d}"


def check_best(training: Path, facts: Facts) -> None:
    """See that the best weights a state speaks of are there.

    Raises:
        UnfitState: they are missing or altered.
    """
    if facts.best is None:
        return
    folder = weights_folder(training, facts.best.epoch)
    file = folder / "best.safetensors"
    whole = file.exists() and sha256_of(file) == facts.best.sha256
    if not whole or not _is_json(folder / "model.json"):
        raise UnfitState(f"the weights of its best epoch ({facts.best.epoch}) are missing or torn")


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _open(file: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    if not file.exists():
        raise UnfitState("there is none")
    try:
        return safe_open(file, "pt")
    except (SafetensorError, OSError) as error:
        raise UnfitState(f"it is torn ({error})") from error


def _facts(metadata: Mapping[str, str] | None) -> Facts:
    try:
        values = json.loads((metadata or {})["facts"])
        found = values.get("revision")
        if found != REVISION:
            raise UnfitState(f"it is of revision {found}, and this version writes revision {REVISION}")
        return Facts.model_validate(values)
    except (KeyError, AttributeError, ValueError, RecursionError, ValidationError) as error:
        raise UnfitState("it does not say what a state says") from error


def _digest(facts: str, tensors: Mapping[str, Tensor]) -> str:
    import torch

    digest = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
