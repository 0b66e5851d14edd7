"""The headline from the evidence: which system is better than which, and what to know before relying on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wreckognize.evidence.findings import Findings
from wreckognize.evidence.sample import FALSE_ALARM_RATES, ROC_AREA, found_at
from wreckognize.evidence.verdicts import Evidence, Pair, Row, sentence
from wreckognize.reporting.evidence.phrases import as_decimal, as_decimals, as_set, in_percent, with_minus
from wreckognize.reporting.evidence.reservations import reservations
from wreckognize.reporting.evidence.small import small_roles
from wreckognize.reporting.evidence.verdicts import PRIMARY, needed_in_words, oriented, size_in_words
from wreckognize.reporting.headline import AREA_MEASURE, Bar, Headline
from wreckognize.reporting.wording import listed, percent, rate

_UNKNOWN = "Which system is better cannot be said from this test set"
_MEASURE = "balanced accuracy, the mean of vehicles found and of photos without a vehicle rightly left"
_MOST_NAMED = 3
_FOUND = found_at(max(FALSE_ALARM_RATES))


def with_evidence(head: Headline, findings: Findings) -> Headline:
    """The first screen with verdicts in the place of raw counts.

    Args:
        head: from the counts, see `headline.headline`.
        findings: on the same systems.
    """
    judged = findings.judged
    systems = [row for row in judged.rows if not row.trivial]
    by_area = head.measure == AREA_MEASURE
    verdict, *story = _story(judged, systems, head)
    story[0] = " ".join((story[0], *small_roles(judged)))
    whiskers = (
        f"Whiskers and figures in brackets: {as_set(judged.level)} intervals, photos of one claim counted "
        "together. The verdicts compare systems on the same photos, so they can tell apart what the whiskers do not."
    )
    return replace(
        head,
        verdict=verdict,
        sentences=(*story, *head.measured, *((whiskers,) if head.bars else ())),
        bars=_bars(head.bars, systems, ROC_AREA if by_area else _FOUND),
        reservations=reservations(findings),
    )


def verdict_line(judged: Evidence) -> str:
    """The verdict in one line, from the primary figure."""
    systems = [row for row in judged.rows if not row.trivial]
    standing = _Standing(judged.pairs, systems)
    if not standing.said:
        return _UNKNOWN
    leaders = standing.leaders()
    if not leaders:
        names = standing.names
        return f"No difference shown between {listed(names) if len(names) <= _MOST_NAMED else 'the systems'}"
    if len(leaders) > _MOST_NAMED:
        return f"{len(leaders)} systems are ahead, and no difference is shown between them"
    if len(leaders) > 1:
        return f"{listed(leaders)} are ahead; between them no difference is shown"
    beaten = standing.beaten_by(leaders[0])
    if len(beaten) == len(standing.names) - 1 and len(beaten) > 1:
        return f"{leaders[0]} is better than every other system"
    return (
        f"{leaders[0]} is better than {listed(beaten) if len(beaten) <= _MOST_NAMED else f'{len(beaten)} others'}"
    )


class _Standing:
    """Who is better than whom in the primary figure."""

    def __init__(self, pairs: Sequence[Pair], systems: Sequence[Row]) -> None:
        self.names = [row.name for row in systems]
        self.value = {row.name: row.figures[PRIMARY].value or 0.0 for row in systems}
        self.pairs = {
            (own.first, own.second): own for pair in pairs for own in (pair, oriented(pair, pair.second))
        }
        self.said = [pair for pair in pairs if pair.differences[PRIMARY].verdict != "cannot be said"]

    def beaten_by(self, name: str) -> list[str]:
        return self._with_verdict(name, "better")

    def not_told_from(self, name: str) -> list[str]:
        return self._with_verdict(name, "no difference shown")

    def unknown_to(self, name: str) -> list[str]:
        return self._with_verdict(name, "cannot be said")

    def leaders(self) -> list[str]:
        """Those that no other system is better than, and that are better than some; those better than most first."""
        ahead = [name for name in self.names if self.beaten_by(name) and not self._with_verdict(name, "worse")]
        return sorted(ahead, key=lambda name: (-len(self.beaten_by(name)), -self.value[name]))

    def _with_verdict(self, name: str, verdict: str) -> list[str]:
        return [
            other
            for other in self.names
            if other != name and self.pairs[name, other].differences[PRIMARY].verdict == verdict
        ]


def _story(judged: Evidence, systems: Sequence[Row], head: Headline) -> tuple[str, ...]:
    """The verdict, what it means in cars, and the sentences that carry it."""
    if len(systems) == 1:
        own = systems[0].figures[PRIMARY]
        interval = in_percent(own.low, own.high)
        known = f" Its balanced accuracy is {percent(own.value)} ({interval})." if interval else ""
        return _alone(systems[0], head), f"There is no other system to compare it with.{known}"
    standing = _Standing(judged.pairs, systems)
    verdict = verdict_line(judged)
    if not standing.said:
        why = judged.pairs[0].differences[PRIMARY].why
        return verdict, f"{_sentence_case(why)}." if why else "No two systems can be compared."
    leaders = standing.leaders()
    if not leaders:
        return (
            verdict,
            f"By {_MEASURE}, no system is shown to be better than another. {_nearest(standing.said)}".strip(),
        )
    best = leaders[0]
    parts = [f"The verdict goes by {_MEASURE}: {best} is better than {listed(standing.beaten_by(best))}."]
    level = standing.not_told_from(best)
    if level:
        needed = needed_in_words(standing.pairs[best, level[0]].differences[PRIMARY])
        takes = f"; {needed} to show one as large as the one seen" if needed and len(level) == 1 else ""
        parts.append(f"No difference is shown against {listed(level)}{takes}.")
    if unknown := standing.unknown_to(best):
        parts.append(f"Against {listed(unknown)} it cannot be said.")
    pair = standing.pairs[best, _yardstick(systems, standing.beaten_by(best))]
    in_cars = [
        with_minus(sentence(pair, figure))
        for figure in ("damaged_found", "false_alarms")
        if pair.differences[figure].verdict != "cannot be said"
    ]
    return tuple(filter(None, (verdict, " ".join(in_cars), " ".join(parts))))


def _alone(system: Row, head: Headline) -> str:
    """The verdict on a single system: the share found with its interval, or that it cannot be said."""
    found = system.figures[_FOUND]
    if head.measure == AREA_MEASURE or found.value is None or found.low is None or found.high is None:
        return f"How many damaged cars {system.name} finds cannot be said from this test set"
    interval = in_percent(found.low, found.high)
    at = rate(f"{max(FALSE_ALARM_RATES):g}")
    return f"{system.name} finds {percent(found.value)} ({interval}) of the damaged cars at {at} false alarms"


def _yardstick(systems: Sequence[Row], beaten: list[str]) -> str:
    """The system that the best one is measured against in points: one that was not trained here, if there is one."""
    untrained = [row.name for row in systems if row.name in beaten and not row.trained]
    return (untrained or beaten)[0]


def _nearest(pairs: Sequence[Pair]) -> str:
    """How many photos the pair would need that needs fewest."""
    needing = [pair for pair in pairs if pair.differences[PRIMARY].photos_needed is not None]
    if not needing:
        return ""
    pair = min(needing, key=lambda own: own.differences[PRIMARY].photos_needed or 0)
    found = pair.differences[PRIMARY]
    return f"The nearest to one: {pair.first} against {pair.second}, {size_in_words(found)}; {needed_in_words(found)}."


def _bars(bars: Sequence[Bar], systems: Sequence[Row], figure: str) -> tuple[Bar, ...]:
    """The bars with the mean over trainings and its interval, highest first."""
    rows = {row.name: row for row in systems}
    of_shares = figure != ROC_AREA
    told = []
    for bar in bars:
        found = rows[bar.system].figures[figure]
        if found.value is None:
            told.append(bar)
            continue
        value = percent(found.value) if of_shares else as_decimal(found.value)
        interval = (in_percent if of_shares else as_decimals)(found.low, found.high)
        told.append(
            replace(
                bar,
                # A bar without a whisker would look sure.
                share=found.value if interval else 0.0,
                value=f"{value} ({interval})" if interval else f"{value}, no interval: {found.why}",
                detail=_at_own_threshold(rows[bar.system]),
                low=found.low,
                high=found.high,
            )
        )
    return tuple(sorted(told, key=lambda bar: -bar.share))


def _at_own_threshold(system: Row) -> str:
    parts = [
        f"{percent(found.value)} ({in_percent(found.low, found.high)}) {words}"
        for figure, words in (("damaged_found", "of the damaged cars found"), ("false_alarms", "false alarms"))
        if (found := system.figures[figure]).value is not None
    ]
    return f"At its own threshold: {', '.join(parts)}" if parts else ""


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]
