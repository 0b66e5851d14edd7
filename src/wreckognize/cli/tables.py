"""Tables on the screen."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from wreckognize.evaluation.comparison import Comparison, SystemFigures
from wreckognize.evidence.findings import Findings
from wreckognize.reporting.verdicts_text import verdict_lines


def print_comparison(comparison: Comparison) -> None:
    """The comparison in short: what each system finds at equal false alarms, and at its own threshold."""
    test = comparison.test
    table = Table(
        title=f"{comparison.study}: {test.photos} test photos, {test.vehicle} with a vehicle, {test.background} without"
    )
    table.add_column("system", overflow="fold")
    for heading in ("found at 5 %\nfalse alarms", "at\n2.5 %", "ROC\narea"):
        table.add_column(heading, justify="right")
    for heading in ("thres-\nhold", "missed", "false\nalarms", "F1", "mAP\n50-95", "ms a\nphoto"):
        table.add_column(heading, justify="right")
    for system in comparison.systems:
        table.add_row(*_cells(system))
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    console.print("found: damaged cars found when at most that share of the backgrounds is called a vehicle")


def print_verdicts(findings: Findings) -> None:
    """What the comparison of the systems shows, in words."""
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print()
    for line in verdict_lines(findings):
        console.print(line, markup=False, highlight=False)


def _cells(system: SystemFigures) -> list[str]:
    found = system.found_at_false_alarms
    return [
        system.name,
        *(_percent(at.damaged if (at := found[rate]) else None) for rate in ("0.05", "0.025")),
        _number(system.auc_damaged, 3),
        f"{system.threshold:g}",
        str(system.fn),
        str(system.fp),
        _number(system.f1.vehicle, 3),
        _number(system.map50_95, 3),
        _number(system.ms_per_image, 1),
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
