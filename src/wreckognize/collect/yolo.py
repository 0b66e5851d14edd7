"""YOLO: one text file a photo, a line an object: ``class cx cy w h``, in shares of the photo's sides.

A sixth number (a confidence) is passed over; a line of seven or more is a polygon, read as the box round it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wreckognize.catalog import VEHICLE
from wreckognize.collect import labelfile
from wreckognize.collect.candidates import COCO_VEHICLES, NOT_BACKGROUND, Candidate, box_array, largest_share
from wreckognize.collect.classes import fold, require_known
from wreckognize.collect.labelwords import ZERO_AREA, Corners, claim_from_name, corners, damage_type
from wreckognize.collect.ledger import Ledger
from wreckognize.collect.pairing import pair, unlabelled_photo
from wreckognize.collect.walk import File, expand, find_files
from wreckognize.errors import InputError, UsageError
from wreckognize.progress import Progress
from wreckognize.reading import LABEL_BYTES, read_regular
from wreckognize.settings import YoloSource

LABEL_SUFFIXES = frozenset({".txt"})
_CLASS_LIST = "classes.txt"  # annotation tools leave it among the labels


@dataclass(frozen=True, slots=True)
class _Classes:
    """Class names by number, and what each means: `VEHICLE`, a damage type, or nothing."""

    names: tuple[str, ...]
    kinds: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class _Object:
    name: str
    kind: str | None
    box: Corners | None


def read(
    source: YoloSource, roots: Sequence[Path], photos: list[File], ledger: Ledger, progress: Progress
) -> list[Candidate]:
    """Pair photos with labels and read the labels; what cannot be used goes to the ledger."""
    classes = _classes(source)
    where = f"source {source.name!r}: labels"
    places = label_roots(source, roots, where)
    files = find_files(places, where, ledger, follow_links=source.follow_links)
    texts = [file for file in files if file.suffix in LABEL_SUFFIXES and Path(file.path).name != _CLASS_LIST]
    pairs = pair(photos, texts, ledger)
    candidates: list[Candidate] = []
    for photo in pairs.unlabelled:
        if source.role == "background":
            candidates.append(_candidate(photo, []))
        else:
            ledger.quarantine(photo.path, unlabelled_photo())
    with progress.task(f"{source.name}: labels", len(pairs.labelled), "labels") as task:
        for photo, label in pairs.labelled:
            try:
                objects = _parse(label, classes)
            except InputError as error:
                ledger.quarantine(label.path, error)
            else:
                reason = _not_wanted(source, objects)
                if reason is None:
                    candidates.append(_candidate(photo, [] if source.role == "background" else objects))
                else:
                    ledger.count("not_wanted", reason)
            task.advance()
    return candidates


def _classes(source: YoloSource) -> _Classes:
    if source.classes is not None:
        require_known(source.classes, source.names, f"source {source.name!r}: classes")
        vehicles = {fold(name) for name in source.classes}
    else:
        usual = {*COCO_VEHICLES, VEHICLE}
        folded = {fold(name) for name in source.names}
        vehicles = folded & usual or {name for name in folded if damage_type(name) is None}
    kinds = tuple(VEHICLE if fold(name) in vehicles else damage_type(name) for name in source.names)
    return _Classes(source.names, kinds)


def label_roots(source: YoloSource, roots: Sequence[Path], where: str) -> list[Path]:
    """Where labels are: as the study says, else beside each ``images`` in ``labels``, else among the photos.

    Raises:
        UsageError: if a folder is not there, unless the photos are background, which needs no labels.
    """
    if source.labels is not None:
        return expand(source.labels, where)
    found: dict[Path, None] = {}
    for root in roots:
        folder = root.parent if root.is_file() else root
        twin = _twin(folder)
        if twin.is_dir():
            found[twin] = None
        elif source.role != "background":
            raise UsageError(
                f"label folder not found: {twin}",
                where=where,
                remedy="name the folder with `labels:` in the study file",
            )
    return list(found)


def _twin(folder: Path) -> Path:
    parts = list(folder.parts)
    for index in reversed(range(len(parts))):
        if parts[index] == "images":
            return Path(*parts[:index], "labels", *parts[index + 1 :])
    return folder


def _parse(label: File, classes: _Classes) -> list[_Object]:
    """Read one label file.

    Raises:
        InputError: naming the line that cannot be read.
    """
    try:
        text = read_regular(label.path, LABEL_BYTES)
    except OSError as error:
        raise InputError("label cannot be read", where=error.strerror or "", remedy=labelfile.REMEDY) from error
    objects = []
    for number, line in enumerate(labelfile.as_text(text.removeprefix(b"\xef\xbb\xbf")).splitlines(), 1):
        if words := line.split():
            objects.append(_object(words, classes, f"line {number}"))
    return objects


def _object(words: Sequence[str], classes: _Classes, where: str) -> _Object:
    try:
        class_number, values = float(words[0]), [float(word) for word in words[1:]]
    except ValueError as error:
        raise _broken_line(where) from error
    if not class_number.is_integer() or not 0 <= class_number < len(classes.names):
        remedy = "add its name to `names:` in the study file, or correct the line"
        raise InputError("class number without a name", where=where, remedy=remedy)
    index = int(class_number)
    return _Object(classes.names[index], classes.kinds[index], _box(values, where))


def _box(values: list[float], where: str) -> Corners | None:
    if len(values) in (4, 5):
        center_x, center_y, width, height = values[:4]
        return corners((center_x - width / 2, center_y - height / 2, width, height))
    if len(values) < 6 or len(values) % 2:
        raise _broken_line(where)
    if not all(map(math.isfinite, values)):
        return corners((math.nan,) * 4)
    xs, ys = values[::2], values[1::2]
    return corners((min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)))


def _broken_line(where: str) -> InputError:
    remedy = "write it as: class cx cy w h, or class x1 y1 x2 y2 x3 y3 ... for a polygon"
    return InputError("broken label line", where=where, remedy=remedy)


def _not_wanted(source: YoloSource, objects: Sequence[_Object]) -> str | None:
    if source.role == "background":
        vehicle = any(one.kind == VEHICLE or fold(one.name) in NOT_BACKGROUND for one in objects)
        return "shows an annotated vehicle" if vehicle else None
    vehicles = [one.box for one in objects if one.kind == VEHICLE and one.box]
    damages = any(one.box for one in objects if one.kind not in (None, VEHICLE))
    if not vehicles and not (damages and source.role == "damaged"):
        return "no vehicle box"
    if source.min_area and largest_share(vehicles, 1, 1) < source.min_area:
        return "smaller than min_area"
    return None


def _candidate(photo: File, objects: Sequence[_Object]) -> Candidate:
    boxes: list[Corners] = []
    kinds: list[str] = []
    left_out: list[str] = []
    types: dict[str, None] = {}
    for one in objects:
        if one.kind is None:
            left_out.append(f"class not wanted: {one.name}")
            continue
        if one.kind != VEHICLE:
            types[one.kind] = None
        if one.box is None:
            left_out.append(ZERO_AREA)
        else:
            boxes.append(one.box)
            kinds.append(one.kind)
    return Candidate(
        name=photo.name,
        path=photo.path,
        boxes=box_array(boxes),
        kinds=tuple(kinds),
        relative=True,
        damage_types=tuple(types),
        claim=claim_from_name(photo.name),
        left_out=tuple(left_out),
    )
