import errno
import os

import cv2
import numpy as np
import pytest

from wreckognize.training.store import choose, fill, kept_bytes

GB = 10**9


@pytest.mark.parametrize(
    ("wanted", "needed", "memory", "disk", "place", "short"),
    [
        ("auto", 4 * GB, 10 * GB, 0, "ram", False),
        ("auto", 4 * GB + 1, 10 * GB, 100 * GB, "disk", False),
        ("auto", 50 * GB, 10 * GB, 100 * GB, "disk", False),
        ("auto", 50 * GB + 1, 10 * GB, 100 * GB, "off", False),
        ("auto", 1, 0, 0, "off", False),  # a machine that does not say what it has
        ("off", 1, GB, GB, "off", False),
        ("ram", 8 * GB, 10 * GB, 0, "ram", False),
        ("ram", 9 * GB, 10 * GB, 100 * GB, "off", True),
        ("disk", 8 * GB, 100 * GB, 10 * GB, "disk", False),
        ("disk", 9 * GB, 100 * GB, 10 * GB, "off", True),
    ],
)
def test_photos_are_kept_where_they_leave_room(wanted, needed, memory, disk, place, short):
    budget = choose(wanted, needed, memory, disk)
    assert (budget.place, budget.short) == (place, short)
    assert budget.said.startswith("photos are ")


def test_a_refusal_says_how_much_is_wanted_and_allowed():
    said = choose("auto", 60 * GB, 10 * GB, 100 * GB).said
    assert said.endswith(
        "60,000 MB of 10,000 MB memory is more than 40%; 60,000 MB of 100,000 MB disk space is more than 50%"
    )


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (33, 97), (640, 480), (32, 32), (1, 300)])
def test_the_size_foretold_is_that_of_the_scaled_photo(size):
    """As `load_image` of the library rounds."""
    height, width = size
    ratio = 64 / max(size)
    wide, high = (min(-(-round(side * ratio * 1e9) // 10**9), 64) for side in (width, height))
    scaled = cv2.resize(np.zeros((height, width, 3), np.uint8), (int(wide), int(high)))
    assert kept_bytes(height, width, 64) == scaled.nbytes


PHOTOS = {f"{number}.jpg": np.full((number + 1, 4, 3), number, np.uint8) for number in range(40)}
SIZES = {name: pixels.nbytes for name, pixels in PHOTOS.items()}


def read(name):
    return PHOTOS[name], (100, int(name.removesuffix(".jpg")))


@pytest.mark.parametrize("place", ["ram", "disk"])
def test_kept_photos_come_back_as_copies_and_nothing_is_left_on_disk(tmp_path, place):
    store = fill(place, tmp_path, SIZES, read)
    assert list(tmp_path.iterdir()) == []
    assert (len(store), store.nbytes) == (40, sum(SIZES.values()))
    for name, pixels in PHOTOS.items():
        found, before = store.get(name)
        assert np.array_equal(found, pixels)
        assert before == read(name)[1]
        found[:] = 255  # augmentation draws in place
        assert np.array_equal(store.get(name)[0], pixels)
    assert store.get("other.jpg") is None


@pytest.mark.parametrize("place", ["ram", "disk"])
def test_a_photo_of_another_size_than_foretold_is_not_kept(tmp_path, place):
    store = fill(place, tmp_path, {**SIZES, "3.jpg": 5}, read)
    assert store.get("3.jpg") is None
    assert np.array_equal(store.get("4.jpg")[0], PHOTOS["4.jpg"])


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    plain, calls = os.pwrite, []

    def full(descriptor, data, offset):
        calls.append(offset)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain(descriptor, data[:7], offset)  # and a write may be short

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        fill("disk", tmp_path, SIZES, read)
    assert list(tmp_path.iterdir()) == []
