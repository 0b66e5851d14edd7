"""Where each system is worse than its average, worst first; and the hard backgrounds."""

from __future__ import annotations

from dataclasses import dataclass

from wreckognize.evidence.findings import Findings, SystemFindings
from wreckognize.evidence.slices import SliceRow, SliceTable
from wreckognize.reporting.evidence.phrases import in_percent, of_first, p_value
from wreckognize.reporting.tables import Cell, Group, Row, Table
from wreckognize.reporting.wording import count, percent, plural, threshold, visible

_TONES = {"worse": "bad", "better": "good"}
_MARKS = {"worse": "▼ ", "better": "▲ "}
_IN_ROLE = {"damaged": "damaged", "normal": "intact", "background": "backgrounds"}
_TOO_FEW = "too few to say"
NO_HARD = (
    "No hard backgrounds are in the test set: nothing is known about documents, interiors, engine bays, odometers."
)


@dataclass(frozen=True, slots=True)
class SliceLine:
    """One slice, as text; ``share``, ``low`` and ``high`` (0 to 1) also place the bar.

    Attributes:
        name: the trait and the slice.
        role: of its photos.
        figure: what is counted, in words.
        value: the share.
        interval: of it.
        rest: the share among the photos it is compared with.
        against: which those are.
        photos: how many, and in how many groups.
        verdict: words, with the corrected p-value where there is one.
        tone: good, bad or nothing.
    """

    name: str
    role: str
    figure: str
    value: str
    interval: str
    rest: str
    against: str
    photos: str
    verdict: str
    p: str
    tone: str
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SystemSlices:
    """The slices of one system.

    Attributes:
        system: its name.
        threshold: its own.
        worse: how many slices are worse beyond chance.
        note: how to read the table.
        lines: worst first.
        too_few: slices with too few photos, by name.
        repeated: slices left out because another has the same photos.
    """

    system: str
    threshold: str
    worse: int
    note: str
    lines: tuple[SliceLine, ...]
    too_few: tuple[str, ...]
    repeated: tuple[str, ...]


def system_slices(system: SystemFindings) -> SystemSlices:
    """One system's slices as text."""
    table = system.slices
    said = [row for row in table.rows if row.share is not None]
    return SystemSlices(
        system=of_first(system),
        threshold=threshold(table.threshold),
        worse=sum(row.verdict == "worse" for row in said),
        note=table.note,
        lines=tuple(_line(row) for row in said),
        too_few=tuple(
            f"{_name(row)} ({_IN_ROLE[row.role]}, {plural(row.photos, 'photo')})"
            for row in table.rows
            if row.verdict == _TOO_FEW
        ),
        repeated=tuple(visible(text) for text in table.repeated),
    )


def hard_table(findings: Findings) -> Table | None:
    """False alarms on hard backgrounds, system by system; None where the test set has none."""
    if not findings.hard_backgrounds:
        return None
    systems = findings.systems
    return Table(
        "False alarms on hard backgrounds",
        "Photos",
        tuple(of_first(system) for system in systems),
        (
            Group(
                f"{plural(findings.hard_backgrounds, 'hard background')} in the test set",
                (Row("called a vehicle", tuple(_hard(system.slices) for system in systems)),),
            ),
        ),
    )


def _hard(table: SliceTable) -> Cell:
    # Where every background is hard, the slice is the role itself and stands under that name.
    for trait, name in (("background", "hard"), ("role", "background")):
        for row in table.rows:
            if (row.trait, row.slice) == (trait, name):
                if row.share is None:
                    return Cell(f"{count(row.hits)} of {count(row.photos)}", small=_TOO_FEW)
                return Cell(percent(row.share), small=in_percent(row.low, row.high))
    return Cell(percent(None), why="not counted for this system")


def _line(row: SliceRow) -> SliceLine:
    groups = f" in {plural(row.groups, 'group')}" if row.groups < row.photos else ""
    return SliceLine(
        name=_name(row),
        role=_IN_ROLE[row.role],
        figure="false alarms" if row.figure == "false alarms" else "found",
        value=percent(row.share),
        interval=in_percent(row.low, row.high),
        rest=percent(row.rest),
        against=_against(row),
        photos=f"{count(row.photos)}{groups}",
        verdict=f"{_MARKS.get(row.verdict, '')}{row.verdict}",
        p=p_value(row.p_adjusted),
        tone=_TONES.get(row.verdict, ""),
        share=row.share or 0.0,
        low=row.low or 0.0,
        high=row.high or 0.0,
    )


def _against(row: SliceRow) -> str:
    """A role is compared with the other vehicles (a background has none to be compared with), all else within it."""
    if row.rest is None:
        return ""
    if row.trait == "role":
        return "all other vehicles"
    return "the other backgrounds" if row.role == "background" else f"the other {_IN_ROLE[row.role]} cars"


def _name(row: SliceRow) -> str:
    return visible(f"{row.trait}: {row.slice}")
