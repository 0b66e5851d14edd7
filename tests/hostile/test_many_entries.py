"""A folder of very many entries: listed one by one, in little memory, and in time that grows with their number."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from wreckognize.collect import tree_signature
from wreckognize.collect.ledger import Ledger
from wreckognize.collect.pairing import pair
from wreckognize.collect.walk import File, find_photos

NUMBER = int(os.environ.get("WRECKOGNIZE_ENTRIES", "20000"))
"""`make spoiled` takes a million."""
BYTES_EACH = 450
"""The entry itself, its name, and its place in two lists; a million take less than half a gigabyte."""

pytestmark = [pytest.mark.usefixtures("in_time")] if NUMBER <= 100_000 else []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Empty files; a third are no photos."""
    place = tmp_path_factory.mktemp("many") / "images"
    place.mkdir()
    descriptor = os.open(place, os.O_RDONLY)
    try:
        for number in range(NUMBER):
            name = f"{number:08}.{'txt' if number % 3 == 0 else 'jpg'}"
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=descriptor))
    finally:
        os.close(descriptor)
    yield place
    for entry in os.scandir(place):
        os.unlink(entry.path)  # noqa: PTH108 - a million times


def test_listing_takes_little_memory_for_each(folder):
    ledger = Ledger("s")
    tracemalloc.start()
    try:
        photos = find_photos([folder], "images", ledger, frozenset())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    not_photos = (NUMBER + 2) // 3
    assert len(photos) == NUMBER - not_photos
    assert ledger.tally_table().row(0) == ("s", "not_wanted", "not a photo by its extension", not_photos)
    assert peak < BYTES_EACH * NUMBER


def test_a_change_among_them_is_seen(folder):
    before = tree_signature([folder])
    (folder / "00000001.jpg").write_bytes(b"x")
    assert tree_signature([folder]) != before


def test_very_many_photos_of_one_stem_are_paired_in_linear_time():
    """``1.jpg`` in every claim's folder, without labels: grouping by the stem once took the square of their number."""
    number = max(NUMBER, 300_000)
    photos = [File(f"{place:07}/1.jpg", "/p") for place in range(number)]
    ledger = Ledger("s")
    pairs = pair(photos, [], ledger)
    assert len(pairs.unlabelled) == number
    assert ledger.failures == 0
