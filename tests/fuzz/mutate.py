"""Good files spoilt at random, by a seed: bytes, and where they are JSON or YAML also values."""

from __future__ import annotations

import json
import random
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**63,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "../../../etc/passwd",
    "/etc/passwd",
    "a\0b",
    "\ud800",
    "\u202egpj",
    "=1+1",
    "<script>",
    "9" * 5000,
    [],
    {},
    [[[[[[]]]]]],
    {"a": {"b": {}}},
    [1, 2, 3],
    ["10", "20", "30", "40"],
)
ODD_BYTES: tuple[bytes, ...] = (
    b"",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"NaN",
    b"1e999",
    b"-1",
    b"\n",
    b"[" * 2000,
    b'{"a":' * 2000,
    b"\xff\xda",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xed\xa0\x80",
    b": 1:1:1:1.5",
    b"&a [*a,*a]",
    b"!!python/object:os.system ",
    b"0x" + b"f" * 4000,
    b"<<: *a",
)


def mutate(seeds: list[bytes], seed: int) -> bytes:
    """One of the seeds, spoilt in one to four ways."""
    chance = random.Random(seed)
    data = chance.choice(seeds)
    if chance.random() < 0.5:
        data = _odd_value(data, chance)
    for _ in range(chance.randint(0, 3)):
        data = _odd_bytes(data, seeds, chance)
    return data[:200_000]


def _odd_value(data: bytes, chance: random.Random) -> bytes:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return data
    places = list(_places(content, ()))
    for place in chance.sample(places, min(len(places), chance.randint(1, 2))):
        content = _replaced(content, place, chance)
    try:
        return json.dumps(content).encode()
    except (ValueError, RecursionError):
        return data


def _places(value: Any, place: tuple[Any, ...]) -> Any:
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*place, key))


def _replaced(value: Any, place: tuple[Any, ...], chance: random.Random) -> Any:
    if not place:
        return chance.choice(ODD_VALUES)
    key, *rest = place
    try:
        inner = value[key]
    except (KeyError, IndexError, TypeError):
        return value
    if not rest and isinstance(value, dict) and chance.random() < 0.3:
        return {name: item for name, item in value.items() if name != key}
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = _replaced(inner, tuple(rest), chance)
    return copy


def _odd_bytes(data: bytes, seeds: list[bytes], chance: random.Random) -> bytes:
    place = chance.randint(0, len(data))
    end = min(len(data), place + chance.choice((1, 2, 4, 16, 100)))
    match chance.randrange(6):
        case 0:
            return data[:place]
        case 1:
            return data[:place] + data[end:]
        case 2:
            return data[:place] + data[place:end] * chance.choice((2, 5, 50)) + data[end:]
        case 3:
            return data[:place] + chance.choice(ODD_BYTES) + data[end if chance.random() < 0.5 else place :]
        case 4:
            other = chance.choice(seeds)
            return data[:place] + other[chance.randint(0, len(other)) :]
        case _:
            spoilt = bytearray(data)
            for _ in range(chance.choice((1, 1, 3, 20)) if spoilt else 0):
                spoilt[chance.randrange(len(spoilt))] = chance.choice((0, 255, 0x7F, 0x80, chance.randrange(256)))
            return bytes(spoilt)
