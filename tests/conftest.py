"""Shared by all tests: a tiny real network, and where the large ones are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from watching import unwatched
from wreckognize.processor import let_cores_go

if let_cores_go():
    os.environ["GOMP_SPINCOUNT"] = (
        "2500"  # two test processes share the cores, which is not what the default is for
    )

settings.register_profile("tests", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tests")

LONGEST = (
    "test_demo_command",
    "test_killed",
    "test_real_photos",
    "test_disk_full",
    "test_resume",
    "test_originals",
)
"""Files of slow tests that are begun first among those, so that none is left alone at the end, one core idle."""

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


@pytest.fixture
def whole_watch() -> Iterator[None]:
    """Of a test that watches for connections: says in its result what this machine does not let us watch.

    The test itself has run by then, and failed if what could be watched was not quiet.
    """
    yield
    if lacks := unwatched():
        pytest.skip(f"ran, but was watched from within only: {lacks}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files without slow tests come first: what fails there is told within minutes."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("photos")}

    def place(item: pytest.Item) -> int:
        name = item.path.stem
        rank = LONGEST.index(name) if name in LONGEST else len(LONGEST)
        return 1 + rank if item.path in slow else 0

    items.sort(key=place)
