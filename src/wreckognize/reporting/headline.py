"""Which system to trust, in words and no more boldly than the counts allow."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from wreckognize.evaluation.comparison import FALSE_ALARM_RATES, Comparison, SystemFigures
from wreckognize.evaluation.image_level import Found
from wreckognize.reporting.wording import count, decimal, listed, percent, plural, rate, threshold

_RATES = tuple(f"{value:g}" for value in sorted(FALSE_ALARM_RATES, reverse=True))
_FEWEST_BACKGROUNDS = round(1 / max(FALSE_ALARM_RATES))
_FEWEST_DAMAGED = 10
"""With fewer, the share of them that is found says next to nothing."""
AREA_MEASURE = "AUC, damaged cars against backgrounds"
_NO_TESTS = (
    "These are raw counts from one test set, without intervals or significance tests: "
    "a gap of a few photos may be chance."
)
_WHY_EQUAL = (
    "No single threshold tells the story: whoever calls everything a vehicle finds every damaged car. "
    "So each system is measured where it raises the same share of false alarms."
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One system in the ranking.

    Attributes:
        system: its name.
        number: of the system in the study's order, which gives its colour.
        share: length of the bar, 0 to 1.
        value: the share in words.
        detail: what happens at the system's own threshold.
        low: where the whisker of its interval begins, 0 to 1; None without an interval.
        high: where it ends.
    """

    system: str
    number: int
    share: float
    value: str
    detail: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Headline:
    """The first screen.

    Attributes:
        verdict: one line.
        sentences: what carries the verdict, and what limits it.
        measure: what the bars show; empty where there are none.
        bars: systems, best first.
        test: pairs of a count and what was counted.
        measured: those of the sentences that say how the bars were measured.
        reservations: what to know before relying on the verdict.
    """

    verdict: str
    sentences: tuple[str, ...]
    measure: str
    bars: tuple[Bar, ...]
    test: tuple[tuple[str, str], ...]
    measured: tuple[str, ...] = ()
    reservations: tuple[str, ...] = ()


def headline(comparison: Comparison) -> Headline:
    """Rank the systems by the damaged cars they find at 5 % false alarms.

    Equal shares are ranked by what is found at stricter rates, then by AUC. Where the test set has too few
    backgrounds for any rate, or too few damaged cars, by AUC; where it has none, or no damaged car, not at all.
    """
    roles = comparison.systems[0].by_role
    damaged, background = _photos(roles.get("damaged")), _photos(roles.get("background"))
    test = (
        (count(comparison.test.photos), "test photos"),
        (count(damaged), "damaged cars"),
        (count(_photos(roles.get("normal"))), "intact cars"),
        (count(background), "backgrounds"),
    )
    usable = [
        text for text in _RATES if all(_damaged_at(system, text) is not None for system in comparison.systems)
    ]
    if usable and damaged >= _FEWEST_DAMAGED:
        return _by_found(comparison, usable, damaged, background, test)
    reason = _why_unusable(damaged, background)
    measured = [reason, _WHY_EQUAL]
    bars = _by_auc(comparison)
    if bars:
        measured.append(
            "The bars show the AUC instead: the chance that a damaged car scores higher than a background, "
            "which so few photos estimate only roughly."
        )
    verdict = "Which system to trust cannot be said from this test set"
    return Headline(
        verdict,
        (*measured, _NO_TESTS),
        AREA_MEASURE if bars else "",
        bars,
        test,
        tuple(measured),
    )


def _why_unusable(damaged: int, background: int) -> str:
    if not damaged:
        return "The test set has no damaged car."
    few = []
    if damaged < _FEWEST_DAMAGED:
        few.append(
            f"The test set has only {plural(damaged, 'damaged car')}, of which no share found can be said with any "
            f"certainty (at least {_FEWEST_DAMAGED} are needed)."
        )
    if background < _FEWEST_BACKGROUNDS:
        few.append(
            f"The test set has {plural(background, 'background')}; {rate(_RATES[0])} false alarms need at least "
            f"{_FEWEST_BACKGROUNDS}."
        )
    return " ".join(few) or "At equal false alarms some system cannot be measured."


