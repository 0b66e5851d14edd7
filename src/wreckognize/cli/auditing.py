"""``wreckognize audit``: which labels to look at first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from wreckognize.cli.console import Console
from wreckognize.errors import UsageError
from wreckognize.reporting.wording import plural, visible
from wreckognize.settings import SystemSettings
from wreckognize.study import Study


def audit_study(
    file: Path,
    *,
    system: str | None,
    folds: int,
    epochs: int | None,
    out: Path | None,
    overrides: Sequence[str],
    trust: Sequence[str] = (),
) -> None:
    """Make the labels of one system, audit them, and print where the page is and what comes first.

    Raises:
        UsageError: the study has no such system, or it is never trained.
    """
    study = Study.load(file, overrides=overrides, trust=trust)
    chosen = chosen_system(study, system)
    from wreckognize import pipeline
    from wreckognize.stages.auditing import audit
    from wreckognize.stages.run import Run
    from wreckognize.workspace import open_workspace

    progress = Console()
    try:
        labelled = pipeline.run(study, out=out, until="label", only=[chosen.name], progress=progress)
        with open_workspace(labelled.folder.absolute()) as workspace:
            result = audit(Run(study, workspace, progress), chosen, folds=folds, epochs=epochs)
            workspace.seal()
    except KeyboardInterrupt:
        typer.echo("\nstopped; the same command goes on where it stood", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{plural(result.photos, 'photo')} audited, labels of {chosen.name}")
    for words, count in result.kinds:
        typer.echo(f"{count:>7,}  {words}")
    if result.worst:
        typer.echo("\nthe most doubtful:")
    for photo, score, reason in result.worst:
        typer.echo(f"   {score:.2f}  {visible(photo)}: {reason}")
    for note in result.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"\npage: {result.page.absolute()}")


def chosen_system(study: Study, name: str | None) -> SystemSettings:
    """The system of that name; without a name the last one that is trained.

    Raises:
        UsageError: there is none.
    """
    trained = [system for system in study.systems if system.trained]
    if name is None and trained:
        return trained[-1]
    for system in trained:
        if system.name == name:
            return system
    names = ", ".join(system.name for system in trained)
    raise UsageError(
        f"the study has no trained system {name!r}" if name else "the study has no trained system, so no labels",
        where="--system",
        remedy=f"choose among {names}" if names else "add a system that is trained, e.g. ver6: {recipe: ver6}",
    )
