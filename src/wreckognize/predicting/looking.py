"""Looks at new photos in the order in which they were named: by this process, from object storage, or by a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from wreckognize import images
from wreckognize.boxes import as_boxes
from wreckognize.errors import InputError
from wreckognize.inference.stream import Look, PhotoFile, look_at
from wreckognize.predicting.model import Model
from wreckognize.urls import url_of

CHUNK = 64
"""Photos that are batched among themselves; what is resumed is resumed by whole chunks. A slow network on a CPU takes a
minute or two for so many, which is what an interruption costs."""


@dataclass(frozen=True, slots=True)
class Place:
    """Who looks at photos.

    Attributes:
        on: this process, or a Ray cluster.
        address: of the cluster; None starts a Ray on this machine.
        say: is told of lost workers.
    """

    on: Literal["here", "ray"] = "here"
    address: str | None = None
    say: Callable[[str], None] = print


def looks_at(names: Sequence[str], model: Model, place: Place, tick: Callable[[int], None]) -> Iterator[Look]:
    """A `Look` for every photo, in their order; the model is loaded at the first.

    Args:
        names: paths and URLs, each once.
        model: looks.
        place: who looks.
        tick: is told how many are done.
    """
    if not names:
        return
    if place.on == "here" and not any(map(url_of, names)):
        yield from _here(names, model, tick)
        return
    from wreckognize.stages.predicting import look_at_new, lookers

    urls = [name for name in names if url_of(name)]
    photos = [name if url_of(name) else str(Path(name).absolute()) for name in names]
    with lookers(place.on, place.address, urls, place.say) as executor:
        yield from look_at_new(photos, model.opener, model.settings, executor, tick)


def _here(names: Sequence[str], model: Model, tick: Callable[[int], None]) -> Iterator[Look]:
    detector = model.opener.open()
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        files: list[PhotoFile] = []
        looks: dict[str, Look] = {}
        for name in chunk:
            path = Path(name)
            try:
                header = images.read_header(path)
            except InputError as error:
                looks[name] = Look(name, as_boxes([]), np.zeros(0, np.float32), None, error)
                tick(1)
            else:
                files.append(PhotoFile(name, path, header.width, header.height))
        for look in look_at(files, detector, model.settings):
            looks[look.photo] = look
            tick(1)
        yield from (looks[name] for name in chunk)
