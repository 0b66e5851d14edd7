"""Photos that show nearly the same: a perceptual hash, embeddings, and an exact search over both.

Neither search misses a pair, as buckets that are cut off at a size would. Hashes are searched by `hamming` (half a
million photos: seconds); embeddings are compared with one another as blocks of a matrix product (20,000 photos: a few
seconds, growing with the square).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.curate.groups import LINK_SCHEMA, connect, connected_components
from wreckognize.curate.hamming import near_pairs

HASH_SCHEMA = pl.Schema({"photo": pl.String, "hash": pl.String})
"""``hash``: 16 hexadecimal digits, null for a photo in which there is too little to see."""

HASH_BITS = 64
MIN_STRUCTURE = 2.0
"""Photos whose hash would rest on less have none; see `perceptual_hash`."""

_SIDE, _LOW = 32, 8
_BLOCK = 1024
_HELD = 1 << 21  # pairs of hashes at a time: some 100 MB while their forest is made
_MANY, _MANY_SHARE = 20, 0.1

_Edges: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """Pairs of photos that show nearly the same.

    Attributes:
        links: ``LINK_SCHEMA``: as many pairs as it takes to connect what is connected over all pairs: the closest
            ones of hashes, of embeddings the closest of each block of the search.
        pairs: how many pairs there are in all.
        compared: photos that were compared.
    """

    links: pl.DataFrame
    pairs: int
    compared: int

    def join(self, _photos: pl.DataFrame) -> pl.DataFrame:
        """The links, as a `Join` of groups."""
        return self.links


def perceptual_hash(pixels: NDArray[np.uint8]) -> str | None:
    """What a photo looks like from afar, in 64 bits; a copy in another size or quality has nearly the same.

    The photo is made grey and scaled to 32 x 32 by area, whatever its shape; of its discrete cosine transform the
    lowest 8 x 8 coefficients are kept, and a bit says whether a coefficient is above their median (pHash: Zauner
    2010, "Implementation and benchmarking of perceptual image hash functions").

    A photo of one colour, of a plain gradient or of noise has coefficients of nearly nothing, whose order is the
    order of noise: its copies would not be found, and photos of one colour would all be alike. Where half of the
    coefficients lie below `MIN_STRUCTURE` grey levels there is therefore no hash. (Measured: blank, noisy, dark and
    graded pictures up to 1.6, pages of text from 5, 1,458 photos of cars and streets from 13.8.)

    Args:
        pixels: ``(H, W, 3)`` BGR, as shown.

    Returns:
        16 hexadecimal digits, or None.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.float32)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small)[:_LOW, :_LOW].ravel()
    if np.median(np.abs(low[1:])) < MIN_STRUCTURE:
        return None
    return np.packbits(low > np.median(low)).tobytes().hex()


def hash_bits(hashes: pl.Series) -> NDArray[np.float32]:
    """Hashes (no nulls) as ``(N, 64)`` of +1 and -1."""
    octets = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(len(hashes), HASH_BITS // 8)
    return np.unpackbits(octets, axis=1).astype(np.float32) * 2 - 1


def near_hashes(hashes: pl.DataFrame, distance: int) -> Near:
    """Pairs of photos whose hashes differ in at most ``distance`` bits of 64.

    Args:
        hashes: ``HASH_SCHEMA``; photos without a hash are near to none.
        distance: in bits.
    """
    known = hashes.drop_nulls("hash").sort("photo")
    photos = known.get_column("photo")
    left, right, apart, pairs = _closest_hashes(_as_numbers(known.get_column("hash")), distance)
    return Near(links=_links(photos, left, right, "hash", apart), pairs=pairs, compared=len(photos))


def near_embeddings(embeddings: pl.DataFrame, cosine: float, blank: pl.Series) -> Near:
    """Pairs of photos in which a detector sees nearly the same.

    Args:
        embeddings: ``photo`` and ``embedding``, lists of equally many float32, of length 1.
        cosine: the least cosine of two embeddings.
        blank: names of photos in which there is too little to see (no hash); they are near to none.

    Raises:
        ValueError: an embedding is not finite.
    """
    known = embeddings.join(blank.to_frame("photo"), on="photo", how="anti").sort("photo")
    lists = known.get_column("embedding")
    width = len(lists[0]) if len(lists) else 1
    vectors: NDArray[np.float32] = lists.cast(pl.List(pl.Float32)).list.to_array(width).to_numpy()
    broken = ~np.isfinite(vectors).all(axis=1)
    if broken.any():
        raise ValueError(f"the embedding of {known.get_column('photo')[int(broken.argmax())]!r} is not finite")
    photos = known.get_column("photo")
    left, right, product, pairs = spanning_pairs(vectors, cosine)
    apart = 1 - product.astype(np.float64)
    return Near(links=_links(photos, left, right, "embedding", apart), pairs=pairs, compared=len(photos))


def too_coarse(near: Near) -> int | None:
    """How many photos stand in one group by these links alone, if that is too many to be believed.

    A detector that was not trained on the like of these photos sees the same in all of them. Groups made of that
    would leave nothing to split. More than 20 photos *and* more than a tenth in one group count as too many.
    """
    if near.links.is_empty():
        return None
    names = pl.concat([near.links.get_column("left"), near.links.get_column("right")]).unique()
    largest = connect(names.to_frame("photo"), near.links).get_column("group").value_counts()["count"].max()
    assert isinstance(largest, int)
    return largest if largest > max(_MANY, _MANY_SHARE * near.compared) else None


def _links(
    photos: pl.Series,
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    reason: str,
    distance: NDArray[np.number],
) -> pl.DataFrame:
    columns = {
        "left": photos.gather(left),
        "right": photos.gather(right),
        "reason": pl.repeat(reason, len(left), eager=True),
        "distance": distance.astype(np.float64),
    }
    return pl.DataFrame(columns, schema=LINK_SCHEMA).sort("left", "right")


def _as_numbers(hashes: pl.Series) -> NDArray[np.uint64]:
    return np.frombuffer(bytes.fromhex("".join(hashes)), dtype=">u8").astype(np.uint64)


def _closest_hashes(
    hashes: NDArray[np.uint64], distance: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], int]:
    """The closest pairs that connect what all pairs connect; of equally close ones, those of the first rows.

    Equal hashes are searched for once, and linked with the first of their kind. Of the pairs, however many, only some
    are held at a time: what has no place in the forest of a part has none in the forest of the whole.

    Returns:
        Rows of each pair, the smaller first, and the bits between them, ``(P,)`` each; the number of all pairs.
    """
    _, first, which, counts = np.unique(hashes, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first)
    rows, counts = first[order].astype(np.int64), counts[order].astype(np.int64)
    pairs = int((counts * (counts - 1) // 2).sum())
    kept: _Edges = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8))
    waiting: list[_Edges] = []
    held = 0
    closer: NDArray[np.int32] | None = None
    for left, right, apart in near_pairs(hashes[rows], distance):
        pairs += int(counts[left] @ counts[right])
        if closer is not None:
            useful = closer[apart, left] != closer[apart, right]
            left, right, apart = left[useful], right[useful], apart[useful]
        waiting.append((left, right, apart))
        held += len(left)
        if held >= _HELD:
            kept, waiting, held = _forest([kept, *waiting], len(rows)), [], 0
            closer = _joined_by_closer(kept, len(rows), distance)
    left, right, apart = _forest([kept, *waiting], len(rows))
    copies = np.flatnonzero(first[which] != np.arange(len(hashes))).astype(np.int64)
    return (
        np.concatenate([first[which[copies]].astype(np.int64), rows[left]]),
        np.concatenate([copies, rows[right]]),
        np.concatenate([np.zeros(len(copies), np.float32), apart.astype(np.float32)]),
        pairs,
    )


