"""A detector over a table of photos, written in parts so that a killed pass goes on where it stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import polars as pl

from wreckognize import images
from wreckognize.catalog import PREDICTION_SCHEMA, QUARANTINE_SCHEMA
from wreckognize.detectors.port import Detector
from wreckognize.errors import InputError
from wreckognize.inference.executor import Doing, Executor, Here, Tables, Tick, run_in_parts
from wreckognize.inference.stream import Look, PhotoFile, StreamSettings, look_at
from wreckognize.progress import Progress

PART_PHOTOS = 512
_EMBEDDING_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "photo": pl.String,
    "embedding": pl.List(pl.Float32),
}
EMBEDDING_SCHEMA = pl.Schema(_EMBEDDING_COLUMNS)


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


class Opener(Protocol):
    """Whatever can open a detector, here or, pickled, on another machine."""

    @property
    def files(self) -> Sequence[Path]:
        """The files it is opened from."""
        ...

    def moved(self, folder: Path) -> Self:
        """The same, opened from copies of `files` in this folder."""
        ...

    def open(self) -> Detector:
        """Load it."""
        ...


@dataclass(frozen=True)
class Looking:
    """The `Work` of a pass: every photo once through a detector.

    Attributes:
        opener: opens the detector.
        settings: of the stream.
    """

    opener: Opener
    settings: StreamSettings

    @property
    def schemas(self) -> Mapping[str, pl.Schema]:
        """Predictions, embeddings, and what could not be read."""
        return {"predictions": PREDICTION_SCHEMA, "embeddings": EMBEDDING_SCHEMA, "unread": QUARANTINE_SCHEMA}

    @property
    def files(self) -> Sequence[Path]:
        """The detector's."""
        return self.opener.files

    def moved(self, folder: Path) -> Self:
        """With the detector's files in another folder."""
        return replace(self, opener=self.opener.moved(folder))

    def start(self) -> Doing:
        """Open the detector."""
        detector = self.opener.open()

        def look(rows: pl.DataFrame, tick: Tick) -> Tables:
            looks: list[Look] = []
            for one in look_at(_files(rows), detector, self.settings):
                looks.append(one)
                tick(1)
            return _tables(rows, looks)

        return look


@dataclass(frozen=True)
class LookingAtNew(Looking):
    """`Looking` at photos that no catalog knows (``photo``, ``path``, ``source``): each is measured first."""

    @property
    def schemas(self) -> Mapping[str, pl.Schema]:
        """Predictions, and what could not be read."""
        return {"predictions": PREDICTION_SCHEMA, "unread": QUARANTINE_SCHEMA}

    def start(self) -> Doing:
        """Open the detector."""
        look = super().start()

        def look_at_new(rows: pl.DataFrame, tick: Tick) -> Tables:
            known, unread = _measured(rows)
            tick(unread.height)
            seen = look(known, tick)
            return {"predictions": seen["predictions"], "unread": pl.concat([unread, seen["unread"]]).sort("file")}

        return look_at_new


def _measured(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows with ``width`` and ``height`` of the photos as shown, and ``QUARANTINE_SCHEMA`` for those without."""
    sizes: list[tuple[int, int] | None] = []
    unread: list[tuple[str, str, str, str]] = []
    for photo, path, source in rows.select("photo", "path", "source").iter_rows():
        try:
            header = images.read_header(Path(path))
        except InputError as error:
            sizes.append(None)
            unread.append((source, photo, error.reason, error.remedy))
        else:
            sizes.append((header.width, header.height))
    measured = rows.with_columns(
        width=pl.Series([size and size[0] for size in sizes], dtype=pl.Int32),
        height=pl.Series([size and size[1] for size in sizes], dtype=pl.Int32),
    )
    table = pl.DataFrame(unread, schema=QUARANTINE_SCHEMA, orient="row")
    return measured.filter(pl.col("width").is_not_null()), table


def run_pass(
    photos: pl.DataFrame,
    opener: Opener,
    settings: StreamSettings,
    *,
    parts: Path,
    key: str,
    progress: Progress,
    description: str,
    executor: Executor | None = None,
) -> Pass:
    """Look at every photo once.

    Args:
        photos: ``PHOTO_SCHEMA``.
        opener: opens the detector; asked only if something is left to do.
        settings: of the stream.
        parts: a folder for finished parts. Parts of another ``key`` are thrown away.
        key: says what the parts depend on (weights, photos, settings).
        progress: where to report.
        description: what the progress bar says.
        executor: who does the parts; this process by default.
    """
    tables = run_in_parts(
        photos,
        Looking(opener, settings),
        executor or Here(),
        size=PART_PHOTOS,
        folder=parts,
        key=key,
        progress=progress,
        description=description,
    )
    return Pass(**tables)


def _files(photos: pl.DataFrame) -> list[PhotoFile]:
    columns = photos.select("photo", "path", "width", "height")
    return [PhotoFile(photo, Path(path), width, height) for photo, path, width, height in columns.iter_rows()]


def _tables(photos: pl.DataFrame, looks: list[Look]) -> Tables:
    looks = sorted(looks, key=lambda look: look.photo)
    seen = [look for look in looks if look.feature is not None]
    sources = dict(photos.select("photo", "source").iter_rows())
    unread = [
        (sources[look.photo], look.photo, look.error.reason, look.error.remedy) for look in looks if look.error
    ]
    return {
        "predictions": predictions_table(looks),
        "embeddings": pl.DataFrame(
            {"photo": [look.photo for look in seen], "embedding": [look.feature for look in seen]},
            schema=EMBEDDING_SCHEMA,
        ),
        "unread": pl.DataFrame(unread, schema=QUARANTINE_SCHEMA, orient="row"),
    }


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
