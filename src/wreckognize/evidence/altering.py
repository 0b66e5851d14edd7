"""Which test photos are altered in shape and compression, and like which others."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from wreckognize.catalog import ROLES
from wreckognize.inference.alterations import KINDS, Kind
from wreckognize.lots import lots, number

PHOTOS_OF_ROLE = 400
"""At most so many photos of a role are altered."""

PLURAL = {"damaged": "damaged photos", "normal": "normal photos", "background": "backgrounds"}


@dataclass(frozen=True, slots=True)
class Alteration:
    """One alteration of the photos of one role.

    Attributes:
        role: of the photos that are altered.
        like: the role whose forms they take on.
        kind: what is done.
        photos: ``photo, path, width, height, quality, like_width, like_height, like_quality``, sorted by photo.
    """

    role: str
    like: str
    kind: Kind
    photos: pl.DataFrame

    @property
    def name(self) -> str:
        """For files, e.g. ``background-stretched``."""
        return f"{self.role}-{self.kind}"


def forms_of(photos: pl.DataFrame, traits: pl.DataFrame) -> pl.DataFrame:
    """``photo, path, role, width, height, quality`` of each photo, sorted by photo.

    Args:
        photos: the test photos, ``PHOTO_SCHEMA``.
        traits: their ``TRAIT_SCHEMA``.
    """
    qualities = traits.select("photo", "quality")
    return (
        photos.select("photo", "path", "role", "width", "height")
        .join(qualities, on="photo", how="left")
        .sort("photo")
    )


def effective(alteration: Alteration) -> pl.DataFrame:
    """The rows of an alteration's photos that it changes at all: some already are as the photo they drew."""
    if alteration.kind == "recompressed":
        changes = pl.col("like_quality").is_not_null() & pl.col("quality").ne_missing(pl.col("like_quality"))
    else:
        changes = (pl.col("width") != pl.col("like_width")) | (pl.col("height") != pl.col("like_height"))
    return alteration.photos.filter(changes)


def plan_alterations(
    forms: pl.DataFrame, *, seed: int, at_most: int = PHOTOS_OF_ROLE
) -> tuple[tuple[Alteration, ...], tuple[str, ...]]:
    """What is to be altered like what, by lot.

    Vehicles, damaged and normal, take on the forms of backgrounds; backgrounds those of damaged photos (of normal ones
    where there are none damaged). Each photo draws one photo of the other role and takes its size or its quality, the
    same for every kind of alteration; so the altered photos have the other role's distribution of forms. A photo's
    draw does not depend on which others are drawn (see `wreckognize.lots`).

    Args:
        forms: see `forms_of`.
        seed: of the study.
        at_most: photos of a role.

    Returns:
        The alterations, and sentences on what cannot be tried and what was left out.
    """
    present = set(forms["role"])
    vehicles = [role for role in ("damaged", "normal") if role in present]
    if "background" not in present or not vehicles:
        missing = "background" if "background" not in present else "vehicle"
        return (), (f"The test set holds no {missing}, so nothing can be altered to be like one.",)
    likes = {role: "background" for role in vehicles} | {"background": vehicles[0]}
    notes, alterations = [], []
    for role in (role for role in ROLES if role in likes):
        own = forms.filter(pl.col("role") == role)
        own = own.with_columns(lots(own["photo"], seed, "shortcut"))
        drawn = own.sort("lot", "photo").head(at_most).sort("photo")
        if drawn.height < own.height:
            notes.append(f"{drawn.height} of {own.height} {PLURAL[role]} were altered, drawn by lot.")
        donors = forms.filter(pl.col("role") == likes[role])
        # Not the lot itself, which is small for those that were drawn.
        at = [number(seed, "like", photo) % donors.height for photo in drawn["photo"]]
        sides = donors[at].select(pl.col("width", "height", "quality").name.prefix("like_"))
        table = pl.concat([drawn.drop("role", "lot"), sides], how="horizontal")
        alterations += [Alteration(role, likes[role], kind, table) for kind in KINDS]
    return tuple(alterations), tuple(notes)
