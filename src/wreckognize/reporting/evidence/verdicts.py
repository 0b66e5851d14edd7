"""Every two systems against each other: a matrix a figure, and a row a pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wreckognize.evidence.trainings import FEW_FREEDOM
from wreckognize.evidence.verdicts import COMPARED, Difference, Evidence, Pair, Verdict, photos_needed_in_words
from wreckognize.reporting.evidence.phrases import in_points, p_value, signed_decimal
from wreckognize.reporting.wording import listed

PRIMARY = next(iter(COMPARED))
SHOWN = (PRIMARY, "damaged_found", "false_alarms")
"""The figures shown first; the others are in a fold."""
FOLDED = tuple(figure for figure in COMPARED if figure not in SHOWN)
MATRIX_FROM = 4
"""With fewer systems a matrix says no more than the list of pairs."""
_OPEN_PAIRS = 6

_MARKS: dict[Verdict, tuple[str, str]] = {
    "better": ("▲", "good"),
    "worse": ("▼", "bad"),
    "no difference shown": ("=", ""),
    "cannot be said": ("?", ""),
}
_OPPOSITE: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on a pair in one figure, as text.

    Attributes:
        figure: what was compared.
        mark: the sign of the verdict.
        verdict: its words.
        tone: good, bad or nothing.
        size: the difference and its interval.
        details: p-value, and photos that would be needed; each may be missing.
        why: what the verdict lacks.
        not_shown: why no difference is shown although the interval leaves out 0; empty where that is not so.
    """

    figure: str
    mark: str
    verdict: str
    tone: str
    size: str
    details: tuple[str, ...]
    why: str
    not_shown: str = ""


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """One row of the list."""

    first: str
    second: str
    judged: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class Square:
    """One cell of a matrix: sign and tone for the eye, a sentence to be read aloud; empty on the diagonal."""

    mark: str
    tone: str
    spoken: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """The verdicts in one figure, row against column."""

    figure: str
    systems: tuple[str, ...]
    rows: tuple[tuple[Square, ...], ...]


@dataclass(frozen=True, slots=True)
class VerdictPart:
    """The section on verdicts.

    Attributes:
        matrices: one a figure of `SHOWN`; none with few systems.
        heads: the names of the figures of ``pairs``.
        pairs: one row for every two systems, in the figures of `SHOWN`.
        open: whether the list is short enough to be shown unfolded.
        folded_heads: the names of the other figures.
        folded: the same pairs in them.
        caveats: what the verdicts hold for, one-seed caveats included.
    """

    matrices: tuple[Matrix, ...]
    heads: tuple[str, ...]
    pairs: tuple[JudgedPair, ...]
    open: bool
    folded_heads: tuple[str, ...]
    folded: tuple[JudgedPair, ...]
    caveats: tuple[str, ...]


def verdict_part(judged: Evidence) -> VerdictPart:
    """All verdicts as texts."""
    systems = tuple(row.name for row in judged.rows if not row.trivial)
    return VerdictPart(
        matrices=tuple(_matrix(judged.pairs, systems, figure) for figure in SHOWN)
        if len(systems) >= MATRIX_FROM
        else (),
        heads=tuple(figure_name(figure) for figure in SHOWN),
        pairs=judged_pairs(judged.pairs, SHOWN),
        open=len(judged.pairs) <= _OPEN_PAIRS,
        folded_heads=tuple(figure_name(figure) for figure in FOLDED),
        folded=judged_pairs(judged.pairs, FOLDED),
        caveats=caveats(judged),
    )


def judged_pairs(pairs: Sequence[Pair], figures: Sequence[str]) -> tuple[JudgedPair, ...]:
    """One row a pair, told from the side of the system with the higher primary figure."""
    told = [
        oriented(pair, pair.second) if (pair.differences[PRIMARY].value or 0.0) < 0 else pair for pair in pairs
    ]
    return tuple(
        JudgedPair(pair.first, pair.second, tuple(_judged(pair.differences[figure]) for figure in figures))
        for pair in told
    )