def _by_found(
    comparison: Comparison, usable: list[str], damaged: int, background: int, test: tuple[tuple[str, str], ...]
) -> Headline:
    at = usable[0]

    def merit(system: SystemFigures) -> tuple[float, ...]:
        return (*(_damaged_at(system, text) or 0.0 for text in usable), system.auc_damaged or 0.0)

    ranked = sorted(comparison.systems, key=merit, reverse=True)
    shares = {system.name: _damaged_at(system, at) or 0.0 for system in ranked}
    best = ranked[0]
    level = [system.name for system in ranked if shares[system.name] == shares[best.name]]
    behind = [system for system in ranked if system.name not in level]
    found = f"{percent(shares[best.name])} of the damaged cars ({_of(shares[best.name], damaged)})"
    if len(ranked) == 1:
        verdict = f"{best.name} finds {percent(shares[best.name])} of the damaged cars at {rate(at)} false alarms"
        story = f"That is {_of(shares[best.name], damaged)}. There is no other system to compare it with."
    elif len(level) > 1:
        verdict = f"{listed(level)} are level: they find equally many damaged cars at {rate(at)} false alarms"
        story = f"Each finds {found}. {_tie_break(ranked, level, usable)}"
    else:
        verdict = f"{best.name} finds the most damaged cars at equal false alarms"
        story = f"Going by this test set it is the one to trust: at {rate(at)} false alarms it finds {found}."
    for system in behind[:1]:
        gap = round((shares[best.name] - shares[system.name]) * damaged)
        story += (
            f" Next comes {system.name} with {percent(shares[system.name])} "
            f"({_of(shares[system.name], damaged)}), {plural(gap, 'car')} fewer."
        )
    allowed = int(Fraction(at) * background)
    alarms = (
        f"{rate(at)} false alarms: at most {count(allowed)} of {plural(background, 'background')} may be called a "
        "vehicle. The threshold for it was read off these same photos."
    )
    bars = tuple(
        Bar(
            system.name,
            comparison.systems.index(system),
            shares[system.name],
            f"{percent(shares[system.name])} · {_of(shares[system.name], damaged)}",
            _at_own_threshold(system),
        )
        for system in ranked
    )
    return Headline(
        verdict,
        (story, _WHY_EQUAL, alarms, _NO_TESTS),
        f"Damaged cars found at {rate(at)} false alarms",
        bars,
        test,
        (_WHY_EQUAL, alarms),
    )


def _tie_break(ranked: list[SystemFigures], level: list[str], usable: list[str]) -> str:
    tied = [system for system in ranked if system.name in level]
    for text in usable[1:]:
        shares = [_damaged_at(system, text) or 0.0 for system in tied]
        if shares[0] > shares[1]:
            return f"At {rate(text)} false alarms {tied[0].name} finds the most: {percent(shares[0])}."
    return "No stricter rate of false alarms tells the first two apart."


def _by_auc(comparison: Comparison) -> tuple[Bar, ...]:
    known = [(system.auc_damaged, number) for number, system in enumerate(comparison.systems)]
    ranked = sorted(
        ((auc, number) for auc, number in known if auc is not None), key=lambda pair: (-pair[0], pair[1])
    )
    systems = comparison.systems
    return tuple(
        Bar(systems[number].name, number, auc, decimal(auc), _at_own_threshold(systems[number]))
        for auc, number in ranked
    )


def _at_own_threshold(system: SystemFigures) -> str:
    parts = [
        f"{percent(found.found / found.photos)} {word}"
        for role, word in (("damaged", "found"), ("background", "false alarms"))
        if (found := system.by_role.get(role)) is not None and found.photos
    ]
    return f"At its own threshold {threshold(system.threshold)}: {', '.join(parts)}" if parts else ""


def _photos(found: Found | None) -> int:
    return found.photos if found else 0


def _of(share: float, photos: int) -> str:
    return f"{round(share * photos):,} of {photos:,}"


def _damaged_at(system: SystemFigures, text: str) -> float | None:
    found = system.found_at_false_alarms.get(text)
    return found.damaged if found else None
