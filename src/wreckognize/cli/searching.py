"""``wreckognize search``: the best settings of a system."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from wreckognize.cli.console import Console
from wreckognize.study import Study


def search_study(
    file: Path,
    *,
    trials: int | None,
    minutes: float | None,
    storage: str | None,
    out: Path | None,
    overrides: Sequence[str],
    trust: Sequence[str] = (),
) -> None:
    """Search, and print the best trial and where the page and the entry for the study file are.

    Raises:
        TrainingError: all trials failed.
    """
    given = {"trials": trials, "minutes": minutes, "storage": storage}
    options = [f"search.{name}={json.dumps(value)}" for name, value in given.items() if value is not None]
    study = Study.load(file, overrides=[*overrides, *options], trust=trust)
    from wreckognize import pipeline
    from wreckognize.search.records import count_outcomes
    from wreckognize.search.words import said_of_value
    from wreckognize.settings import OBJECTIVES

    try:
        result = pipeline.search(study, out=out, progress=Console())
    except KeyboardInterrupt:
        typer.echo("\nstopped; the same command goes on where it stood", err=True)
        raise typer.Exit(130) from None
    counts = ", ".join(f"{count} {outcome}" for outcome, count in count_outcomes(result.trials).items())
    typer.echo(f"search for {result.system}: {counts}")
    for trial in result.trials:
        if trial.outcome == "failed":
            typer.echo(f"   trial {trial.number} failed: {trial.reason}")
    for note in result.notes:
        typer.echo(f"note: {note}")
    if result.best is None or result.best.value is None:
        typer.echo("no trial has come to its end yet")
        return
    words = OBJECTIVES[result.objective]
    typer.echo(
        f"\nbest: trial {result.best.number}, {words} {result.best.value:.4f} on {result.judged} validation photos"
    )
    for field, value in result.best.values.items():
        typer.echo(f"   {field}: {said_of_value(value)}")
    typer.echo(
        "That is optimistic (the best of several, on photos that chose the epoch too); the test set stayed shut."
    )
    typer.echo(f"\nfor the study file: {result.entry.absolute()}")
    typer.echo(f"page: {result.page.absolute()}")
