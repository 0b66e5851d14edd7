"""A run up to `label`, made from Python without a network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl
import pytest
from photographs import draw_photo

from reviews import box_row, catalog_of, photo_row
from wreckognize.catalog import LABEL_SCHEMA, PREDICTION_SCHEMA, SPLIT_SCHEMA
from wreckognize.study import Study


@pytest.fixture
def a_run(tmp_path: Path) -> tuple[Study, Path, Path]:
    """A study with its file, a run of it up to `label`, and the folder both are in.

    Photos: ``cars/1.jpg`` (train, teacher label), ``cars/2.jpg`` (train, fallback label), ``cars/3.jpg`` (test),
    ``none/1.jpg`` and ``none/2.jpg`` (train and test, backgrounds).
    """
    photos, boxes = [], []
    for number, name in enumerate(("cars/1.jpg", "cars/2.jpg", "cars/3.jpg", "none/1.jpg", "none/2.jpg")):
        role = "background" if name.startswith("none") else "damaged"
        path = draw_photo(tmp_path / "photos" / name, number, vehicle=role == "damaged")
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        photos.append(photo_row(name, role, path=str(path), width=96, height=64, sha256=sha256))
    boxes.append(box_row("cars/2.jpg", (30, 20, 42, 29), "Scratched"))
    run = tmp_path / "run"
    (run / "catalog").mkdir(parents=True)
    (run / "systems" / "ver6").mkdir(parents=True)
    (run / "teacher").mkdir()
    catalog_of(photos, boxes).write(run / "catalog")
    splits = ["train", "train", "test", "train", "test"]
    names = [str(row["photo"]) for row in photos]
    pl.DataFrame({"photo": names, "split": splits, "group": names}, schema=SPLIT_SCHEMA).write_parquet(
        run / "split.parquet"
    )
    pl.DataFrame(
        [
            ("cars/1.jpg", "train", 24.0, 16.0, 72.0, 48.0, "vehicle", "teacher", 0.6),
            ("cars/2.jpg", "train", 0.0, 0.0, 96.0, 64.0, "vehicle", "frame", None),
        ],
        schema=LABEL_SCHEMA,
        orient="row",
    ).write_parquet(run / "systems" / "ver6" / "labels.parquet")
    pl.DataFrame(
        [("cars/3.jpg", 20.0, 10.0, 70.0, 50.0, 0.9), ("none/2.jpg", 1.0, 1.0, 9.0, 9.0, 0.8)],
        schema=PREDICTION_SCHEMA,
        orient="row",
    ).write_parquet(run / "teacher" / "predictions.parquet")
    file = tmp_path / "claims.yaml"
    file.write_text(STUDY)
    return Study.load(file), run, tmp_path


STUDY = """\
study: claims
sources:
  - {name: cars, type: folder, role: damaged, images: photos/cars}
  - {name: none, type: folder, role: background, images: photos/none}
teacher: {weights: yolov8n.yaml}
systems:
  ver6: {recipe: ver6, weights: yolov8n.yaml}
"""