def figure_name(figure: str) -> str:
    """A compared figure's name, with a note where a lower one is better.

    >>> figure_name("false_alarms"), figure_name("roc_area")
    ('false alarms (fewer is better)', 'ROC area')
    """
    words = COMPARED[figure]
    return words.name if words.higher_is_better else f"{words.name} (fewer is better)"


def oriented(pair: Pair, first: str) -> Pair:
    """The same comparison told from the side of ``first``, one of the two systems."""
    if pair.first == first:
        return pair
    turned = {figure: _turned(found) for figure, found in pair.differences.items()}
    return replace(pair, first=pair.second, second=pair.first, differences=turned)


def size_in_words(found: Difference) -> str:
    """The difference with its interval; empty where it cannot be said."""
    if COMPARED[found.figure].in_points:
        return in_points(found.value, found.low, found.high)
    return signed_decimal(found.value, found.low, found.high)


def needed_in_words(found: Difference) -> str:
    """How many photos a difference like this one takes to be shown; empty where one is shown, or none is known."""
    words = photos_needed_in_words(found) if found.verdict == "no difference shown" else ""
    return f"{words} needed" if words else ""


def _turned(found: Difference) -> Difference:
    return replace(
        found,
        value=None if found.value is None else -found.value,
        low=None if found.high is None else -found.high,
        high=None if found.low is None else -found.low,
        verdict=_OPPOSITE.get(found.verdict, found.verdict),
    )


def _judged(found: Difference) -> Judged:
    mark, tone = _MARKS[found.verdict]
    p = p_value(found.p_holm)
    return Judged(
        figure=figure_name(found.figure),
        mark=mark,
        verdict=found.verdict,
        tone=tone,
        size=size_in_words(found),
        details=tuple(filter(None, (found.why_not_shown, p and f"{p} (Holm)", needed_in_words(found)))),
        not_shown=found.why_not_shown,
        why=found.why or "",
    )


def _matrix(pairs: Sequence[Pair], systems: tuple[str, ...], figure: str) -> Matrix:
    found = {
        (own.first, own.second): own.differences[figure].verdict
        for pair in pairs
        for own in (pair, oriented(pair, pair.second))
    }
    return Matrix(
        figure=figure_name(figure),
        systems=systems,
        rows=tuple(tuple(_square(row, column, found) for column in systems) for row in systems),
    )


def _square(row: str, column: str, found: dict[tuple[str, str], Verdict]) -> Square:
    if row == column:
        return Square("", "self", "")
    verdict = found[row, column]
    mark, tone = _MARKS[verdict]
    spoken = f"{row} than {column}: {verdict}" if tone else f"{row} against {column}: {verdict}"
    return Square(mark, tone, spoken)


def caveats(judged: Evidence) -> tuple[str, ...]:
    """What the verdicts hold for: recipes, or the detectors that happened to be trained."""
    trained = [row for row in judged.rows if row.trained]
    once = [row.name for row in trained if row.seeds == 1]
    several = [f"{row.name} ({row.seeds} times)" for row in trained if row.seeds > 1]
    sentences = []
    if once:
        whom = "this trained detector" if len(once) == 1 else "these trained detectors"
        sentences.append(
            f"Trained once: {listed(once)}. A verdict is about {whom}, not about the recipe: how much another training "
            "from other random numbers would differ is unknown, and in no interval."
        )
    if several:
        sentences.append(
            f"Trained several times: {listed(several)}. Figures are the mean over trainings, but for those marked as "
            "of the first one; the spread between trainings is in intervals and verdicts, which are so about the "
            "recipe."
        )
    freedom = sum(row.seeds - 1 for row in trained)
    if several and freedom < FEW_FREEDOM:
        times = sum(row.seeds for row in trained if row.seeds > 1)
        sentences.append(
            f"The spread between trainings rests on {times} trainings in all, which say little about it: intervals are "
            "wide for that, and the spread is never taken to be less than what one photo makes."
        )
    else:
        sentences += [f"{row.name}: {row.note}." for row in trained if row.note and row.seeds > 1]
    return tuple(sentences)
