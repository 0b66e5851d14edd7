"""Labels of drawn photos in the formats of real sources: AI-Hub 581, COCO, YOLO. Text in, text out; no files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from wreckognize.boxes import Boxes
from wreckognize.demo.draw import Damage
from wreckognize.demo.parts import Kind

COCO_IDS = (
    ("bicycle", 2), ("car", 3), ("bus", 6), ("truck", 8), ("traffic light", 10), ("fire hydrant", 11),
    ("stop sign", 13), ("bench", 15), ("cat", 17), ("dog", 18), ("chair", 62), ("potted plant", 64),
)  # fmt: skip
"""The COCO categories that are drawn, with COCO's numbers."""

_SEGMENTS: tuple[tuple[Kind, str], ...] = (("car", "Full-size car"), ("truck", "Truck"), ("bus", "Bus"))


@dataclass(frozen=True, slots=True)
class CocoPhoto:
    """One photo of a COCO file: ``boxes`` ``(N, 4)`` and a category name for each."""

    file_name: str
    size: tuple[int, int]  # width, height
    boxes: Boxes
    names: tuple[str, ...]


def aihub_label(
    file_name: str, size: tuple[int, int], claim: str, kind: Kind, damages: Sequence[Damage], *, number: int
) -> str:
    """The JSON of one AI-Hub photo, key for key as published.

    Args:
        file_name: of the photo.
        size: width and height.
        claim: the accident, ``sc-123456``; AI-Hub calls it ``category_id``.
        kind: of the vehicle.
        damages: at least one.
        number: of the photo; annotations are numbered from it.
    """
    segment = dict(_SEGMENTS)[kind]
    annotations = [
        {
            "id": 100 * number + index,
            "image_id": number,
            "category_id": claim,
            "segmentation": [[[[round(float(x)), round(float(y))] for x, y in damage.polygon]]],
            "area": float(box[2] * box[3]),
            "bbox": box,
            "damage": damage.type,
            "part": None,
            "year": 2018,
            "color": "White",
            "level": None,
            "repair": [] if index % 2 else "sheet metal",  # the published set has lists and bare strings
        }
        for index, damage in enumerate(damages)
        for box in [_whole_pixels(damage.box, size)]
    ]
    return json.dumps(
        {
            "info": {"name": "drawn", "date_created": "03/08/2022"},
            "images": {"id": number, "width": size[0], "height": size[1], "file_name": file_name},
            "annotations": annotations,
            "categories": {"id": claim, "supercategory_name": segment},
        }
    )


def coco_annotations(photos: Sequence[CocoPhoto]) -> str:
    """One COCO file for all photos; names that COCO does not know get no annotation."""
    ids = dict(COCO_IDS)
    listed = [
        (image_id, ids[name], [round(float(value), 2) for value in (x1, y1, x2 - x1, y2 - y1)])
        for image_id, photo in enumerate(photos, 1)
        for (x1, y1, x2, y2), name in zip(photo.boxes, photo.names, strict=True)
        if name in ids
    ]
    return json.dumps(
        {
            "info": {"description": "drawn photos", "version": "1.0"},
            "images": [
                {"id": image_id, "file_name": photo.file_name, "width": photo.size[0], "height": photo.size[1]}
                for image_id, photo in enumerate(photos, 1)
            ],
            "annotations": [
                {
                    "id": number,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": box,
                    "area": round(box[2] * box[3], 2),
                    "iscrowd": 0,
                    "segmentation": [],
                }
                for number, (image_id, category, box) in enumerate(listed, 1)
            ],
            "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in COCO_IDS],
        }
    )


def yolo_label(size: tuple[int, int], boxes: Boxes) -> str:
    """One line ``0 cx cy w h`` a box, in shares of the photo's sides."""
    width, height = size
    return "".join(
        f"0 {(x1 + x2) / 2 / width:.6f} {(y1 + y2) / 2 / height:.6f} "
        f"{(x2 - x1) / width:.6f} {(y2 - y1) / height:.6f}\n"
        for x1, y1, x2, y2 in boxes.astype(float)
    )


def _whole_pixels(box: Boxes, size: tuple[int, int]) -> list[int]:
    """``x y w h`` in whole pixels within the photo, at least one pixel each way."""
    x1, y1, x2, y2 = (round(float(value)) for value in box[0])
    x1, y1 = min(x1, size[0] - 1), min(y1, size[1] - 1)
    return [x1, y1, max(1, min(x2, size[0]) - x1), max(1, min(y2, size[1]) - y1)]
