"""A worker by itself, without a cluster: what it checks before it begins, and what it leaves."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from wreckognize.catalog import QUARANTINE_SCHEMA
from wreckognize.errors import ClusterError
from wreckognize.scale.storage import Storage
from wreckognize.scale.worker import Carried, Order, Worker, library_versions


@dataclass(frozen=True)
class Reading:
    """Says what is in the file that it carries."""

    folder: str = ""
    files: tuple = (Path("weights.bin"),)

    @property
    def schemas(self):
        return {"said": pl.Schema({"said": pl.String}), "unread": QUARANTINE_SCHEMA}

    def moved(self, folder):
        return Reading(str(folder))

    def start(self):
        said = Path(self.folder, "weights.bin").read_text()
        tempfile.mkdtemp()  # as libraries do
        return lambda rows, tick: {"said": pl.DataFrame({"said": [said]}), "unread": QUARANTINE_SCHEMA.to_frame()}


@pytest.fixture
def worker(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return Worker()


def order(content=b"heavy", **changes):
    files = (Carried("weights.bin", hashlib.sha256(content).hexdigest()),)
    return Order(Reading(), files, {}, Storage(), {**library_versions(), **changes})


def photos(*paths):
    return pl.DataFrame(
        {"photo": ["a"] * len(paths), "path": [str(path) for path in paths], "source": "s", "sha256": "0"}
    )


def test_weights_travel_with_the_work_and_nothing_stays(worker, tmp_path):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"")
    assert worker.start(order(), b"heavy") is None
    assert worker.do(photos(photo))["said"]["said"].to_list() == ["heavy"]
    worker.close()
    assert list(tmp_path.iterdir()) == [photo]


def test_weights_that_do_not_arrive_whole_are_not_used(worker):
    refused = worker.start(order(), b"hea")
    assert isinstance(refused, ClusterError)
    assert "weights.bin did not arrive whole" in refused.what


def test_other_versions_are_refused_and_named(worker):
    refused = worker.start(order(polars="0.1"), b"heavy")
    assert isinstance(refused, ClusterError)
    assert "polars" in refused.what
    assert "(here: 0.1)" in refused.what


def test_photos_that_this_machine_does_not_see_are_said_so(worker):
    assert worker.start(order(), b"heavy") is None
    refused = worker.do(photos("/no/such/photo.jpg"))
    assert isinstance(refused, ClusterError)
    assert "s3" not in refused.what
    assert "object storage" in refused.remedy
