"""``wreckognize fetch``: the commands that download."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wreckognize.cli.plain import commands

fetch = commands("Download what is published elsewhere. No other command downloads anything.")


@fetch.command("weights")
def weights(
    name: Annotated[str, typer.Argument(help="Such as yolov8x.", metavar="NAME", show_default=False)],
    to: Annotated[Path, typer.Option("--to", help="The folder, best the study's.", metavar="DIR")] = Path(),
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Another place that has the file: a URL (ending in / for a folder), or the path of a file that came "
            "some other way. Its hash must be the same. Default: its publisher's release page.",
            metavar="URL|FILE",
        ),
    ] = None,
) -> None:
    """Download published detector weights and check that they are the published bytes.

    Names: yolov8n, yolov8s, yolov8m, yolov8l, yolov8x, and yolo11n to yolo11x. The hash of each is part of this
    package; what has another is removed. Interrupted, the same command goes on where it stood. The weights are
    Ultralytics' and under the AGPL-3.0.

    Example: `wreckognize fetch weights yolov8x`
    """
    from wreckognize.cli.console import Console
    from wreckognize.errors import UsageError
    from wreckognize.fetching import PINS, RELEASE
    from wreckognize.fetching.download import fetch as fetch_file

    pin = PINS.get(name.removesuffix(".pt"))
    if pin is None:
        raise UsageError(
            f"no published weights are called {name!r}", where="NAME", remedy=f"choose among {', '.join(PINS)}"
        )
    try:
        file, new = fetch_file(pin, to, source=from_ or RELEASE, progress=Console())
    except KeyboardInterrupt:
        typer.echo("\nstopped; the same command goes on where it stood", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{'fetched' if new else 'already there'}: {file} ({pin.size / 1e6:.1f} MB, sha256 {pin.sha256})")
