"""Help as plain text: half of the time that `--help` took went to loading what draws boxes around it."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

_WHOLE = 1000  # letters that a command's first sentence may have


class _Group(TyperGroup):
    """Lists commands with their whole first sentence, where Click would cut it to one line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        shown = [(name, command) for name, command in commands if command is not None and not command.hidden]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(_WHOLE)) for name, command in shown])


def commands(help_: str, *, name: str | None = None) -> typer.Typer:
    """A group of commands whose help is plain text."""
    return typer.Typer(
        name=name,
        cls=_Group,
        help=help_,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
