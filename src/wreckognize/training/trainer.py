"""The Ultralytics trainer with the few things changed that this package cannot do without.

Imported in the training child only, after the library is fenced.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import torch
from ultralytics.models.yolo.detect import DetectionTrainer, DetectionValidator

from wreckognize.detectors.ultralytics import cpu_threads, load_network
from wreckognize.files import atomic_path


def end_with_parent(parent: int) -> None:
    """End this process, and its process group if it leads one, as soon as ``parent`` is no longer its parent."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


class FineTuner(DetectionTrainer):
    """The library's detection trainer with four things changed.

    * It starts from any weights this package reads, also without a pickle.
    * It keeps whole copies of its checkpoints, because the library writes them in place.
    * On a CPU it uses every core, tensors are laid out channels-last, and it computes in bfloat16 if ``amp: bf16`` is
      asked for and the CPU has instructions for it (the stock trainer takes one core less and refuses bfloat16).
    * After each epoch it knows how well photos with and without a vehicle are told apart (`Validator`).
    """

    cpu_bf16 = False
    """Set by the child; the library's own ``amp: bf16`` raises on a CPU, so its ``amp`` is always False there."""

    model: Any  # the name of weights at first, a network after `setup_model`

    def __init__(self, cfg: Any, overrides: dict[str, Any] | None = None, _callbacks: Any = None) -> None:
        if "LOCAL_RANK" in os.environ:  # a worker of a training on several GPUs: its launcher must not outlive us
            end_with_parent(os.getppid())
        super().__init__(cfg, overrides, _callbacks)
        if self.device.type == "cpu":
            torch.set_num_threads(cpu_threads())

    def get_validator(self) -> Any:
        """The library's validator, which learns to note scores."""
        validator = super().get_validator()
        validator.__class__ = Validator  # made by the library, whatever its version hands over
        return validator

    def setup_model(self) -> Any:
        """Build the network to train; when resuming, leave it to the library."""
        if isinstance(self.model, torch.nn.Module) or self.resume:
            return super().setup_model()
        network = load_network(str(self.model))
        for parameter in network.model.parameters():
            parameter.requires_grad_(True)
        self.model = self.get_model(cfg=network.model.yaml, weights=network.model, verbose=False)
        return None

    def _setup_train(self) -> None:
        super()._setup_train()
        if self.device.type == "cpu":
            self.model = self.model.to(memory_format=torch.channels_last)
        if self.cpu_bf16:
            self.amp = True  # autocast on a CPU is bfloat16; no gradient scaling is needed
            self.model.criterion = _Float32Loss(self.model.init_criterion())

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """As the library does, with the photos laid out as the network is."""
        batch = super().preprocess_batch(batch)
        if self.device.type == "cpu":
            batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
        return batch

    def save_model(self) -> Any:
        """Save as the library does, then keep whole copies to resume from."""
        saved = super().save_model()
        root = Path(self.save_dir).parent
        if self.best.exists() and self.best_fitness == self.fitness:
            _copy_whole(self.best, root / "checkpoint-best.pt")
        _copy_whole(self.last, root / "checkpoint.pt")
        return saved


class Validator(DetectionValidator):
    """The library's validator, which also notes each photo's score: the highest confidence of its boxes."""

    def init_metrics(self, model: Any) -> None:
        """Begin a pass over the validation photos."""
        super().init_metrics(model)
        self.labelled: list[float] = []
        self.empty: list[float] = []

    def update_metrics(self, preds: list[dict[str, Any]], batch: dict[str, Any]) -> None:
        """As the library does, and note the scores; a photo without a box of its own shows no vehicle."""
        super().update_metrics(preds, batch)
        with_boxes = set(batch["batch_idx"].int().tolist())
        for index, found in enumerate(preds):
            score = float(found["conf"].max()) if len(found["conf"]) else 0.0
            (self.labelled if index in with_boxes else self.empty).append(score)

    def roc_area(self) -> float | None:
        """The chance that a photo with a label scores higher than one without (Mann-Whitney, ties half).

        None where either kind is missing or a score is no number.
        """
        if not self.labelled or not self.empty or not all(map(math.isfinite, [*self.labelled, *self.empty])):
            return None
        from scipy.stats import rankdata

        ranks = rankdata([*self.labelled, *self.empty])[: len(self.labelled)]
        above = float(ranks.sum()) - len(self.labelled) * (len(self.labelled) + 1) / 2
        return above / (len(self.labelled) * len(self.empty))


class _Float32Loss:
    """A loss computed in float32 from the outputs of a network that ran in bfloat16.

    Eight bits of mantissa place a box edge to a pixel or two only, too coarse for its loss and for the assignment of
    labels to anchors.
    """

    def __init__(self, loss: Any) -> None:
        self._loss = loss

    def __call__(self, predictions: Any, batch: dict[str, Any]) -> Any:
        with torch.autocast("cpu", enabled=False):
            return self._loss(_as_float32(predictions), batch)


def _as_float32(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: _as_float32(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_as_float32(item) for item in value)
    return value


def _copy_whole(source: Path, target: Path) -> None:
    with atomic_path(target) as part:
        shutil.copyfile(source, part)
