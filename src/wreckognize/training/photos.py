"""The library's data set, with what one epoch's photos look like made a matter of (seed, epoch) alone.

Imported in the training child only, after the library is fenced.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import Sampler
from ultralytics.data.dataset import YOLODataset

from wreckognize import images
from wreckognize.training.job import TrainJob
from wreckognize.training.store import Photo, PhotoStore, choose, fill, kept_bytes, room


class Photos(YOLODataset):
    """The library's data set with two things changed.

    * Its buffer, from which a mosaic draws three of its four photos, is begun anew each epoch (`begin_epoch`). The
      library's holds what was read last, in each worker another thing, and outlives the epoch.
    * Photos may come from a `PhotoStore`.
    """

    store: PhotoStore | None = None
    ims: list[Any]
    im_hw0: list[Any]
    im_hw: list[Any]

    def begin_epoch(self, seed: int) -> None:
        """Begin the buffer with photos drawn for this epoch; they are read when a mosaic first wants them."""
        self.ims, self.im_hw0, self.im_hw = ([None] * self.ni for _ in range(3))
        self.buffer = random.Random(seed).sample(range(self.ni), self.max_buffer_length)

    def load_image(self, i: int, rect_mode: bool = True, resize_short: bool = False) -> Any:
        """As the library does; a photo that is kept is taken from the store."""
        kept = None
        if self.store is not None and self.ims[i] is None and rect_mode and not resize_short:
            kept = self.store.get(self.im_files[i])
        if kept is None:
            return super().load_image(i, rect_mode, resize_short)
        pixels, before = kept
        if self.augment:
            self._remember(i, pixels, before)
        return pixels, before, pixels.shape[:2]

    def _remember(self, i: int, pixels: Any, before: tuple[int, int]) -> None:
        """Put a photo into the buffer and push the oldest out, exactly as the library does with one it has read."""
        self.ims[i], self.im_hw0[i], self.im_hw[i] = pixels, before, pixels.shape[:2]
        self.buffer.append(i)
        if 1 < len(self.buffer) >= self.max_buffer_length:
            oldest = self.buffer.pop(0)
            self.ims[oldest], self.im_hw0[oldest], self.im_hw[oldest] = None, None, None

    def kept_sizes(self) -> dict[str, int]:
        """Bytes of each photo once decoded and scaled, by file."""
        sizes = {}
        for file, label in zip(self.im_files, self.labels, strict=True):
            if "shape" in label:
                height, width = label["shape"]
            else:  # the library drops it where it forms batches by shape
                header = images.read_header(Path(file))
                height, width = header.height, header.width
            sizes[file] = kept_bytes(height, width, self.imgsz)
        return sizes

    def reader(self) -> Callable[[str], Photo]:
        """A function that decodes and scales a photo by its file, past store and buffer; threads may share it."""
        plain = copy(self)
        plain.augment = False  # only then the library leaves its buffer alone
        numbers = {file: number for number, file in enumerate(self.im_files)}

        def read(file: str) -> Photo:
            pixels, before, _ = YOLODataset.load_image(plain, numbers[file])
            return pixels, before

        return read


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the photos of a training are, a sentence about it, and whether that is less than was asked for."""

    store: PhotoStore
    said: str
    short: bool


def keep_photos(datasets: Sequence[Photos], job: TrainJob, processes: int) -> Kept:
    """Decode the photos of these data sets once, if there is room for them in each of so many processes."""
    sizes = [dataset.kept_sizes() for dataset in datasets]
    together = {file: size for some in sizes for file, size in some.items()}
    budget = choose(job.cache, sum(together.values()) * processes, *room(job.folder))
    if budget.place != "off":
        readers: dict[str, Callable[[str], Photo]] = {}
        for dataset, some in zip(datasets, sizes, strict=True):
            readers |= dict.fromkeys(some, dataset.reader())
        try:
            store = fill(budget.place, job.folder, together, lambda file: readers[file](file))
        except OSError as error:
            said = f"photos are read anew each epoch: keeping them failed ({error.strerror})"
            return Kept(PhotoStore.empty(), said, short=True)
        return Kept(store, budget.said, budget.short)
    return Kept(PhotoStore.empty(), budget.said, budget.short)


class OneEpoch(Sampler[list[int]]):
    """Batches of one epoch; the library's sampler never ends, and workers would prepare batches nobody wants."""

    def __init__(self, sampler: Any) -> None:
        self.sampler = sampler  # the library's loader looks for it under this name

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.sampler)

    def __len__(self) -> int:
        return len(self.sampler)
