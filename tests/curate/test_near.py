"""The hash finds copies, the search misses no pair, and photos that show nothing are near to none."""

from __future__ import annotations

import time
import tracemalloc

import cv2
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dctn

from wreckognize.curate import near
from wreckognize.curate.groups import LINK_SCHEMA, connect
from wreckognize.curate.near import HASH_SCHEMA, near_embeddings, near_hashes, perceptual_hash, too_coarse

NO_PHOTOS = pl.Series("photo", [], dtype=pl.String)


def scene(seed, side=320):
    """Blurred blotches: structure at all scales, as a photo has."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)
    fine = rng.integers(-12, 12, (side, side, 3))
    return np.clip(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC) + fine, 0, 255).astype(np.uint8)


def encoded(pixels, quality):
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def bits_apart(left, right):
    return (int(left, 16) ^ int(right, 16)).bit_count()


def table(hashes):
    names = [f"a/{number:05}.jpg" for number in range(len(hashes))]
    return pl.DataFrame({"photo": names, "hash": list(hashes)}, schema=HASH_SCHEMA)


def vectors_table(vectors):
    names = [f"a/{number:05}.jpg" for number in range(len(vectors))]
    schema = {"photo": pl.String, "embedding": pl.List(pl.Float32)}
    return pl.DataFrame({"photo": names, "embedding": [list(vector) for vector in vectors]}, schema=schema)


def by_brute_force(names, is_near):
    """All pairs, one by one."""
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if is_near(a, b)]
    links = pl.DataFrame({"left": [a for a, _ in pairs], "right": [b for _, b in pairs]}, schema=["left", "right"])
    links = links.cast(pl.String).with_columns(reason=pl.lit("x"), distance=pl.lit(0.0))
    return links, connect(pl.DataFrame({"photo": names}, schema={"photo": pl.String}), links)


class TestHash:
    def test_the_bits_are_those_of_the_cosine_transform(self):
        pixels = scene(0, 64)
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.float64)
        low = dctn(grey.reshape(32, 2, 32, 2).mean(axis=(1, 3)), norm="ortho")[:8, :8].ravel()
        expected = "".join("1" if value > np.median(low) else "0" for value in low)
        assert perceptual_hash(pixels) == f"{int(expected, 2):016x}"

    @pytest.mark.parametrize(
        "change",
        [
            lambda pixels: encoded(pixels, 60),
            lambda pixels: cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
            lambda pixels: cv2.resize(pixels, (400, 250), interpolation=cv2.INTER_AREA),
            lambda pixels: cv2.convertScaleAbs(pixels, alpha=1.05, beta=5),
        ],
        ids=["quality 60", "half size", "stretched", "brighter"],
    )
    def test_a_copy_differs_in_few_bits(self, change):
        for seed in range(10):
            pixels = scene(seed)
            assert bits_apart(perceptual_hash(pixels), perceptual_hash(change(pixels))) <= 8

    def test_different_scenes_differ_in_many(self):
        hashes = [perceptual_hash(scene(seed)) for seed in range(30)]
        assert min(bits_apart(a, b) for i, a in enumerate(hashes) for b in hashes[:i]) > 10

    @pytest.mark.parametrize("side", [96, 640])
    def test_a_photo_that_shows_nothing_has_none(self, side):
        rng = np.random.default_rng(0)
        ramp = np.linspace(30, 220, side)[:, None, None] * np.ones((1, side, 3))
        for pixels in (np.full((side, side, 3), 200), rng.normal(10, 3, (side, side, 3)), ramp):
            assert perceptual_hash(encoded(np.clip(pixels, 0, 255).astype(np.uint8), 90)) is None

    def test_a_page_of_text_has_one(self):
        page = np.full((640, 480, 3), 250, np.uint8)
        rng = np.random.default_rng(1)
        for line in range(40, 600, 24):
            cv2.line(page, (30, line), (int(rng.integers(200, 450)), line), (40, 40, 40), 8)
        assert perceptual_hash(page) is not None


class TestSearch:
    @given(
        seeds=st.lists(st.integers(0, 4), max_size=40),
        flips=st.lists(st.sets(st.integers(0, 63), max_size=6), min_size=40, max_size=40),
        distance=st.integers(0, 12),
        block=st.sampled_from([3, 8, 64]),
    )
    def test_hashes_are_joined_as_by_brute_force(self, seeds, flips, distance, block):
        rng = np.random.default_rng(7)
        centres = [int.from_bytes(rng.bytes(8), "big") for _ in range(5)]
        hashes = [
            f"{centres[seed] ^ sum(1 << bit for bit in bits):016x}"
            for seed, bits in zip(seeds, flips, strict=False)
        ]
        photos = table(hashes)
        of = dict(photos.iter_rows())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(near, "_BLOCK", block)
            found = near_hashes(photos, distance)
        everything, groups = by_brute_force(
            photos["photo"].to_list(), lambda a, b: bits_apart(of[a], of[b]) <= distance
        )
        assert found.pairs == len(everything)
        assert found.compared == len(photos)
        assert found.links.schema == LINK_SCHEMA
        assert connect(photos, found.links).equals(groups)
        assert len(found.links) == len(photos) - groups["group"].n_unique()  # no link too many
        for left, right, reason, apart in found.links.iter_rows():
            assert (reason, apart) == ("hash", bits_apart(of[left], of[right]))
            assert apart <= distance

    @given(
        count=st.integers(0, 40),
        cosine=st.sampled_from([0.5, 0.9, 0.975]),
        block=st.sampled_from([3, 64]),
        seed=st.integers(0, 9),
    )
    def test_embeddings_are_joined_as_by_brute_force(self, count, cosine, block, seed):
        rng = np.random.default_rng(seed)
        vectors = rng.normal(size=(6, 8))[rng.integers(0, 6, count)] + rng.normal(0, 0.25, (count, 8))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        photos = vectors_table(vectors.astype(np.float32))
        names = photos["photo"].to_list()
        product = dict(zip(names, vectors, strict=True))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(near, "_BLOCK", block)
            found = near_embeddings(photos, cosine, NO_PHOTOS)
        everything, groups = by_brute_force(names, lambda a, b: product[a] @ product[b] >= cosine)
        assert found.pairs == len(everything)
        assert connect(photos, found.links).equals(groups)
        for left, right, _, distance in found.links.iter_rows():
            assert distance == pytest.approx(1 - product[left] @ product[right], abs=1e-5)

    def test_the_closest_pair_is_the_link(self):
        hashes = table(["00000000000000ff", "000000000000000f", "0000000000000000", "ffffffffffffffff"])
        assert near_hashes(hashes, 8).links.rows() == [
            ("a/00000.jpg", "a/00001.jpg", "hash", 4.0),
            ("a/00001.jpg", "a/00002.jpg", "hash", 4.0),
        ]

    def test_thousands_alike_are_a_chain_in_little_memory(self):
        photos = table(["0123456789abcdef"] * 6000)
        tracemalloc.start()
        began = time.process_time()
        found = near_hashes(photos, 8)
        seconds, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found.pairs == 6000 * 5999 // 2
        assert len(found.links) == 5999
        assert peak < 200e6
        assert seconds < 20

    def test_twenty_thousand_different_photos_take_seconds(self):
        rng = np.random.default_rng(0)
        photos = table([rng.bytes(8).hex() for _ in range(20_000)])
        began = time.process_time()
        assert near_hashes(photos, 8).pairs == 0
        assert time.process_time() - began < 20

    def test_photos_that_show_nothing_are_near_to_none(self):
        photos = table([None, None, "0123456789abcdef"])
        found = near_hashes(photos, 64)
        assert (found.pairs, found.compared) == (0, 1)
        embeddings = vectors_table(np.ones((3, 1), np.float32))
        blank = photos.filter(pl.col("hash").is_null())["photo"]
        assert near_embeddings(embeddings, 0.9, blank).pairs == 0
        assert near_embeddings(embeddings, 0.9, NO_PHOTOS).pairs == 3

    def test_nothing_in_nothing_out(self):
        assert near_hashes(table([]), 8).links.rows() == []
        assert near_embeddings(vectors_table([]), 0.9, NO_PHOTOS).links.rows() == []

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_an_embedding_that_is_not_finite_is_named(self, value):
        with pytest.raises(ValueError, match=r"a/00001\.jpg.* not finite"):
            near_embeddings(vectors_table([[1.0, 0.0], [value, 0.0]]), 0.9, NO_PHOTOS)


class TestTooCoarse:
    def near_of(self, sizes, alone=0):
        vectors = np.repeat(np.eye(len(sizes) + alone), [*sizes, *[1] * alone], axis=0)
        return near_embeddings(vectors_table(vectors), 0.9, NO_PHOTOS)

    def test_a_teacher_that_sees_the_same_everywhere_is_not_believed(self):
        assert too_coarse(self.near_of([30, 3], alone=40)) == 30

    def test_a_few_shots_of_one_car_are(self):
        assert too_coarse(self.near_of([20, 20, 5])) is None
        assert too_coarse(self.near_of([22, *[2] * 100])) is None
        assert too_coarse(self.near_of([], alone=5)) is None
