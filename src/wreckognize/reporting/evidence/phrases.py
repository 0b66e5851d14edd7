"""How intervals, differences and p-values are written."""

from __future__ import annotations

import re

from wreckognize.evidence.findings import SystemFindings
from wreckognize.evidence.intervals import Proportion
from wreckognize.reporting.tables import Cell
from wreckognize.reporting.wording import first_of, percent

_PERCENT = "\N{NO-BREAK SPACE}%"
_MINUS = "\N{MINUS SIGN}"
_DASH = "\N{EN DASH}"
_UNKNOWN = "cannot be said"


def of_first(system: SystemFindings) -> str:
    """A system's name above what is said of its first training only, which is all but its thresholds."""
    return first_of(system.name, len(system.frozen))


def in_percent(low: float | None, high: float | None) -> str:
    r"""An interval of shares, empty where there is none; never rounded to one that holds nothing but 0 or 100 %.

    >>> in_percent(0.931, 0.97649), in_percent(0.99999, 1.0), in_percent(None, None)
    ('93.1–97.6\xa0%', '99.9–100.0\xa0%', '')
    """
    if low is None or high is None:
        return ""
    lower = 100 * low if low == 1 else min(100 * low, 99.9)
    upper = 100 * high if high == 0 else max(100 * high, 0.1)
    return f"{lower:.1f}{_DASH}{upper:.1f}{_PERCENT}"


def as_decimals(low: float | None, high: float | None) -> str:
    """An interval of figures from 0 to 1 that are not shares, such as areas.

    >>> as_decimals(0.9, 0.95123), as_decimals(-0.1, 0.2)
    ('0.900–0.951', '−0.100 to 0.200')
    """
    if low is None or high is None:
        return ""
    lower = low if low == 1 else min(low, 0.999)
    between = " to " if lower < 0 else _DASH
    return f"{lower:z.3f}{between}{high:z.3f}".replace("-", _MINUS)


def as_decimal(value: float) -> str:
    """A figure that is not a share, at most 1; never rounded up to 1.

    >>> as_decimal(0.99972), as_decimal(1.0), as_decimal(-0.25)
    ('>0.999', '1.000', '−0.250')
    """
    text = f"{value:z.3f}".replace("-", _MINUS)
    return ">0.999" if text == "1.000" and value < 1 else text


def signed(difference: float) -> str:
    """A difference of two shares in points, without the word.

    >>> signed(0.052), signed(-0.0049), signed(-0.0001)
    ('+5.2', '−0.5', '0.0')
    """
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", _MINUS)


def in_points(difference: float | None, low: float | None = None, high: float | None = None) -> str:
    """A difference of two shares in points, with its interval where there is one.

    >>> in_points(0.052, 0.031, 0.076), in_points(-0.001)
    ('+5.2 points (+3.1 to +7.6)', '−0.1 points')
    """
    if difference is None:
        return ""
    interval = f" ({signed(low)} to {signed(high)})" if low is not None and high is not None else ""
    return f"{signed(difference)} points{interval}"


def p_value(p: float | None) -> str:
    """A p-value with as many digits as anybody needs.

    >>> p_value(0.00004), p_value(0.0234), p_value(0.41), p_value(1.0)
    ('p < 0.001', 'p = 0.023', 'p = 0.41', 'p = 1')
    """
    if p is None:
        return ""
    if p < 0.001:
        return "p < 0.001"
    if p >= 0.995:
        return "p = 1"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def as_set(share: float) -> str:
    r"""A share that somebody set, such as a level or a rule's value, with no more digits than it has.

    >>> as_set(0.95), as_set(0.005)
    ('95\xa0%', '0.5\xa0%')
    """
    return f"{100 * share:g}{_PERCENT}"


def with_minus(text: str) -> str:
    """Text in which hyphens before numbers are minus signs.

    >>> with_minus("ver-6: -3.1 points (-5.0 to -1.0)")
    'ver-6: −3.1 points (−5.0 to −1.0)'
    """
    return re.sub(r"(?<=[\s(])-(?=\d)", _MINUS, text)


def proportion_cell(found: Proportion, why: str) -> Cell:
    """A share with its interval beneath; ``why`` says what is lacking where there is none."""
    if found.share is None:
        return Cell(percent(None), why=f"{_UNKNOWN}: {why}")
    return Cell(percent(found.share), small=in_percent(found.low, found.high))


def signed_decimal(difference: float | None, low: float | None = None, high: float | None = None) -> str:
    """A difference of two figures that are not shares, with its interval where there is one.

    >>> signed_decimal(-0.0312, -0.05, -0.01), signed_decimal(None)
    ('−0.031 (−0.050 to −0.010)', '')
    """
    if difference is None:
        return ""

    def text(value: float) -> str:
        return f"{value:+z.3f}".replace("+0.000", "0.000").replace("-", _MINUS)

    interval = f" ({text(low)} to {text(high)})" if low is not None and high is not None else ""
    return f"{text(difference)}{interval}"
