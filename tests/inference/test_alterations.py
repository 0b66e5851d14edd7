import cv2
import numpy as np
import pytest
from photographs import draw_photo

from wreckognize import images
from wreckognize.detectors.port import DetectorInfo, RawDetections
from wreckognize.errors import UsageError
from wreckognize.inference.alterations import KINDS, Form, ToAlter, alter, altered_file, look_at_altered
from wreckognize.inference.stream import StreamSettings
from wreckognize.inference.traits import jpeg_quality
from wreckognize.progress import Silent


class Watching:
    """Says how bright its input is, and keeps what it saw."""

    info = DetectorInfo("fake", "fake", "0", False, ("vehicle",), 32, "cpu", "fp32", 1)

    def __init__(self):
        self.seen = []

    def infer(self, batch):
        self.seen += list(batch)
        boxes = np.tile(np.float32([0, 0, 16, 16]), (len(batch), 1, 1))
        return RawDetections(
            boxes, np.float32([[photo.mean() / 255] for photo in batch]), np.ones((len(batch), 2), np.float32)
        )


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_stretching_takes_the_whole_photo_to_the_other_size():
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40] = 200
    stretched = alter(pixels, "stretched", Form(60, 60, 75))
    assert stretched.shape == (60, 60, 3)
    assert (stretched[:, :28] == 200).all()
    assert (stretched[:, 32:] == 0).all()


def test_padding_keeps_proportions_and_fills_with_grey():
    padded = alter(np.full((40, 80, 3), 9, np.uint8), "padded", Form(60, 60, None))
    assert padded.shape == (60, 60, 3)
    assert (padded[15:45] == 9).all()
    assert (padded[:15] == 114).all()
    assert (padded[45:] == 114).all()


def test_a_photo_as_wide_as_a_line_can_be_padded():
    assert alter(noise(500, 10), "padded", Form(10, 12, None)).shape == (12, 10, 3)


def test_recompression_is_at_the_other_quality_and_keeps_the_size():
    data = altered_file(noise(40, 60), "recompressed", Form(999, 999, 35))
    assert jpeg_quality(data) == 35
    assert images.decode(data).shape == (40, 60, 3)
    np.testing.assert_array_equal(alter(noise(40, 60), "recompressed", Form(999, 999, 35)), images.decode(data))


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_that_is_like_the_other_already_stays_as_it_is(kind):
    pixels = noise(40, 60)
    np.testing.assert_array_equal(alter(pixels, kind, Form(60, 40, None)), pixels)


@pytest.mark.parametrize("kind", ["stretched", "padded"])
def test_files_of_other_shapes_lose_nothing(kind):
    pixels, like = noise(40, 60), Form(48, 64, 20)
    np.testing.assert_array_equal(images.decode(altered_file(pixels, kind, like)), alter(pixels, kind, like))


@pytest.mark.parametrize("kind", KINDS)
def test_a_detector_sees_the_altered_photos_and_nothing_is_left_behind(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("wreckognize.inference.alterations._COPIES", 3)
    like, detector, folder = Form(64, 96, 30), Watching(), tmp_path / "copies"
    folder.mkdir()
    (folder / "0").write_text("left by a run that was killed")
    items = [ToAlter(f"s/{n}.jpg", draw_photo(tmp_path / "own" / f"{n}.jpg", n), like) for n in range(7)]
    before = {item.path: item.path.read_bytes() for item in items}
    table = look_at_altered(items, kind, detector, StreamSettings(96), folder=folder, task=next_task(len(items)))
    assert table["photo"].to_list() == [item.photo for item in items]
    assert not folder.exists()
    assert {item.path: item.path.read_bytes() for item in items} == before
    expected = (96, 64) if kind != "recompressed" else (64, 96)
    assert {photo.shape[:2] for photo in detector.seen} == {expected}
    of_first = alter(images.decode(items[0].path), kind, like)
    assert table["confidence"][0] == pytest.approx(of_first.mean() / 255, abs=1e-6)


def next_task(total):
    with Silent().task("altered", total) as task:
        return task


def test_photos_that_are_gone_are_named(tmp_path):
    items = [ToAlter("s/gone.jpg", tmp_path / "gone.jpg", Form(64, 64, 75))]
    with pytest.raises(UsageError, match=r"s/gone\.jpg: file is not there"):
        look_at_altered(
            items, "padded", Watching(), StreamSettings(64), folder=tmp_path / "copies", task=next_task(1)
        )
    assert not (tmp_path / "copies").exists()


def test_no_photos_give_an_empty_table(tmp_path):
    table = look_at_altered(
        [], "padded", Watching(), StreamSettings(64), folder=tmp_path / "copies", task=next_task(0)
    )
    assert table.is_empty()


def test_enlarging_and_shrinking_keep_the_brightness():
    pixels = cv2.GaussianBlur(noise(60, 90), (0, 0), 3)
    for form in (Form(33, 44, None), Form(300, 280, None)):
        assert alter(pixels, "stretched", form).mean() == pytest.approx(pixels.mean(), abs=1.5)
