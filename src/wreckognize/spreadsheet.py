"""CSV that no spreadsheet takes for more than text and numbers.

A text that begins with ``=``, ``+``, ``-`` or ``@`` may be run as a formula
(https://owasp.org/www-community/attacks/CSV_Injection), also in full width, behind spaces or quotes, or in the middle
of a cell: where lists are separated by semicolons, the file name ``a;=cmd`` is two cells. In all these places an
apostrophe is put before the sign, and one before a tab or a line end that begins a cell. Numbers stay numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

_BREAKS = "\t\r\n\x0b\x0c\x85\u2028\u2029"
_FORMULA = re.compile(rf"(?:^|[;{_BREAKS}])(?=[\s\x00-\x20\ufeff\"]*[=+\-@\uff1d\uff0b\uff0d\uff20])")
_NEEDS_QUOTES = re.compile(rf'[",;{_BREAKS}]')
_BREAK_FIRST = re.compile(rf"^(?=[{_BREAKS}])")


def cell(value: Any) -> Any:
    """A value as a cell of CSV that no spreadsheet takes for a formula.

    >>> cell("=1+1"), cell("a;=1"), cell("-0.5"), cell(-0.5), cell("a-b"), cell(True)
    ("'=1+1", "a;'=1", "'-0.5", -0.5, 'a-b', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    return _BREAK_FIRST.sub("'", _FORMULA.sub(lambda found: f"{found[0]}'", value))


def rows_to_csv(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table as CSV, its texts made safe; lines end with a line feed."""
    return "".join(map(row_to_csv, (header, *rows)))


def row_to_csv(row: Iterable[Any]) -> str:
    """One line of it."""
    return f"{','.join(map(_field, row))}\n"


def _field(value: Any) -> str:
    """One value, in quotes where it needs them (the csv module leaves a lone carriage return without)."""
    text = "" if value is None else str(cell(value))
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def table_to_csv(table: pl.DataFrame) -> str:
    """A Polars frame as CSV, its texts made safe."""
    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    return table.with_columns(
        pl.Series(name, [cell(value) for value in table[name]], dtype=pl.String) for name in texts
    ).write_csv()
