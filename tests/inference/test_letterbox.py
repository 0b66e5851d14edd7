import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.boxes import as_boxes
from wreckognize.detectors.ultralytics import import_library
from wreckognize.inference.letterbox import Fit

lengths = st.integers(1, 3000)


@given(lengths, lengths, st.sampled_from([32, 64, 320, 640]))
def test_the_input_is_a_multiple_of_the_stride_and_holds_the_photo(width, height, imgsz):
    fit = Fit.of(width, height, imgsz, 32)
    assert fit.width % 32 == 0
    assert fit.height % 32 == 0
    assert max(fit.width, fit.height) == imgsz
    assert fit.left + fit.scaled_width <= fit.width
    assert fit.top + fit.scaled_height <= fit.height


@given(st.integers(20, 2000), st.integers(20, 2000))
def test_boxes_come_back_where_they_were(width, height):
    fit = Fit.of(width, height, 640, 32)
    photo_box = as_boxes([[0.1 * width, 0.2 * height, 0.8 * width, 0.9 * height]])
    scale = np.array([fit.scaled_width / width, fit.scaled_height / height] * 2, dtype=np.float32)
    in_input = photo_box * scale + np.array([fit.left, fit.top] * 2, dtype=np.float32)
    np.testing.assert_allclose(fit.restore(in_input), photo_box, atol=0.05)


def test_as_ultralytics_does_it():
    import_library()  # fenced first: unfenced it would stay so for the tests that follow
    from ultralytics.data.augment import LetterBox

    rng = np.random.default_rng(0)
    for height, width in [(480, 640), (640, 640), (101, 333), (1000, 37)]:
        photo = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        theirs = LetterBox((320, 320), auto=True, stride=32)(image=photo)
        np.testing.assert_array_equal(Fit.of(width, height, 320, 32).apply(photo), theirs)


def test_boxes_beyond_the_photo_are_cut():
    fit = Fit.of(100, 50, 64, 32)
    assert fit.restore(as_boxes([[-50, -50, 500, 500]])).tolist() == [[0, 0, 100, 50]]


@given(st.integers(1, 300), st.integers(1, 300))
def test_a_place_in_a_used_batch_is_filled_whole(width, height):
    fit = Fit.of(width, height, 64, 32)
    photo = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    batch = np.full((2, *fit.shape, 3), 255, np.uint8)
    fit.apply_to(photo, batch[1])
    np.testing.assert_array_equal(batch[1], fit.apply(photo))
    if fit.top:
        assert (batch[1, 0] == 114).all()
    assert (batch[0] == 255).all()
