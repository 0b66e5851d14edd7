"""``wreckognize doctor``: what is missing, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from wreckognize.doctor import diagnose

_MARKS = {
    True: Text("ok", style="green"),
    False: Text("missing", style="bold red"),
    None: Text("note", style="yellow"),
}


def print_diagnosis(study: Path | None) -> None:
    """Print all checks; exit with 2 if one failed."""
    checks = diagnose(study)
    table = Table(show_header=True, title="wreckognize doctor")
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        table.add_row(_MARKS[check.ok], Text(check.name), Text(check.found), Text(check.remedy))
    Console().print(table)
    if any(check.ok is False for check in checks):
        raise typer.Exit(2)
