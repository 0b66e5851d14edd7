"""New photos, looked at outside any study: by the machines of a cluster, or from object storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
import polars as pl

from wreckognize import boxes as bx
from wreckognize.collect.walk import PHOTO_SUFFIXES
from wreckognize.errors import InputError, UsageError
from wreckognize.inference.executor import Executor, Tables, Tick
from wreckognize.inference.passes import LookingAtNew, Opener
from wreckognize.inference.stream import Look, StreamSettings
from wreckognize.settings import ScaleSettings
from wreckognize.urls import scheme_of

PART_PHOTOS = 64  # as many as `wreckognize.predicting.looking` batches among themselves


def photos_below(url: str) -> list[str]:
    """URLs of the photos below a prefix, sorted; of one photo, its own.

    Raises:
        StorageError: no such bucket, no permission, or the storage keeps failing.
        UsageError: there is none.
    """
    from wreckognize.scale.storage import Storage

    storage = Storage()
    found = [
        f"{url}/{one.name}"
        for one in storage.listing(url)
        if PurePosixPath(one.name).suffix.lower() in PHOTO_SUFFIXES
    ]
    if not found and PurePosixPath(url).suffix.lower() in PHOTO_SUFFIXES and storage.exists(url):
        return [url]
    if not found:
        raise UsageError(
            "no photo lies there", where=url, remedy="correct the URL; photos are known by their extension"
        )
    return found


@contextmanager
def lookers(
    on: Literal["here", "ray"], address: str | None, urls: Sequence[str], say: Callable[[str], None]
) -> Iterator[Executor]:
    """Whoever looks at new photos, until the end of the block.

    Args:
        on: this process, or a Ray cluster.
        address: of the cluster; None starts a Ray on this machine.
        urls: of the photos that lie in object storage.
        say: is told of lost workers.
    """
    from wreckognize.scale.fetching import FetchingHere
    from wreckognize.scale.storage import Storage

    places = {place: place for place in {_place(url) for url in urls}}
    if on == "here":
        yield FetchingHere(places, Storage())
        return
    from wreckognize.scale.executor import RayExecutor

    settings = ScaleSettings(on="ray", address=address)
    executor = RayExecutor(settings, places=places, say=say)
    try:
        yield executor
    finally:
        executor.close()


def _place(url: str) -> str:
    """The bucket of a URL; for ``file:///``, what stands before the path."""
    scheme = scheme_of(url)
    return f"{scheme}://{url[len(scheme) + 3 :].partition('/')[0]}"


def look_at_new(
    photos: Sequence[str], looker: Opener, settings: StreamSettings, executor: Executor, tick: Tick
) -> Iterator[Look]:
    """A `Look` for every photo, in their order, whoever has done it.

    Args:
        photos: absolute paths or URLs, each once.
        looker: the detector.
        settings: of the stream.
        executor: who looks.
        tick: is told how many are done.
    """
    named = [number for number, photo in enumerate(photos) if _is_text(photo)]
    rows = pl.DataFrame(
        {"photo": [str(number) for number in named], "path": [photos[number] for number in named]},
        schema={"photo": pl.String, "path": pl.String},
    ).with_columns(source=pl.lit(""), sha256=pl.lit(None, dtype=pl.String))
    parts = {start: rows.slice(start, PART_PHOTOS) for start in range(0, rows.height, PART_PHOTOS)}
    tick(len(photos) - len(named))
    waiting: dict[int, Tables] = {}
    coming, next_photo = iter(parts), 0
    wanted = next(coming, None)
    for number, tables in executor.run(parts, LookingAtNew(looker, settings), tick):
        waiting[number] = tables
        while wanted is not None and wanted in waiting:
            looks = _looks(parts[wanted], waiting.pop(wanted))
            for place, look in looks.items():
                yield from (_unnamed(photos[one]) for one in range(next_photo, place))
                yield Look(photos[place], look.boxes, look.confidences, None, look.error)
                next_photo = place + 1
            wanted = next(coming, None)
    yield from (_unnamed(photos[one]) for one in range(next_photo, len(photos)))


def _looks(rows: pl.DataFrame, tables: Tables) -> dict[int, Look]:
    """What the tables of a part say of each of its photos, by the photo's number."""
    seen = {photo: table for (photo,), table in tables["predictions"].group_by(["photo"], maintain_order=True)}
    errors = {file: InputError(reason, remedy=remedy) for _, file, reason, remedy in tables["unread"].iter_rows()}
    nothing = tables["predictions"].clear()
    looks = {}
    for photo in rows["photo"]:
        table = seen.get(photo, nothing)
        boxes = bx.as_boxes(table.select("x1", "y1", "x2", "y2").to_numpy())
        confidences = table["confidence"].to_numpy().astype(np.float32)
        looks[int(photo)] = Look(photo, boxes, confidences, None, errors.get(photo))
    return looks


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unnamed(photo: str) -> Look:
    error = InputError("file name is not Unicode", remedy="rename the file, or look at it with --on here")
    return Look(photo, bx.as_boxes([]), np.zeros(0, np.float32), None, error)
