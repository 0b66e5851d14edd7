import polars as pl
import pytest
from photographs import draw_photo

from wreckognize.catalog import LABEL_SCHEMA
from wreckognize.progress import Silent
from wreckognize.training.layout import write_layout

EPOCHS, TRAIN, VAL = 3, 8, 4


@pytest.fixture
def training(tmp_path):
    """A training folder of twelve small photos with a box each, laid out; ``photos`` are the sources."""
    rows, labels = [], []
    for number in range(TRAIN + VAL):
        path = draw_photo(tmp_path / "photos" / f"{number}.jpg", number)
        split = "train" if number < TRAIN else "val"
        rows.append((f"s/{number:02}", split, str(path), True, 96, 64))
        labels.append((f"s/{number:02}", split, 24, 16, 72, 48, "vehicle", "teacher", 0.9))
    photos = pl.DataFrame(rows, schema=["photo", "split", "path", "plain", "width", "height"], orient="row")
    folder = tmp_path / "systems" / "tiny" / "training"
    folder.mkdir(parents=True)
    table = pl.DataFrame(labels, schema=LABEL_SCHEMA, orient="row")
    return write_layout(photos, table, folder / "data", progress=Silent())
