"""Corrections in object storage: kept by the service, read by an import. A real S3 API (moto) on loopback."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from photographs import draw_photo

from wreckognize.errors import StorageError, UsageError
from wreckognize.review.corrections import Mark, Said, Served
from wreckognize.serving.feedback_store import FeedbackStore
from wreckognize.settings import ScaleSettings
from wreckognize.stages.reviewing import import_review

NOW = "2026-11-25T12:00:00+00:00"
SERVED = Served(model="m", version="0123456789ab", sha256="0" * 64, verdict="no vehicle", score=0.0, threshold=0.1)


def test_what_is_kept_in_a_bucket_is_imported_from_there(s3, a_run, tmp_path):
    study, run, folder = a_run
    study = replace(study, scale=ScaleSettings(storage=s3.settings()))
    store = FeedbackStore.at("s3://photos/feedback", storage=s3.settings())
    new = draw_photo(tmp_path / "phone" / "new.jpg", 901)
    known = folder / "photos" / "cars" / "1.jpg"
    kept = store.keep(new.read_bytes(), Said("vehicle", [Mark(24, 16, 72, 48)], damaged=True), SERVED, key="desk")
    store.keep(known.read_bytes(), Said("no vehicle"), SERVED, key="desk")
    names = set(store.place.sizes())
    assert {"feedback.json", kept.photo, f"corrections/{kept.id}.json"} < names
    assert not store.place.put_new(kept.photo, b"other"), "nothing is written over"
    assert store.place.read(kept.photo) == new.read_bytes()
    FeedbackStore.at("s3://photos/feedback", storage=s3.settings())

    result = import_review(study, run, Path("s3://photos/feedback"), now=NOW)
    assert result.feedback.added == {"damaged": 1}
    assert [path.read_bytes() for path in result.feedback.folder.rglob("*.jpg")] == [new.read_bytes()]
    assert {one.photo for one in result.merged.reviews} == {
        "cars/1.jpg",
        f"feedback-damaged/{kept.kept_sha256[:16]}.jpg",
    }
    again = import_review(study, run, Path("s3://photos/feedback"), now=NOW)
    assert (again.feedback.present, again.merged.unchanged) == (1, 2)


def test_the_endpoint_may_come_from_the_environment_as_the_credentials_do(s3, monkeypatch):
    monkeypatch.setitem(os.environ, "AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setitem(os.environ, "AWS_REGION", "us-east-1")
    FeedbackStore.at("s3://photos/by-environment")
    assert s3.client.get_object(Bucket="photos", Key="by-environment/feedback.json")["Body"].read()


def test_a_bucket_that_is_not_there_or_holds_something_else_is_said(s3, a_run):
    study, run, _ = a_run
    study = replace(study, scale=ScaleSettings(storage=s3.settings()))
    with pytest.raises(StorageError, match="bucket"):
        FeedbackStore.at("s3://nowhere/feedback", storage=s3.settings(attempts=1))
    s3.put("other/car.jpg", b"x")
    with pytest.raises(UsageError, match="1 files that are no corrections"):
        FeedbackStore.at("s3://photos/other", storage=s3.settings())
    with pytest.raises(UsageError, match="no corrections of the service lie there"):
        import_review(study, run, Path("s3://photos/other"), now=NOW)


@pytest.fixture
def a_run(tmp_path):
    """As in ``tests/review``: a study with its run up to `label`."""
    import hashlib

    from reviews import catalog_of, photo_row
    from wreckognize.study import Study

    photos = []
    for number, name in enumerate(("cars/1.jpg", "none/1.jpg")):
        role = "background" if name.startswith("none") else "damaged"
        path = draw_photo(tmp_path / "photos" / name, number, vehicle=role == "damaged")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        photos.append(photo_row(name, role, path=str(path), width=96, height=64, sha256=sha256))
    (tmp_path / "run" / "catalog").mkdir(parents=True)
    catalog_of(photos).write(tmp_path / "run" / "catalog")
    (tmp_path / "claims.yaml").write_text(
        "study: claims\nsources:\n"
        "  - {name: cars, type: folder, role: damaged, images: photos/cars}\n"
        "  - {name: none, type: folder, role: background, images: photos/none}\n"
        "teacher: {weights: yolov8n.yaml}\nsystems:\n  ver6: {recipe: ver6, weights: yolov8n.yaml}\n"
    )
    return Study.load(tmp_path / "claims.yaml"), tmp_path / "run", tmp_path
