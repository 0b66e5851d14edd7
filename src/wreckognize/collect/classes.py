"""Class names as a study asks for them and as an annotation file has them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from wreckognize.errors import UsageError


def fold(name: str) -> str:
    """The form in which names are compared."""
    return name.strip().lower()


def require_known(classes: Iterable[str], known: Collection[str], where: str) -> None:
    """Check that every class asked for is there.

    Raises:
        UsageError: naming the nearest names and all there are.
    """
    names = {fold(name): name for name in known}
    unknown = [name for name in classes if fold(name) not in names]
    if not unknown:
        return
    near = [names[match] for name in unknown for match in difflib.get_close_matches(fold(name), names, n=2)]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(
        f"unknown class{'es' if len(unknown) > 1 else ''} {', '.join(map(repr, unknown))}",
        where=where,
        remedy=f"{hint}there are: {', '.join(sorted(known)) or 'none'}",
    )
