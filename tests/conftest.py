"""Shared by all tests: a tiny real network, and where the large ones are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from wreckognize.processor import let_cores_go

os.environ.update(let_cores_go())  # two test processes share the cores

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
    from chaos.subject import tiny_network

    return tiny_network(tmp_path_factory.mktemp("weights") / "tiny.safetensors")
