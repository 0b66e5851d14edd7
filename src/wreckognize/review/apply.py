"""People's boxes become the catalog's truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from wreckognize.catalog import BOX_SCHEMA, VEHICLE, Catalog, Role
from wreckognize.review.compare import Conflict, settle
from wreckognize.review.records import Review, some


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A photo whose role a reviewer corrected."""

    photo: str
    before: Role
    after: Role
    reviewer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedCatalog:
    """A catalog with the reviews in it.

    Attributes:
        catalog: the photos and boxes.
        reviewed: photos whose vehicles, or lack of any, now are what a reviewer said, sorted.
        conflicts: photos that stay as the sources gave them, since reviewers differ.
        corrections: photos whose role is another now.
        unknown: reviewed photos that the catalog does not have (their source may have been taken out).
        changed: reviewed photos whose file is another now; they stay as the sources gave them.
    """

    catalog: Catalog
    reviewed: tuple[str, ...]
    conflicts: tuple[Conflict, ...]
    corrections: tuple[Correction, ...]
    unknown: tuple[str, ...]
    changed: tuple[str, ...]

    def notes(self) -> tuple[str, ...]:
        """What a reader must know, in sentences."""
        sentences = []
        if self.corrections:
            named = [f"{one.photo} ({one.before} -> {one.after}, {one.reviewer})" for one in self.corrections]
            sentences.append(f"Reviewers corrected the role of {some('photo', named)}.")
        if self.conflicts:
            named = [f"{one.photo} ({one.why})" for one in self.conflicts]
            sentences.append(
                f"Reviewers differ on {some('photo', named)}; until one decides, nothing they drew there is used."
            )
        if self.changed:
            sentences.append(
                f"The reviews of {some('photo', self.changed)} are not used: the file is another than was reviewed."
            )
        if self.unknown:
            sentences.append(f"The reviews speak of {some('photo', self.unknown)} that no source gave.")
        return tuple(sentences)


def apply_reviews(catalog: Catalog, reviews: Iterable[Review]) -> ReviewedCatalog:
    """Put what reviewers said in the place of what the sources said about vehicles.

    A reviewed photo's vehicle boxes are those the reviewer drew (kind ``vehicle``, origin ``human``), and its
    ``box_truth`` holds. Damage boxes and crowd regions stay, unless the vehicle is said to be intact (no damage) or
    not to be there (neither). Where the verdict contradicts the role, the role and ``has_vehicle`` follow the
    verdict; a background in which a vehicle was drawn without a verdict becomes ``normal``.

    Args:
        catalog: as the sources gave it.
        reviews: all entries, of all reviewers.
    """
    reviews = list(reviews)
    before: dict[str, Role] = dict(catalog.photos.select("photo", "role").iter_rows())
    current = of_these_files(reviews, catalog.photos)
    settled = settle(current)
    named = {review.photo for review in reviews}
    roles = {answer.photo: _role(answer, before[answer.photo]) for answer in settled.answers}
    return ReviewedCatalog(
        catalog=_with_answers(catalog, settled.answers, roles),
        reviewed=tuple(sorted(answer.photo for answer in settled.answers)),
        conflicts=settled.conflicts,
        corrections=tuple(
            Correction(photo=one.photo, before=before[one.photo], after=roles[one.photo], reviewer=one.reviewer)
            for one in settled.answers
            if before[one.photo] != roles[one.photo]
        ),
        unknown=tuple(sorted(named - before.keys())),
        changed=tuple(sorted((named & before.keys()) - {review.photo for review in current})),
    )


def of_these_files(reviews: Iterable[Review], photos: pl.DataFrame) -> tuple[Review, ...]:
    """The reviews of photos that the catalog has, with the bytes that were reviewed."""
    digests = dict(photos.select("photo", "sha256").iter_rows())
    return tuple(review for review in reviews if digests.get(review.photo) == review.sha256)


def _role(answer: Review, before: Role) -> Role:
    if answer.verdict is not None:
        return answer.verdict
    return "normal" if before == "background" else before


def _with_answers(catalog: Catalog, answers: Iterable[Review], roles: dict[str, Role]) -> Catalog:
    if not roles:
        return catalog
    reviewed = pl.col("photo").is_in(list(roles))
    role = pl.col("photo").replace_strict(roles, default=pl.col("role"), return_dtype=pl.String)
    photos = catalog.photos.with_columns(
        role=role,
        has_vehicle=pl.when(reviewed).then(role != "background").otherwise("has_vehicle"),
        damage_types=pl.when(reviewed & (role != "damaged"))
        .then(pl.lit([], dtype=pl.List(pl.String)))
        .otherwise("damage_types"),
        box_truth=reviewed | pl.col("box_truth"),
    )
    new_role = pl.col("photo").replace_strict(roles, default="", return_dtype=pl.String)
    is_vehicle = pl.col("kind") == VEHICLE
    gone = (
        (reviewed & is_vehicle & ~pl.col("crowd"))
        | ((new_role == "normal") & ~is_vehicle)
        | (new_role == "background")
    )
    rows = [(answer.photo, *box, VEHICLE, "human", None, False) for answer in answers for box in answer.boxes]
    drawn = pl.DataFrame(rows, schema=BOX_SCHEMA, orient="row")
    boxes = pl.concat([drawn, catalog.boxes.filter(~gone)]).sort("photo", maintain_order=True)
    return Catalog(photos, boxes)
