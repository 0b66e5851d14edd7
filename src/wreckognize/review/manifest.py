"""``export.json``: what went out, so that what comes back is known to be about the same photos of the same study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from wreckognize.errors import UsageError
from wreckognize.reading import RECORD_BYTES, read_regular
from wreckognize.review.plan import Task
from wreckognize.review.records import Corners, Verdict
from wreckognize.spreadsheet import rows_to_csv

Tool = Literal["label-studio", "coco", "yolo"]
TOOLS: tuple[Tool, ...] = ("label-studio", "coco", "yolo")
MANIFEST = "export.json"
ORDER = "order.csv"
PHOTOS = "images"
"""The folder of the photos in an export."""


class Exported(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One photo of an export, in the order of the export.

    Attributes:
        file: its name in the export's folder of photos; it begins with its place in the order.
        photo: its name in the catalog.
        sha256: of the bytes in the catalog.
        width: pixels, as shown.
        height: pixels, as shown.
        split: where it stands.
        verdict: what the study took it for; None: the reviewer was not told.
        boxes: that were drawn.
        drawn_by: whose boxes they are.
        why: it is doubtful.
    """

    file: str
    photo: str
    sha256: str
    width: int
    height: int
    split: str
    verdict: Verdict | None
    boxes: tuple[Corners, ...]
    drawn_by: str
    why: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An export.

    Attributes:
        study: its name.
        tool: that it is for.
        system: whose labels and doubts.
        blank: whether the reviewer is told nothing that a model or the study holds.
        photos: in order.
    """

    format: Literal[1] = 1
    study: str
    tool: Tool
    system: str
    blank: bool = False
    photos: tuple[Exported, ...]


def file_name(rank: int, task: Task) -> str:
    """Name of a photo's copy: tools sort by name, so the order holds in them; the digest keeps exports apart.

    Photos that every program opens alike are copied as they are; the others become upright JPEG files.
    """
    suffix = Path(task.path).suffix.lower() if task.plain else ".jpg"
    return f"{rank:06}-{task.sha256[:12]}{suffix}"


def manifest_of(tasks: Sequence[Task], *, study: str, tool: Tool, system: str, blank: bool = False) -> Manifest:
    """The manifest of an export of these photos in this order."""
    photos = (
        Exported(
            file=file_name(rank, task),
            photo=task.photo,
            sha256=task.sha256,
            width=task.width,
            height=task.height,
            split=task.split,
            verdict=task.verdict,
            boxes=tuple(box.corners for box in task.boxes),
            drawn_by=task.drawn_by,
            why=task.why,
        )
        for rank, task in enumerate(tasks, 1)
    )
    return Manifest(study=study, tool=tool, system=system, blank=blank, photos=tuple(photos))


def manifest_json(manifest: Manifest) -> bytes:
    """``export.json``."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def order_csv(manifest: Manifest) -> str:
    """``order.csv``: the photos in order, for a person to read.

    Of a blank export it says the files alone: names of photos begin with their source, which tells the role.
    """
    if manifest.blank:
        return rows_to_csv(["rank", "file"], ([rank, one.file] for rank, one in enumerate(manifest.photos, 1)))
    return rows_to_csv(
        ["rank", "file", "photo", "split", "shown_as", "boxes", "drawn_by", "why"],
        (
            [rank, one.file, one.photo, one.split, one.verdict, len(one.boxes), one.drawn_by, one.why]
            for rank, one in enumerate(manifest.photos, 1)
        ),
    )


def read_manifest(path: Path) -> Manifest:
    """Read what `manifest_json` wrote.

    Raises:
        UsageError: it cannot be read or is not such a file.
    """
    try:
        return msgspec.json.decode(read_regular(path, RECORD_BYTES), type=Manifest)
    except OSError as error:
        raise UsageError(
            f"the list of what was exported cannot be read ({error.strerror})",
            where=str(path),
            remedy="name the folder that `wreckognize review export` wrote with --export DIR",
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"not what `wreckognize review export` wrote: {error}", where=str(path), remedy="export again"
        ) from error
