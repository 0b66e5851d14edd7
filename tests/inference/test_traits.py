import io

import cv2
import numpy as np
import pytest
from PIL import Image

from wreckognize.errors import InputError
from wreckognize.inference.traits import jpeg_quality, read_traits


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def encoded(suffix, parameters=()):
    return cv2.imencode(suffix, picture(), list(parameters))[1].tobytes()


def test_the_quality_is_the_one_the_file_was_saved_at():
    for quality in range(1, 101):
        assert jpeg_quality(encoded(".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])) == quality
        saved = io.BytesIO()
        Image.fromarray(picture()[:, :, 0]).save(saved, "JPEG", quality=quality)
        assert jpeg_quality(saved.getvalue()) == quality


def test_tables_of_other_encoders_get_the_nearest_quality():
    halved = [max(1, value // 2) for value in Image.open(io.BytesIO(encoded(".jpg", [1, 50]))).quantization[0]]
    saved = io.BytesIO()
    Image.fromarray(picture()).save(saved, "JPEG", qtables=[halved, halved])
    assert jpeg_quality(saved.getvalue()) == pytest.approx(75, abs=1)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".bmp"])
def test_other_formats_have_no_quality(suffix):
    assert jpeg_quality(encoded(suffix)) is None


def test_brightness_is_the_mean_luma(tmp_path):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, 15:] = (0, 0, 200)  # BGR: red
    path = tmp_path / "red.png"
    cv2.imwrite(str(path), pixels)
    traits = read_traits(path)
    assert traits.brightness == pytest.approx(0.299 * 200 / 2, abs=0.5)
    assert traits.quality is None


def test_a_photo_that_is_gone_or_broken_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="not there"):
        read_traits(tmp_path / "gone.jpg")
    (tmp_path / "broken.jpg").write_bytes(encoded(".jpg")[:300])
    with pytest.raises(InputError, match="damaged"):
        read_traits(tmp_path / "broken.jpg")
