"""Options that commands of several families share."""

from __future__ import annotations

from typing import Annotated

import typer

Trust = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        help="Open the checkpoint with this hash though it is more than data; it may run any program. The message that "
        "refuses a file gives its hash. May be repeated.",
        metavar="sha256:HEX",
    ),
]
