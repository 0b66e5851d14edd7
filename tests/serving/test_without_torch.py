"""A bundle that was exported needs neither torch nor Ultralytics where it is served."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx
import pytest
from bundles import draw_photos, make_bundle
from services import PATIENCE, running

HIDDEN = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "ultralytics", "cloudpickle", "onnx", "nncf"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
"""


@pytest.fixture
def without_torch(tmp_path, monkeypatch):
    """Processes that are started now find no torch, nor what is only needed to export."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(HIDDEN)
    before = [path for path in [os.environ.get("PYTHONPATH")] if path]
    monkeypatch.setenv("PYTHONPATH", ":".join([str(tmp_path / "hidden"), *before]))
    tried = subprocess.run([sys.executable, "-c", "import torch"], capture_output=True, timeout=60, check=False)
    assert tried.returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_it_is_served(to, tmp_path, without_torch):
    make_bundle(tmp_path / "bundle", to=to, imgsz=96)
    (photo,) = draw_photos(tmp_path / "photos", 1)
    with running(tmp_path / "bundle", tmp_path, "--drain", "0") as service:
        answer = httpx.post(f"{service.url}/v1/inspect", files={"photos": photo.read_bytes()}, timeout=PATIENCE)
        assert answer.json()["photos"][0]["verdict"] == "vehicle"
        assert service.stop() == 0
