"""Every pair of 64-bit hashes that differ in few bits: exact, for half a million of them.

The bits are split into chunks. If two hashes differ in at most ``d`` bits, then for any radii ``r`` with
``sum(r + 1) = d + 1`` there is a chunk in which they differ in at most its radius: else they would differ in at least
``d + 1``. (Multi-index hashing: Norouzi, Punjani, Fleet 2012, "Fast search in Hamming space with multi-index
hashing"; unequal radii: Qin et al. 2018, "GPH: similarity search in Hamming space".) So it is enough to compare
hashes whose chunks are near. How many chunks are best depends on the hashes, as photos do not use all patterns alike:
the comparisons that each split would take are counted first, and all with all is one of the choices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

BITS = 64
_CHUNKS = (4, 5, 6, 7, 8)  # of 16 to 8 bits: a table of all values stays small
_BLOCK = 1 << 20  # comparisons at once: some 20 MB
_DENSE = 1024  # comparisons from which two buckets are worth a call of their own
_MASK_COST = 1 << 14  # comparisons that looking through one table takes as long as

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Some of the bits, and the radius within which two hashes are compared."""

    start: int
    width: int
    radius: int

    def values(self, hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The chunk's bits of each hash as a number."""
        return (hashes >> np.uint64(self.start)) & np.uint64((1 << self.width) - 1)

    def masks(self) -> list[int]:
        """In what two values may differ; 0 first."""
        return [
            sum(1 << place for place in places)
            for count in range(self.radius + 1)
            for places in combinations(range(self.width), count)
        ]


def near_pairs(hashes: NDArray[np.uint64], distance: int) -> Iterator[Pairs]:
    """All pairs of hashes that differ in at most ``distance`` bits, each once, in blocks, in no particular order.

    Memory does not depend on how many pairs there are; time does, where very many hashes are near one another.

    Args:
        hashes: ``(N,)``.
        distance: in bits, 0 to 64.

    Yields:
        Positions of both, ``(P,)`` each, the smaller first, and the bits in which they differ, ``(P,)``.
    """
    plan = _plan(hashes, distance)
    for number, chunk in enumerate(plan):
        values = chunk.values(hashes).astype(np.int64)
        order = np.argsort(values, kind="stable")
        for left, right, apart in _near_in_chunk(hashes[order], values[order], chunk, distance):
            one, other = order[left], order[right]
            differing = hashes[one] ^ hashes[other]
            new = np.ones(len(one), dtype=bool)
            for earlier in plan[:number]:  # near there as well: found before
                new &= popcount(earlier.values(differing)) > earlier.radius
            yield np.minimum(one, other)[new], np.maximum(one, other)[new], apart[new]


def _plan(hashes: NDArray[np.uint64], distance: int) -> list[_Chunk]:
    """The split of the bits that takes the fewest comparisons; one chunk of no bits if that is all with all."""
    best: list[_Chunk] = [_Chunk(0, 0, 0)]
    least = len(hashes) ** 2 // 2
    for chunks in _CHUNKS:
        edges = [BITS * number // chunks for number in range(chunks + 1)]
        # As even as can be. The last chunk has the smallest radius, as perceptual hashes use fewer patterns there:
        # the first coefficient, a photo's mean, is above the median nearly always.
        radii = [(distance + chunks - number) // chunks - 1 for number in range(chunks)]
        plan = [
            _Chunk(start, end - start, radius)
            for start, end, radius in zip(edges[:-1], edges[1:], radii, strict=True)
            if radius >= 0
        ]
        cost = _cost(hashes, plan, least)
        if cost < least:
            best, least = plan, cost
    return best


def _cost(hashes: NDArray[np.uint64], plan: list[_Chunk], limit: int) -> int:
    """Comparisons that a plan takes; counting ends once they are ``limit`` or more."""
    if sum(comb(chunk.width, count) for chunk in plan for count in range(chunk.radius + 1)) * _MASK_COST >= limit:
        return limit
    cost = 0
    for chunk in plan:
        sizes = np.bincount(chunk.values(hashes).astype(np.int64), minlength=1 << chunk.width)
        numbers = np.arange(len(sizes))
        for mask in chunk.masks():
            cost += _MASK_COST + int(sizes @ sizes[numbers ^ mask]) // 2
            if cost >= limit:
                return limit
    return cost


def _near_in_chunk(
    hashes: NDArray[np.uint64], values: NDArray[np.int64], chunk: _Chunk, distance: int
) -> Iterator[Pairs]:
    """Pairs whose values differ in at most the chunk's radius, and whose hashes in at most ``distance`` bits.

    Args:
        hashes: sorted by ``values``.
        values: of the chunk's bits.
        chunk: which it is.
        distance: in bits.
    """
    count = 1 << chunk.width
    sizes = np.bincount(values, minlength=count)
    starts = np.cumsum(sizes) - sizes
    numbers = np.arange(count)
    for mask in chunk.masks():
        # Of two different buckets the smaller number is the left one; a bucket is compared with itself once.
        left = np.flatnonzero((sizes > (mask == 0)) & (sizes[numbers ^ mask] > 0) & (numbers <= numbers ^ mask))
        right = left ^ mask
        dense = sizes[left] * sizes[right] >= _DENSE
        for one, other in zip(left[dense].tolist(), right[dense].tolist(), strict=True):
            rows, columns = (slice(starts[at], starts[at] + sizes[at]) for at in (one, other))
            yield from _all_with_all(hashes, rows, columns, distance)
        yield from _few_with_few(hashes, starts, sizes, left[~dense], right[~dense], distance, same=mask == 0)


def _all_with_all(hashes: NDArray[np.uint64], rows: slice, columns: slice, distance: int) -> Iterator[Pairs]:
    """Pairs between two ranges, or within one."""
    side = int(_BLOCK**0.5)
    for top in range(rows.start, rows.stop, side):
        bottom = min(top + side, rows.stop)
        for begin in range(top if rows == columns else columns.start, columns.stop, side):
            end = min(begin + side, columns.stop)
            apart = popcount(hashes[top:bottom, None] ^ hashes[None, begin:end])
            near = apart <= distance
            if rows == columns and begin == top:
                near = np.triu(near, 1)
            one, other = np.nonzero(near)
            if len(one):
                yield one + top, other + begin, apart[one, other]


def _few_with_few(
    hashes: NDArray[np.uint64],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    distance: int,
    *,
    same: bool,
) -> Iterator[Pairs]:
    """Pairs between many pairs of small buckets, or (``same``) within many small buckets."""
    products = sizes[left] * sizes[right]
    ends = np.cumsum(products)
    at = 0
    while at < len(left):
        done = ends[at - 1] if at else 0
        stop = max(at + 1, int(np.searchsorted(ends, done + _BLOCK, side="right")))
        # One row for each comparison: which two buckets, and how far along in their product.
        which = np.repeat(np.arange(at, stop), products[at:stop])
        along = np.arange(len(which)) - np.repeat(ends[at:stop] - products[at:stop] - done, products[at:stop])
        width = sizes[right[which]]
        one, other = starts[left[which]] + along // width, starts[right[which]] + along % width
        apart = popcount(hashes[one] ^ hashes[other])
        near = apart <= distance
        if same:
            near &= one < other
        if near.any():
            yield one[near], other[near], apart[near]
        at = stop


def popcount(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """How many bits are set, of each.

    >>> popcount(np.array([0, 5, 2**64 - 1], np.uint64)).tolist()
    [0, 2, 64]
    """
    if hasattr(np, "bitwise_count"):
        counted: NDArray[np.uint8] = np.bitwise_count(values)
        return counted
    return _popcount_by_table(values)  # NumPy 1.26


_BITS_OF_OCTET = np.array([number.bit_count() for number in range(1 << 8)], np.uint8)


def _popcount_by_table(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    octets = np.ascontiguousarray(values).view(np.uint8).reshape(*values.shape, 8)
    counted: NDArray[np.uint8] = _BITS_OF_OCTET[octets].sum(axis=-1, dtype=np.uint8)
    return counted
