"""The readers on real photos."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from wreckognize.catalog import Role
from wreckognize.collect import collect
from wreckognize.settings import AihubSource, CocoSource, FolderSource

pytestmark = pytest.mark.photos


def coco(name: str, role: Role, folder: Path) -> CocoSource:
    return CocoSource(
        name=name, type="coco", role=role, images=(folder / "images",), annotations=(folder / "instances.json",)
    )


def test_the_real_photos_are_what_their_readme_says(shared):
    data = shared / "data"
    damaged, normal = data / "damaged", data / "normal"
    sources = [
        AihubSource(
            name="aihub", type="aihub", role="damaged", images=damaged / "images", labels=damaged / "labels"
        ),
        FolderSource(name="normal", type="folder", role="normal", images=normal / "images"),
        coco("background", "background", data / "coco"),
        coco("cars", "normal", data / "coco"),
        coco("whole", "damaged", data / "whole_vehicle"),
    ]
    found = collect(sources, seed=0)
    assert found.quarantine.is_empty()
    photos = dict(found.catalog.photos["source"].value_counts().rows())
    assert {"aihub": 624, "normal": 423, "background": 303, "whole": 45}.items() <= photos.items()

    source = pl.col("photo").str.split("/").list.first()
    kinds = found.catalog.boxes.group_by(source.alias("source"), "kind", "crowd").len()
    counts = {(name, kind, crowd): count for name, kind, crowd, count in kinds.rows() if name != "cars"}
    assert counts == {
        ("aihub", "Scratched", False): 781,
        ("aihub", "Breakage", False): 471,
        ("aihub", "Crushed", False): 432,
        ("whole", "vehicle", False): 99,
        ("whole", "vehicle", True): 20,
    }

    def listed(name: str) -> set[str]:
        return set((data / "coco" / name).read_text(encoding="utf-8").split())

    def collected(name: str) -> set[str]:
        return {Path(path).name for path in found.catalog.photos.filter(pl.col("source") == name)["path"]}

    assert collected("background") == listed("background.txt")
    assert collected("cars") <= listed("cars.txt")
    assert set(found.catalog.photos.filter(pl.col("source") == "aihub")["claim"]) == {
        path.stem for path in (damaged / "labels").iterdir()
    }
