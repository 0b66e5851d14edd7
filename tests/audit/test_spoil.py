"""What is called spoilt is spoilt, and nothing else is."""

import numpy as np
import polars as pl
import pytest

from audit.spoil import KINDS, MIN_SHIFT, spoil
from wreckognize import boxes as bx
from wreckognize.audit.agreement import boxes_by_photo
from wreckognize.catalog import LABEL_SCHEMA

NOTHING = (bx.as_boxes([]), np.zeros(0, np.float32))


@pytest.fixture(scope="module")
def given():
    rng = np.random.default_rng(0)
    photos, labels = [], []
    for number in range(300):
        name, role = f"p{number:03}", ("damaged", "normal", "background")[number % 3]
        width, height = (640, 640) if number % 2 else (400, 300)
        photos.append((name, "train", role, width, height))
        for _ in range(int(rng.integers(1, 4)) if role != "background" else 0):
            corner = rng.uniform(0, 0.5, 2) * (width, height)
            side = rng.uniform(0.2, 0.5, 2) * (width, height)
            labels.append((name, "train", *corner, *(corner + side), "vehicle", "teacher", float(rng.random())))
    schema = ["photo", "split", "role", "width", "height"]
    return (
        pl.DataFrame(photos, schema=schema, orient="row"),
        pl.DataFrame(labels, schema=LABEL_SCHEMA, orient="row"),
    )


@pytest.fixture(scope="module")
def done(given):
    photos, labels = given
    bad, spoilt = spoil(photos, labels, 0.1, seed=5)
    return boxes_by_photo(labels), boxes_by_photo(bad), spoilt


def test_a_tenth_is_spoilt_each_kind_as_often(done):
    _, _, spoilt = done
    assert spoilt.height == pytest.approx(30, abs=1)
    counts = dict(spoilt["kind"].value_counts().iter_rows())
    assert set(counts) == set(KINDS)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_the_other_photos_keep_their_labels(done):
    before, after, spoilt = done
    for photo in set(before) | set(after):
        if photo not in set(spoilt["photo"]):
            assert np.array_equal(before[photo][0], after[photo][0])


def test_each_kind_does_what_it_says(done, given):
    before, after, spoilt = done
    roles = dict(given[0].select("photo", "role").iter_rows())
    partners = 0
    for photo, kind in spoilt.iter_rows():
        old, new = (table.get(photo, NOTHING)[0] for table in (before, after))
        overlap = bx.iou(old, new)
        if kind == "moved":
            assert len(new) == len(old)
            same = (overlap > 0.999).any(axis=1)
            assert (~same).sum() == 1
            assert bx.iou(old[~same], new).max() <= (1 - MIN_SHIFT) / 1 + 1e-6
        elif kind == "dropped":
            assert len(new) == len(old) - 1
            assert (overlap > 0.999).any(axis=0).all()
        elif kind == "added":
            assert len(new) == len(old) + 1
            assert (overlap > 0.999).any(axis=1).all()
        else:
            partners += roles[photo] == "background"
            assert len(new) != len(old) or not np.allclose(new, old)
    assert partners > 0


def test_the_seed_decides(given):
    photos, labels = given
    first, again, other = (spoil(photos, labels, 0.1, seed=seed)[0] for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)
