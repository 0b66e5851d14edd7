"""Each system's frozen threshold, what it promises, and the third answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from wreckognize.catalog import ROLES
from wreckognize.evidence.findings import Findings, SystemFindings
from wreckognize.evidence.intervals import Proportion
from wreckognize.evidence.person import ThirdAnswerFigures
from wreckognize.evidence.thresholds import ChosenThreshold, FrozenThreshold
from wreckognize.reporting.evidence.phrases import as_set, in_percent, of_first, proportion_cell
from wreckognize.reporting.tables import Cell, Group, Row, Table
from wreckognize.reporting.wording import count, listed, percent, plural, threshold

_ROLE_WORDS = {"damaged": "damaged cars", "normal": "intact cars", "background": "backgrounds"}
_NO_VEHICLE, _NO_BACKGROUND = "no test photo shows a vehicle", "every test photo shows a vehicle"
_NEVER = "never"
_BROKEN = "did not hold on this test"


@dataclass(frozen=True, slots=True)
class FrozenCard:
    """What a threshold rests on.

    Attributes:
        systems: that have it; several where all else is the same, too.
        rule: how the threshold was to be chosen.
        thresholds: what it came to, for each training.
        kept: whether the rule could be kept in every training.
        promise: what holds for photos to come; empty where nothing is promised.
        broken: how the promise did not hold on the test photos; empty where it did, or nothing is promised.
        why: what the rule did, or why it could not be kept; one sentence for each different outcome.
        fixed: whether the study fixed it, so that the calibration photos had no say.
        calibration: the photos that it, or else only the third answer, was chosen on.
        frozen: when.
    """

    systems: tuple[str, ...]
    rule: str
    thresholds: str
    kept: bool
    promise: str
    broken: str
    why: tuple[str, ...]
    fixed: bool
    calibration: str
    frozen: str


def frozen_cards(findings: Findings) -> tuple[FrozenCard, ...]:
    """One card for systems whose threshold came about in just the same way, in the order of the comparison."""
    alike: dict[FrozenCard, list[SystemFindings]] = {}
    for system in findings.systems:
        alike.setdefault(_card(system, findings), []).append(system)
    return tuple(
        replace(card, systems=tuple(system.name for system in systems), frozen=_frozen(systems))
        for card, systems in alike.items()
    )


def third_answer_reasons(findings: Findings) -> tuple[tuple[str, str, str], ...]:
    """Each system, and what the lower and the upper threshold of its third answer promise, or why there is none."""
    thirds = ((of_first(system), _first(system).third_answer) for system in findings.systems)
    return tuple((name, third.why_low, third.why_high) for name, third in thirds)


def weakened(findings: Findings) -> str:
    """Why a promise is weaker than it sounds: test photos of pinned sources; empty where there are none."""
    if not findings.pinned_test:
        return ""
    return (
        f"{count(findings.pinned_test)} of {plural(findings.test.photos, 'test photo')} come from sources that were "
        "pinned to the test set. A promise presumes photos to come that are like the calibration photos; these need "
        "not be, so on them it may fail."
    )


def broken_promises(findings: Findings) -> tuple[str, ...]:
    """A sentence for each promise that did not hold on the test photos.

    It did not where the interval of the figure on the test photos lies above the promise, and so does the mean over
    groups, which is what is promised.
    """
    sentences = [
        f"The promise of {system.name}'s threshold {broken}."
        for system in findings.systems
        if (broken := _broken_threshold(system, findings))
    ]
    for system in findings.systems:
        third, figures = _first(system).third_answer, system.third_answer
        if _third_misses_broken(system):
            share, interval = figures.misses.share, in_percent(figures.misses.low, figures.misses.high)
            sentences.append(
                f"The promise of the third answer of {of_first(system)} {_BROKEN}: {percent(share)} ({interval}) of "
                f"the vehicles were answered “no vehicle”, at most {as_set(third.misses_at_most)} were promised."
            )
        if _third_alarms_broken(system):
            share, interval = (
                figures.false_alarms.share,
                in_percent(figures.false_alarms.low, figures.false_alarms.high),
            )
            sentences.append(
                f"The promise of the third answer of {of_first(system)} {_BROKEN}: {percent(share)} ({interval}) of "
                f"the photos without a vehicle were answered “vehicle”, at most {as_set(third.false_alarms_at_most)} "
                "were promised."
            )
    if sentences and findings.pinned_test:
        sentences[-1] += (
            f" Among the test photos are {count(findings.pinned_test)} of {count(findings.test.photos)} from sources "
            "pinned to the test set, for which nothing is promised; they are in these figures; "
            "section Thresholds has them without."
        )
    return tuple(sentences)


def third_answer_table(findings: Findings) -> Table:
    """What would go to a person, and what would still go wrong, on the test photos."""
    systems = findings.systems

    def row(label: str, cell: Callable[[SystemFindings], Cell]) -> Row:
        return Row(label, tuple(cell(system) for system in systems))

    roles = [role for role in ROLES if any(_of_role(system.third_answer, role) for system in systems)]
    return Table(
        "The third answer on the test photos",
        "Photos",
        tuple(of_first(system) for system in systems),
        (
            Group(
                "Thresholds",
                (
                    row("no vehicle below", lambda own: _limit(_first(own).third_answer.low)),
                    row("vehicle from", lambda own: _limit(_first(own).third_answer.high)),
                ),
            ),
            Group(
                "To a person",
                (
                    row("of all photos", lambda own: proportion_cell(own.third_answer.to_a_person, "no photo")),
                    *(
                        Row(f"of the {_ROLE_WORDS[role]}", tuple(_role_share(own, role) for own in systems))
                        for role in roles
                    ),
                ),
            ),
            Group(
                "Answered wrongly all the same",
                (
                    row(
                        "vehicles answered “no vehicle”",
                        lambda own: proportion_cell(own.third_answer.misses, _NO_VEHICLE),
                    ),
                    row("… mean over groups", lambda own: Cell(percent(own.third_answer.group_miss_share))),
                    row(
                        "… promised for that mean, at most",
                        lambda own: _promised(
                            _first(own).third_answer.low,
                            _first(own).third_answer.misses_at_most,
                            broken=_third_misses_broken(own),
                        ),
                    ),
                    row(
                        "other photos answered “vehicle”",
                        lambda own: proportion_cell(own.third_answer.false_alarms, _NO_BACKGROUND),
                    ),
                    row(
                        "… mean over groups",
                        lambda own: Cell(percent(own.third_answer.group_false_alarm_share)),
                    ),
                    row(
                        "… promised for that mean, at most",
                        lambda own: _promised(
                            _first(own).third_answer.high,
                            _first(own).third_answer.false_alarms_at_most,
                            broken=_third_alarms_broken(own),
                        ),
                    ),
                ),
            ),
            *_without_pinned(systems),
        ),
    )


def _without_pinned(systems: Sequence[SystemFindings]) -> tuple[Group, ...]:
    """The wrong answers on the photos for which alone a promise is made, where others are among the test photos."""
    if any(system.third_answer_free is None for system in systems):
        return ()

    def row(label: str, cell: Callable[[ThirdAnswerFigures], Cell]) -> Row:
        return Row(label, tuple(cell(own.third_answer_free) for own in systems if own.third_answer_free))

    return (
        Group(
            "The same without photos of sources pinned to the test set",
            (
                row("vehicles answered “no vehicle”", lambda own: proportion_cell(own.misses, _NO_VEHICLE)),
                row("… mean over groups", lambda own: Cell(percent(own.group_miss_share))),
                row(
                    "other photos answered “vehicle”",
                    lambda own: proportion_cell(own.false_alarms, _NO_BACKGROUND),
                ),
                row("… mean over groups", lambda own: Cell(percent(own.group_false_alarm_share))),
            ),
        ),
    )


def rule_in_words(chosen: ChosenThreshold) -> str:
    """How a threshold was to be chosen.

    Args:
        chosen: its rule and the rule's value.
    """
    share = as_set(chosen.value) if chosen.value is not None else ""
    match chosen.rule:
        case "fixed":
            return "fixed in the study, whatever the photos say"
        case "best_f1":
            return "highest F1 on the calibration photos"
        case "best_balanced_accuracy":
            return "highest balanced accuracy on the calibration photos"
        case "recall_at_least":
            return f"finds at least {share} of the vehicles on the calibration photos"
        case "false_alarms_at_most":
            return f"at most {share} false alarms on the calibration photos"
        case "miss_rate_at_most":
            return f"promises to miss at most {share} of the vehicles"


def moment(iso: str) -> str:
    """A time as the page writes it; any other text stays as it is.

    >>> moment("2026-11-24T02:15:09+00:00")
    '2026-11-24 02:15 UTC'
    """
    try:
        return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return iso


def _card(system: SystemFindings, findings: Findings) -> FrozenCard:
    """Its card, but for its name and time."""
    chosen = [frozen.chosen for frozen in system.frozen]
    promises = list(dict.fromkeys(own.guarantee for own in chosen if own.guarantee))
    first = chosen[0]
    return FrozenCard(
        systems=(),
        rule=rule_in_words(first),
        thresholds=_thresholds(system.frozen),
        kept=all(own.reached for own in chosen),
        promise="; ".join(promises) if all(own.guarantee for own in chosen) else "",
        broken=_broken_threshold(system, findings),
        fixed=first.rule == "fixed",
        why=() if first.rule == "fixed" and first.reached else _reasons(chosen, promises),
        calibration=(
            f"{plural(first.photos, 'calibration photo')} in {plural(first.groups, 'group')}: "
            f"{count(first.vehicle_groups)} with a vehicle, {count(first.background_groups)} with a photo without one"
        ),
        frozen="",
    )


def _reasons(chosen: Sequence[ChosenThreshold], promises: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(own.why for own in chosen if own.why not in promises))


def _frozen(systems: Sequence[SystemFindings]) -> str:
    times = sorted(moment(own.frozen_at) for system in systems for own in system.frozen)
    return times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"


def _thresholds(frozen: Sequence[FrozenThreshold]) -> str:
    texts = [threshold(own.chosen.threshold) for own in frozen]
    if len(set(texts)) == 1:
        return texts[0] if len(texts) == 1 else f"{texts[0]} in each of {len(texts)} trainings"
    return f"{listed(texts)} (one for each training)"


def _first(system: SystemFindings) -> FrozenThreshold:
    return system.frozen[0]


def _limit(value: float | None) -> Cell:
    return Cell(_NEVER, small="this answer is not given") if value is None else Cell(threshold(value))


def _promised(limit: float | None, at_most: float, *, broken: bool) -> Cell:
    if limit is None:
        return Cell("no promise")
    return Cell(as_set(at_most), small=_BROKEN if broken else "", tone="bad" if broken else "")


def _above(found: Proportion, over_groups: float | None, limit: float | None, at_most: float) -> bool:
    """Whether a figure on the test photos is surely above what was promised for its mean over groups."""
    if limit is None or found.low is None or over_groups is None:
        return False
    return found.low > at_most and over_groups > at_most


def _third_misses_broken(system: SystemFindings) -> bool:
    third, figures = _first(system).third_answer, system.third_answer
    return _above(figures.misses, figures.group_miss_share, third.low, third.misses_at_most)


def _third_alarms_broken(system: SystemFindings) -> bool:
    third, figures = _first(system).third_answer, system.third_answer
    return _above(figures.false_alarms, figures.group_false_alarm_share, third.high, third.false_alarms_at_most)


def _broken_threshold(system: SystemFindings, findings: Findings) -> str:
    """How a threshold's promise about misses did not hold, on the mean over trainings; empty where it did."""
    first = _first(system).chosen
    if first.value is None or not all(own.chosen.guarantee for own in system.frozen):
        return ""
    recall = next(row.figures["recall"] for row in findings.judged.rows if row.name == system.name)
    if recall.value is None or recall.low is None or recall.high is None or 1 - recall.high <= first.value:
        return ""
    interval = in_percent(1 - recall.high, 1 - recall.low)
    return f"{_BROKEN}: {percent(1 - recall.value)} ({interval}) of the vehicles were missed"


def _of_role(figures: ThirdAnswerFigures, role: str) -> int:
    answers = figures.by_role.get(role)
    return answers.photos if answers else 0


def _role_share(system: SystemFindings, role: str) -> Cell:
    answers = system.third_answer.by_role[role]
    share = answers.to_a_person / answers.photos if answers.photos else None
    return Cell(percent(share), small=f"{count(answers.to_a_person)} of {count(answers.photos)}")
