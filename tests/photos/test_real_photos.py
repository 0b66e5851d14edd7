"""The study over real photos, short: few of them, one epoch, baseline and ver6. ``make photos`` runs it whole."""

import json
import sys
from pathlib import Path

import polars as pl
import pytest

pytestmark = [pytest.mark.photos, pytest.mark.slow]

FEW = [f"sources.{name}.limit={count}" for name, count in
       {"damaged": 60, "whole-vehicle": 12, "normal": 40, "coco-cars": 10, "coco-background": 70}.items()]  # fmt: skip
SMALL = [
    "teacher.imgsz=320",
    "systems.ver6.train.epochs=1",
    "systems.ver6.train.seeds=1",
    *(f"systems.{name}.predict.threshold=0.1" for name in ("baseline", "ver6")),
]


@pytest.fixture(scope="module")
def study(shared, tmp_path_factory):
    sys.path.insert(0, str(Path(__file__).parent))
    from real import load

    return load(tmp_path_factory.mktemp("study"), FEW + SMALL)


def test_the_whole_way_on_real_photos(study, tmp_path):
    result = study.run(out=tmp_path / "run", only=["baseline", "ver6"])
    by_name = {system.name: system for system in result.comparison.systems}
    baseline, ver6 = by_name["baseline"], by_name["ver6"]
    assert baseline.box_truth == "human"
    assert baseline.map50 > 0.3  # a COCO detector on hand-drawn boxes of cars
    assert baseline.by_role["normal"].found == baseline.by_role["normal"].photos
    assert 0.3 < baseline.by_role["damaged"].found / baseline.by_role["damaged"].photos < 0.95
    # One epoch on a few photos: it finds more, and raises more false alarms; what it is worth takes the whole study.
    assert ver6.by_role["damaged"].found >= baseline.by_role["damaged"].found
    assert ver6.auc_damaged > 0.6
    assert set(ver6.labels) == {"teacher", "frame", "human"}

    photos = pl.read_parquet(result.folder / "catalog" / "photos.parquet")
    split = pl.read_parquet(result.folder / "split.parquet")
    assert set(photos.join(split.filter(split="test"), on="photo")["source"]) == set(photos["source"])
    comparison = json.loads((result.folder / "report" / "comparison.json").read_text())
    assert comparison["test"]["truth"] == "role"
    page = result.page.read_text(encoding="utf-8")
    assert len(page) < 15_000_000
    assert str(Path.home()) not in page
