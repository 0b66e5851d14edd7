"""One decision a claim, and precision at the user's own prevalence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from wreckognize.evidence.claims import ClaimFigures
from wreckognize.evidence.findings import Findings, SystemFindings
from wreckognize.evidence.prevalence import PredictiveValue, PredictiveValues
from wreckognize.reporting.evidence.phrases import as_set, in_percent, of_first, proportion_cell
from wreckognize.reporting.tables import Cell, Group, Row, Table
from wreckognize.reporting.wording import count, percent, plural

RULE_WORDS = {
    "any": "any photo",
    "majority": "at least half of the photos",
    "mean_top_two": "mean of the two highest scores",
}
_NO_CLAIM = "no such claim in the test set"


@dataclass(frozen=True, slots=True)
class ClaimPart:
    """The section on claims.

    Attributes:
        table: the three rules side by side; None where no claim shows a vehicle.
        notes: what the figures rest on.
    """

    table: Table | None
    notes: tuple[str, ...]


def claim_part(findings: Findings) -> ClaimPart:
    """Each system's figures per claim under each rule, the study's own marked."""
    systems = findings.systems
    notes = tuple(
        dict.fromkeys(
            f"{figures.note[:1].upper()}{figures.note[1:]}." for system in systems for figures in system.claims
        )
    )
    vehicles = [_vehicles(figures) for system in systems for figures in system.claims]
    if not any(vehicles):
        why = "No test photo with a vehicle has a claim number, so nothing can be said per claim."
        return ClaimPart(None, (why,))
    rules = [figures.rule for figures in systems[0].claims]
    columns = tuple(
        f"{RULE_WORDS[rule]} (this study's rule)" if rule == findings.claim_rule else RULE_WORDS[rule]
        for rule in rules
    )
    groups = tuple(Group(of_first(system), _rows(system, findings.claim_rule)) for system in systems)
    return ClaimPart(Table("Claims, decided by three rules", "Claims", columns, groups), notes)


def prevalence_table(findings: Findings) -> Table | None:
    """Precision of both decisions at the study's prevalence; None where it names none."""
    if findings.prevalence is None:
        return None
    systems = findings.systems
    return Table(
        f"Precision where {as_set(findings.prevalence)} of the photos show a vehicle",
        "Decision",
        tuple(of_first(system) for system in systems),
        (
            Group(
                "How often the decision is right",
                (
                    Row("“vehicle”", tuple(_predictive(system, lambda own: own.vehicle) for system in systems)),
                    Row(
                        "“no vehicle”",
                        tuple(_predictive(system, lambda own: own.no_vehicle) for system in systems),
                    ),
                ),
            ),
        ),
    )


def _vehicles(figures: ClaimFigures) -> int:
    return figures.figures.tp + figures.figures.fn


def _rows(system: SystemFindings, own_rule: str) -> tuple[Row, ...]:
    first = system.claims[0]
    vehicles = _vehicles(first)
    figures = (
        (f"found, of {plural(vehicles, 'claim')} with a vehicle", [own.recall for own in system.claims]),
        (
            f"false alarms, of {count(first.claims - vehicles)} without",
            [own.false_alarms for own in system.claims],
        ),
        (f"decided rightly, of all {count(first.claims)}", [own.accuracy for own in system.claims]),
    )
    return tuple(
        Row(
            label,
            tuple(
                replace(proportion_cell(share, _NO_CLAIM), best=own.rule == own_rule)
                for share, own in zip(shares, system.claims, strict=True)
            ),
        )
        for label, shares in figures
    )


def _predictive(system: SystemFindings, pick: Callable[[PredictiveValues], PredictiveValue]) -> Cell:
    if system.predictive is None:
        return Cell(percent(None), why="not computed for this system")
    found = pick(system.predictive)
    small = in_percent(found.low, found.high)
    if found.value is None:
        return Cell(percent(None), why=found.why)
    return Cell(percent(found.value), small=f"{small}; {found.why}" if found.why else small)
