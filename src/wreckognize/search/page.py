"""A search as one HTML page: what was tried, what came of it, what mattered.

Like the report it holds no script, asks for nothing from a network, and names no absolute path.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from wreckognize.reporting.wording import duration, plural, visible
from wreckognize.search.records import Trial, best_of, count_outcomes, equal_best
from wreckognize.search.words import said_of_value
from wreckognize.settings import OBJECTIVES, Dimension, Objective

WIDTH, HEIGHT = 720.0, 260.0
"""Of the history's drawing, in its own units."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 14.0, 14.0, 34.0
_BAR = 420.0
_ORDER = ("complete", "running", "waiting", "pruned", "failed")
_NOT_SHOWN = ("interrupted", "surplus")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the page is made from.

    Attributes:
        study: its name.
        system: whose settings were searched.
        objective: what was looked for.
        asked: how many trials were asked for.
        judged: how many photos trials were judged on.
        backgrounds: how many of them show no vehicle.
        space: what varied.
        pruned_by: ``median`` or ``none``.
        trials: all, in the order they began.
        importances: of each field, from 0 to 1; empty where too few trials can tell.
        notes: what the reader must know besides.
    """

    study: str
    system: str
    objective: Objective
    asked: int
    judged: int
    backgrounds: int
    space: tuple[Dimension, ...]
    pruned_by: str
    trials: tuple[Trial, ...]
    importances: Mapping[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """A trial in the history. ``style`` is its CSS class, ``text`` what it says when pointed at."""

    x: float
    y: float
    style: str
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """The history of a search, drawn.

    Attributes:
        marks: trials.
        path: of the best figure so far, for an SVG ``path``.
        rows: heights and labels of the grid.
        columns: places and labels of some trials.
    """

    marks: tuple[Mark, ...]
    path: str
    rows: tuple[tuple[float, str], ...]
    columns: tuple[tuple[float, str], ...]


def history(trials: Sequence[Trial], best: Trial | None) -> History | None:
    """Draw the trials in the order they began; None if none came to its end."""
    shown = [trial for trial in trials if trial.outcome in ("complete", "pruned", "failed")]
    values = [trial.value for trial in shown if trial.value is not None]
    if not values:
        return None
    ticks = nice_ticks(min(values), max(values))
    low, high = ticks[0], ticks[-1]
    floor = HEIGHT - _BOTTOM

    def x_of(place: int) -> float:
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (place + 0.5) / len(shown), 1)

    def y_of(value: float) -> float:
        return round(floor - (floor - _TOP) * (value - low) / (high - low), 1)

    marks, path, top = [], "", -math.inf
    for place, trial in enumerate(shown):
        if trial.value is None:
            marks.append(Mark(x_of(place), floor - 8, trial.outcome, f"trial {trial.number}: {trial.outcome}"))
            continue
        style = "best" if best is not None and trial.number == best.number else "complete"
        marks.append(Mark(x_of(place), y_of(trial.value), style, f"trial {trial.number}: {trial.value:.4f}"))
        if trial.value > top:
            path += f"M{x_of(place)},{y_of(trial.value)}" if not path else f"H{x_of(place)}V{y_of(trial.value)}"
            top = trial.value
    path += f"H{WIDTH - _RIGHT}"
    every = max(1, math.ceil(len(shown) / 12))
    decimals = max(2, -math.floor(math.log10(ticks[1] - ticks[0])))
    return History(
        marks=tuple(marks),
        path=path,
        rows=tuple((y_of(tick), f"{tick:.{decimals}f}") for tick in ticks),
        columns=tuple((x_of(place), str(trial.number)) for place, trial in enumerate(shown) if place % every == 0),
    )


def nice_ticks(low: float, high: float) -> list[float]:
    """Round numbers at even steps from at or below ``low`` to at or above ``high``; at least two.

    >>> nice_ticks(0.912, 0.957)
    [0.91, 0.92, 0.93, 0.94, 0.95, 0.96]
    >>> nice_ticks(0.5, 0.5)
    [0.49, 0.495, 0.5, 0.505, 0.51]
    """
    if high - low < 1e-9:
        low, high = low - 0.01, high + 0.01
    size = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(size * factor for factor in (1, 2, 5, 10) if (high - low) / (size * factor) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def render(page: Page) -> str:
    """The whole page."""
    best = best_of(page.trials)
    shown = sorted(
        (trial for trial in page.trials if trial.outcome not in _NOT_SHOWN),
        key=lambda trial: (_ORDER.index(trial.outcome), -(trial.value or 0.0), trial.number),
    )
    largest = max(page.importances.values(), default=0.0) or 1.0
    environment = Environment(
        loader=PackageLoader("wreckognize.search"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"value": said_of_value, "duration": duration, "visible": visible, "plural": plural}
    return environment.get_template("search.html.j2").render(
        page=page,
        objective=OBJECTIVES[page.objective],
        best=best,
        as_it_stands=_as_it_stands(page.trials),
        equal=equal_best(page.trials),
        made=sum(trial.counts for trial in page.trials),
        outcomes=count_outcomes(page.trials),
        space=[(dimension.field, said_of_dimension(dimension)) for dimension in page.space],
        shown=shown,
        failures=[trial for trial in shown if trial.outcome == "failed"],
        history=history(page.trials, best),
        width=WIDTH,
        height=HEIGHT,
        left=_LEFT,
        right=WIDTH - _RIGHT,
        floor=HEIGHT - _BOTTOM,
        bars=[(field, share, round(_BAR * share / largest, 1)) for field, share in page.importances.items()],
        bar=_BAR,
    )


def _as_it_stands(trials: Sequence[Trial]) -> Trial | None:
    """The first trial, made with the system's own settings where these lie in the space; gone on with or not."""
    for trial in trials:
        if trial.as_it_stands and trial.outcome == "complete":
            return trial
    return None


def said_of_dimension(dimension: Dimension) -> str:
    """What a field may become.

    >>> said_of_dimension(Dimension(field="train.lr0", low=1e-5, high=1e-2, log=True))
    '1e-05 to 0.01, by order of magnitude'
    >>> said_of_dimension(Dimension(field="train.freeze", choices=(0, 10)))
    '0 or 10'
    """
    if dimension.choices:
        return " or ".join(said_of_value(choice) for choice in dimension.choices)
    text = f"{dimension.low:g} to {dimension.high:g}"
    if dimension.log:
        text += ", by order of magnitude"
    return text if dimension.step is None else f"{text} in steps of {dimension.step:g}"
