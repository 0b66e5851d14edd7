"""How long work reports where it stands, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of long work."""

    def advance(self, count: int = 1) -> None:
        """``count`` more items are done."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar (a loss, a file name)."""


class Progress(Protocol):
    """Where stages report to."""

    @contextmanager
    def task(self, description: str, total: int | None, unit: str = "photos") -> Iterator[Task]:
        """Open a piece of work of ``total`` items (None: not known yet)."""
        ...

    def say(self, text: str) -> None:
        """One line that stays on the screen."""


class _SilentTask:
    def advance(self, count: int = 1) -> None:
        """Report nothing."""

    def note(self, text: str) -> None:
        """Report nothing."""


class Silent:
    """A `Progress` that shows nothing: the default from Python."""

    @contextmanager
    def task(self, description: str, total: int | None, unit: str = "photos") -> Iterator[Task]:
        """Report nothing."""
        yield _SilentTask()

    def say(self, text: str) -> None:
        """Report nothing."""
