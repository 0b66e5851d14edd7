"""Tiny sources, made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from wreckognize.collect import Collected, collect
from wreckognize.settings import AihubSource, CocoSource, FolderSource, Source, YoloSource

SIZE = (100, 60)
CATEGORIES = ("person", "bicycle", "car", "motorcycle", "bus", "truck", "bench", "dog")


class Room:
    """A folder with photos and labels, and the sources that read it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def photo(self, name: str, size: tuple[int, int] = SIZE, **options: object) -> Path:
        """A photo whose bytes differ from those of any other name."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(list(name.encode("utf-8", "surrogateescape"))).integers(0, 255, (3, 4, 3))
        Image.fromarray(pixels.astype(np.uint8)).resize(size).save(path, **options)
        return path

    def file(self, name: str, content: str | bytes | object) -> Path:
        """A file of text or bytes; anything else is written as JSON."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    def aihub(self, **settings: object) -> AihubSource:
        paths = {"images": self.root / "images", "labels": self.root / "labels"}
        return AihubSource(**{"name": "s", "type": "aihub", "role": "damaged", "max_failed": 1} | paths | settings)

    def coco(self, **settings: object) -> CocoSource:
        paths = {"images": self.root / "images", "annotations": self.root / "instances.json"}
        return CocoSource(**{"name": "s", "type": "coco", "role": "normal", "max_failed": 1} | paths | settings)

    def folder(self, **settings: object) -> FolderSource:
        paths = {"images": self.root / "images"}
        return FolderSource(
            **{"name": "s", "type": "folder", "role": "normal", "max_failed": 1} | paths | settings
        )

    def yolo(self, **settings: object) -> YoloSource:
        paths = {"images": self.root / "images"}
        return YoloSource(**{"name": "s", "type": "yolo", "role": "normal", "max_failed": 1} | paths | settings)

    @staticmethod
    def damage(
        bbox: object = (10, 20, 30, 10), damage: object = "Scratched", category_id: object = "sc-1", **more: object
    ) -> dict[str, object]:
        """One AI-Hub annotation."""
        return {
            "bbox": bbox,
            "damage": damage,
            "category_id": category_id,
            "segmentation": [[[[1, 2], [3, 4]]]],
        } | more

    @staticmethod
    def label(*annotations: object, size: tuple[int, int] = SIZE, **more: object) -> dict[str, object]:
        """One AI-Hub label."""
        images = {"id": 1, "width": size[0], "height": size[1]}
        return {
            "images": images,
            "annotations": list(annotations or [Room.damage()]),
            "categories": {"id": "sc-1"},
        } | more

    @staticmethod
    def instances(
        photos: dict[str, list[dict[str, object]]], size: tuple[int, int] | None = SIZE
    ) -> dict[str, object]:
        """A COCO file: for each photo its annotations, each with a class name instead of ids."""
        categories = [{"id": 3 * number, "name": name} for number, name in enumerate(CATEGORIES, 1)]
        numbers = {str(category["name"]): category["id"] for category in categories}
        images, annotations = [], []
        for image_id, (file_name, objects) in enumerate(photos.items(), 500):
            sides = {"width": size[0], "height": size[1]} if size else {}
            images.append({"id": image_id, "file_name": file_name} | sides)
            for one in objects:
                rest = {key: value for key, value in one.items() if key != "name"}
                annotations.append({"image_id": image_id, "category_id": numbers[str(one["name"])]} | rest)
        return {"images": images, "annotations": annotations, "categories": categories}

    @staticmethod
    def thing(name: str = "car", bbox: object = (10, 10, 50, 40), iscrowd: int = 0) -> dict[str, object]:
        """One COCO annotation."""
        return {"name": name, "bbox": bbox, "iscrowd": iscrowd}

    @staticmethod
    def run(*sources: Source, seed: int = 0) -> Collected:
        return collect(sources, seed=seed)

    @staticmethod
    def names(collected: Collected) -> list[str]:
        return [name.split("/", 1)[1] for name in collected.catalog.photos["photo"]]

    @staticmethod
    def boxes(collected: Collected) -> list[list[float]]:
        return [
            [round(value, 3) for value in row]
            for row in collected.catalog.boxes.select("x1", "y1", "x2", "y2").rows()
        ]

    @staticmethod
    def tally(collected: Collected) -> dict[tuple[str, str], int]:
        return {(outcome, reason): count for _, outcome, reason, count in collected.tally.rows()}

    @staticmethod
    def reasons(collected: Collected) -> dict[str, str]:
        """For each quarantined file, by its last part, why."""
        assert collected.quarantine["what_to_do"].str.len_chars().gt(0).all()
        return {Path(file).name: reason for _, file, reason, _ in collected.quarantine.rows()}

    @staticmethod
    def row(collected: Collected, name: str) -> dict[str, object]:
        return collected.catalog.photos.filter(pl.col("photo") == f"s/{name}").row(0, named=True)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)
