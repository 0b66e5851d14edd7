"""Every figure with its interval, the two trivial systems included."""

from __future__ import annotations

from collections.abc import Mapping

from wreckognize.evidence.sample import FALSE_ALARM_RATES, ROC_AREA, found_at
from wreckognize.evidence.verdicts import Estimate, Evidence
from wreckognize.evidence.verdicts import Row as System
from wreckognize.reporting.evidence.phrases import as_decimal, as_decimals, in_percent
from wreckognize.reporting.tables import Cell, Group, Row, Table
from wreckognize.reporting.wording import listed, percent, rate

_SHARES = {
    "At its own threshold": {
        "balanced_accuracy": "balanced accuracy",
        "damaged_found": "damaged cars found",
        "normal_found": "intact cars found",
        "false_alarms": "false alarms",
        "accuracy": "accuracy",
        "precision": "precision, Vehicle",
        "recall": "recall, Vehicle",
    },
    "Damaged cars found at": {
        found_at(value): f"{rate(f'{value:g}')} false alarms" for value in FALSE_ALARM_RATES
    },
}
_DECIMALS = {
    "At its own threshold": {"f1": "F1, Vehicle", "mcc": "MCC"},
    "Damaged cars found at": {"roc_area": "ROC area"},
    "Boxes against human boxes": {"map50_95": "mAP50-95"},
}


def figures_table(judged: Evidence) -> Table:
    """One column a system, the trivial ones last; one row a figure that any system has."""
    systems = judged.rows
    groups = []
    for title in dict.fromkeys((*_SHARES, *_DECIMALS)):
        rows = [
            Row(label, tuple(estimate_cell(system, figure, of_shares) for system in systems))
            for of_shares, named in ((True, _SHARES), (False, _DECIMALS))
            for figure, label in named.get(title, {}).items()
            if any(figure in system.figures for system in systems)
        ]
        if rows:
            groups.append(Group(title, tuple(rows)))
    return Table("Figures with intervals", "Figure", tuple(system.name for system in systems), tuple(groups))


FIGURE_NAMES = {
    figure: f"found at {label}"
    if title.endswith(" at") and figure != ROC_AREA
    else label.removesuffix(", Vehicle")
    for of_kind in (_SHARES, _DECIMALS)
    for title, named in of_kind.items()
    for figure, label in named.items()
}


def reasons(judged: Evidence, figures: Mapping[str, str] = FIGURE_NAMES) -> tuple[str, ...]:
    """What cannot be said of the systems, and why: one sentence a reason.

    Args:
        judged: with every system's figures.
        figures: of which to speak, and what each is called.
    """
    systems = [row for row in judged.rows if not row.trivial]
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for figure, label in figures.items():
        whys: dict[str, list[str]] = {}
        for row in systems:
            own = row.figures.get(figure)
            if own is not None and own.value is None and own.why:
                whys.setdefault(own.why, []).append(row.name)
        for why, names in whys.items():
            found.setdefault((why, tuple(names)), []).append(label)
    everyone = tuple(row.name for row in systems)
    return tuple(
        f"{listed(labels)}{'' if names == everyone else f' of {listed(list(names))}'}: cannot be said, {why}."
        for (why, names), labels in found.items()
    )


def estimate_cell(system: System, figure: str, of_shares: bool) -> Cell:
    """A figure, its interval beneath, and the spread between trainings where there are several."""
    found = system.figures.get(figure)
    if found is None:
        return Cell(percent(None), why="not computed for this system")
    if found.value is None:
        return Cell(percent(None), why=found.why or "")
    interval = (in_percent if of_shares else as_decimals)(found.low, found.high)
    if system.trivial:
        interval = ""  # it follows from the share of vehicles in this test set
    elif not interval:
        interval = f"no interval: {found.why}" if found.why else "no interval"
    beneath = "\n".join(filter(None, (interval, _spread(found, of_shares))))
    return Cell(percent(found.value) if of_shares else as_decimal(found.value), why=found.why or "", small=beneath)


def _spread(found: Estimate, of_shares: bool) -> str:
    if found.seeds_sd is None or found.seeds is None:
        return ""
    return f"SD {100 * found.seeds_sd:.1f}" if of_shares else f"SD {found.seeds_sd:.3f}"
