"""Commands that run a study."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import cast

import typer

from wreckognize.cli.console import Console
from wreckognize.errors import MissingExtraError, UsageError
from wreckognize.files import atomic_write
from wreckognize.study import Study


def run_study(
    file: Path,
    step: str,
    *,
    out: Path | None,
    overrides: Sequence[str],
    only: Sequence[str],
    unlock: str | None = None,
    trust: Sequence[str] = (),
) -> None:
    """Load a study, run it up to ``step`` and print what it came to."""
    study = Study.load(file, overrides=overrides, trust=trust)
    _run(study, step, out, only, unlock)


def _run(study: Study, step: str, out: Path | None, only: Sequence[str], unlock: str | None = None) -> None:
    from wreckognize import pipeline

    try:
        result = pipeline.run(
            study, out=out, until=cast(pipeline.Until, step), only=only, unlock=unlock, progress=Console()
        )
    except KeyboardInterrupt:
        typer.echo("\nstopped; the same command goes on where it stood", err=True)
        raise typer.Exit(130) from None
    if result.comparison is None:
        typer.echo(f"done up to {step}: {result.folder}")
        return
    from wreckognize.cli.tables import print_comparison, print_verdicts

    assert result.findings is not None  # they come with the comparison
    print_comparison(result.comparison, result.findings)
    print_verdicts(result.findings)
    typer.echo(f"\nreport: {result.page.absolute()}")


def write_template(file: Path) -> None:
    """Write the commented study file.

    Raises:
        UsageError: the file exists.
    """
    if file.exists():
        raise UsageError("the file exists", where=str(file), remedy="give another name, or move it away")
    text = resources.files("wreckognize").joinpath("study_template.yaml").read_text(encoding="utf-8")
    atomic_write(file, text)
    typer.echo(f"wrote {file}; change the folders in it, then: wreckognize doctor {file}")


def run_demo(out: Path, *, scale: float) -> None:
    """Draw the collection beside the run and run the demo study over it.

    Raises:
        MissingExtraError: what trains is not installed; said before anything is drawn.
    """
    from wreckognize.demo.collection import make
    from wreckognize.study.training import missing_modules

    if missing_modules():
        raise MissingExtraError("yolo", "the demo")
    console = Console()
    collection = make(out.with_name(out.name + "-photos"), scale=scale, progress=console)
    _run(Study.load(collection.study), "report", out, ())
    typer.echo(
        f"\nfrom here to a verdict on your own photos:\n"
        f"  wreckognize export {out}/systems/ver6 --to openvino --out ver6-bundle\n"
        f"  wreckognize predict ver6-bundle PHOTOS\n"
        f"  wreckognize serve ver6-bundle",
        err=True,  # the report's path stays the last line of what was asked for
    )
