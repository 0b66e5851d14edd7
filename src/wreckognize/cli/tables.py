"""Tables on the screen."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from wreckognize.evaluation.comparison import Comparison, SystemFigures
from wreckognize.evidence.findings import Findings, SystemFindings
from wreckognize.evidence.sample import MAP, ROC_AREA, found_at
from wreckognize.evidence.verdicts import Row
from wreckognize.reporting.evidence.figures import reasons
from wreckognize.reporting.evidence.small import small_roles
from wreckognize.reporting.verdicts_text import verdict_lines

_UNKNOWN = "–"
_SHOWN = {
    found_at(0.05): "found at 5 %",
    found_at(0.025): "at 2.5 %",
    ROC_AREA: "ROC area",
    "recall": "missed",
    "false_alarms": "false alarms",
    "f1": "F1",
    MAP: "mAP50-95",
}


def print_comparison(comparison: Comparison, findings: Findings) -> None:
    """The comparison in short: what each system finds at equal false alarms, and at its own threshold.

    Of a system trained several times it shows the means over trainings, as the report does.
    """
    test = comparison.test
    table = Table(
        title=f"{comparison.study}: {test.photos} test photos, {test.vehicle} with a vehicle, {test.background} without"
    )
    table.add_column("system", overflow="fold")
    for heading in ("found at 5 %\nfalse alarms", "at\n2.5 %", "ROC\narea"):
        table.add_column(heading, justify="right")
    for heading in ("thres-\nhold", "missed", "false\nalarms", "F1", "mAP\n50-95", "ms a\nphoto"):
        table.add_column(heading, justify="right")
    rows = {row.name: row for row in findings.judged.rows}
    for system, found in zip(comparison.systems, findings.systems, strict=True):
        table.add_row(*_cells(comparison, system, found, rows[system.name]))
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    lines = ["found: damaged cars found when at most that share of the backgrounds is called a vehicle"]
    lines += small_roles(findings.judged)
    lines += [f"{_UNKNOWN} {reason}" for reason in reasons(findings.judged, _SHOWN)]
    for line in lines:
        console.print(line, markup=False, highlight=False)


def print_verdicts(findings: Findings) -> None:
    """What the comparison of the systems shows, in words."""
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print()
    for line in verdict_lines(findings):
        console.print(line, markup=False, highlight=False)


def _cells(comparison: Comparison, system: SystemFigures, found: SystemFindings, row: Row) -> list[str]:
    def value(figure: str) -> float | None:
        return row.figures[figure].value

    recall = value("recall")
    return [
        system.name if row.seeds == 1 else f"{system.name} (mean of {row.seeds})",
        *(_percent(value(found_at(rate))) for rate in (0.05, 0.025)),
        _number(value(ROC_AREA), 3),
        _thresholds(found),
        _count(None if recall is None else (1 - recall) * comparison.test.vehicle),
        _count(None if (alarms := value("false_alarms")) is None else alarms * comparison.test.background),
        _number(value("f1"), 3),
        _number(value(MAP), 3),
        _number(system.ms_per_image, 1),
    ]


def _thresholds(found: SystemFindings) -> str:
    """One, or the lowest and the highest of several trainings."""
    values = sorted({own.chosen.threshold for own in found.frozen})
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:.3g} to {values[-1]:.3g}"


def _count(value: float | None) -> str:
    """A number of photos; of several trainings the mean, which need not be whole."""
    if value is None:
        return _UNKNOWN
    return f"{round(value)}" if abs(value - round(value)) < 1e-6 else f"{value:.1f}"


def _percent(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{100 * value:.1f} %"


def _number(value: float | None, digits: int) -> str:
    return _UNKNOWN if value is None else f"{value:.{digits}f}"
