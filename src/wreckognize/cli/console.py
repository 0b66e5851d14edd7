"""What a person sees while work goes on."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from wreckognize.progress import Task

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

LINE_SECONDS = 10.0  # between lines where there is no terminal to draw on
RATE_SECONDS = 60.0  # that a rate there is reckoned from


class _Bar:
    def __init__(self, bars: RichProgress, task: TaskID) -> None:
        self._bars, self._task = bars, task

    def advance(self, count: int = 1) -> None:
        self._bars.advance(self._task, count)

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=text)


class _Lines:
    """Progress as a line every few seconds, for logs."""

    def __init__(self, description: str, total: int | None, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._done = 0
        self._shown: int | None = None
        self._note = ""
        self._last = time.monotonic()
        self._began = (self._last, 0)
        self._points: deque[tuple[float, int]] = deque()  # moments since the first item, and what was done then

    def advance(self, count: int = 1) -> None:
        if count == 0:
            return
        self._done += count
        now = time.monotonic()
        self._remember(now)
        if now - self._last >= LINE_SECONDS:
            self._last = now
            self._show(self._points[0])

    def note(self, text: str) -> None:
        self._note = text

    def close(self) -> None:
        if self._shown != self._done:
            self._show(self._began)

    def _remember(self, now: float) -> None:
        """What the rate is reckoned from: the last while, neither how long the first item took nor earlier work."""
        if not self._points or now - self._points[-1][0] >= RATE_SECONDS / 30:
            self._points.append((now, self._done))
        while len(self._points) > 1 and now - self._points[1][0] >= RATE_SECONDS:
            self._points.popleft()

    def _show(self, since: tuple[float, int]) -> None:
        """Print where it stands, with the rate since a moment at which so much was done."""
        self._shown = self._done
        seconds = time.monotonic() - since[0]
        rate = (self._done - since[1]) / seconds if seconds > 0 else 0.0
        text = f"{self._description}: {self._done:,}"
        if self._total is not None:
            text += f" of {self._total:,}"
        text += f" {self._unit}"
        if rate > 0:
            text += f", {rate:.1f}/s"
            if self._total is not None and self._done < self._total:
                text += f", {timedelta(seconds=round((self._total - self._done) / rate))} left"
        print(f"{text}  {self._note}".rstrip(), file=sys.stderr, flush=True)  # noqa: T201


class Console:
    """A `wreckognize.progress.Progress` on standard error: bars on a terminal, lines elsewhere."""

    @contextmanager
    def task(self, description: str, total: int | None, unit: str = "photos") -> Iterator[Task]:
        """Show one piece of work with its rate and the time left."""
        if not sys.stderr.isatty():
            lines = _Lines(description, total, unit)
            yield lines
            lines.close()
            return
        from rich.console import Console as RichConsole
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Task as RichTask
        from rich.text import Text

        class Rate(ProgressColumn):
            def render(self, task: RichTask) -> Text:
                return Text(f"{task.speed:.1f}/s" if task.speed else "")

        columns = (
            TextColumn("{task.description:<22}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=RichConsole(stderr=True)) as bars:
            yield _Bar(bars, bars.add_task(description, total=total, unit=unit, note=""))

    def say(self, text: str) -> None:
        """One line that stays."""
        print(harmless(text), file=sys.stderr, flush=True)  # noqa: T201


_COMMANDS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"} | {
    code: f"\\u{code:04x}" for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def harmless(text: str) -> str:
    r"""Text with the names of files in it, as a terminal may have it: none of it moves, colours or turns the rest.

    >>> harmless("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return text.translate(_COMMANDS).encode("utf-8", "backslashreplace").decode("utf-8")
