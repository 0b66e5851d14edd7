"""What the evidence says: estimates, differences, verdicts, and the sentences made of them.

Only dataclasses and words; the figures are made in `judge`. None stands for what cannot be said, and ``why`` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from wreckognize.evidence.record import Record

Verdict = Literal["better", "worse", "no difference shown", "cannot be said"]


@dataclass(frozen=True, slots=True)
class Words:
    """How a difference in one figure is spoken of."""

    name: str
    more: str
    less: str
    higher_is_better: bool = True
    in_points: bool = True


UNREACHABLE = 1_000_000
"""Photos; a difference that would take more is not worth a forecast."""

COMPARED: Mapping[str, Words] = {
    "balanced_accuracy": Words(
        "balanced accuracy", "has a higher balanced accuracy", "has a lower balanced accuracy"
    ),
    "damaged_found": Words(
        "damaged vehicles found", "finds more damaged vehicles", "finds fewer damaged vehicles"
    ),
    "normal_found": Words("intact vehicles found", "finds more intact vehicles", "finds fewer intact vehicles"),
    "false_alarms": Words("false alarms", "raises more false alarms", "raises fewer false alarms", False),
    "roc_area": Words("ROC area", "has a larger ROC area", "has a smaller ROC area", in_points=False),
    "map50_95": Words("mAP50-95", "has a higher mAP50-95", "has a lower mAP50-95"),
}
"""The figures in which systems are compared; the first is the primary one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        value: the average over the system's trainings; None where it cannot be said.
        low: lower limit; None where the interval cannot be said.
        high: upper limit.
        method: how the interval was made; None where there is none.
        photos: on which the figure was measured.
        groups: they belong to.
        why: what cannot be said, and why; None where all can.
        seeds: the value of each training; None where the value cannot be said.
        seeds_sd: their standard deviation; None with one training.
    """

    value: float | None
    low: float | None
    high: float | None
    method: str | None
    photos: int
    groups: int
    why: str | None = None
    seeds: tuple[float, ...] | None = None
    seeds_sd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A system, or a trivial one (``always vehicle``, ``never vehicle``).

    Attributes:
        name: the system's.
        trivial: whether it is one that looks at no photo.
        trained: whether this study trained it.
        seeds: how often.
        note: what the intervals do not hold; None where nothing is amiss.
        figures: name of the figure -> its estimate.
    """

    name: str
    trivial: bool
    trained: bool
    seeds: int
    note: str | None
    figures: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first system's figure less the second's, on the same photos.

    Attributes:
        figure: which, a key of `COMPARED`.
        value: the difference; None where a figure cannot be said.
        low: lower limit, not corrected for the number of comparisons.
        high: upper limit.
        method: how the interval was made.
        p_value: of the hypothesis of no difference, the larger of that over photos and that over trainings.
        p_holm: the same, corrected for all pairs compared in this figure (Holm).
        test: by which test.
        verdict: ``better`` or ``worse`` where ``p_holm`` is at most 1 - level and the interval leaves out 0.
        why: what the verdict lacks; None where it lacks nothing.
        photos: compared.
        groups: they belong to.
        photos_needed: to show this difference, if it is the true one, with a chance of 80 %; None where it is 0, and
            where these photos would do (then the spread between trainings, or the number of pairs, is in the way).
        groups_needed: the same, with as many photos a group as now.
        level: of confidence that the verdict was given at.
    """

    figure: str
    value: float | None
    low: float | None
    high: float | None
    method: str | None
    p_value: float | None
    p_holm: float | None
    test: str | None
    verdict: Verdict
    why: str | None
    photos: int
    groups: int
    photos_needed: int | None
    groups_needed: int | None
    level: float = 0.95

    @property
    def why_not_shown(self) -> str:
        """Why no difference is shown although interval or test alone would show one; empty where neither would."""
        beyond = self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)
        if self.verdict != "no difference shown" or self.p_value is None or self.p_holm is None:
            return ""
        if not beyond:
            shown = self.p_holm <= 1 - self.level
            return "the interval, in which the luck of trainings counts, holds 0" if shown else ""
        if self.p_holm > self.p_value:
            return "the interval is before the correction for several comparisons"
        return "the test is stricter than the interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two systems compared.

    Attributes:
        first: name of a system.
        second: name of another.
        holds_for: a sentence: whether the verdicts are about recipes or about two trained detectors.
        differences: name of the figure -> the difference, keys as in `COMPARED`.
    """

    first: str
    second: str
    holds_for: str
    differences: Mapping[str, Difference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(Record):
    """How sure the figures on one test set are.

    Attributes:
        level: of confidence of every interval.
        draws: of the bootstrap.
        seed: of the bootstrap.
        photos: of the test set.
        groups: they belong to.
        vehicle: photos that show a vehicle, by their role.
        background: those that do not.
        rows: one a system, the two trivial ones last.
        pairs: every two systems, in the order given.
    """

    CALLED = "the evidence of a study"

    level: float
    draws: int
    seed: int
    photos: int
    groups: int
    vehicle: int
    background: int
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]


def sentence(pair: Pair, figure: str = "damaged_found") -> str:
    """What the comparison of a pair says in one figure, in plain words."""
    words, found = COMPARED[figure], pair.differences[figure]
    if found.verdict == "cannot be said" or found.value is None or found.low is None or found.high is None:
        return f"{pair.first} against {pair.second}, {words.name}: cannot be said, because {found.why}."
    size = f"{_signed(found.value, words)} ({_signed(found.low, words)} to {_signed(found.high, words)})"
    if words.in_points:
        size = size.replace(" (", " points (", 1)
    if found.verdict == "no difference shown":
        size += f", {found.why_not_shown}" if found.why_not_shown else ""
        return f"{pair.first} against {pair.second}, {words.name}: no difference shown, {size}.{_needed(found)}"
    does = words.more if found.value > 0 else words.less
    return f"{pair.first} {does} than {pair.second}: {size}, {found.verdict}."


def photos_needed_in_words(found: Difference) -> str:
    """How many photos would show this difference if it is the true one; empty where that is not known.

    To two digits, rounded up: a forecast is no more exact than that. A difference of next to nothing would take more
    photos than anyone has, and how many more means nothing.
    """
    if found.photos_needed is None or found.groups_needed is None:
        return ""
    if found.photos_needed > UNREACHABLE:
        return f"more than {UNREACHABLE:,} photos"
    return f"about {_two_digits(found.photos_needed):,} photos in {_two_digits(found.groups_needed):,} groups"


def _needed(found: Difference) -> str:
    words = photos_needed_in_words(found)
    return f" If this is the true difference, {words} would be needed to show it." if words else ""


def _two_digits(number: int) -> int:
    """Rounded up.

    >>> _two_digits(44485), _two_digits(120), _two_digits(7)
    (45000, 120, 7)
    """
    step = int(10 ** max(0, len(str(number)) - 2))
    return -(-number // step) * step


def _signed(value: float, words: Words) -> str:
    text = f"{100 * value:+z.1f}" if words.in_points else f"{value:+z.3f}"
    return text.removeprefix("+") if not text.strip("+0.") else text  # 0 has no sign
