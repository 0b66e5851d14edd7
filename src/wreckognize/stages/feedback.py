"""Corrections from the service become reviews and new photos: the loop closes.

New photos are copied beside the study file, into one folder for each role, where ``folder`` sources of the study read
them:

    STUDY-feedback/damaged/   STUDY-feedback/normal/   STUDY-feedback/background/

So the study does not change while the service goes on collecting, and what an import took stays as it is. A photo that
is there already is never moved, not even if somebody says otherwise later: that becomes a review.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from wreckognize.catalog import ROLES, Catalog, Role
from wreckognize.errors import InputError, UsageError
from wreckognize.files import PART_SUFFIX, atomic_write
from wreckognize.review.answers import Incoming
from wreckognize.review.feedback import (
    SOURCE,
    NewPhoto,
    is_feedback,
    read_corrections,
    sizes_of,
    sort_corrections,
)
from wreckognize.review.feedback import Sorted as SortedCorrections
from wreckognize.review.places import Place, place_of
from wreckognize.review.records import listed
from wreckognize.study import Study
from wreckognize.urls import url_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackTaken:
    """What became of corrections, besides the reviews.

    Attributes:
        folder: of new photos, beside the study file.
        corrections: in all.
        added: photos copied now, by role.
        present: new to the study, but copied by an earlier import.
        gone: photos new to the study whose file is not there any more.
        confirmed: corrections that say what the study says.
        contradicted: new photos on which people differ; not taken.
        test_photos: of the locked test set, whose truth an answer may change.
        sources: lines for the study file, for folders that it does not name.
    """

    folder: Path
    corrections: int
    added: Mapping[Role, int]
    present: int
    gone: tuple[str, ...]
    confirmed: int
    contradicted: tuple[str, ...]
    test_photos: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRead:
    """Corrections, read and sorted; nothing is written yet.

    Attributes:
        incoming: the answers.
        photos: the catalog's ``photo, sha256, width, height`` and those of new photos.
    """

    place: Place
    folder: Path
    corrections: int
    sorted: SortedCorrections
    incoming: Incoming
    photos: pl.DataFrame


def feedback_place(source: Path, study: Study) -> Place | None:
    """The place of corrections that a path or URL names; None if it names something else.

    Raises:
        UsageError: a URL that is no such place.
        StorageError: it cannot be read.
    """
    place = place_of(source, study.scale.storage)
    if is_feedback(place):
        return place
    if url_of(source) is not None:
        raise UsageError(
            "no corrections of the service lie there",
            where=place.name,
            remedy="name what was given to `wreckognize serve --feedback`",
        )
    return None


def read_feedback(study: Study, place: Place, catalog: Catalog) -> FeedbackRead:
    """Read all corrections, and tell those about photos of the study from the others.

    Raises:
        UsageError: some cannot be used; all are named.
        StorageError: the place cannot be read.
    """
    folder = feedback_folder(study)
    held = place.sizes()
    corrections = read_corrections(place, held)
    sorted_ = sort_corrections(corrections, catalog.photos, _on_disk(folder), held)
    known = catalog.photos.select("photo", "sha256", "width", "height")
    return FeedbackRead(
        place=place,
        folder=folder,
        corrections=len(corrections),
        sorted=sorted_,
        incoming=Incoming(answers=list(sorted_.answers)),
        photos=pl.concat([known, sizes_of(sorted_.new)]),
    )


def take_photos(study: Study, read: FeedbackRead, run: Path) -> FeedbackTaken:
    """Copy the new photos beside the study file: all, or none if one is not what it must be.

    Raises:
        UsageError: a photo's bytes are not those of its correction; all such are named.
    """
    there = _on_disk(read.folder)
    added = [one for one in read.sorted.new if one.file not in there]
    part = read.folder.with_name(f"{read.folder.name}.{os.getpid()}{PART_SUFFIX}")
    try:
        problems = [fault for one in added if (fault := _fetch(read.place, one, part))]
        if problems:
            raise UsageError(
                listed("photos that are not those of their corrections (nothing was written)", problems),
                where=read.place.name,
                remedy="put them back, or take the corrections that name them away",
            )
        for one in added:
            target = read.folder / one.role / one.file
            target.parent.mkdir(parents=True, exist_ok=True)
            (part / one.file).replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return FeedbackTaken(
        folder=read.folder,
        corrections=read.corrections,
        added=Counter(one.role for one in added),
        present=len(read.sorted.new) - len(added),
        gone=read.sorted.gone,
        confirmed=read.sorted.confirmed,
        contradicted=read.sorted.contradicted,
        test_photos=_test_photos(read, run),
        sources=_sources(study, read.folder),
    )


def feedback_folder(study: Study) -> Path:
    """Where new photos lie."""
    folder = study.file.parent if study.file else Path.cwd()
    return folder / f"{study.study}-{SOURCE}"


def _on_disk(folder: Path) -> dict[str, Role]:
    return {path.name: role for role in ROLES for path in sorted((folder / role).glob("*")) if path.is_file()}


def _fetch(place: Place, one: NewPhoto, part: Path) -> str | None:
    """Bring a photo here; what is wrong with it, in words."""
    name = one.correction.photo
    try:
        data = place.read(name)
    except InputError as error:
        return f"{name}: {error.reason}"
    if hashlib.sha256(data).hexdigest() != one.correction.kept_sha256:
        return f"{name}: its bytes are others than when it was kept"
    atomic_write(part / one.file, data)
    return None


def _test_photos(read: FeedbackRead, run: Path) -> tuple[str, ...]:
    from wreckognize.curate.lock import read_lock

    lock = run / "test.lock.json"
    if not lock.exists():
        return ()
    return tuple(sorted({answer.photo for answer in read.sorted.answers} & read_lock(lock).names))


def _sources(study: Study, folder: Path) -> tuple[str, ...]:
    """Lines for the study file. Photos that a model got wrong would make a test set harder than the door is: train."""
    named = {Path(path).absolute() for source in study.sources for path in source.images}
    base = study.file.parent if study.file else Path.cwd()
    return tuple(
        f"- {{name: {SOURCE}-{role}, type: folder, role: {role}, images: {(folder / role).relative_to(base)}, "
        "split: train}"
        for role in ROLES
        if any((folder / role).glob("*")) and (folder / role).absolute() not in named
    )
