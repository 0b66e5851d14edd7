"""COCO's file: one JSON with the photos, in order, and a box an annotation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec

from wreckognize.errors import UsageError
from wreckognize.review.answers import Incoming
from wreckognize.review.boxfiles import CLASS, LookedAt, to_incoming
from wreckognize.review.manifest import PHOTOS, Manifest
from wreckognize.review.plan import Task
from wreckognize.review.records import Corners

INSTANCES = "instances.json"
_DIGITS = 4
_Id = int | str


class _Category(msgspec.Struct, frozen=True):
    id: _Id
    name: str


class _Image(msgspec.Struct, frozen=True):
    id: _Id
    file_name: str
    width: float
    height: float


class _Annotation(msgspec.Struct, frozen=True):
    image_id: _Id
    category_id: _Id
    bbox: tuple[float, float, float, float]
    iscrowd: int | bool | None = None


class _File(msgspec.Struct, frozen=True):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]
    info: Any = None


def files(tasks: Sequence[Task], manifest: Manifest) -> dict[str, bytes]:
    """What goes out: name -> content. A box says whose it is (``origin``), a model's box its confidence (``score``)."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (task, exported) in enumerate(zip(tasks, manifest.photos, strict=True), 1):
        images.append(
            {
                "id": number,
                "file_name": f"{PHOTOS}/{exported.file}",
                "width": task.width,
                "height": task.height,
                **(
                    {}
                    if manifest.blank
                    else {
                        "photo": task.photo,
                        "sha256": task.sha256,
                        "drawn_by": task.drawn_by,
                        "why": task.why,
                    }
                ),
            }
        )
        for box in task.boxes:
            x1, y1, x2, y2 = box.corners
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "bbox": [round(value, _DIGITS) for value in (x1, y1, x2 - x1, y2 - y1)],
                    "area": round((x2 - x1) * (y2 - y1), _DIGITS),
                    "iscrowd": 0,
                    "segmentation": [],
                    "origin": box.origin,
                    **({} if box.confidence is None else {"score": round(box.confidence, _DIGITS)}),
                }
            )
    content = {
        "info": {"study": manifest.study, "system": manifest.system},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": CLASS}],
    }
    return {INSTANCES: msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"}


def read(data: bytes, manifest: Manifest, *, where: str, looked_at: LookedAt) -> Incoming:
    """Read a COCO file that came back.

    Args:
        data: the file.
        manifest: of the export that it came from.
        where: its name, for messages.
        looked_at: see `boxfiles`.

    Raises:
        UsageError: it is not such a file.
    """
    try:
        content = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not a COCO file: {error}", where=where, remedy="export from the tool again") from error
    incoming = Incoming()
    if isinstance(content.info, dict) and content.info.get("study") is not None:
        incoming.studies.add(str(content.info["study"]))
    exported = {one.file: one for one in manifest.photos}
    names = {category.id: category.name for category in content.categories}
    files_of: dict[_Id, str] = {}
    found: dict[str, list[Corners]] = {}
    for image in content.images:
        file = PurePosixPath(image.file_name.replace("\\", "/")).name
        if file not in exported:
            incoming.problem(image.file_name, "is not a photo of this export")
        elif (image.width, image.height) != (exported[file].width, exported[file].height):
            size = f"{exported[file].width} x {exported[file].height}"
            incoming.problem(image.file_name, f"is {image.width:g} x {image.height:g} pixels there; it has {size}")
        elif file in found:
            incoming.problem(image.file_name, "stands there twice")
        else:
            found[file] = []
        files_of[image.id] = file
    for annotation in content.annotations:
        file = files_of.get(annotation.image_id, "")
        name = names.get(annotation.category_id)
        if not file:
            incoming.problem(f"a box of image {annotation.image_id!r}", "there is no such image")
        elif name != CLASS:
            said = (
                f"category {annotation.category_id}, which is not defined" if name is None else f"class {name!r}"
            )
            incoming.problem(file, f"has a box of the {said}; the only class is {CLASS!r}")
        elif annotation.iscrowd:
            incoming.problem(file, "has a crowd region; every vehicle needs a box of its own")
        elif file in found:
            x, y, width, height = annotation.bbox
            found[file].append((x, y, x + width, y + height))
    return to_incoming(manifest, found, looked_at=looked_at, incoming=incoming)
