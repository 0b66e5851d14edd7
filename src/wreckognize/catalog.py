"""The tables that stages hand on: their columns, and what one row means.

Tables are Polars frames with exactly these schemas. Everything derived (splits, labels, predictions) points back
to a photo by its name, ``<source>/<path below the source>``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from wreckognize.files import write_table
from wreckognize.words import DAMAGE_TYPES as DAMAGE_TYPES
from wreckognize.words import VEHICLE as VEHICLE

Role = Literal["damaged", "normal", "background"]
ROLES: tuple[Role, ...] = get_args(Role)

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)

_PHOTO_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "photo": pl.String,
    "path": pl.String,  # absolute
    "source": pl.String,
    "role": pl.String,
    "has_vehicle": pl.Boolean,  # truth at the image level, never from a model
    "width": pl.Int32,  # as shown, after EXIF orientation
    "height": pl.Int32,
    "damage_types": pl.List(pl.String),  # sorted as in DAMAGE_TYPES, without doubles; first mapped one first
    "claim": pl.String,
    "sha256": pl.String,  # of the file's bytes
    "pinned": pl.String,  # the split its source is pinned to, or null
    "box_truth": pl.Boolean,  # a person drew all its vehicles, or it has none: usable for mAP
    "plain": pl.Boolean,  # an upright 8-bit RGB or grey JPEG/PNG that any reader opens alike
}
PHOTO_SCHEMA = pl.Schema(_PHOTO_COLUMNS)

BOX_SCHEMA = pl.Schema(
    {
        "photo": pl.String,
        "x1": pl.Float32,
        "y1": pl.Float32,
        "x2": pl.Float32,
        "y2": pl.Float32,
        "kind": pl.String,  # VEHICLE or a damage type
        "origin": pl.String,  # teacher, damage, frame, human
        "confidence": pl.Float32,  # of a teacher box; null elsewhere
        "crowd": pl.Boolean,  # a region to be ignored, not one vehicle
    }
)

LABEL_SCHEMA = pl.Schema(
    [("photo", pl.String), ("split", pl.String)]
    + [(name, BOX_SCHEMA[name]) for name in ("x1", "y1", "x2", "y2", "kind", "origin", "confidence")]
)

PREDICTION_SCHEMA = pl.Schema(
    [(name, BOX_SCHEMA[name]) for name in ("photo", "x1", "y1", "x2", "y2", "confidence")]
)

SPLIT_SCHEMA = pl.Schema({"photo": pl.String, "split": pl.String, "group": pl.String})
"""``split`` is train, val, test, or ``held_back`` (shares a group with pinned test photos)."""

VALIDATION_SCHEMA = pl.Schema({"photo": pl.String, "part": pl.String})
"""The validation photos: ``stopping`` (they choose the epoch) or ``calibration`` (they choose the threshold)."""

QUARANTINE_SCHEMA = pl.Schema(
    {"source": pl.String, "file": pl.String, "reason": pl.String, "what_to_do": pl.String}
)

TALLY_SCHEMA = pl.Schema({"source": pl.String, "outcome": pl.String, "reason": pl.String, "count": pl.Int64})
"""What became of what a source held, counted. ``outcome`` is one of

* ``used``: photos in the catalog (reason empty);
* ``not_wanted``: photos a filter, sample or limit left out (never a failure);
* ``quarantined``: photos or labels that cannot be used;
* ``noted``: photos used after a conversion (reason: CMYK, EXIF orientation, ...);
* ``box_clipped`` and ``box_left_out``: boxes.
"""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Photos (``PHOTO_SCHEMA``, sorted by ``photo``, unique) and the boxes people drew (``BOX_SCHEMA``)."""

    photos: pl.DataFrame
    boxes: pl.DataFrame

    def __post_init__(self) -> None:
        require_schema(self.photos, PHOTO_SCHEMA, "photos")
        require_schema(self.boxes, BOX_SCHEMA, "boxes")

    def write(self, folder: Path) -> None:
        """Write ``photos.parquet`` and ``boxes.parquet`` into an existing folder."""
        write_table(folder / "photos.parquet", self.photos)
        write_table(folder / "boxes.parquet", self.boxes)

    @classmethod
    def read(cls, folder: Path) -> Catalog:
        """Read what `write` wrote."""
        return cls(pl.read_parquet(folder / "photos.parquet"), pl.read_parquet(folder / "boxes.parquet"))


def require_schema(table: pl.DataFrame, schema: pl.Schema, name: str) -> None:
    """Raise `ValueError` unless ``table`` has exactly the columns and types of ``schema``, in order."""
    if table.schema != schema:
        raise ValueError(f"table {name!r} has columns {dict(table.schema)}, expected {dict(schema)}")
