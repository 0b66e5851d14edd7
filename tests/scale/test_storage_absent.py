"""Object storage where what speaks to it is not installed, and URLs that name no place."""

from __future__ import annotations

import sys

import pytest

from wreckognize.cli import predicting
from wreckognize.errors import MissingExtraError, StorageError
from wreckognize.scale.storage import Storage

ASKED = {
    "listing": lambda storage, url: storage.listing(url),
    "exists": lambda storage, url: storage.exists(url),
    "read": lambda storage, url: storage.read(url),
    "write": lambda storage, url: storage.write(url, b""),
    "require": lambda storage, url: storage.require(url),
}


@pytest.fixture
def without_pyarrow(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)


@pytest.mark.parametrize("asked", ASKED)
def test_the_extra_is_named(without_pyarrow, asked):
    with pytest.raises(MissingExtraError, match=r"object storage needs the extra \[ray\]"):
        ASKED[asked](Storage(), "s3://bucket/photos")


@pytest.mark.parametrize("asked", ASKED)
def test_a_url_without_a_bucket_is_refused_before_anything_is_asked(without_pyarrow, asked):
    with pytest.raises(StorageError, match="no bucket is named"):
        ASKED[asked](Storage(), "s3://")


def test_predict_finds_out_before_it_looks(without_pyarrow, monkeypatch, tmp_path):
    monkeypatch.setattr(predicting, "to_file", lambda *_: pytest.fail("photos were looked at"))
    with pytest.raises(MissingExtraError):
        predicting._write(None, "s3://bucket/answers.jsonl")
