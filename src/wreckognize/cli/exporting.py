"""``wreckognize export``: a system of a run to a bundle, if it still decides as it did."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import typer

from wreckognize.cli.console import Console
from wreckognize.errors import ParityError, UsageError
from wreckognize.exporting.bundle import Bundle
from wreckognize.exporting.export import ExportSettings, export
from wreckognize.exporting.gate import Comparison, GateLimits
from wreckognize.exporting.manifest import Target
from wreckognize.stages.exporting import source_of


def export_system(
    folder: Path,
    target: Target,
    out: Path,
    *,
    int8: bool,
    max_flips: float,
    photos: int,
    force: bool,
    to_a_person: bool | None,
    trust: Collection[str],
) -> None:
    """Export, and print how far the bundle agrees with the original.

    Args:
        folder: ``RUN/systems/NAME``.
        target: what to export to.
        out: the bundle's folder.
        int8: see `ExportSettings`.
        max_flips: share of photos that may be decided otherwise.
        photos: at most so many validation photos are compared.
        force: write it even if it does not pass.
        to_a_person: see `ExportSettings`.
        trust: ``sha256:...`` of checkpoints that may be opened whatever they hold.

    Raises:
        WreckognizeError: see `export`; the photos that are decided otherwise were printed.
    """
    if not 0 <= max_flips < 1:
        raise UsageError(
            f"{max_flips:g} is no share", where="--max-flips", remedy="give a share from 0 to 1, e.g. 0.005"
        )
    settings = ExportSettings(
        target=target,
        int8=int8,
        limits=GateLimits(max_flips=max_flips),
        photos=photos,
        force=force,
        to_a_person=to_a_person,
    )
    source = source_of(folder, trust)
    try:
        bundle, comparison = export(source, out, settings, progress=Console())
    except ParityError as error:
        for photo in error.photos:
            typer.echo(photo)
        raise
    _say(bundle, comparison)


def _say(bundle: Bundle, comparison: Comparison) -> None:
    manifest = bundle.manifest
    typer.echo(f"{bundle.folder}: {manifest.name}, version {manifest.version}")
    typer.echo(f"  {bundle.card.decision.en}")
    typer.echo(f"  {bundle.card.parity.en}")
    if comparison.remark:
        typer.echo(f"  note: {comparison.remark}")
    for flip in comparison.flips:
        typer.echo(f"  decided otherwise: {flip.photo} ({flip.original:.4f}, bundle {flip.bundle:.4f})")
    speed = manifest.parity.speed
    if speed is not None:
        ratio = speed.original_ms / speed.bundle_ms
        both = f"original {speed.original_ms:g} ms, bundle {speed.bundle_ms:g} ms ({ratio:.1f}x)"
        typer.echo(f"  one photo: {both}, {speed.device}")
    if manifest.parity.result == "forced":
        typer.echo("  written by force: card and manifest say so")
