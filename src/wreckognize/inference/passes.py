"""A detector over a table of photos, written in parts so that a killed pass goes on where it stood."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from wreckognize.catalog import PREDICTION_SCHEMA, QUARANTINE_SCHEMA
from wreckognize.detectors.port import Detector
from wreckognize.files import atomic_write, write_table
from wreckognize.inference.stream import Look, PhotoFile, StreamSettings, look_at
from wreckognize.progress import Progress

PART_PHOTOS = 512
_EMBEDDING_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "photo": pl.String,
    "embedding": pl.List(pl.Float32),
}
EMBEDDING_SCHEMA = pl.Schema(_EMBEDDING_COLUMNS)
_EMPTY = {
    "predictions": pl.DataFrame(schema=PREDICTION_SCHEMA),
    "embeddings": pl.DataFrame(schema=EMBEDDING_SCHEMA),
    "unread": pl.DataFrame(schema=QUARANTINE_SCHEMA),
}


@dataclass(frozen=True, slots=True)
class Pass:
    """What a detector saw in a table of photos.

    Attributes:
        predictions: ``PREDICTION_SCHEMA``, by photo, best box first.
        embeddings: ``photo`` and ``embedding``, a list of float32 of length 1.
        unread: ``QUARANTINE_SCHEMA``: photos that could no longer be read.
    """

    predictions: pl.DataFrame
    embeddings: pl.DataFrame
    unread: pl.DataFrame


def run_pass(
    photos: pl.DataFrame,
    open_detector: Callable[[], Detector],
    settings: StreamSettings,
    *,
    parts: Path,
    key: str,
    progress: Progress,
    description: str,
) -> Pass:
    """Look at every photo once.

    Args:
        photos: ``PHOTO_SCHEMA``.
        open_detector: called only if something is left to do.
        settings: of the stream.
        parts: a folder for finished parts. Parts of another ``key`` are thrown away.
        key: says what the parts depend on (weights, photos, settings).
        progress: where to report.
        description: what the progress bar says.
    """
    _claim(parts, key)
    names = photos["photo"].to_list()
    starts = range(0, len(names), PART_PHOTOS)
    open_parts = [number for number, _ in enumerate(starts) if not _part(parts, number, "unread").exists()]
    with progress.task(description, len(names)) as task:
        task.advance(len(names) - sum(len(names[starts[n] : starts[n] + PART_PHOTOS]) for n in open_parts))
        detector = open_detector() if open_parts else None
        for number in open_parts:
            assert detector is not None  # for the type checker: it was opened above
            rows = photos.slice(starts[number], PART_PHOTOS)
            looks: list[Look] = []
            for look in look_at(_files(rows), detector, settings):
                looks.append(look)
                task.advance()
            _write_part(parts, number, rows, looks)
    return Pass(*(_gather(parts, len(starts), kind) for kind in ("predictions", "embeddings", "unread")))


def _claim(parts: Path, key: str) -> None:
    owner = parts / "key.txt"
    if owner.exists() and owner.read_text() != key:
        shutil.rmtree(parts)
    atomic_write(owner, key)


def _part(parts: Path, number: int, kind: str) -> Path:
    return parts / f"{kind}-{number:05d}.parquet"


def _files(photos: pl.DataFrame) -> list[PhotoFile]:
    columns = photos.select("photo", "path", "width", "height")
    return [PhotoFile(photo, Path(path), width, height) for photo, path, width, height in columns.iter_rows()]


def _write_part(parts: Path, number: int, photos: pl.DataFrame, looks: list[Look]) -> None:
    """Write one part; ``unread`` comes last and says that the part is whole."""
    looks = sorted(looks, key=lambda look: look.photo)
    write_table(_part(parts, number, "predictions"), predictions_table(looks))
    seen = [look for look in looks if look.feature is not None]
    write_table(
        _part(parts, number, "embeddings"),
        pl.DataFrame(
            {"photo": [look.photo for look in seen], "embedding": [look.feature for look in seen]},
            schema=EMBEDDING_SCHEMA,
        ),
    )
    sources = dict(photos.select("photo", "source").iter_rows())
    unread = [
        (sources[look.photo], look.photo, look.error.reason, look.error.remedy) for look in looks if look.error
    ]
    write_table(_part(parts, number, "unread"), pl.DataFrame(unread, schema=QUARANTINE_SCHEMA, orient="row"))


def predictions_table(looks: list[Look]) -> pl.DataFrame:
    """Looks as a ``PREDICTION_SCHEMA`` table."""
    counts = [len(look.boxes) for look in looks]
    boxes = np.concatenate([look.boxes for look in looks]) if looks else np.zeros((0, 4), np.float32)
    confidences = np.concatenate([look.confidences for look in looks]) if looks else np.zeros(0, np.float32)
    return pl.DataFrame(
        {
            "photo": np.repeat(np.array([look.photo for look in looks], dtype=object), counts).tolist(),
            "x1": boxes[:, 0],
            "y1": boxes[:, 1],
            "x2": boxes[:, 2],
            "y2": boxes[:, 3],
            "confidence": confidences,
        },
        schema=PREDICTION_SCHEMA,
    )


def _gather(parts: Path, count: int, kind: str) -> pl.DataFrame:
    return pl.concat([_EMPTY[kind], *(pl.read_parquet(_part(parts, number, kind)) for number in range(count))])
