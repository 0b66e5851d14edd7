"""Photos of a training, decoded and scaled once and kept in memory or on disk, where a budget allows it.

What is kept are the very pixels that the library would make of the file each time, so a training sees the same with
the store as without.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Self

import numpy as np
from numpy.typing import NDArray

from wreckognize.processor import cpu_threads, disk_free, memory_available

Place = Literal["ram", "disk", "off"]
AUTO_SHARES = {"ram": 0.4, "disk": 0.5}
"""`cache: auto` takes no more than these shares of the memory available and of the free disk space."""
ASKED_SHARE = 0.8
"""`cache: ram` and `cache: disk` may take more, but leave the rest of the machine room to live."""

Photo = tuple[NDArray[np.uint8], tuple[int, int]]
"""Pixels, (H, W, 3) BGR, and height and width before scaling."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Where photos are kept, and the sentence for the log."""

    place: Place
    said: str
    short: bool = False  # less than was asked for


def choose(wanted: Literal["auto", "ram", "disk", "off"], needed: int, memory: int, disk: int) -> Budget:
    """Decide where ``needed`` bytes of photos are kept.

    Args:
        wanted: the setting ``train.cache``.
        needed: bytes of all photos, decoded and scaled, in all processes that keep them.
        memory: bytes of memory available.
        disk: bytes free on the disk of the training's folder.
    """
    if wanted == "off":
        return Budget("off", "photos are read anew each epoch (cache: off)")
    free: dict[Place, int] = {"ram": memory, "disk": disk}
    words = {"ram": "memory", "disk": "disk space"}
    places: tuple[Place, ...] = ("ram", "disk") if wanted == "auto" else (wanted,)
    refused = []
    for place in places:
        share = AUTO_SHARES[place] if wanted == "auto" else ASKED_SHARE
        sizes = f"{_megabytes(needed)} of {_megabytes(free[place])} {words[place]}"
        if needed <= share * free[place]:
            return Budget(place, f"photos are decoded once and kept {_WHERE[place]}: {sizes}")
        refused.append(f"{sizes} is more than {share:.0%}")
    said = f"photos are read anew each epoch: decoded they would take {'; '.join(refused)}"
    return Budget("off", said, short=wanted != "auto")


_WHERE = {"ram": "in memory", "disk": "on disk"}


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"


def kept_bytes(height: int, width: int, imgsz: int) -> int:
    """Bytes of a photo of these sides once its longer one is scaled to ``imgsz``, as the library rounds.

    >>> kept_bytes(480, 640, 320), kept_bytes(480, 640, 640)
    (230400, 921600)
    """
    ratio = imgsz / max(height, width)
    high, wide = (min(int(np.ceil(side * ratio)), imgsz) for side in (height, width))
    return 3 * high * wide


class PhotoStore:
    """Decoded photos in one block of memory or one nameless file, shared by all workers that are forked later.

    The file has no name, so nothing of it is left whatever ends the process.
    """

    def __init__(
        self, block: NDArray[np.uint8], index: Mapping[str, tuple[int, tuple[int, ...], tuple[int, int]]]
    ) -> None:
        self._block = block
        self._index = index

    @classmethod
    def empty(cls) -> Self:
        """A store that keeps nothing."""
        return cls(np.empty(0, np.uint8), {})

    def get(self, file: str) -> Photo | None:
        """A copy of a photo, for augmentation draws in place; None if it is not kept."""
        entry = self._index.get(file)
        if entry is None:
            return None
        offset, shape, before = entry
        size = int(np.prod(shape))
        return self._block[offset : offset + size].reshape(shape).copy(), before

    def __len__(self) -> int:
        return len(self._index)

    @property
    def nbytes(self) -> int:
        """Bytes it holds."""
        return int(self._block.nbytes)


def fill(
    place: Literal["ram", "disk"], folder: Path, sizes: Mapping[str, int], read: Callable[[str], Photo]
) -> PhotoStore:
    """Decode all photos into a store.

    Args:
        place: of the store.
        folder: below which a store on disk lies.
        sizes: bytes of each photo, by file; one whose pixels turn out otherwise is left out, and read each time.
        read: decodes and scales one.

    Raises:
        OSError: the disk is full, or cannot be written to.
    """
    offsets = dict(zip(sizes, np.cumsum([0, *sizes.values()])[:-1].tolist(), strict=True))
    total = max(sum(sizes.values()), 1)
    index = {}
    with tempfile.TemporaryFile(dir=folder) if place == "disk" else nullcontext() as file:
        block = np.empty(total, np.uint8) if file is None else _mapped(file, total)
        for name, (pixels, before) in _decoded(sizes, read):
            if pixels.nbytes != sizes[name] or pixels.dtype != np.uint8:
                continue
            if file is None:
                block[offsets[name] : offsets[name] + pixels.nbytes] = pixels.reshape(-1)
            else:
                _write(file.fileno(), pixels, offsets[name])
            index[name] = (offsets[name], pixels.shape, before)
    return PhotoStore(block, index)


def _mapped(file: IO[bytes], size: int) -> NDArray[np.uint8]:
    """A file of ``size`` bytes, to be read only: a write through the map would end in a signal on a full disk."""
    file.truncate(size)
    return np.frombuffer(mmap.mmap(file.fileno(), size, prot=mmap.PROT_READ), np.uint8)


def _decoded(names: Iterable[str], read: Callable[[str], Photo]) -> Iterable[tuple[str, Photo]]:
    """Photos in turn, decoded by several threads that are at most a few photos ahead."""
    threads = cpu_threads()
    with ThreadPoolExecutor(threads) as pool:
        waiting = []
        for name in names:
            waiting.append((name, pool.submit(read, name)))
            if len(waiting) > 4 * threads:
                first, photo = waiting.pop(0)
                yield first, photo.result()
        for name, photo in waiting:
            yield name, photo.result()


def _write(descriptor: int, pixels: NDArray[np.uint8], offset: int) -> None:
    data = np.ascontiguousarray(pixels).reshape(-1)
    while len(data):
        done = os.pwrite(descriptor, data.data, offset)
        data, offset = data[done:], offset + done


def room(folder: Path) -> tuple[int, int]:
    """Bytes of memory available, and of free space on the disk of ``folder``."""
    return memory_available(), disk_free(folder)
