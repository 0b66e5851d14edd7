"""AI-Hub 581 "vehicle damage": one JSON a photo, in a tree beside the photos.

    {"images": {"width": 960, "height": 720},
     "annotations": [{"category_id": "sc-226797", "bbox": [3, 360, 957, 39], "damage": "Separated"}]}

``category_id`` is the accident, not a class. ``images`` may be a list, ``annotations`` a single object.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wreckognize.collect import labelfile
from wreckognize.collect.candidates import (
    MISSING_BOX,
    ZERO_AREA,
    Candidate,
    Corners,
    box_array,
    claim_from_name,
    corners,
    damage_type,
    wrong_box,
)
from wreckognize.collect.ledger import Ledger
from wreckognize.collect.pairing import pair, unlabelled_photo
from wreckognize.collect.walk import File, expand, find_files
from wreckognize.errors import InputError
from wreckognize.progress import Progress
from wreckognize.settings import AihubSource

LABEL_SUFFIXES = frozenset({".json", ".txt"})


class _Annotation(msgspec.Struct, gc=False):
    bbox: list[float] | None = None
    damage: str | None = None
    category_id: str | int | None = None


class _Image(msgspec.Struct, gc=False):
    width: float | None = None
    height: float | None = None


class _Label(msgspec.Struct, gc=False):
    annotations: list[_Annotation] | _Annotation
    images: _Image | list[_Image] | None = None


_DECODER = msgspec.json.Decoder(_Label)


def read(source: AihubSource, photos: list[File], ledger: Ledger, progress: Progress) -> list[Candidate]:
    """Pair photos with labels and read the labels; what cannot be used goes to the ledger."""
    where = f"source {source.name!r}: labels"
    files = find_files(expand(source.labels, where), where, ledger)
    pairs = pair(photos, [file for file in files if file.suffix in LABEL_SUFFIXES], ledger)
    for photo in pairs.unlabelled:
        ledger.quarantine(photo.path, unlabelled_photo())
    candidates = []
    with progress.task(f"{source.name}: labels", len(pairs.labelled), "labels") as task:
        for photo, label in pairs.labelled:
            try:
                candidates.append(read_label(photo, label, needs_box=source.role == "damaged"))
            except InputError as error:
                ledger.quarantine(label.path, error)
            task.advance()
    return candidates


def read_label(photo: File, label: File, *, needs_box: bool) -> Candidate:
    """Read one label file.

    Raises:
        InputError: if it is not a label, if a box is broken, or if ``needs_box`` and none is left.
    """
    content = _decode(labelfile.read_bytes(label.path))
    annotations = content.annotations if isinstance(content.annotations, list) else [content.annotations]
    boxes: list[Corners] = []
    kinds: list[str] = []
    left_out: list[str] = []
    types: dict[str, None] = {}
    claim = None
    for annotation in annotations:
        claim = claim or str(annotation.category_id if annotation.category_id is not None else "").strip()
        kind = damage_type(annotation.damage)
        if kind is not None:
            types[kind] = None
        box = corners(annotation.bbox) if annotation.bbox else None
        if not annotation.bbox:
            left_out.append(MISSING_BOX)
        elif box is None:
            left_out.append(ZERO_AREA)
        elif kind is None:
            left_out.append("damage null" if annotation.damage is None else "damage unknown")
        else:
            boxes.append(box)
            kinds.append(kind)
    if needs_box and not boxes:
        raise InputError(
            "no usable damage box",
            where=", ".join(sorted(set(left_out))),
            remedy="label its damage, or give the source the role normal or background",
        )
    return Candidate(
        name=photo.name,
        path=photo.path,
        boxes=box_array(boxes),
        kinds=tuple(kinds),
        damage_types=tuple(types),
        claim=claim or claim_from_name(photo.name),
        label_size=_size(content),
        left_out=tuple(left_out),
    )


def _size(label: _Label) -> tuple[float, float] | None:
    images = label.images if isinstance(label.images, list) else [label.images]
    if len(images) > 1:
        raise labelfile.wrong_shape("one label for several photos")
    image = images[0] if images else None
    return (image.width, image.height) if image and image.width and image.height else None


def _decode(data: bytes) -> _Label:
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_patiently(labelfile.parse_json(data))


def _decode_patiently(value: Any) -> _Label:
    """Take what can be taken of a label that is not quite as it should be.

    Raises:
        InputError: naming the key that cannot be read.
    """
    if not isinstance(value, dict):
        raise labelfile.wrong_shape("not an object")
    annotations = value.get("annotations")
    if isinstance(annotations, dict):
        annotations = [annotations]
    if not isinstance(annotations, list):
        raise labelfile.wrong_shape("annotations is missing or not a list")
    images = value.get("images")
    if isinstance(images, list):
        return _Label([_annotation(item) for item in annotations], [_image(item) for item in images])
    return _Label([_annotation(item) for item in annotations], None if images is None else _image(images))


def _annotation(value: Any) -> _Annotation:
    if not isinstance(value, dict):
        raise labelfile.wrong_shape("an annotation is not an object")
    bbox, damage, claim = value.get("bbox"), value.get("damage"), value.get("category_id")
    return _Annotation(
        bbox=None if bbox is None else _numbers(bbox),
        damage=damage if damage is None else str(damage),
        category_id=claim if isinstance(claim, str | int) else None,
    )


def _numbers(value: Any) -> list[float]:
    found = labelfile.numbers(value)
    if found is None:
        raise wrong_box()
    return found


def _image(value: Any) -> _Image:
    if not isinstance(value, dict):
        raise labelfile.wrong_shape("images is not an object")
    size = labelfile.numbers([value.get("width"), value.get("height")])
    return _Image(*size) if size else _Image()
