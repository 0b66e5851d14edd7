"""``wreckognize doctor``: what is missing, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from wreckognize.doctor import diagnose
from wreckognize.errors import UsageError

_MARKS = {
    True: typer.style("ok     ", fg="green"),
    False: typer.style("missing", fg="red", bold=True),
    None: typer.style("note   ", fg="yellow"),
}


def print_diagnosis(study: Path | None, trust: Sequence[str] = (), overrides: Sequence[str] = ()) -> None:
    """Print all checks; exit with 2 if one failed.

    A line is never broken, so that a path can be copied from it whole.

    Raises:
        UsageError: fields are set and no study is named.
    """
    if overrides and study is None:
        raise UsageError("sets a field of a study, and none is named", where="--set", remedy="name the study file")
    checks = diagnose(study, trust, overrides)
    for check in checks:
        typer.echo(f"{_MARKS[check.ok]}  {check.name}: {check.found}")
        if check.remedy:
            typer.echo(f"         what to do: {check.remedy}")
    if any(check.ok is False for check in checks):
        raise typer.Exit(2)
