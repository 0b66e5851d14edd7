"""The verdicts outside the page: as Markdown for ``comparison.md``, and as lines for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from wreckognize.evidence.findings import Findings
from wreckognize.evidence.verdicts import COMPARED, Evidence
from wreckognize.reporting.evidence.figures import figures_table
from wreckognize.reporting.evidence.first_screen import verdict_line
from wreckognize.reporting.evidence.phrases import as_set
from wreckognize.reporting.evidence.reservations import reservations
from wreckognize.reporting.evidence.verdicts import FOLDED, SHOWN, Judged, JudgedPair, figure_name, judged_pairs
from wreckognize.reporting.tables import Cell
from wreckognize.reporting.wording import hide_folders


def verdicts_markdown(findings: Findings) -> str:
    """Sections for ``comparison.md``: verdicts, intervals, and what to know before relying on them."""
    judged = findings.judged
    lines = []
    if judged.pairs:
        lines += [
            "## Verdicts",
            "",
            f"{_escape(verdict_line(judged))}.",
            "",
            f"Differences on the same photos, in points with {as_set(judged.level)} intervals; p-values are corrected "
            "for the number of pairs (Holm). *No difference shown* does not say that there is none.",
            "",
        ]
        for figures in (SHOWN, FOLDED):
            lines += [*_pair_table(judged, figures), ""]
    lines += ["## Intervals", "", *_figure_table(judged), ""]
    known = reservations(findings)
    if known:
        lines += ["## Before you rely on it", "", *(f"* {_escape(hide_folders(text))}" for text in known), ""]
    return "\n".join(lines)


def verdict_lines(findings: Findings, at_most: int = 12) -> list[str]:
    """What the verdicts say, for the terminal: the headline, a line a pair, and what was left out.

    Args:
        findings: on the systems of the report.
        at_most: lines on pairs; those with a verdict come first.
    """
    judged = findings.judged
    if not judged.pairs:
        return ["There is only one system, so nothing to compare."]
    pairs = judged_pairs(judged.pairs, SHOWN)
    told = sorted(pairs, key=lambda pair: pair.judged[0].tone == "")
    lines = [f"{verdict_line(judged)}.", *(_line(pair) for pair in told[:at_most])]
    if len(told) > at_most:
        lines.append(f"and {len(told) - at_most} more pairs, in the report")
    return lines


def _line(pair: JudgedPair) -> str:
    primary, *others = pair.judged
    size = "".join(f", {text}" for text in (primary.size, primary.not_shown) if text)
    why = f" ({primary.why})" if primary.why else ""
    beside = zip(SHOWN[1:], others, strict=True)
    rest = "".join(f"; {COMPARED[figure].name} {one.size}" for figure, one in beside if one.size)
    return f"{pair.first} against {pair.second}: {primary.verdict}, {primary.figure}{size}{why}{rest}"


def _pair_table(judged: Evidence, figures: Sequence[str]) -> list[str]:
    heads = ["The first system is …", *(figure_name(figure) for figure in figures)]
    rows = [
        [f"**{pair.first}** against **{pair.second}**", *(_judged(one) for one in pair.judged)]
        for pair in judged_pairs(judged.pairs, figures)
    ]
    return [_row(heads), _row(["---"] * len(heads)), *(_row([_escape(cell) for cell in row]) for row in rows)]


def _judged(one: Judged) -> str:
    return "; ".join(filter(None, (f"{one.mark} {one.verdict}", one.size, *one.details, one.why)))


def _figure_table(judged: Evidence) -> list[str]:
    table = figures_table(judged)
    heads = ["Figure", *table.columns]
    lines = [_row([_escape(head) for head in heads]), _row(["---", *["---:"] * len(table.columns)])]
    for group in table.groups:
        for row in group.rows:
            at_a_rate = group.title.endswith(" at") and row.label.endswith("false alarms")
            label = f"{group.title.lower()} {row.label}" if at_a_rate else row.label
            lines.append(_row([_escape(label), *(_escape(_cell(cell)) for cell in row.cells)]))
    return lines


def _cell(cell: Cell) -> str:
    return f"{cell.text} ({', '.join(cell.small.splitlines())})" if cell.small else cell.text


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Text that neither ends a cell nor becomes a tag or a link; the bold of names is meant."""
    for special in ("\\", "|", "<", "[", "`"):
        text = text.replace(special, f"\\{special}")
    return text.replace("\n", " ")
