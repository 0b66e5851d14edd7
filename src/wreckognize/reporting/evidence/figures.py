"""Every figure with its interval, the two trivial systems included."""

from __future__ import annotations

from wreckognize.evidence.sample import FALSE_ALARM_RATES, found_at
from wreckognize.evidence.verdicts import Estimate, Evidence
from wreckognize.evidence.verdicts import Row as System
from wreckognize.reporting.evidence.phrases import as_decimal, as_decimals, in_percent
from wreckognize.reporting.tables import Cell, Group, Row, Table
from wreckognize.reporting.wording import percent, rate

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
        interval = "no interval"
    beneath = "\n".join(filter(None, (interval, _spread(found, of_shares))))
    return Cell(percent(found.value) if of_shares else as_decimal(found.value), why=found.why or "", small=beneath)


def _spread(found: Estimate, of_shares: bool) -> str:
    if found.seeds_sd is None or found.seeds is None:
        return ""
    return f"SD {100 * found.seeds_sd:.1f}" if of_shares else f"SD {found.seeds_sd:.3f}"
