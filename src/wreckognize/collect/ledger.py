"""What became of everything a source held: nothing is dropped without a line here."""

from __future__ import annotations

from collections import Counter
from typing import Literal, get_args

import polars as pl

from wreckognize.catalog import QUARANTINE_SCHEMA, TALLY_SCHEMA
from wreckognize.errors import InputError

Outcome = Literal["used", "not_wanted", "quarantined", "noted", "box_clipped", "box_left_out"]
_OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Ledger:
    """Counts and quarantine of one source."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._counts: Counter[tuple[Outcome, str]] = Counter()
        self._quarantined: list[tuple[str, str, str]] = []

    def count(self, outcome: Outcome, reason: str = "", number: int = 1) -> None:
        """Add to one line of the tally."""
        if number:
            self._counts[outcome, reason] += number

    def quarantine(self, file: str, error: InputError) -> None:
        """Set one file aside. The tally counts the bare reason; the quarantine adds the place within the file."""
        self.count("quarantined", error.reason)
        reason = f"{error.reason} ({error.where})" if error.where else error.reason
        self._quarantined.append((printable(file), printable(reason), error.remedy))

    @property
    def failures(self) -> int:
        """Photos and labels in quarantine."""
        return len(self._quarantined)

    def first_failures(self, number: int) -> str:
        """The first failures by file name, one a line."""
        return "\n".join(f"  {file}: {reason}" for file, reason, _ in sorted(self._quarantined)[:number])

    def quarantine_table(self) -> pl.DataFrame:
        """``QUARANTINE_SCHEMA``, sorted by file."""
        rows = [(self.source, *row) for row in sorted(self._quarantined)]
        return pl.DataFrame(rows, schema=QUARANTINE_SCHEMA, orient="row")

    def tally_table(self) -> pl.DataFrame:
        """``TALLY_SCHEMA``, in the order of outcomes, then by reason."""
        rows = [(self.source, outcome, reason, count) for (outcome, reason), count in self._sorted()]
        return pl.DataFrame(rows, schema=TALLY_SCHEMA, orient="row")

    def __str__(self) -> str:
        lines = [
            f"  {count:,} {outcome.replace('_', ' ')}{f': {reason}' if reason else ''}"
            for (outcome, reason), count in self._sorted()
        ]
        return "\n".join(lines) or "  nothing was found"

    def _sorted(self) -> list[tuple[tuple[Outcome, str], int]]:
        return sorted(self._counts.items(), key=lambda item: (_OUTCOMES.index(item[0][0]), item[0][1]))


def printable(text: str) -> str:
    r"""Text that any table and screen takes: bytes of a file name that are not Unicode become ``\udcXX``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
