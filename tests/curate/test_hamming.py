"""The search for near hashes finds exactly the pairs that brute force finds, however the bits are split."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wreckognize.curate import hamming, near
from wreckognize.curate.hamming import near_pairs, popcount


def hashes_near(centres, count, flips, seed):
    """Hashes of a few centres, each with up to ``flips`` bits changed."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, centres, dtype=np.uint64)[rng.integers(0, centres, count)]
    for _ in range(flips):
        hashes ^= np.uint64(1) << rng.integers(0, 64, count, dtype=np.uint64)
    return hashes


def brute_force(hashes, distance):
    numbers = hashes.tolist()
    return [
        (left, right, (one ^ other).bit_count())
        for left, one in enumerate(numbers)
        for right, other in enumerate(numbers[left + 1 :], left + 1)
        if (one ^ other).bit_count() <= distance
    ]


def found(hashes, distance):
    return sorted(
        (int(left), int(right), int(apart))
        for block in near_pairs(hashes, distance)
        for left, right, apart in zip(*block, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 90),
    centres=st.integers(1, 6),
    flips=st.integers(0, 9),
    distance=st.integers(0, 14),
    chunks=st.integers(4, 8),
    dense=st.sampled_from([1, 30, 10**9]),
    block=st.sampled_from([4, 50, 1 << 20]),
    seed=st.integers(0, 99),
)
def test_every_split_finds_what_brute_force_finds(count, centres, flips, distance, chunks, dense, block, seed):
    hashes = hashes_near(centres, count, flips, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming, "_DENSE", dense)
        patch.setattr(hamming, "_BLOCK", block)
        assert found(hashes, distance) == brute_force(hashes, distance)
        patch.setattr(hamming, "_CHUNKS", (chunks,))
        patch.setattr(hamming, "_MASK_COST", 0)  # so that the split is taken for few hashes too
        patch.setattr(hamming, "_cost", lambda *_: -1)
        radii = sum(chunk.radius + 1 for chunk in hamming._plan(hashes, min(distance, 9)))
        assert radii == min(distance, 9) + 1
        assert found(hashes, min(distance, 9)) == brute_force(hashes, min(distance, 9))


@pytest.mark.parametrize("distance", [0, 1, 32, 63, 64])
def test_any_distance_will_do(distance):
    hashes = hashes_near(3, 60, 4, 0)
    assert found(hashes, distance) == brute_force(hashes, distance)


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_bits_are_counted_with_and_without_the_new_function(numbers):
    values = np.array(numbers, np.uint64)
    expected = [number.bit_count() for number in numbers]
    assert popcount(values).tolist() == expected
    assert hamming._popcount_by_table(values).tolist() == expected


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 120), flips=st.integers(0, 6), held=st.sampled_from([1, 20, 1 << 21]))
def test_links_are_the_minimum_spanning_forest_however_few_pairs_are_held(count, flips, held):
    hashes = hashes_near(3, count, flips, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "_HELD", held)
        left, right, apart, pairs = near._closest_hashes(hashes, 8)
    everything = brute_force(hashes, 8)
    assert pairs == len(everything)
    kept, group = [], list(range(count))  # Kruskal, slow and obvious
    for one, other, bits in sorted(everything, key=lambda edge: (edge[2], edge[0], edge[1])):
        if group[one] != group[other]:
            gone, stays = group[other], group[one]
            group = [stays if own == gone else own for own in group]
            kept.append((one, other, bits))
    assert sorted(zip(left.tolist(), right.tolist(), apart.tolist(), strict=True)) == sorted(kept)


def test_two_hundred_thousand_of_which_half_are_alike_take_seconds_and_little_memory():
    hashes = np.random.default_rng(0).integers(0, 2**64, 200_000, dtype=np.uint64)
    hashes[::2] = hashes[0]
    tracemalloc.start()
    began = time.process_time()
    left, _, _, pairs = near._closest_hashes(hashes, 6)
    seconds, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pairs >= 100_000 * 99_999 // 2
    assert len(left) >= 99_999
    assert peak < 150e6
    assert seconds < 20
