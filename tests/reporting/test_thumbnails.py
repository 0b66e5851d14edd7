from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from wreckognize.progress import Silent
from wreckognize.reporting.thumbnails import make_thumbnails


def test_a_thumbnail_is_small_upright_and_without_metadata(tmp_path: Path):
    photo = Image.fromarray(np.zeros((600, 1200, 3), np.uint8))
    photo.paste((250, 10, 10), (0, 0, 600, 600))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees: the left half ends up on top
    exif[0x010F] = "a maker of phones"
    photo.save(tmp_path / "turned.jpg", exif=exif)
    made = make_thumbnails({"a": tmp_path / "turned.jpg"}, Silent())["a"]
    shown = cv2.imdecode(np.frombuffer(made.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (256, 128, 3)
    assert shown[:100, :, 2].mean() > 200
    assert shown[160:, :, 2].mean() < 50
    assert b"Exif" not in made.jpeg
    assert b"phones" not in made.jpeg
    assert made.data_uri.startswith("data:image/jpeg;base64,/9j/")


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "file is not there"), (b"", "empty"), (b"no photo, only text " * 9, "not a photo")],
)
def test_a_photo_that_cannot_be_read_says_why(tmp_path: Path, content: bytes | None, problem: str):
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    made = make_thumbnails({"a": tmp_path / "a.jpg"}, Silent())["a"]
    assert made.jpeg == b""
    assert problem in made.problem
