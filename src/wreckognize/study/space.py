"""The ``search`` section: what a search may vary, and systems made with other values than the study gives them.

A value is right if the system can be built with it, so a search refuses what a study refuses, in the same words.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StrictInt

from wreckognize.errors import Problem
from wreckognize.settings import Dimension, Name, SearchSettings, Settings, Switch, SystemSettings
from wreckognize.study.build import build_system
from wreckognize.study.checks import check_limits, check_system_weights
from wreckognize.study.overrides import names_in
from wreckognize.study.problems import Problems, show
from wreckognize.study.reader import Key, key_text

DEFAULT_SPACE: Mapping[str, Any] = {
    "train.lr0": {"low": 1e-5, "high": 1e-2, "log": True},
    "train.freeze": [0, 10, 15],
    "labels.confidence": {"low": 0.05, "high": 0.5},
}
"""What is searched where a study does not say: how fast, how much of the network, and how sure the teacher must be."""

_SPEED = "it changes how fast a system is, not what it learns"
NOT_SEARCHED: Mapping[str, str] = {
    "train.seeds": "a search trains each setting once; train the best one from several seeds afterwards",
    "train.device": _SPEED,
    "train.cache": _SPEED,
    "predict.device": _SPEED,
    "predict.engine": _SPEED,
    "predict.precision": _SPEED,
    "predict.threshold": "it needs no training: a rule chooses it (`threshold: best_f1`)",
    "teacher.system": "make a system of the study for each teacher and compare them",
}
_RANGE_KEYS = frozenset({"low", "high", "log", "step"})
_FORMS = "a list of values, or a range such as {low: 1e-5, high: 1e-2, log: true}"

_Number = StrictInt | Annotated[float, Field(strict=True, allow_inf_nan=False)]


class _Range(Settings):
    low: _Number
    high: _Number
    log: Switch = False
    step: _Number | None = None


class _Section(SearchSettings):
    """The section as it is written: system and space may be left out."""

    system: Name | None = None  # type: ignore[assignment]
    space: dict[str, Any] | None = None  # type: ignore[assignment]


def read_search(
    content: Mapping[str, Any],
    folder: Path,
    systems: Mapping[str, SystemSettings],
    problems: Problems,
    trust: Collection[str] = (),
) -> SearchSettings | None:
    """The ``search`` section of a study; what is wrong with it is noted in ``problems``.

    Args:
        content: the study's values.
        folder: what relative paths start from.
        systems: those that could be built, by name.
        problems: where to note.
        trust: ``sha256:...`` of checkpoints that may be opened whatever they hold.

    Returns:
        The settings; None if there is no section or something is wrong with it.
    """
    if "search" not in content:
        return None
    raw = content["search"] if content["search"] is not None else {}
    if not isinstance(raw, dict):
        problems.add(("search",), show(raw), "a section of keys")
        return None
    before = len(problems.found)
    section = problems.validated(_Section, raw, ("search",))
    name = _system_of(raw.get("system"), systems, problems)
    given = raw.get("space") or dict(DEFAULT_SPACE)
    if name is None or not isinstance(given, dict):
        return None
    space = _SpaceReader(content, folder, name, problems, trust).read(given)
    if section is None or len(problems.found) > before:
        return None
    return SearchSettings.model_validate(section.model_dump() | {"system": name, "space": space})


def _system_of(given: Any, systems: Mapping[str, SystemSettings], problems: Problems) -> str | None:
    """The system that is searched: the one named, else the last that is trained."""
    trained = [name for name, system in systems.items() if system.trained]
    if given is None and trained:
        return trained[-1]
    if given in trained:
        return str(given)
    if given in systems:
        problems.add(("search", "system"), f"{show(given)}, which is never trained", "a system that is trained")
    elif given is None:
        problems.add(("search", "system"), "no system that is trained", "one", "e.g. ver6: {recipe: ver6}")
    elif isinstance(given, str):
        problems.unknown(("search", "system"), given, trained, "trained system")
    return None


def system_with(
    content: Mapping[str, Any],
    folder: Path,
    name: str,
    values: Mapping[str, Any],
    problems: Problems,
    trust: Collection[str] = (),
) -> SystemSettings | None:
    """A trained system of a study with some fields (``train.lr0``) set to other values, checked like any other.

    Returns:
        The system, or None with the problems noted.
    """
    raw = copy.deepcopy(content["systems"][name])
    for field, value in values.items():
        section, _, key = field.partition(".")
        if not key:
            raw[section] = value
        elif isinstance(raw.get(section), dict | None):
            raw[section] = {**(raw.get(section) or {}), key: value}
    system = build_system(content, name, raw, folder, problems)
    if system is not None:
        if not system.trained:
            problems.add(("systems", name, "recipe"), show(system.recipe), "a recipe that trains")
        check_system_weights(system, ("systems", name), None, folder, problems, trust)
        check_limits(system, ("systems", name), names_in(content.get("sources")), problems)
    return system


@dataclass(frozen=True, slots=True)
class _SpaceReader:
    """Reads the space of one search, trying each value on the system."""

    content: Mapping[str, Any]
    folder: Path
    system: str
    problems: Problems
    trust: Collection[str]

    def read(self, space: Mapping[str, Any]) -> tuple[Dimension, ...]:
        dimensions: dict[str, Dimension] = {}
        for key, field, given in _leaves(space, ("search", "space")):
            if field in dimensions:
                self.problems.add(key, "the field a second time", "each field once", "delete one of them")
            elif field in NOT_SEARCHED:
                self.problems.add(key, show(given), f"no {field} in a search", NOT_SEARCHED[field])
            else:
                dimension = self.dimension(key, field, given)
                if dimension is not None:
                    dimensions[field] = dimension
        return tuple(dimensions.values())

    def dimension(self, key: Key, field: str, given: Any) -> Dimension | None:
        if isinstance(given, list):
            return self.choices(key, field, given)
        if isinstance(given, dict) and given:
            return self.range(key, field, given)
        self.problems.add(key, show(given), _FORMS)
        return None

    def choices(self, key: Key, field: str, given: list[Any]) -> Dimension | None:
        different = {(type(value).__name__, str(value)) for value in given}
        if len(given) < 2 or len(different) < len(given):
            self.problems.add(key, show(given), "two or more values, each once")
            return None
        if any(isinstance(value, dict) for value in given):
            self.problems.add(key, show(given), "plain values or lists", "search single fields of the section")
            return None
        wrong = [value for value in given if not self.fits(key, field, value)]
        return None if wrong else Dimension(field=field, choices=tuple(given))

    def range(self, key: Key, field: str, given: dict[str, Any]) -> Dimension | None:
        bounds = self.problems.validated(_Range, given, key)
        if bounds is None:
            return None
        low, high, step = bounds.low, bounds.high, bounds.step
        if not low < high:
            self.problems.add(
                key, f"low {low:g} and high {high:g}", "low below high", "an empty range has no values"
            )
            return None
        if bounds.log and (low <= 0 or step is not None):
            found = f"low {low:g}" if low <= 0 else f"step {step:g}"
            self.problems.add(key, f"log with {found}", "log with low above 0 and without a step")
            return None
        if step is not None and not 0 < step <= high - low:
            self.problems.add((*key, "step"), show(step), f"more than 0, and at most {high - low:g}")
            return None
        if step is not None:
            high = _last_step(low, high, step)
        if not (self.fits(key, field, low) and self.fits(key, field, high)):
            return None
        whole = self.is_whole(field, bounds)
        if whole and not all(isinstance(value, int) for value in (low, high, step or 1)):
            self.problems.add(key, show(given), "whole numbers")
            return None
        if whole and not self.fits(
            key, field, low + int(step or 1), "between low and high, give a step or a list of the values that fit"
        ):
            return None
        return Dimension(field=field, low=low, high=high, log=bounds.log, step=step, whole=whole)

    def is_whole(self, field: str, bounds: _Range) -> bool:
        """Whether only whole numbers are meant: all three are, and the field takes no others (or a step is given)."""
        given = [bounds.low, bounds.high, *([bounds.step] if bounds.step is not None else [])]
        if not all(isinstance(value, int) for value in given):
            return False
        middle = (bounds.low + bounds.high) / 2 + 0.25
        return bounds.step is not None or bool(self.wrong_with(field, middle))

    def fits(self, key: Key, field: str, value: Any, remedy: str = "") -> bool:
        """Whether the system can be built with this value; if not, why is noted under ``key``."""
        wrong = self.wrong_with(field, value)
        whole = key_text(("systems", self.system, *field.split(".")))
        for problem in wrong:
            told = whole == problem.key or whole.startswith(f"{problem.key}.")
            found = problem.found if told else f"{show(value)}: {problem.key}: {problem.found}"
            noted = Problem(
                self.problems.place(key), key_text(key), found, problem.expected, remedy or problem.remedy
            )
            if noted not in self.problems.found:
                self.problems.found.append(noted)
        return not wrong

    def wrong_with(self, field: str, value: Any) -> list[Problem]:
        return [problem for problem in self._tried({field: value}) if problem not in self._tried({})]

    def _tried(self, values: Mapping[str, Any]) -> list[Problem]:
        found = Problems("")
        system_with(self.content, self.folder, self.system, values, found, self.trust)
        return found.found


def _last_step(low: float, high: float, step: float) -> int | float:
    """The last value that steps from ``low`` reach.

    >>> _last_step(0, 1, 0.3), _last_step(320, 650, 32)
    (0.9, 640)
    """
    first, end, width = (Decimal(str(value)) for value in (low, high, step))
    last = first + (end - first) // width * width
    return int(last) if all(isinstance(value, int) for value in (low, high, step)) else float(last)


def _leaves(space: Mapping[str, Any], key: Key, prefix: str = "") -> Iterator[tuple[Key, str, Any]]:
    """Fields with their dotted names, however deep they were written, each with where it stands."""
    for name, value in space.items():
        if isinstance(value, dict) and value and not _RANGE_KEYS & value.keys():
            yield from _leaves(value, (*key, name), f"{prefix}{name}.")
        else:
            yield (*key, name), f"{prefix}{name}", value
