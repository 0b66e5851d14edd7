"""Do figures hang on the shape and compression of photos? The facts, and what alterations changed."""

from __future__ import annotations

from dataclasses import dataclass

from wreckognize.evidence.changes import Change
from wreckognize.evidence.findings import Findings
from wreckognize.evidence.shapes import RoleShape, Separation, Spread
from wreckognize.evidence.shortcuts import AlterationResult, ShortcutCheck
from wreckognize.reporting.evidence.phrases import of_first, signed, with_minus
from wreckognize.reporting.tables import Cell, Group, Row, Table
from wreckognize.reporting.wording import count, percent, visible

_ROLE_WORDS = {"damaged": "damaged photos", "normal": "intact photos", "background": "backgrounds"}
_NOT_ASKED = "the study switched this check off"


@dataclass(frozen=True, slots=True)
class Warned:
    """A system and what the check warns of."""

    system: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShortcutPart:
    """The section on shortcuts.

    Attributes:
        warned: the systems with warnings.
        conclusions: name of a system and one sentence.
        facts: the commonest sizes, in words.
        shapes: shape and compression of each role's photos.
        apart: how well they alone tell roles apart.
        changes: what alterations did to each system's figures.
        move: by how much a figure may move without a warning, in points.
        notes: what was not tried, and why.
    """

    warned: tuple[Warned, ...]
    conclusions: tuple[tuple[str, str], ...]
    facts: tuple[str, ...]
    shapes: Table
    apart: Table | None
    changes: Table | None
    move: str
    notes: tuple[str, ...]


def shortcut_part(findings: Findings) -> ShortcutPart | None:
    """None where no system was checked."""
    checks = [system.shortcuts for system in findings.systems if system.shortcuts is not None]
    if not checks:
        return None
    first = checks[0]  # shapes are of the test photos, so the same for all
    return ShortcutPart(
        warned=tuple(
            Warned(of_first(system), tuple(map(with_minus, check.warnings)))
            for system in findings.systems
            if (check := system.shortcuts) is not None and check.warnings
        ),
        conclusions=tuple(
            (of_first(system), with_minus(check.conclusion))
            for system in findings.systems
            if (check := system.shortcuts) is not None
        ),
        facts=first.facts,
        shapes=_shape_table(first.shapes),
        apart=_apart_table(first.separations),
        changes=_change_table(findings, first),
        move=f"{100 * first.move:g}",
        notes=tuple(dict.fromkeys(note for check in checks for note in check.notes)),
    )


def _shape_table(shapes: tuple[RoleShape, ...]) -> Table:
    return Table(
        "Shape and compression of the test photos",
        "10th percentile, median, 90th percentile",
        tuple(_ROLE_WORDS[shape.role] for shape in shapes),
        (
            Group(
                "Files",
                (
                    Row("photos", tuple(Cell(count(shape.photos)) for shape in shapes)),
                    Row(
                        "commonest size",
                        tuple(
                            Cell(
                                f"{shape.width} × {shape.height}", small=f"{percent(shape.share_of_size)} of them"
                            )
                            for shape in shapes
                        ),
                    ),
                    Row("width over height", tuple(_spread(shape.aspect, 2) for shape in shapes)),
                    Row("long side, pixels", tuple(_spread(shape.side, 0) for shape in shapes)),
                    Row("JPEGs", tuple(Cell(count(shape.jpeg)) for shape in shapes)),
                    Row("JPEG quality", tuple(_spread(shape.quality, 0) for shape in shapes)),
                ),
            ),
        ),
    )


def _spread(spread: Spread | None, places: int) -> Cell:
    if spread is None:
        return Cell(percent(None), why="no JPEG among them")
    return Cell(", ".join(f"{value:,.{places}f}" for value in (spread.low, spread.median, spread.high)))


def _apart_table(found: tuple[Separation, ...]) -> Table | None:
    if not found:
        return None
    pairs = tuple(dict.fromkeys((own.one, own.other) for own in found))
    traits = tuple(dict.fromkeys(own.trait for own in found))
    apart = {(own.trait, own.one, own.other): own.apart for own in found}

    def cell(key: tuple[str, str, str]) -> Cell:
        return Cell(f"{apart[key]:.2f}") if key in apart else Cell(percent(None), why="one of the roles lacks it")

    return Table(
        "How well shape and compression alone tell roles apart",
        "0: not at all, 1: perfectly",
        tuple(f"{_ROLE_WORDS[one]} from {_ROLE_WORDS[other]}" for one, other in pairs),
        (
            Group(
                "By one cut on this alone",
                tuple(Row(trait, tuple(cell((trait, *pair)) for pair in pairs)) for trait in traits),
            ),
        ),
    )


def _change_table(findings: Findings, first: ShortcutCheck) -> Table | None:
    if not first.alterations:
        return None
    names = [(own.role, own.like, own.kind) for own in first.alterations]
    by_system = [
        {}
        if system.shortcuts is None
        else {(own.role, own.like, own.kind): own for own in system.shortcuts.alterations}
        for system in findings.systems
    ]

    def rows(of_area: bool) -> tuple[Row, ...]:
        return tuple(
            Row(
                _label(next(found[name] for found in by_system if name in found), of_area),
                tuple(_change(found.get(name), of_area, first.move) for found in by_system),
            )
            for name in names
        )

    return Table(
        "What alterations changed",
        "Photos altered",
        tuple(of_first(system) for system in findings.systems),
        (Group("Share called a vehicle", rows(of_area=False)), Group("ROC area", rows(of_area=True))),
    )


def _label(result: AlterationResult, of_area: bool) -> str:
    text = f"{_ROLE_WORDS[result.role]} {result.kind} like {_ROLE_WORDS[result.like]}"
    return text if of_area else f"{text} ({count(result.changed)} of {count(result.photos)} changed)"


def _change(result: AlterationResult | None, of_area: bool, move: float) -> Cell:
    if result is None:
        return Cell(percent(None), why=_NOT_ASKED)
    change: Change = result.area if of_area else result.rate
    if change.change is None or change.before is None or change.after is None:
        return Cell(percent(None), why=visible(change.why))
    small = (
        f"{change.before:.3f} → {change.after:.3f}"
        if of_area
        else f"{percent(change.before)} → {percent(change.after)}"
    )
    if change.low is not None and change.high is not None:
        small = f"{signed(change.low)} to {signed(change.high)}\n{small}"
    warned = result.warning is not None and abs(change.change) > move
    if warned and not change.beyond_chance:
        small = f"{small}\nwithin chance"
    return Cell(f"{signed(change.change)} points", small=small, tone="bad" if warned else "")
