"""A COCO annotation file in memory: only the keys that are needed, and what is wrong with single entries."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from wreckognize.collect import labelfile
from wreckognize.collect.ledger import Ledger
from wreckognize.errors import InputError, UsageError
from wreckognize.reading import TABLE_BYTES

Id = int | str


class Category(msgspec.Struct, gc=False):
    """A class; its id differs from file to file, so it is known by its name."""

    id: Id
    name: str


class ImageEntry(msgspec.Struct, gc=False):
    """A photo; width and height in pixels."""

    id: Id
    file_name: str
    width: float | None = None
    height: float | None = None


class Annotation(msgspec.Struct, gc=False):
    """A box ``x y w h`` in pixels; a crowd is a region with an unknown number of things."""

    image_id: Id
    category_id: Id
    bbox: list[float] | None = None
    iscrowd: int | bool | None = None


class CocoFile(msgspec.Struct, gc=False):
    """One annotation file."""

    images: list[ImageEntry]
    annotations: list[Annotation]
    categories: list[Category]


_DECODER = msgspec.json.Decoder(CocoFile)


def load(path: Path, ledger: Ledger) -> CocoFile:
    """Read an annotation file. Single entries that are broken are quarantined or marked, the rest is used.

    Raises:
        UsageError: if the file as a whole cannot be read.
    """
    try:
        data = labelfile.read_bytes(str(path), TABLE_BYTES)
        try:
            return _DECODER.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _decode_patiently(labelfile.parse_json(data), path, ledger)
    except InputError as error:
        reason = f"{error.reason} ({error.where})" if error.where else error.reason
        raise UsageError(
            f"annotation file cannot be used: {reason}",
            where=str(path),
            remedy="fetch the file again, or correct it",
        ) from error


def _decode_patiently(value: Any, path: Path, ledger: Ledger) -> CocoFile:
    if not isinstance(value, dict):
        raise labelfile.wrong_shape("not an object")
    for key in CocoFile.__struct_fields__:
        if not isinstance(value.get(key), list):
            raise labelfile.wrong_shape(f"{key} is missing or not a list")
    try:
        categories = msgspec.convert(value["categories"], list[Category])
    except msgspec.ValidationError as error:
        raise labelfile.wrong_shape(f"categories: {error}") from error
    images = []
    for number, item in enumerate(value["images"]):
        try:
            images.append(msgspec.convert(item, ImageEntry))
        except msgspec.ValidationError as error:
            ledger.quarantine(f"{path}: images[{number}]", labelfile.wrong_shape(str(error)))
    annotations = [found for item in value["annotations"] if (found := _annotation(item, ledger))]
    return CocoFile(images, annotations, categories)


def _annotation(item: Any, ledger: Ledger) -> Annotation | None:
    try:
        return msgspec.convert(item, Annotation)
    except msgspec.ValidationError:
        pass
    if not isinstance(item, dict) or not isinstance(item.get("image_id"), int | str):
        ledger.count("box_left_out", "annotation that names no image")
        return None
    category, crowd = item.get("category_id"), item.get("iscrowd")
    return Annotation(
        image_id=item["image_id"],
        category_id=category if isinstance(category, int | str) else "",
        # One number is no box: whoever uses this annotation refuses it.
        bbox=None if item.get("bbox") is None else labelfile.numbers(item["bbox"]) or [math.nan],
        iscrowd=crowd if isinstance(crowd, int) else None,
    )
