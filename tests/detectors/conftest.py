"""Shared by the detectors' tests."""

from __future__ import annotations

import pytest

from wreckognize.detectors.ultralytics import build_model, import_library, save_network


@pytest.fixture(scope="session")
def four_classes(tmp_path_factory):
    """A tiny network of four classes whose answers differ from place to place (fresh weights fade to nothing)."""
    import_library()
    import torch
    from ultralytics.nn.tasks import yaml_model_load

    architecture = yaml_model_load("yolov8n.yaml") | {"scales": {"t": [0.33, 0.0625, 1024]}, "scale": "t"}
    torch.manual_seed(5)
    model = build_model(architecture, 4)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.momentum = 1.0  # take the statistics of the one batch below
        model.train()(torch.rand(8, 3, 64, 96))
        for branch in model.model[-1].cv3:
            branch[-1].weight.normal_()
            branch[-1].bias.fill_(-1.0)
    model.eval()
    model.names = dict(enumerate(("boat", "car", "bus", "driver's cab")))
    file = tmp_path_factory.mktemp("four") / "four.safetensors"
    save_network(model, file, imgsz=64)
    return file
