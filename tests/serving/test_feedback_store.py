"""Corrections are kept whole, within limits, never over another."""

import json
from datetime import UTC, datetime

import pytest
from photographs import draw_photo

from wreckognize.errors import StorageError, UsageError
from wreckognize.files import sha256_of
from wreckognize.review.corrections import Mark, Said, Served, from_json
from wreckognize.review.places import FolderPlace, place_of
from wreckognize.serving.feedback_store import FeedbackLimits, FeedbackStore, StoreFull

SERVED = Served(
    model="tiny ver6", version="0123456789ab", sha256="0" * 64, verdict="no vehicle", score=0.02, threshold=0.1
)
SAID = Said("vehicle", [Mark(24, 16, 72, 48)], damaged=True, comment="파손된 문")


@pytest.fixture
def photo(tmp_path):
    return draw_photo(tmp_path / "in" / "car.jpg", 1)


def test_a_correction_lies_beside_its_photo(tmp_path, photo):
    store = FeedbackStore(FolderPlace(tmp_path / "f"), now=lambda: datetime(2026, 11, 25, 19, 12, tzinfo=UTC))
    store.prepare()
    kept = store.keep(photo.read_bytes(), SAID, SERVED, key="desk-1")
    files = {path.relative_to(tmp_path / "f").as_posix() for path in (tmp_path / "f").rglob("*") if path.is_file()}
    assert files == {"feedback.json", kept.photo, f"corrections/{kept.id}.json"}
    assert kept.id.startswith("20261125T191200Z-")
    assert sha256_of(tmp_path / "f" / kept.photo) == kept.kept_sha256
    assert kept.sent_sha256 == sha256_of(photo)
    read = from_json((tmp_path / "f" / "corrections" / f"{kept.id}.json").read_bytes())
    assert read == kept
    assert (read.key, read.width, read.height, read.boxes) == ("desk-1", 96, 64, ((24, 16, 72, 48),))


def test_the_same_photo_is_kept_once_and_no_correction_lost(tmp_path, photo):
    store = FeedbackStore.at(tmp_path / "f")
    for _ in range(3):
        store.keep(photo.read_bytes(), SAID, SERVED, key=None)
    assert len(list((tmp_path / "f" / "photos").iterdir())) == 1
    assert len(list((tmp_path / "f" / "corrections").iterdir())) == 3


def test_there_is_a_limit_to_what_is_kept_also_after_a_restart(tmp_path, photo):
    limits = FeedbackLimits(corrections=2)
    store = FeedbackStore.at(tmp_path / "f", limits)
    for _ in range(2):
        store.keep(photo.read_bytes(), SAID, SERVED, key=None)
    for full in (store, FeedbackStore.at(tmp_path / "f", limits)):
        with pytest.raises(StoreFull):
            full.keep(photo.read_bytes(), SAID, SERVED, key=None)
    assert len(list((tmp_path / "f" / "corrections").iterdir())) == 2
    small = FeedbackStore.at(tmp_path / "g", FeedbackLimits(total_bytes=200))
    with pytest.raises(StoreFull):
        small.keep(photo.read_bytes(), SAID, SERVED, key=None)
    assert not (tmp_path / "g" / "photos").exists()


def test_a_place_of_something_else_is_refused(tmp_path, photo):
    with pytest.raises(UsageError, match="1 files that are no corrections"):
        FeedbackStore.at(photo.parent)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be"):
        FeedbackStore.at(tmp_path / "file" / "below")


def test_a_place_never_writes_over(tmp_path):
    place = place_of(tmp_path / "f")
    assert place.put_new("photos/a", b"one")
    assert not place.put_new("photos/a", b"two")
    assert place.read("photos/a") == b"one"
    assert place.sizes() == {"photos/a": 3}
    with pytest.raises(StorageError, match="cannot be read"):
        place.read("photos")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"consent": "no"}, "consent"),
        ({"photo": "../../etc/passwd"}, "not formed"),
        ({"id": "../x"}, "not formed"),
        ({"when": "soon"}, "Invalid isoformat"),
        ({"said": {"verdict": "no vehicle", "boxes": [{"x1": 0, "y1": 0, "x2": 9, "y2": 9}]}}, "has boxes"),
        ({"said": {"verdict": "vehicle", "boxes": [{"x1": 0, "y1": 0, "x2": 900, "y2": 9}]}}, "outside the photo"),
        ({"said": {"verdict": "vehicle", "boxes": [{"x1": 5, "y1": 0, "x2": 5, "y2": 9}]}}, "without area"),
        ({"said": {"verdict": "vehicle", "boxes": [{"x1": 0, "y1": 0, "x2": 9, "y2": 9}] * 101}}, "over 100"),
        ({"said": {"verdict": "vehicle", "comment": "x" * 2001}}, "2000 characters"),
        ({"said": {"verdict": "no vehicle", "damaged": False}}, "damaged"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_no_correction_is_not_read_as_one(tmp_path, photo, change, why):
    store = FeedbackStore.at(tmp_path / "f")
    kept = store.keep(photo.read_bytes(), SAID, SERVED, key=None)
    content = json.loads((tmp_path / "f" / "corrections" / f"{kept.id}.json").read_text())
    with pytest.raises(ValueError, match=why):
        from_json(json.dumps(content | change).encode())
