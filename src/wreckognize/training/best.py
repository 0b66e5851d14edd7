"""The weights of the best epoch, kept beside the state while a training runs."""

from __future__ import annotations

import shutil
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn

from wreckognize.detectors.ultralytics import save_network
from wreckognize.training.job import TrainJob
from wreckognize.training.state import Best, weights_folder

_FLOAT16_MOST = 65504.0


def mend_average(average: nn.Module, model: nn.Module) -> None:
    """Where the moving average of the weights is no number and the weights are one, take the weights.

    A value that overflowed once would stay in the average for good.
    """
    weights = model.state_dict()
    for name, value in average.state_dict().items():
        if not torch.isfinite(value).all() and torch.isfinite(weights[name]).all():
            value.copy_(weights[name])


def write_weights(network: nn.Module, job: TrainJob, epoch: int) -> str:
    """Write an epoch's weights and their card into `weights_folder`; return their sha256."""
    network = deepcopy(network)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.clamp_(-_FLOAT16_MOST, _FLOAT16_MOST)  # they are stored in float16
    file = weights_folder(job.folder, epoch) / "best.safetensors"
    return save_network(network, file, imgsz=int(job.settings["imgsz"]), trained_on=job.trained_on).sha256


def remove_weights(training: Path, but: Best | None) -> None:
    """Remove the weights of all epochs but one."""
    kept = weights_folder(training, but.epoch) if but else None
    for folder in training.glob("best-*"):
        if folder != kept:
            shutil.rmtree(folder, ignore_errors=True)
