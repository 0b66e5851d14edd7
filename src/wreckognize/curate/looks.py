"""How often the test set has been looked at.

A test set that is looked at again and again, with settings changed after each look, is being fitted; its figures
become too good. No tool can forbid it, but a reader can be told. A run's folder keeps one JSON line for each time
that figures on the test set were computed anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from wreckognize.errors import LockError


class Look(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures on the test set were computed.

    Attributes:
        when: UTC, ISO 8601.
        what: names of the systems that were judged.
        digest: sha256 over the predictions that the figures came from, the threshold they were read at, and the truth
            they were judged by.
    """

    when: str
    what: tuple[str, ...]
    digest: str


def read_looks(text: str, *, where: str = "") -> tuple[Look, ...]:
    """Looks from their lines, the first one first.

    Args:
        text: JSON lines, as `add_look` gives them.
        where: the file, for the error.

    Raises:
        LockError: a line is not a look.
    """
    looks = []
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), 1):
        try:
            looks.append(msgspec.json.decode(line, type=Look))
        except (msgspec.DecodeError, UnicodeError) as error:
            raise LockError(
                f"line {number} is not the record of a look at the test set: {error}",
                where=where,
                remedy="put the file back as the run wrote it, or start a new run in another folder with --out DIR",
            ) from error
    return tuple(looks)


def add_look(text: str, look: Look) -> str:
    r"""``text`` with one more line; as it was if these predictions were looked at before.

    >>> once = add_look("", Look(when="2026-11-22T10:00:00+00:00", what=("ver6",), digest="a1"))
    >>> once
    '{"when":"2026-11-22T10:00:00+00:00","what":["ver6"],"digest":"a1"}\n'
    >>> add_look(once, Look(when="2026-11-23T10:00:00+00:00", what=("ver6",), digest="a1")) == once
    True
    """
    if any(before.digest == look.digest for before in read_looks(text)):
        return text
    return f"{text}{msgspec.json.encode(look).decode()}\n"


def count_looks(looks: Sequence[Look]) -> int:
    """How often the test set has been looked at; the same predictions count once."""
    return len({look.digest for look in looks})


def looks_by_system(looks: Sequence[Look]) -> dict[str, int]:
    """How many different predictions of each system were judged, by name."""
    seen: dict[str, set[str]] = {}
    for look in looks:
        for name in look.what:
            seen.setdefault(name, set()).add(look.digest)
    return {name: len(digests) for name, digests in sorted(seen.items())}
