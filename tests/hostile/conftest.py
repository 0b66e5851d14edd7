"""A folder to plant things in, and a clock that no test outlasts."""

from __future__ import annotations

import json
import signal
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from photographs import draw_photo

from wreckognize.collect import Collected, collect
from wreckognize.settings import AihubSource, CocoSource, FolderSource, Source, YoloSource

LABEL = {
    "images": {"width": 96, "height": 64},
    "annotations": [{"category_id": "sc-1", "bbox": [30, 20, 12, 9], "damage": "Scratched"}],
}


class Trap:
    """Sources with one good photo (and label) each, beside which a test plants what is not good."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images, self.labels = root / "images", root / "labels"
        self.labels.mkdir(parents=True)
        self.good("good")

    def good(self, stem: str) -> None:
        draw_photo(self.images / f"{stem}.jpg", len(stem))
        (self.labels / f"{stem}.json").write_text(json.dumps(LABEL))
        (self.labels / f"{stem}.txt").write_text("0 0.5 0.5 0.3 0.3\n")

    def folder(self, **settings: object) -> FolderSource:
        values = {"name": "s", "type": "folder", "role": "normal", "images": self.images, "max_failed": 1}
        return FolderSource(**values | settings)

    def aihub(self, **settings: object) -> AihubSource:
        for text in self.labels.glob("*.txt"):
            if text.is_file() and not text.is_symlink():
                text.unlink()
        values = {"type": "aihub", "role": "damaged", "labels": self.labels, "images": self.images}
        return AihubSource(**{"name": "s", "max_failed": 1} | values | settings)

    def yolo(self, **settings: object) -> YoloSource:
        values = {"type": "yolo", "role": "normal", "images": self.images, "names": ("car",)}
        return YoloSource(**{"name": "s", "max_failed": 1} | values | settings)

    def coco(self, **settings: object) -> CocoSource:
        values = {"type": "coco", "role": "normal", "images": self.images, "annotations": self.root / "instances.json"}
        return CocoSource(**{"name": "s", "max_failed": 1} | values | settings)


def collected(source: Source) -> tuple[list[str], dict[str, str], dict[str, int]]:
    """Names of the photos that are used; for each file in quarantine why; what was not wanted, counted."""
    return told(collect([source], seed=0))


def told(found: Collected) -> tuple[list[str], dict[str, str], dict[str, int]]:
    used = [name.split("/", 1)[1] for name in found.catalog.photos["photo"]]
    reasons = {Path(file).name: reason for _, file, reason, _ in found.quarantine.rows()}
    not_wanted = {reason: count for _, outcome, reason, count in found.tally.rows() if outcome == "not_wanted"}
    return used, reasons, not_wanted


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def in_time() -> Iterator[None]:
    """The test ends within a minute, however loaded the machine: what it looks for would take hours."""
    with _at_most(60):
        yield


@pytest.fixture
def at_most():
    return _at_most


@pytest.fixture
def collect_one():
    return collected


def png(width: int, height: int, rows: bytes = b"\0") -> bytes:
    """A grey PNG of this size whose compressed data is ``rows``."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


@pytest.fixture
def make_png():
    return png


