"""COCO: one JSON, or several, for all photos of a source.

Photos of vehicles need a box of a wanted class; background photos must have no annotated vehicle at all, crowds
included. Classes are looked up by name.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wreckognize.catalog import VEHICLE
from wreckognize.collect import cocofile
from wreckognize.collect.candidates import COCO_VEHICLES, NOT_BACKGROUND, Candidate, box_array, largest_share
from wreckognize.collect.classes import fold, require_known
from wreckognize.collect.labelwords import MISSING_BOX, ZERO_AREA, Corners, claim_from_name, corners
from wreckognize.collect.ledger import Ledger
from wreckognize.collect.pairing import unlabelled_photo
from wreckognize.collect.walk import File, compose, expand
from wreckognize.errors import InputError, UsageError
from wreckognize.progress import Progress
from wreckognize.settings import CocoSource

LABEL_SUFFIXES = frozenset({".json"})

_DRIVE = re.compile(r"^[A-Za-z]:")


class _NotWantedError(Exception):
    """A filter does not want the photo; the text says which."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One image of an annotation file, with its annotations and their classes by folded name."""

    image: cocofile.ImageEntry
    annotations: list[tuple[str | None, cocofile.Annotation]]


@dataclass(frozen=True, slots=True)
class _Boxes:
    boxes: list[Corners]
    crowds: frozenset[int]
    left_out: tuple[str, ...]


def read(source: CocoSource, photos: list[File], ledger: Ledger, progress: Progress) -> list[Candidate]:
    """Read the annotation files and find their photos; what cannot be used goes to the ledger."""
    where = f"source {source.name!r}: annotations"
    files = [cocofile.load(path, ledger) for path in _annotation_files(source, where)]
    _require_classes(source, files, f"source {source.name!r}: classes")
    entries = [entry for file in files for entry in _entries(file, ledger)]
    finder = _Finder(photos)
    matches = [finder.find(entry.image.file_name) for entry in entries]
    times_named = Counter(photo.path for found in matches for photo in found)
    for photo in photos:
        if photo.path not in times_named:
            ledger.quarantine(photo.path, unlabelled_photo())
    candidates: list[Candidate] = []
    aside: set[str] = set()
    with progress.task(f"{source.name}: labels", len(entries), "labels") as task:
        for entry, found in zip(entries, matches, strict=True):
            try:
                boxes = _judge(entry, source)
                photo = _the_one(entry.image.file_name, found, times_named)
                candidates.append(_candidate(entry, photo, boxes))
            except _NotWantedError as reason:
                ledger.count("not_wanted", str(reason), max(1, len(found)))
            except InputError as error:
                for file in [photo.path for photo in found] or [entry.image.file_name]:
                    if file not in aside:  # where several entries name one photo, the first speaks for all
                        ledger.quarantine(file, error)
                    aside.add(file)
            task.advance()
    return candidates


def _annotation_files(source: CocoSource, where: str) -> Iterator[Path]:
    for path in expand(source.annotations, where):
        if not path.is_file():
            raise UsageError(f"not a file: {path}", where=where, remedy="name the annotation file, not its folder")
        yield path


def _require_classes(source: CocoSource, files: Iterable[cocofile.CocoFile], where: str) -> None:
    known = {category.name for file in files for category in file.categories}
    if source.classes is not None:
        require_known(source.classes, known, where)
    elif source.role != "background" and not {fold(name) for name in known} & set(COCO_VEHICLES):
        raise UsageError(
            "the annotations have none of the classes car, bus and truck",
            where=where,
            remedy=f"name the vehicle classes; there are: {', '.join(sorted(known)) or 'none'}",
        )


def _entries(file: cocofile.CocoFile, ledger: Ledger) -> Iterator[_Entry]:
    names = {category.id: fold(category.name) for category in file.categories}
    by_image: defaultdict[cocofile.Id, list[tuple[str | None, cocofile.Annotation]]] = defaultdict(list)
    for annotation in file.annotations:
        by_image[annotation.image_id].append((names.get(annotation.category_id), annotation))
    for image in file.images:
        yield _Entry(image, by_image.get(image.id, []))
    for unlisted in by_image.keys() - {image.id for image in file.images}:
        ledger.count("box_left_out", "annotation of an image that the file does not list", len(by_image[unlisted]))


