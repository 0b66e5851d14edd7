import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import polars as pl
import pytest
from photographs import draw_photo

from wreckognize import images
from wreckognize.detectors.port import OutOfMemory, RawDetections
from wreckognize.detectors.ultralytics import open_detector
from wreckognize.errors import EngineError
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


class Around:
    """A detector about which a test wants to know or change something."""

    def __init__(self, detector, requests=1, before=lambda batch: None, after=lambda raw: raw):
        self.info = replace(detector.info, requests=requests)
        self._detector, self._before, self._after = detector, before, after
        self._lock = threading.Lock()  # the torch detector takes one batch at a time

    def infer(self, batch):
        self._before(batch)
        with self._lock:
            return self._after(self._detector.infer(batch))


@pytest.fixture
def no_thread_stays():
    """Of those that the test began; a service in another test may still have its own."""
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    assert not {thread.name for thread in left if thread.name.startswith(("decode", "infer"))}


@pytest.mark.usefixtures("no_thread_stays")
def test_order_and_result_do_not_depend_on_how_many_batches_are_under_way(photos, detector):
    delays = iter([0.08, 0.0, 0.05, 0.0, 0.0])  # the first batch is the last to be finished

    def slowly(_):
        time.sleep(next(delays, 0))

    settings = StreamSettings(96, batch=1)
    one = list(look_at(photos, detector, settings))
    three = list(look_at(photos, Around(detector, requests=3, before=slowly), settings))
    assert [look.photo for look in three] == [look.photo for look in one]
    for left, right in zip(one, three, strict=True):
        np.testing.assert_array_equal(left.boxes, right.boxes)
        np.testing.assert_array_equal(left.feature, right.feature)


@pytest.mark.usefixtures("no_thread_stays")
def test_batches_are_looked_at_while_others_are_and_while_the_caller_works(photos, detector):
    together = threading.Barrier(2, timeout=20)  # passes only if two calls are under way at the same time
    looks = list(
        look_at(photos[:1] * 4, Around(detector, 2, lambda _: together.wait()), StreamSettings(64, batch=1))
    )
    assert len(looks) == 4

    begun = threading.Semaphore(0)
    stream = look_at(photos[:1] * 3, Around(detector, 1, lambda _: begun.release()), StreamSettings(64, batch=1))
    next(stream)
    assert all(begun.acquire(timeout=20) for _ in range(2))  # the second began without being asked for
    stream.close()


def test_what_is_under_way_is_bounded(photos, detector):
    decoded = []
    real = images.decode
    many = photos[:1] * 60
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("wreckognize.images.decode", lambda path: (decoded.append(path), real(path))[1])
        stream = look_at(many, detector, StreamSettings(64, batch=2, workers=2))
        next(stream)
        time.sleep(0.2)
        assert len(decoded) <= 2 * 2 + 4 + 2  # two batches with the engine, four photos ahead, one being handed on
        assert len(list(stream)) == 59


@pytest.mark.parametrize("where", ["detector", "decoder"])
@pytest.mark.usefixtures("no_thread_stays")
def test_an_error_in_any_thread_is_raised_and_no_thread_stays(photos, detector, where, monkeypatch):
    def break_down(*_):
        raise ZeroDivisionError("broken")

    if where == "decoder":
        monkeypatch.setattr("wreckognize.images.decode", break_down)
    tested = Around(detector, 2, break_down) if where == "detector" else detector
    with pytest.raises(ZeroDivisionError, match="broken"):
        list(look_at(photos, tested, StreamSettings(64, batch=1)))


@pytest.mark.parametrize("part", ["boxes", "confidences"])
def test_numbers_that_are_none_are_an_error_and_no_boxes(photos, detector, part):
    def spoil(raw):
        values = {"boxes": raw.boxes, "confidences": raw.confidences, "features": raw.features}
        values[part] = values[part].copy()
        values[part].flat[5] = np.nan
        return RawDetections(**values)

    with pytest.raises(EngineError, match=r"torch .*no numbers\n.*precision: float32"):
        list(look_at(photos, Around(detector, after=spoil), StreamSettings(64)))


def test_a_batch_that_does_not_fit_is_halved_until_it_does(photos, detector):
    sizes = []

    def small_memory(batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise OutOfMemory("out of memory")

    same = photos[:1] * 8
    settings = StreamSettings(64, batch=5)
    with pytest.warns(RuntimeWarning, match="5 photos at a time do not fit.*going on with 2"):
        looks = list(look_at(same, Around(detector, before=small_memory), settings))
    assert sizes == [5, 2, 2, 1, 2, 1]
    whole = list(look_at(same, detector, settings))
    for left, right in zip(looks, whole, strict=True):
        np.testing.assert_allclose(left.boxes, right.boxes, atol=1e-3)
        np.testing.assert_allclose(left.feature, right.feature, atol=1e-5)


def test_a_device_too_small_for_one_photo_is_said(photos, detector):
    def no_memory(_):
        raise OutOfMemory("out of memory")

    with pytest.raises(EngineError, match=r"does not hold one photo of 64 x 64.*\n.*smaller imgsz"):
        list(look_at(photos[2:3], Around(detector, before=no_memory), StreamSettings(64, batch=1)))


def test_decoding_a_jpeg_at_a_smaller_size_would_change_what_the_network_gets(tmp_path):
    """Why the stream does not: not even a photo of exactly twice the input's size comes out the same."""
    path = draw_photo(tmp_path / "large.jpg", 3, width=256, height=192)
    fit = Fit.of(256, 192, 128, 32)
    whole = fit.apply(images.decode(path)).astype(int)
    reduced = fit.apply(cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_2)).astype(int)
    assert whole.shape == reduced.shape
    assert (whole != reduced).mean() > 0.05
