"""Drawing lots: an order as good as random that is the same on every machine, whatever the libraries' versions.

A name's place depends on nothing but the seed, the purpose and the name itself, so it does not move when other photos
come or go, and a smaller draw is part of a larger one. The purpose matters: two draws that used one order would take
the same photos, and what is left of one would be all that the other wants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256

import polars as pl


def lot(*words: object) -> bytes:
    """32 bytes to sort by, from a seed, a purpose and a name.

    >>> lot(0, "limit", "street/a.jpg").hex()[:8]
    '2eb14b73'
    """
    return sha256(":".join(map(str, words)).encode()).digest()


def lots_by(*words: object) -> Callable[[str], bytes]:
    """`lot` of the last word, the others being the same: faster for very many.

    >>> lots_by(0, "limit")("street/a.jpg") == lot(0, "limit", "street/a.jpg")
    True
    """
    before = "".join(f"{word}:" for word in words).encode()
    return lambda word: sha256(before + word.encode()).digest()


def lots(names: Iterable[str], *words: object) -> pl.Series:
    """A binary column ``lot``: that of each name, drawn with ``words`` (a seed, a purpose) before it."""
    return pl.Series("lot", [lot(*words, name) for name in names], dtype=pl.Binary)


def number(*words: object) -> int:
    """A lot as a whole number below 2^64."""
    return int.from_bytes(lot(*words)[:8])
