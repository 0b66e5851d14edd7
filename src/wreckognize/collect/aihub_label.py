"""What one AI-Hub label file says, whatever photo it belongs to. Light, as helper processes import it.

    {"images": {"width": 960, "height": 720},
     "annotations": [{"category_id": "sc-226797", "bbox": [3, 360, 957, 39], "damage": "Separated"}]}

``category_id`` is the accident, not a class. ``images`` may be a list, ``annotations`` a single object.
"""

from __future__ import annotations

import os
from stat import S_ISREG
from typing import Any

import msgspec

from wreckognize.collect import labelfile
from wreckognize.collect.labelwords import MISSING_BOX, ZERO_AREA, Corners, corners, damage_type, wrong_box
from wreckognize.errors import InputError
from wreckognize.reading import LABEL_BYTES, require_readable, too_large
from wreckognize.words import DAMAGE_TYPES

HAS_BOX, BROKEN = 8, 16
"""Bits of a mark; its lowest three are the number of the label's first damage type, 0 for none."""
TYPE_BITS = 7

UNCHANGED, READ, UNREADABLE = 0, 1, 2
"""States of a file: as it was before, read now, or not to be read (which says nothing about next time)."""


class Reading(msgspec.Struct, array_like=True, gc=False):
    """One label.

    Attributes:
        boxes: as the label has them, in pixels.
        kinds: the damage type of each box.
        damage_types: mapped types in order of first appearance, without doubles.
        claim: the accident; empty if the label gives none.
        size: width and height that the label says, in pixels.
        left_out: for each box that was left out, why.
        error: reason, where and remedy, if the label cannot be used; the rest is empty then.
    """

    boxes: list[Corners] = []
    kinds: list[str] = []
    damage_types: list[str] = []
    claim: str = ""
    size: tuple[float, float] | None = None
    left_out: list[str] = []
    error: tuple[str, str, str] | None = None

    @property
    def mark(self) -> int:
        """What selecting needs to know, in one byte."""
        first = DAMAGE_TYPES.index(self.damage_types[0]) + 1 if self.damage_types else 0
        return first | (HAS_BOX if self.boxes else 0) | (BROKEN if self.error else 0)


class LabelRequest(msgspec.Struct, array_like=True, tag="labels", gc=False):
    """Files to read, and the size and time (nanoseconds) at which their content is known; -1 where it is not."""

    paths: list[bytes]
    sizes: list[int]
    times: list[int]


class LabelAnswer(msgspec.Struct, array_like=True, tag="labels", gc=False):
    """For each file its state, size, time, mark, and `Reading` (MessagePack; empty where it is unchanged)."""

    states: bytes
    sizes: list[int]
    times: list[int]
    marks: bytes
    readings: list[bytes]


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


_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_DECODER = msgspec.json.Decoder(_Label)
_ENCODER = msgspec.msgpack.Encoder()
_READINGS = msgspec.msgpack.Decoder(Reading)


def decode_reading(data: bytes) -> Reading:
    """A `Reading` as an answer has it."""
    return _READINGS.decode(data)


def read_labels(request: LabelRequest) -> LabelAnswer:
    """Read the files that are not as they were known to be."""
    states, marks = bytearray(), bytearray()
    sizes: list[int] = []
    times: list[int] = []
    readings: list[bytes] = []
    for path, known_size, known_time in zip(request.paths, request.sizes, request.times, strict=True):
        state, size, time, mark, encoded = UNREADABLE, -1, -1, BROKEN, b""
        try:
            status = os.stat(path) if known_size >= 0 else None  # noqa: PTH116 - half a million times
            if status and (status.st_size, status.st_mtime_ns) == (known_size, known_time):
                state, size, time, mark = UNCHANGED, known_size, known_time, 0
            else:
                data, size, time = _content(path)
                reading = read_label(data)
                state, mark, encoded = READ, reading.mark, _ENCODER.encode(reading)
        except OSError as error:
            reading = _failed(labelfile.unreadable(error))
            encoded = _ENCODER.encode(reading)
        states.append(state)
        sizes.append(size)
        times.append(time)
        marks.append(mark)
        readings.append(encoded)
    return LabelAnswer(bytes(states), sizes, times, bytes(marks), readings)


def _content(path: bytes) -> tuple[bytes, int, int]:
    """A file's bytes, and its size and time before they were read."""
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        size = status.st_size
        if size > LABEL_BYTES or not S_ISREG(status.st_mode):
            require_readable(status, LABEL_BYTES)
        data = os.read(descriptor, size + 1)
        if (
            len(data) != size
        ):  # cut short, or it changes while it is read; else the call that would say so is spared
            data = _all(descriptor, data)
        return data, size, status.st_mtime_ns
    finally:
        os.close(descriptor)


def _all(descriptor: int, data: bytes) -> bytes:
    """What was read of a file, and the rest of it."""
    parts, size = [data], len(data)
    while part := os.read(descriptor, 1 << 16):
        parts.append(part)
        size += len(part)
        if size > LABEL_BYTES:
            raise too_large(LABEL_BYTES)
    return b"".join(parts)


def read_label(data: bytes) -> Reading:
    """What the bytes of a label file say; what is wrong with them is said in its ``error``."""
    try:
        return _read(_decode(data))
    except InputError as error:
        return _failed(error)


def _failed(error: InputError) -> Reading:
    return Reading(error=(error.reason, error.where, error.remedy))


def _read(content: _Label) -> Reading:
    annotations = content.annotations
    if not isinstance(annotations, list):
        annotations = [annotations]
    boxes: list[Corners] = []
    kinds: list[str] = []
    left_out: list[str] = []
    types: list[str] = []
    claim = ""
    for annotation in annotations:
        bbox, damage = annotation.bbox, annotation.damage
        if not claim and annotation.category_id is not None:
            claim = str(annotation.category_id).strip()
        kind = damage_type(damage)
        if kind is not None and kind not in types:
            types.append(kind)
        box = corners(bbox) if bbox else None
        if not bbox:
            left_out.append(MISSING_BOX)
        elif box is None:
            left_out.append(ZERO_AREA)
        elif kind is None:
            left_out.append("damage null" if damage is None else "damage unknown")
        else:
            boxes.append(box)
            kinds.append(kind)
    return Reading(boxes, kinds, types, claim if claim.isascii() else _encodable(claim), _size(content), left_out)


def _encodable(text: str) -> str:
    r"""Half of a surrogate pair, which JSON may hold and no table can, becomes ``\udXXX``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _size(label: _Label) -> tuple[float, float] | None:
    image = label.images
    if isinstance(image, list):
        if len(image) > 1:
            raise labelfile.wrong_shape("one label for several photos")
        image = image[0] if image else None
    return (image.width, image.height) if image and image.width and image.height else None


def _decode(data: bytes) -> _Label:
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # also an empty file, and a byte order mark
        return _decode_patiently(labelfile.parse_json(labelfile.without_mark(data)))


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
