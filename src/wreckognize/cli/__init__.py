"""The command line: parse, call, print. One module a family of commands; nothing heavy is imported to show help."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from wreckognize.errors import UsageError, WreckognizeError


def main() -> None:
    """Entry point of ``wreckognize``: exit code 0 done, 1 a guard or gate said no, 2 wrong use or input."""
    from wreckognize.cli.app import app
    from wreckognize.cli.console import harmless
    from wreckognize.processor import let_cores_go

    os.environ.update(let_cores_go())  # whatever imports torch, and when
    try:
        try:
            app()
        except PermissionError as error:
            raise UsageError(
                f"not permitted ({error.strerror or error})",
                where=str(error.filename or ""),
                remedy="mend its permissions, or choose another place",
            ) from error
        except OSError as error:
            from wreckognize.files import writing  # reads Polars, which nothing needs that only shows help

            with writing(Path.cwd()):
                raise error
    except WreckognizeError as error:
        print(f"error: {harmless(str(error))}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
