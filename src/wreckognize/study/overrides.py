"""``--set KEY=VALUE``: any field of a study from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wreckognize.errors import StudyError
from wreckognize.study.problems import Problems, show
from wreckognize.study.reader import Key, parse_value

SECTIONS = (
    "study",
    "seed",
    "notice",
    "sources",
    "reviews",
    "groups",
    "split",
    "teacher",
    "systems",
    "evidence",
    "search",
)
"""The keys of a study file, in their usual order."""


def apply_overrides(content: dict[str, Any], overrides: Sequence[str], problems: Problems) -> None:
    """Write each ``key=value`` into ``content``, in order; what cannot be written is noted in ``problems``.

    A source goes by its name or its number, and a value is read as YAML: ``systems.ver5.train.epochs=5``,
    ``sources.showroom.limit=10``, ``teacher.classes=[car]``. Sections that are not there are made.
    """
    for override in overrides:
        _apply(content, override, problems)


def _apply(content: dict[str, Any], override: str, problems: Problems) -> None:
    name, equals, text = override.partition("=")
    name = name.strip()
    problems.sets[("--set", override)] = override  # so that problems of this text name it as their place
    if not equals or not name:
        problems.add(("--set", override), show(override), "KEY=VALUE", "e.g. --set systems.ver5.train.epochs=5")
        return
    try:
        value = parse_value(text, f"--set {override}")
    except StudyError as error:
        problems.found.extend(error.problems)
        return
    container: Any = content
    key: Key = ()
    rest = name
    while True:
        part, rest = _next_part(container, rest)
        place = _position(container, part)
        if place is None:
            problems.sets[(*key, part)] = override
            if isinstance(container, list):
                problems.unknown(
                    (*key, part), part, names_in(container), "source" if key == ("sources",) else "entry"
                )
            else:
                problems.add(
                    (*key, part), f"{show(container)} at {name.removesuffix(part)!r}", "a section of keys"
                )
            return
        if not rest:
            container[place] = value
            problems.sets[(*key, place)] = override
            return
        if (not key and place not in SECTIONS) or (key == ("systems",) and place not in container):
            problems.sets[(*key, place)] = override
            problems.unknown((*key, place), part, container if key else SECTIONS, "system" if key else "key")
            return
        if isinstance(container, dict) and container.get(str(place)) is None:
            container[str(place)] = {}
        container, key = container[place], (*key, place)


def _next_part(container: Any, rest: str) -> tuple[str, str]:
    """Split off the next part of a dotted key; names that are there and hold dots themselves come first."""
    fitting = [name for name in names_in(container) if rest == name or rest.startswith(f"{name}.")]
    if fitting:
        part = max(fitting, key=len)
        return part, rest[len(part) + 1 :]
    part, _, rest = rest.partition(".")
    return part, rest


def _position(container: Any, part: str) -> str | int | None:
    """Where in a section or list a part points; ``None`` where it cannot point."""
    if isinstance(container, dict):
        return part
    if not isinstance(container, list):
        return None
    for index, item in enumerate(container):
        if isinstance(item, dict) and item.get("name") == part:
            return index
    return int(part) if part.isascii() and part.isdecimal() and int(part) < len(container) else None


def names_in(container: Any) -> list[str]:
    """The names in a section, or of the entries of a list that have one; empty and odd ones are left out."""
    if isinstance(container, dict):
        return [name for name in container if name]
    if isinstance(container, list):
        names = [item["name"] for item in container if isinstance(item, dict) and "name" in item]
        return [name for name in names if isinstance(name, str) and name]
    return []