def _judge(entry: _Entry, source: CocoSource) -> _Boxes:
    """Decide whether a photo is wanted, by its annotations alone.

    Raises:
        _NotWantedError: if a filter leaves it out.
        InputError: if an annotation that matters is broken.
    """
    wanted = frozenset(fold(name) for name in source.classes or ())
    if any(name is None for name, _ in entry.annotations):
        raise InputError("annotation of a class that the file does not list", remedy="correct its category_id")
    if source.role == "background":
        present = {name for name, _ in entry.annotations}
        if not present.isdisjoint(NOT_BACKGROUND):
            raise _NotWantedError("shows an annotated vehicle")
        if wanted and present.isdisjoint(wanted):
            raise _NotWantedError("none of the wanted classes")
        return _Boxes([], frozenset(), ())
    return _vehicle_boxes(entry, wanted or frozenset(COCO_VEHICLES), source.min_area)


def _vehicle_boxes(entry: _Entry, wanted: frozenset[str], min_area: float) -> _Boxes:
    boxes: list[Corners] = []
    crowds: set[int] = set()
    left_out: list[str] = []
    vehicles: list[Corners] = []
    for name, annotation in entry.annotations:
        if name not in wanted and name not in COCO_VEHICLES:
            continue
        box = corners(annotation.bbox) if annotation.bbox else None
        if box is None:
            left_out.append(ZERO_AREA if annotation.bbox else MISSING_BOX)
            continue
        if annotation.iscrowd:
            crowds.add(len(boxes))
        elif name in wanted:
            vehicles.append(box)
        boxes.append(box)
    if not vehicles:
        raise _NotWantedError("none of the wanted classes")
    _require_area(entry.image, vehicles, min_area)
    return _Boxes(boxes, frozenset(crowds), tuple(left_out))


def _require_area(image: cocofile.ImageEntry, boxes: list[Corners], min_area: float) -> None:
    if min_area == 0:
        return
    if not image.width or not image.height:
        raise InputError(
            "image without width or height", remedy="add them to the annotations; min_area needs them"
        )
    if largest_share(boxes, image.width, image.height) < min_area:
        raise _NotWantedError("smaller than min_area")


class _Finder:
    """Photos by the file names of annotations: the path below the source, else the last part of it."""

    def __init__(self, photos: Iterable[File]) -> None:
        self._by_name: dict[str, File] = {}
        self._by_last_part: defaultdict[str, list[File]] = defaultdict(list)
        for photo in photos:
            name = compose(photo.name)
            self._by_name[name] = photo
            self._by_last_part[PurePosixPath(name).name].append(photo)

    def find(self, file_name: str) -> list[File]:
        """All photos that the name may mean; none for a name that leads out of the folder."""
        if _leads_out(file_name):
            return []
        name = _posix(file_name)
        exact = self._by_name.get(name)
        return [exact] if exact else self._by_last_part.get(PurePosixPath(name).name, [])


def _posix(file_name: str) -> str:
    return compose(str(PurePosixPath(file_name.replace("\\", "/"))))


def _leads_out(file_name: str) -> bool:
    path = PurePosixPath(_posix(file_name))
    return path.is_absolute() or ".." in path.parts or bool(_DRIVE.match(file_name))


def _the_one(file_name: str, found: list[File], times_named: Counter[str]) -> File:
    if _leads_out(file_name):
        raise InputError("file name leads out of the folder", remedy="name the photo by its path below the folder")
    if not found:
        raise InputError("label without photo", remedy="fetch the photo, or take its entry out of the annotations")
    if len(found) > 1:
        raise InputError("file name fits several photos", remedy="name the photo by its path below the folder")
    if times_named[found[0].path] > 1:
        raise InputError("two entries of one photo in the annotations", remedy="keep one of them")
    return found[0]


def _candidate(entry: _Entry, photo: File, found: _Boxes) -> Candidate:
    image = entry.image
    return Candidate(
        name=photo.name,
        path=photo.path,
        boxes=box_array(found.boxes),
        kinds=(VEHICLE,) * len(found.boxes),
        crowds=found.crowds,
        claim=claim_from_name(photo.name),
        label_size=(image.width, image.height) if image.width and image.height else None,
        left_out=found.left_out,
    )
