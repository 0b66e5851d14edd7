"""The best trial as an entry of the study file."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from wreckognize.search.records import Trial
from wreckognize.search.words import said_of_value
from wreckognize.settings import OBJECTIVES, Objective
from wreckognize.study.reader import dump


def best_entry(
    name: str,
    written: Mapping[str, Any],
    trial: Trial,
    *,
    names: Collection[str],
    objective: Objective,
    photos: int,
) -> str:
    """YAML to be pasted under ``systems:``, with what it is in comments.

    Args:
        name: of the system that was searched.
        written: what the study file says of it.
        trial: the best one.
        names: of all systems of the study; the entry's is none of them.
        objective: what was looked for.
        photos: how many it was judged on.
    """
    entry: dict[str, Any] = copy.deepcopy(dict(written))
    for field, value in trial.values.items():
        section, _, key = field.partition(".")
        if key:
            entry[section] = {**(entry.get(section) or {}), key: value}
        else:
            entry[section] = value
    free = (f"{name}-best{number or ''}" for number in range(len(names) + 1))
    taken = {other.lower() for other in names}
    chosen = next(candidate for candidate in free if candidate.lower() not in taken)
    tried = "".join(f"#   {field}: {said_of_value(value)}\n" for field, value in trial.values.items())
    return (
        f"# Trial {trial.number} of the search for {name}: {OBJECTIVES[objective]} {trial.value:.4f}\n"
        f"# on {photos} validation photos.\n"
        f"# Searched:\n{tried}"
        "# That figure is optimistic: it is the best of several, on photos that also chose the epoch. Paste this\n"
        "# under `systems:` in the study file; `wreckognize run` trains it, and the locked test set judges it once.\n"
        f"{dump({chosen: entry})}"
    )
