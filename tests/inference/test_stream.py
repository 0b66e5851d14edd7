from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from photographs import draw_photo

from wreckognize.detectors.ultralytics import open_detector
from wreckognize.inference.letterbox import Fit
from wreckognize.inference.passes import run_pass
from wreckognize.inference.stream import PhotoFile, StreamSettings, look_at, plan_batches, suppress
from wreckognize.progress import Silent


@pytest.fixture(scope="module")
def detector(tiny_weights):
    return open_detector(str(tiny_weights), classes=["vehicle"], device="cpu")


@pytest.fixture
def photos(tmp_path):
    sizes = [(96, 64), (64, 96), (64, 64), (96, 64), (96, 64)]
    made = []
    for seed, (width, height) in enumerate(sizes):
        path = draw_photo(tmp_path / f"{seed}.jpg", seed, width=width, height=height)
        made.append(PhotoFile(f"s/{seed}.jpg", path, width, height))
    return made


def test_batches_hold_one_shape_and_every_photo_once(photos):
    batches = plan_batches(photos, StreamSettings(96, batch=2), stride=32)
    assert sorted(photo.photo for batch in batches for photo in batch) == [photo.photo for photo in photos]
    for batch in batches:
        assert len({Fit.of(photo.width, photo.height, 96, 32).shape for photo in batch}) == 1
    assert max(map(len, batches)) == 2


def test_the_result_does_not_depend_on_the_number_of_workers(photos, detector):
    def results(workers):
        looks = look_at(photos, detector, StreamSettings(64, batch=2, workers=workers))
        return {look.photo: look for look in looks}

    one, four = results(1), results(4)
    assert one.keys() == four.keys() == {photo.photo for photo in photos}
    for name, look in one.items():
        np.testing.assert_array_equal(look.boxes, four[name].boxes)
        np.testing.assert_array_equal(look.confidences, four[name].confidences)
        np.testing.assert_array_equal(look.feature, four[name].feature)
        assert np.linalg.norm(look.feature) == pytest.approx(1, abs=1e-5)


def test_a_bad_photo_costs_only_itself(photos, detector):
    photos[0].path.write_bytes(b"not a photo")
    draw_photo(photos[1].path, 1, width=32, height=32)  # another size than it was collected with
    photos[2].path.unlink()
    looks = {look.photo: look for look in look_at(photos, detector, StreamSettings(64))}
    failed = {name: look.error.reason for name, look in looks.items() if look.error}
    assert set(failed) == {"s/0.jpg", "s/1.jpg", "s/2.jpg"}
    assert "32 x 32 pixels now, was 64 x 96" in failed["s/1.jpg"]
    assert all(looks[name].score == 0 and looks[name].feature is None for name in failed)
    assert all(looks[f"s/{number}.jpg"].feature is not None for number in (3, 4))


def test_suppression_keeps_the_best_above_the_confidence():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60], [0, 0, 5, 5]], np.float32)
    confidences = np.array([0.5, 0.9, 0.3, 0.0005], np.float32)
    kept, scores = suppress(boxes, confidences, StreamSettings(64))
    assert kept.tolist() == [[0, 0, 10, 9], [50, 50, 60, 60]]
    np.testing.assert_array_equal(scores, confidences[[1, 2]])
    assert len(suppress(boxes, confidences, StreamSettings(64, candidates=1))[0]) == 1


@dataclass(frozen=True)
class Opener:
    open: Callable
    files: tuple = ()


def table_of(photos):
    rows = [(photo.photo, str(photo.path), "s", photo.width, photo.height) for photo in photos]
    return pl.DataFrame(rows, schema=["photo", "path", "source", "width", "height"], orient="row")


def test_a_pass_goes_on_after_the_parts_that_stand(photos, detector, tmp_path, monkeypatch):
    monkeypatch.setattr("wreckognize.inference.passes.PART_PHOTOS", 2)
    table, opened, seen = table_of(photos), [], []

    class Watched:
        info = detector.info

        def infer(self, batch):
            seen.append(len(batch))
            if fail and len(seen) == 2:
                raise KeyboardInterrupt
            return detector.infer(batch)

    def open_watched():
        opened.append(1)
        return Watched()

    def go(key="k"):
        return run_pass(
            table,
            Opener(open_watched),
            StreamSettings(64),
            parts=tmp_path / "parts",
            key=key,
            progress=Silent(),
            description="pass",
        )

    fail = True
    with pytest.raises(KeyboardInterrupt):
        go()
    fail, before = False, len(seen)
    whole = go()
    assert sum(seen[before:]) == 3  # the first part of two photos was not looked at again
    assert go().predictions.equals(whole.predictions)
    assert len(opened) == 2  # nothing was left to do: no detector was opened
    assert whole.embeddings["photo"].to_list() == table["photo"].to_list()
    assert whole.predictions["confidence"].min() >= np.float32(0.001)
    assert go(key="other weights").predictions.equals(whole.predictions)
    assert len(opened) == 3


def test_a_pass_names_photos_it_could_not_read(photos, detector, tmp_path):
    photos[3].path.unlink()
    seen = run_pass(
        table_of(photos),
        Opener(lambda: detector),
        StreamSettings(64),
        parts=tmp_path / "parts",
        key="k",
        progress=Silent(),
        description="pass",
    )
    assert seen.unread["file"].to_list() == ["s/3.jpg"]
    assert seen.embeddings.height == 4


def test_a_pass_over_no_photos_is_empty(detector, tmp_path):
    seen = run_pass(
        table_of([]),
        Opener(lambda: detector),
        StreamSettings(64),
        parts=tmp_path / "parts",
        key="k",
        progress=Silent(),
        description="pass",
    )
    assert seen.predictions.is_empty()
    assert seen.unread.is_empty()
