"""Options that commands of several families share."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import typer

from wreckognize.errors import UsageError


def _hashes(given: list[str] | None) -> list[str] | None:
    for one in given or ():
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", one):
            raise UsageError(
                f"{one!r} is not sha256: and 64 hexadecimal digits in lower case",
                where="--trust",
                remedy="copy it from the message that refuses the file",
            )
    return given


Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        help="Open the checkpoint with this hash though it is more than data; it may run any program. The message that "
        "refuses a file gives its hash. May be repeated.",
        metavar="sha256:HEX",
        callback=_hashes,
    ),
]
On = Annotated[
    Literal["here", "ray"] | None,
    typer.Option(
        "--on",
        help="Who looks at the photos: this process, or the machines of a Ray cluster (of a study: scale.address; "
        "without one, a Ray on this machine). What comes out is the same.",
    ),
]
ServeOn = Annotated[
    Literal["here", "ray"] | None,
    typer.Option("--on", help="Who serves: this machine, or the machines of a Ray cluster. The API is the same."),
]
