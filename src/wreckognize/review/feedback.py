"""Corrections that the service kept, read as answers of a review.

A correction is about a photo of the study if the catalog has a file with the same bytes, as they were sent or as they
were kept. It is then one person's answer like any other (`answers.check`). Of a photo that the study does not have, the
right answer says which role its new source has. Several corrections of one person about one photo: the last counts; of
several people who contradict each other, nobody's word is taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import polars as pl

from wreckognize.catalog import Role
from wreckognize.errors import InputError, UsageError
from wreckognize.review.answers import Answer
from wreckognize.review.corrections import CORRECTIONS, MARKER, Correction, from_json
from wreckognize.review.places import FolderPlace, Place
from wreckognize.review.records import Verdict, listed

SOURCE = "feedback"
"""What the names of the sources of new photos begin with: ``feedback-damaged`` and so on."""
_ROLE_OF_DAMAGE: dict[bool | None, Role] = {True: "damaged", False: "normal", None: "normal"}
_DIGITS = 16
_WITHOUT_KEY = "feedback"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPhoto:
    """A photo that the study does not have.

    Attributes:
        correction: the last one about it.
        file: its name in the folder of its role.
        role: as the right answer says.
    """

    correction: Correction
    file: str
    role: Role

    @property
    def photo(self) -> str:
        """Its name in the catalog, once the study has its source."""
        return f"{SOURCE}-{self.role}/{self.file}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """What a set of corrections comes to.

    Attributes:
        answers: about photos that the study has or is about to have.
        new: photos that it does not have, by file name.
        confirmed: corrections that say "vehicle" without a box of a photo that is one in the study: nothing to do.
        contradicted: new photos on which people differ, with what they said; they are not taken.
        gone: new photos whose file is not there any more: deleted on request, as a rule; they are not taken.
    """

    answers: tuple[Answer, ...]
    new: tuple[NewPhoto, ...]
    confirmed: int
    contradicted: tuple[str, ...]
    gone: tuple[str, ...]


def is_feedback(place: Place) -> bool:
    """Whether the service made this place."""
    if isinstance(place, FolderPlace):
        return (place.folder / MARKER).is_file()
    return MARKER in place.sizes()


def read_corrections(place: Place, names: Iterable[str]) -> tuple[Correction, ...]:
    """All corrections, by time.

    Args:
        place: where they are.
        names: of all that lies there.

    Raises:
        UsageError: some are none; all are named.
        StorageError: the place cannot be read.
    """
    found, problems = [], []
    for name in names:
        if not (name.startswith(f"{CORRECTIONS}/") and name.endswith(".json")):
            continue
        try:
            found.append(from_json(place.read(name)))
        except (ValueError, InputError) as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise UsageError(
            listed("corrections that cannot be used (nothing was written)", problems),
            where=place.name,
            remedy="take these files out of the folder, or put them back as the service wrote them",
        )
    return tuple(sorted(found, key=lambda one: (one.when, one.id)))


def sort_corrections(
    corrections: Iterable[Correction],
    photos: pl.DataFrame,
    roles_on_disk: Mapping[str, Role],
    held: Container[str],
) -> Sorted:
    """Tell corrections about photos of the study from those about new ones.

    Args:
        corrections: by time.
        photos: the catalog's, ``PHOTO_SCHEMA``.
        roles_on_disk: file name -> role, of new photos that an earlier import took; they stay where they are, so
            that a photo keeps its name.
        held: photos that are in the place.
    """
    known: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for photo, sha256, has_vehicle in photos.select("photo", "sha256", "has_vehicle").iter_rows():
        known[sha256].append((photo, has_vehicle))
    answers: list[Answer] = []
    confirmed = 0
    unknown: dict[str, list[Correction]] = defaultdict(list)
    for one in corrections:
        matches = [(one.sent_sha256, *match) for match in known[one.sent_sha256]]
        if one.kept_sha256 != one.sent_sha256:
            matches += [(one.kept_sha256, *match) for match in known[one.kept_sha256]]
        if not matches:
            unknown[one.photo].append(one)
        for sha256, photo, has_vehicle in matches:
            if has_vehicle and one.said.verdict == "vehicle" and not one.boxes:
                confirmed += 1
            else:
                answers.append(_answer(one, photo, sha256))
    new, contradicted, gone = [], [], []
    for name, same in unknown.items():
        if _file(same[-1]) not in roles_on_disk and name not in held:
            gone.append(name)
            continue
        said = {reviewer_of(one): one.said.verdict for one in same}
        if len(set(said.values())) > 1:
            people = "; ".join(f"{who}: {what}" for who, what in sorted(said.items()))
            contradicted.append(f"{name} ({people})")
            continue
        last = same[-1]
        file = _file(last)
        found = NewPhoto(correction=last, file=file, role=roles_on_disk.get(file, role_of(last)))
        new.append(found)
        answers += _answers_about_new(found, same)
    return Sorted(
        answers=tuple(answers),
        new=tuple(sorted(new, key=lambda one: one.file)),
        confirmed=confirmed,
        contradicted=tuple(contradicted),
        gone=tuple(gone),
    )


def _file(correction: Correction) -> str:
    """What a new photo is called beside the study."""
    return f"{correction.kept_sha256[:_DIGITS]}{PurePosixPath(correction.photo).suffix}"


def _answers_about_new(found: NewPhoto, same: Sequence[Correction]) -> Iterator[Answer]:
    """What goes into the reviews file: boxes, a lack of vehicles, and whatever the folder's role does not say."""
    for one in same:
        if one.boxes or one.said.verdict == "no vehicle" or found.role == "background":
            yield _answer(one, found.photo, one.kept_sha256)


def role_of(correction: Correction) -> Role:
    """The role that the right answer gives; a vehicle of which nobody said that it is damaged counts as intact."""
    if correction.said.verdict == "no vehicle":
        return "background"
    return _ROLE_OF_DAMAGE[correction.said.damaged]


def reviewer_of(correction: Correction) -> str:
    """Who said it, as far as the service knows: the access key's name."""
    return correction.key or _WITHOUT_KEY


def sizes_of(new: Iterable[NewPhoto]) -> pl.DataFrame:
    """New photos as `answers.check` wants them."""
    rows = [(one.photo, one.correction.kept_sha256, one.correction.width, one.correction.height) for one in new]
    schema = {"photo": pl.String, "sha256": pl.String, "width": pl.Int32, "height": pl.Int32}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _answer(one: Correction, photo: str, sha256: str) -> Answer:
    verdict: Verdict | None = "background"
    if one.said.verdict == "vehicle":
        verdict = None if one.said.damaged is None else _ROLE_OF_DAMAGE[one.said.damaged]
    return Answer(
        where=f"{CORRECTIONS}/{one.id}.json, {photo}",
        photo=photo,
        sha256=sha256,
        reviewer=reviewer_of(one),
        when=one.when,
        verdict=verdict,
        boxes=one.boxes,
    )
