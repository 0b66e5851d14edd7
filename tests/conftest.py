"""Shared by all tests: a tiny real network, and where the large ones are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("tests", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tests")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos and weights; the test is skipped where it is not at hand."""
    named = os.environ.get("WRECKOGNIZE_PHOTOS")
    folder = Path(named) if named else REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip(f"real photos are not at hand: WRECKOGNIZE_PHOTOS is {named!r} and {folder} has no data/")
    return folder


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real YOLOv8 architecture, an eighth of the smallest one's width, with random weights, as safetensors."""
    from wreckognize.detectors.ultralytics import build_model, import_library, save_network

    import_library()
    import torch
    from ultralytics.nn.tasks import yaml_model_load

    architecture = yaml_model_load("yolov8n.yaml")
    architecture["scales"] = {"t": [0.33, 0.0625, 1024]}
    architecture["scale"] = "t"
    architecture["nc"] = 1
    torch.manual_seed(3)
    model = build_model(architecture, 1)
    model.names = {0: "vehicle"}
    file = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_network(model, file, imgsz=64, trained_on="nothing: random weights")
    return file
