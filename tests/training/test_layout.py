import os
import shutil

import cv2
import numpy as np
import polars as pl
import pytest
from photographs import draw_photo
from PIL import Image

from wreckognize.catalog import LABEL_SCHEMA
from wreckognize.errors import TrainingError
from wreckognize.progress import Silent
from wreckognize.training.layout import link_photo, write_layout, yolo_lines

COLUMNS = ["photo", "split", "path", "plain", "width", "height"]


def photo_table(rows):
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def label_table(rows):
    full = [(photo, "train", *box, "vehicle", "teacher", 0.5) for photo, *box in rows]
    return pl.DataFrame(full, schema=LABEL_SCHEMA, orient="row")


def test_labels_are_shares_of_the_photo():
    photos = photo_table([("s/a", "train", "a", True, 200, 100)])
    lines = yolo_lines(photos, label_table([("s/a", 20, 10, 60, 90), ("s/a", 0, 0, 200, 100)]))
    assert lines == {"s/a": "0 0.200000 0.500000 0.200000 0.800000\n0 0.500000 0.500000 1.000000 1.000000\n"}


def test_whole_jpegs_are_linked_and_everything_else_is_converted(tmp_path):
    plain = draw_photo(tmp_path / "in" / 'a "quoted"\nname 한글.jpg', 1)
    palette = tmp_path / "in" / "palette.png"
    Image.open(plain).convert("P").save(palette)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (plain, palette)}
    photos = photo_table([("s/a", "train", str(plain), True, 96, 64), ("s/b", "val", str(palette), False, 96, 64)])
    layout = write_layout(photos, label_table([("s/a", 0, 0, 96, 64)]), tmp_path / "data", progress=Silent())
    linked = layout.folder / "images" / "train" / "0000000.jpg"
    converted = layout.folder / "images" / "val" / "0000001.png"
    assert linked.samefile(plain)
    assert cv2.imread(str(converted)).shape == (64, 96, 3)
    assert (layout.folder / "labels" / "train" / "0000000.txt").read_text().startswith("0 0.5")
    assert (layout.folder / "labels" / "val" / "0000001.txt").read_text() == ""
    assert (layout.train_photos, layout.val_photos) == (1, 1)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before


@pytest.mark.parametrize("missing", ["train", "val"])
def test_an_empty_side_is_said_before_anything_is_made(tmp_path, missing):
    split = {"train": "val", "val": "train"}[missing]
    photos = photo_table([("s/a", split, "a.jpg", True, 96, 64)])
    with pytest.raises(TrainingError, match=f"no photo is left for {missing}"):
        write_layout(photos, label_table([]), tmp_path / "data", progress=Silent())
    assert not (tmp_path / "data").exists()


def refuse(*_):
    raise OSError(18, "Invalid cross-device link")


def test_photos_are_linked_by_name_or_else_by_inode_or_copied(tmp_path, monkeypatch):
    source = draw_photo(tmp_path / "a.jpg", 2)
    before = source.stat()
    link_photo(source, tmp_path / "linked.jpg")
    assert (tmp_path / "linked.jpg").is_symlink()
    assert source.stat() == before  # not even its count of links or its time of change
    monkeypatch.setattr(os, "symlink", refuse)
    link_photo(source, tmp_path / "b.jpg")
    assert source.stat().st_nlink == 2
    monkeypatch.setattr(os, "link", refuse)
    link_photo(source, tmp_path / "c.jpg")
    assert not (tmp_path / "c.jpg").is_symlink()
    assert np.array_equal(cv2.imread(str(tmp_path / "c.jpg")), cv2.imread(str(source)))
    monkeypatch.setattr(shutil, "copyfile", refuse)
    with pytest.raises(TrainingError, match="neither linked nor copied"):
        link_photo(source, tmp_path / "d.jpg")
