"""Trials in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wreckognize.search.records import Trial
from wreckognize.search.space import label
from wreckognize.settings import OBJECTIVES, Objective


def said_of_values(values: Mapping[str, Any]) -> str:
    """Settings as ``--set`` would take them.

    >>> said_of_values({"train.lr0": 0.001, "train.freeze": 10})
    'train.lr0=0.001, train.freeze=10'
    """
    return ", ".join(f"{field}={said_of_value(value)}" for field, value in values.items())


def said_of_value(value: Any) -> str:
    """One value; small numbers with an exponent.

    >>> said_of_value(0.00002), said_of_value("frame"), said_of_value([0, 1])
    ('2e-05', 'frame', '[0, 1]')
    """
    return f"{value:.6g}" if isinstance(value, float) else label(value)


def said_of_trial(trial: Trial, best: Trial | None, objective: Objective) -> str:
    """One trial and what came of it, in a line."""
    head = f"trial {trial.number} ({said_of_values(trial.values)})"
    if trial.outcome == "pruned":
        return f"{head}: ended early {trial.reason}"
    if trial.value is None:
        return f"{head}: {trial.outcome}: {trial.reason}"
    same = f" (the same as trial {trial.same_as})" if trial.same_as is not None else ""
    text = f"{head}: {OBJECTIVES[objective]} {trial.value:.4f}{same}"
    if best is None:
        return text
    return f"{text}, the best so far" if best.number == trial.number else f"{text}; best {best.value:.4f}"
