"""Files of two gigabytes, all of them holes: refused by their size, without reading them."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from wreckognize.curate.lock import read_lock
from wreckognize.detectors.weights import read_card
from wreckognize.errors import InputError, WreckognizeError
from wreckognize.evidence.thresholds import read_frozen
from wreckognize.exporting.bundle import read_bundle
from wreckognize.exporting.manifest import MANIFEST
from wreckognize.images import decode, read_header, verify
from wreckognize.predicting.claims import claims_from
from wreckognize.review.manifest import read_manifest
from wreckognize.review.reading import read_answers
from wreckognize.review.records import read_reviews
from wreckognize.state import read_state
from wreckognize.study.reader import read_document

SIZE = 2_100_000_000
GROWTH = 300_000_000


def sparse(path: Path, start: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(start)
        file.truncate(SIZE)
    return path


@pytest.fixture
def _memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < GROWTH


@pytest.mark.usefixtures("_memory")
@pytest.mark.parametrize("kind", ["folder", "aihub", "yolo"])
def test_photos_and_labels(trap, collect_one, kind):
    sparse(trap.images / "photo.jpg", b"\xff\xd8\xff\xe0")
    (trap.labels / "photo.json").write_bytes((trap.labels / "good.json").read_bytes())
    (trap.labels / "photo.txt").write_bytes((trap.labels / "good.txt").read_bytes())
    trap.good("label")
    sparse(trap.labels / "label.json", b"{")
    sparse(trap.labels / "label.txt", b"0 0 0")
    used, reasons, _ = collect_one(getattr(trap, kind)())
    ending = {"aihub": "json", "yolo": "txt"}.get(kind)
    assert used == (["good.jpg"] if ending else ["good.jpg", "label.jpg"])
    expected = {"photo.jpg": "file cannot be read (larger than 500 MB)"}
    if ending:
        expected[f"label.{ending}"] = "label cannot be read (larger than 8 MB)"
    assert reasons == expected


@pytest.mark.usefixtures("_memory")
def test_photos_that_are_named(tmp_path):
    for look in (read_header, verify, decode):
        with pytest.raises(InputError, match="over 500 MB"):
            look(sparse(tmp_path / "photo.jpg", b"\xff\xd8"))


def _state(file: Path) -> object:
    return read_state(sparse(file.with_name("state.json")).parent, mend=True)


def _card(file: Path) -> object:
    file.with_suffix(".safetensors").write_bytes(b"weights")
    return read_card(sparse(file.with_suffix(".json")).with_suffix(".safetensors"))


READERS: dict[str, Callable[[Path], object]] = {
    "study": read_document,
    "lock": read_lock,
    "state": _state,
    "threshold": read_frozen,
    "card": _card,
    "bundle": lambda file: read_bundle(sparse(file.with_name(MANIFEST), b"{").parent),
    "claims": claims_from,
    "reviews": lambda file: read_reviews(file, study="s"),
    "export": read_manifest,
    "answers": lambda file: read_answers(file, "label-studio", _photos(), looked_at=None, export=None),
    "unknown answers": lambda file: read_answers(file, None, _photos(), looked_at=None, export=None),
}


def _photos():
    from wreckognize.catalog import PHOTO_SCHEMA

    return PHOTO_SCHEMA.to_frame()


@pytest.mark.usefixtures("_memory")
@pytest.mark.parametrize("name", READERS)
def test_files_that_are_read_whole(tmp_path, name):
    file = sparse(tmp_path / "some.json", b"[")
    try:
        with pytest.raises(
            (WreckognizeError, OSError), match=r"larger than|more than|record of finished stages cannot"
        ):
            READERS[name](file)
    finally:
        file.unlink()


@pytest.mark.usefixtures("_memory")
def test_an_annotation_file(trap, collect_one):
    sparse(trap.root / "instances.json", b"{")
    with pytest.raises(WreckognizeError, match="larger than 1,500 MB"):
        collect_one(trap.coco())
