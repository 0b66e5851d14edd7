"""A small real study on disk: photos, labels and a study file, for tests of the whole way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from photographs import draw_photo

DAMAGED, NORMAL, BACKGROUND, WHOLE = 20, 12, 22, 4


def write_study(folder: Path, weights: Path, **changes: Any) -> Path:
    """Write photos of every role and ``study.yaml`` with baseline and ver6; ``changes`` replace top-level keys."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (weights, weights.with_name("model.json")):
        shutil.copyfile(file, folder / file.name)
    for number in range(DAMAGED):
        _aihub_photo(folder / "aihub", number)
    for number in range(NORMAL):
        draw_photo(folder / "normal" / f"n {number:02}.jpg", 100 + number)
    _coco(folder / "coco")
    study = {
        "study": "tiny",
        "seed": 1,
        "sources": [
            {
                "name": "aihub",
                "type": "aihub",
                "role": "damaged",
                "images": "aihub/images",
                "labels": "aihub/labels",
            },
            {"name": "normal", "type": "folder", "role": "normal", "images": "normal"},
            {
                "name": "background",
                "type": "coco",
                "role": "background",
                "images": "coco/images",
                "annotations": "coco/instances.json",
            },
            {
                "name": "whole",
                "type": "coco",
                "role": "damaged",
                "images": "coco/images",
                "annotations": "coco/instances.json",
                "classes": ["car"],
                "split": "test",
            },
        ],
        "split": {"train": 0.5, "val": 0.2, "test": 0.3},
        "teacher": {"weights": weights.name, "imgsz": 64},
        "systems": {
            "baseline": {"recipe": "baseline", "weights": weights.name, "predict": {"imgsz": 64}},
            "ver6": {
                "recipe": "ver6",
                "weights": weights.name,
                "train": {"imgsz": 64, "epochs": 1, "batch": 4, "device": "cpu"},
            },
        },
    } | changes
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    return file


def _aihub_photo(folder: Path, number: int) -> None:
    claim = f"sc-{number // 2:06}"
    name = f"{number:07}_{claim}"
    draw_photo(folder / "images" / f"{name}.jpg", number)
    label = {
        "images": {"id": number, "width": 96, "height": 64, "file_name": f"{name}.jpg"},
        "annotations": [{"id": 1, "category_id": claim, "bbox": [30, 20, 12, 9], "damage": "Scratched"}],
    }
    path = folder / "labels" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(label))


def _coco(folder: Path) -> None:
    """Backgrounds with a bench, and damaged cars with a box round the whole car."""
    images, annotations = [], []
    for number in range(BACKGROUND + WHOLE):
        car = number >= BACKGROUND
        name = f"{number:012}.jpg"
        draw_photo(folder / "images" / name, 200 + number, vehicle=car)
        images.append({"id": number, "file_name": name, "width": 96, "height": 64})
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 3 if car else 15,
                "bbox": [24, 16, 48, 32],
                "iscrowd": 0,
            }
        )
    categories = [{"id": 3, "name": "car"}, {"id": 15, "name": "bench"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(content))


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file below ``folder`` with its bytes and time."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}
