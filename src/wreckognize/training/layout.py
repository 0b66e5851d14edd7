"""The folder a network is trained from: photos linked or converted, one label file each.

Photos get plain numbers for names, so that no name a user gave (spaces, quotes, newlines) meets the library. The
library rewrites JPEGs that it thinks damaged; therefore only photos whose file is known to be whole are linked, and
everything else is written out anew as PNG.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import polars as pl

from wreckognize import images
from wreckognize.errors import TrainingError
from wreckognize.files import atomic_write
from wreckognize.progress import Progress

CLASS_NAME = "Vehicle"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a training folder stands and what it holds."""

    folder: Path
    train_photos: int
    val_photos: int

    @property
    def data_file(self) -> Path:
        """The YAML file that the library is pointed to."""
        return self.folder / "data.yaml"


@dataclass(frozen=True, slots=True)
class _Entry:
    source: Path
    plain: bool
    image: Path
    label: Path
    lines: str


def write_layout(photos: pl.DataFrame, labels: pl.DataFrame, folder: Path, *, progress: Progress) -> Layout:
    """Make the training folder anew.

    Args:
        photos: columns ``photo, split (train|val), path, plain, width, height``; one row for each photo to train on.
        labels: ``LABEL_SCHEMA``; a photo without a row gets an empty label (a background).
        folder: replaced if it is there.
        progress: where to report.

    Raises:
        TrainingError: train or val would be empty.
    """
    for split in ("train", "val"):
        if photos.filter(pl.col("split") == split).is_empty():
            raise TrainingError(
                f"no photo is left for {split}",
                remedy="give more photos, a larger share, or a label policy that leaves fewer photos out",
            )
    if folder.exists():
        shutil.rmtree(folder)
    for kind in ("images", "labels"):
        for split in ("train", "val"):
            (folder / kind / split).mkdir(parents=True)
    entries = list(_entries(photos.sort("photo"), labels, folder))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool, progress.task("laying out", len(entries)) as task:
        for _ in pool.map(_place, entries):
            task.advance()
    atomic_write(folder / "data.yaml", _data_yaml(folder))
    counts = dict(photos.group_by("split").len().iter_rows())
    return Layout(folder, counts["train"], counts["val"])


def _data_yaml(folder: Path) -> str:
    import json  # a JSON string is a YAML string, whatever characters the path holds

    return f"path: {json.dumps(str(folder))}\ntrain: images/train\nval: images/val\nnames:\n  0: {CLASS_NAME}\n"


def _entries(photos: pl.DataFrame, labels: pl.DataFrame, folder: Path) -> Iterable[_Entry]:
    lines = yolo_lines(photos, labels)
    columns = photos.select("photo", "split", "path", "plain")
    for number, (photo, split, path, plain) in enumerate(columns.iter_rows()):
        source = Path(path)
        suffix = source.suffix.lower() if plain else ".png"
        yield _Entry(
            source,
            plain,
            folder / "images" / split / f"{number:07d}{suffix}",
            folder / "labels" / split / f"{number:07d}.txt",
            lines.get(photo, ""),
        )


def yolo_lines(photos: pl.DataFrame, labels: pl.DataFrame) -> dict[str, str]:
    """Label boxes as YOLO text, ``0 cx cy w h`` in shares of the photo's sides, by photo."""
    table = labels.join(photos.select("photo", "width", "height"), on="photo").with_columns(
        ((pl.col("x1") + pl.col("x2")) / 2 / pl.col("width")).alias("cx"),
        ((pl.col("y1") + pl.col("y2")) / 2 / pl.col("height")).alias("cy"),
        ((pl.col("x2") - pl.col("x1")) / pl.col("width")).alias("w"),
        ((pl.col("y2") - pl.col("y1")) / pl.col("height")).alias("h"),
    )
    lines: dict[str, str] = {}
    for photo, cx, cy, w, h in table.select("photo", "cx", "cy", "w", "h").iter_rows():
        lines[photo] = lines.get(photo, "") + f"0 {cx:.6f} {cy:.6f} {w:.6f} {h:.6f}\n"
    return lines


def _place(entry: _Entry) -> None:
    if entry.plain:
        link_photo(entry.source, entry.image)
    else:
        done, data = cv2.imencode(".png", images.decode(entry.source), [cv2.IMWRITE_PNG_COMPRESSION, 1])
        if not done:
            raise TrainingError(
                "the photo could not be converted to PNG", where=str(entry.source), remedy="convert it by hand"
            )
        entry.image.write_bytes(data.tobytes())
    entry.label.write_text(entry.lines)


def link_photo(source: Path, target: Path) -> None:
    """Link ``target`` to ``source`` symbolically; else hard-link it; else copy. The source is only read.

    A hard link would show on the source itself (its count of links and time of change), so that a backup takes it anew.
    """
    for place in (os.symlink, os.link, shutil.copyfile):
        try:
            place(source, target)
        except OSError as error:
            if place is shutil.copyfile:
                raise TrainingError(
                    f"the photo could be neither linked nor copied ({error.strerror})",
                    where=str(source),
                    remedy="check free disk space and the permissions of the run's folder",
                ) from error
        else:
            return
