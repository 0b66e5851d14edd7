"""Photos are opened by the machines of a cluster: the catalog is the one that this process makes."""

from __future__ import annotations

from contextlib import contextmanager

import polars as pl
import pytest
from photographs import draw_photo

from wreckognize.collect import collect
from wreckognize.collect.opening import Elsewhere
from wreckognize.progress import Silent
from wreckognize.scale.storage import Storage
from wreckognize.settings import FolderSource, ScaleSettings

pytest.importorskip("ray", reason="needs the extra [ray]: make cluster")
from wreckognize.scale.executor import RayExecutor

PHOTOS, PART = 48, 4


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "photos"
    for number in range(PHOTOS):
        draw_photo(folder / f"{number % 5}" / f"{number:03}.jpg", number, width=900, height=700)
    (folder / "0" / "045.jpg").write_bytes(b"no photo")
    whole = (folder / "1" / "041.jpg").read_bytes()
    (folder / "1" / "041.jpg").write_bytes(whole[: len(whole) // 2])
    return FolderSource(name="s", type="folder", role="normal", images=folder, max_failed=0.5)


class Counting(Silent):
    """Calls back as often as parts are done, and keeps what is said."""

    def __init__(self, at_advance=lambda opened: None):
        self.opened, self.at_advance, self.said = 0, at_advance, []

    @contextmanager
    def task(self, description, *_, **__):
        self.description = description
        yield self

    def advance(self, count=1):
        if self.description.endswith("opening photos"):
            self.opened += count
            self.at_advance(self.opened)

    def note(self, text):
        """Nothing."""

    def say(self, text):
        self.said.append(text)


def same(one, other):
    for left, right in (
        (one.catalog.photos, other.catalog.photos),
        (one.catalog.boxes, other.catalog.boxes),
        (one.quarantine, other.quarantine),
        (one.tally, other.tally),
    ):
        assert left.equals(right)


@pytest.mark.slow
def test_a_node_killed_while_photos_are_opened_loses_and_doubles_none(two_nodes, source, tmp_path, monkeypatch):
    monkeypatch.setattr("wreckognize.collect.opening.PART_PHOTOS", PART)
    here = collect([source], seed=0)
    assert here.catalog.photos.height == PHOTOS - 2
    two_nodes.start_second()
    two_nodes.wait_for(2)

    def kill(opened):
        if opened >= PHOTOS // 2 and two_nodes.second is not None:
            two_nodes.kill_second()

    progress = Counting(kill)
    executor = RayExecutor(ScaleSettings(on="ray", address=two_nodes.address), say=progress.say)
    cache = tmp_path / "cache"
    try:
        elsewhere = Elsewhere(executor, cache, tmp_path / "fetched")
        there = collect([source], seed=0, progress=progress, cache=cache, elsewhere=elsewhere)
        assert two_nodes.second is None
        same(here, there)
        assert progress.opened == PHOTOS
        assert not list(cache.glob("parts-*"))
        changed = tmp_path / "photos" / "2" / "002.jpg"
        draw_photo(changed, 1002, width=900, height=700)
        again = collect([source], seed=0, progress=progress, cache=cache, elsewhere=elsewhere)
    finally:
        executor.close()
    same(collect([source], seed=0), again)
    assert progress.opened <= 2 * PHOTOS


def test_what_the_storage_has_must_be_what_was_copied(s3, source, tmp_path):
    from wreckognize.scale.fetching import FetchingHere

    url = s3.fill(tmp_path / "photos", "opened")
    copies = tmp_path / "fetched"
    copy = copies / "s" / "0"
    copy.parent.mkdir(parents=True)
    (tmp_path / "photos").rename(copy)
    moved = source.model_copy(update={"images": (copy,)})
    s3.put("opened/3/003.jpg", (copy / "4" / "004.jpg").read_bytes())
    executor = FetchingHere({str(copy): url}, Storage(s3.settings()))
    there = collect([moved], seed=0, elsewhere=Elsewhere(executor, tmp_path / "cache", copies))
    here = collect([moved], seed=0)
    assert here.catalog.photos.filter(pl.col("photo") != "s/3/003.jpg").equals(there.catalog.photos)
    assert "has other bytes" in there.quarantine.filter(pl.col("file").str.ends_with("003.jpg"))["reason"].item()
