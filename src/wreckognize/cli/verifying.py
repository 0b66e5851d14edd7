"""``wreckognize verify``: a finished run, checked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer

from wreckognize.cli.console import Console
from wreckognize.files import atomic_write
from wreckognize.stages.checks import NAMED
from wreckognize.stages.verifying import NOT_COVERED, verify

_MARKS = {"holds": "ok    ", "differs": "DIFFERS", "not checked": "-     "}


def verify_run(folder: Path, *, photos: bool, out: Path | None) -> bool:
    """Check a run and print what was found.

    Args:
        folder: the run's.
        photos: read the sources' photos too.
        out: a JSON file for all of it.

    Returns:
        Whether everything holds.
    """
    found = verify(folder, photos=photos, progress=Console())
    if out is not None:
        atomic_write(out, json.dumps({"holds": found.holds, **asdict(found)}, indent=1, ensure_ascii=False))
    for check in found.checks:
        typer.echo(f"{_MARKS[check.outcome]:<8}{check.what}")
        for detail in check.details[:NAMED]:
            typer.echo(f"        {detail}")
        if len(check.details) > NAMED:
            typer.echo(f"        and {len(check.details) - NAMED} more")
    open_questions = sum(check.outcome == "not checked" for check in found.checks)
    typer.echo(f"\nnot covered: {'; '.join(NOT_COVERED)}")
    typer.echo(f"sha256 of state.json, which names all others but those of searches and reviews: {found.digest}")
    if not found.holds:
        bad = sum(check.outcome == "differs" for check in found.checks)
        typer.echo(f"{bad} of {len(found.checks)} checks differ: do not rely on this report")
    else:
        rest = f"; {open_questions} could not be checked" if open_questions else ""
        typer.echo(f"every figure follows from predictions and truth, every hash holds{rest}")
    return found.holds