def _forest(parts: Sequence[_Edges], count: int) -> _Edges:
    """A minimum spanning forest of all these edges, (left, right, apart); of equal ones those of the first rows."""
    left, right, apart = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((right, left))
    left, right, apart = left[order], right[order], apart[order]
    chosen = _spanning(left, right, -apart.astype(np.float32), count)
    return left[chosen], right[chosen], apart[chosen]


def _joined_by_closer(edges: _Edges, count: int, distance: int) -> NDArray[np.int32]:
    """``(distance + 1, count)``: the component of each row over the edges that are closer than 0, 1, 2 ... bits.

    A further edge within such a component can have no place in a minimum spanning forest.
    """
    left, right, apart = edges
    return np.stack(
        [connected_components(count, left[apart < bits], right[apart < bits]) for bits in range(distance + 1)]
    )


def spanning_pairs(
    vectors: NDArray[np.float32], at_least: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], int]:
    """Enough of the pairs with a scalar product of at least ``at_least`` to connect what all of them connect.

    Args:
        vectors: ``(N, D)``.
        at_least: of the product, taken in float32.

    Returns:
        Rows of each pair, the smaller first, and its product, ``(P,)`` each with P < N; the number of all pairs.
    """
    count = len(vectors)
    labels = np.arange(count)
    kept: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
    pairs = 0
    for top in range(0, count, _BLOCK):
        rows = slice(top, top + _BLOCK)
        for start in range(top, count, _BLOCK):
            columns = slice(start, start + _BLOCK)
            product = vectors[rows] @ vectors[columns].T
            near = product >= np.float32(at_least)
            if start == top:
                near = np.triu(near, 1)
            found = int(np.count_nonzero(near))
            if not found:
                continue
            pairs += found
            near &= labels[rows, None] != labels[None, columns]
            left, right = (ends + offset for ends, offset in zip(np.nonzero(near), (top, start), strict=True))
            if len(left):
                values = product[left - top, right - start]
                chosen = _spanning(labels[left], labels[right], values, count)
                kept.append((left[chosen], right[chosen], values[chosen]))
                labels = _joined(labels, left[chosen], right[chosen])
    if not kept:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, np.zeros(0, np.float32), pairs
    left, right, values = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return left, right, values, pairs


def _joined(labels: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """``labels`` (a row of each row's component) after further rows were linked."""
    everyone = np.arange(len(labels))
    components = connected_components(
        len(labels), np.concatenate([everyone, left]), np.concatenate([labels, right])
    )
    return np.unique(components, return_index=True)[1][components]


def _spanning(
    left: NDArray[np.int64], right: NDArray[np.int64], values: NDArray[np.float32], count: int
) -> NDArray[np.int64]:
    """Which edges between components form a spanning forest, the highest values first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    order = np.argsort(-values, kind="stable")
    low, high = np.minimum(left, right)[order], np.maximum(left, right)[order]
    first = np.unique(low * count + high, return_index=True)[1]  # the best edge between two components
    first.sort()
    weights = np.arange(1, len(first) + 1)
    edges = coo_array((weights, (low[first], high[first])), shape=(count, count))
    tree = minimum_spanning_tree(edges.tocsr())
    return np.sort(order[first[tree.data.astype(np.int64) - 1]])
