"""What is known of a search's trials, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from wreckognize.settings import OBJECTIVES, Objective

SUMMARY_FILE = "summary.json"

Outcome = Literal["complete", "pruned", "failed", "interrupted", "surplus", "running", "waiting"]
"""``interrupted``: its process ended, and another trial goes on with it; ``surplus``: begun at the same moment as the
last one by another machine, and dropped; ``waiting``: to be gone on with."""

_COUNTED = ("complete", "pruned", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial.

    Attributes:
        number: from 0, in the order they began.
        outcome: what became of it.
        values: what was tried, by field.
        value: the objective; None unless complete.
        figures: all figures by name; empty unless complete.
        curve: the figure after each epoch that the pruner looked at.
        reason: why it failed or was pruned.
        seconds: of training and looking; None if it did not come to its end.
        epochs_run: how many epochs it trained.
        same_as: the trial of the very same settings whose figures it took over; None if it was trained.
        origin: the trial it goes on with; None if it began anew.
        as_it_stands: whether it has the settings that the system has in the study.
    """

    number: int
    outcome: Outcome
    values: Mapping[str, Any]
    value: float | None = None
    figures: Mapping[str, float | None] = field(default_factory=dict)
    curve: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""
    seconds: float | None = None
    epochs_run: int | None = None
    same_as: int | None = None
    origin: int | None = None
    as_it_stands: bool = False

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that were asked for, done with."""
        return self.outcome in _COUNTED


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSummary:
    """``search/summary.json``: what the report says of a search.

    Attributes:
        system: whose settings were searched.
        objective: what was looked for.
        made: how many trials were made.
        judged: how many validation photos they were judged on.
        best: the best figure; None if no trial came to its end.
        key: names the search: the same system, space, photos and settings have the same one.
    """

    system: str
    objective: Objective
    made: int
    judged: int
    best: float | None
    key: str = ""

    def in_words(self) -> str:
        """One sentence."""
        return (
            f"The settings of {self.system} were searched here: {self.made} trials on {self.judged} validation photos, "
            f"best {OBJECTIVES[self.objective]} {self.best:.4f}. The search did not use the test set."
        )


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest objective, of equal ones the first; None if none came to its end."""
    done = [trial for trial in trials if trial.outcome == "complete" and trial.value is not None]
    return max(done, key=lambda trial: (trial.value or 0.0, -trial.number)) if done else None


def equal_best(trials: Sequence[Trial]) -> int:
    """How many trials that were trained share the highest objective."""
    best = best_of(trials)
    return sum(
        trial.outcome == "complete" and trial.same_as is None and best is not None and trial.value == best.value
        for trial in trials
    )


def count_outcomes(trials: Sequence[Trial]) -> dict[Outcome, int]:
    """How many trials came to each end; only ends that there are."""
    counts: dict[Outcome, int] = {}
    for trial in trials:
        counts[trial.outcome] = counts.get(trial.outcome, 0) + 1
    return counts
