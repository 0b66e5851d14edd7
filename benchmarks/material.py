"""What is measured with: real photos and weights where they are at hand, else the demo's drawn ones."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Material:
    """Photos and a detector.

    Attributes:
        weights: a YOLOv8n pretrained on COCO, or the demo's starter.
        photos: half of damaged, half of intact cars; or drawn ones.
        imgsz: that the detector is used at.
        what: in words, for the name of a row.
        root: the folder of real photos; None where there is none.
    """

    weights: Path
    photos: list[Path]
    imgsz: int
    what: str
    root: Path | None


def find(folder: Path) -> Material:
    """Take what ``WRECKOGNIZE_PHOTOS`` names, else what stands beside the checkout, else draw (into ``folder``)."""
    root = Path(os.environ.get("WRECKOGNIZE_PHOTOS") or Path(__file__).parents[2] / "shared").resolve()
    if (root / "data").is_dir():
        damaged, normal = (sorted((root / "data" / role / "images").iterdir()) for role in ("damaged", "normal"))
        photos = [photo for pair in zip(damaged, normal, strict=False) for photo in pair]
        return Material(root / "weights" / "yolov8n-coco.pt", photos, 640, "YOLOv8n 640, real photos", root)
    from wreckognize.demo.collection import make
    from wreckognize.study import resolve_weights

    collection = make(folder / "photos", scale=0.2)
    photos = sorted(collection.folder.rglob("*.jpg"))
    return Material(Path(resolve_weights("starter", folder)), photos, 192, "starter 192, drawn photos", None)
