from __future__ import annotations

import pytest
from bundles import draw_photos, make_bundle


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """A real bundle: the package's starter detector on ONNX Runtime."""
    return make_bundle(tmp_path_factory.mktemp("served") / "bundle", imgsz=96)


@pytest.fixture(scope="session")
def detector(served):
    return served.open(threads=1)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Photos of two shapes; every second one shows a vehicle."""
    return draw_photos(tmp_path_factory.mktemp("drawn"), 6, seed=3)
