from __future__ import annotations

from dataclasses import replace

import pytest

from wreckognize.evidence.findings import Unlocking
from wreckognize.reporting.verdicts_text import verdict_lines, verdicts_markdown

VERDICTS = {
    ("baseline", "ver5"): "no difference shown",
    ("baseline", "ver6"): "worse",
    ("ver5", "ver6"): "cannot be said",
}


@pytest.fixture(scope="module")
def findings(small_report, make_findings, make_judged):
    judged = make_judged({"baseline": 0, "ver5": 1, "ver6": 1}, VERDICTS)
    return replace(make_findings(small_report), judged=judged)


def test_the_markdown_holds_a_row_a_pair_and_a_row_a_figure(findings):
    text = verdicts_markdown(findings)
    assert "## Verdicts\n\nver6 is better than baseline.\n" in text
    assert "| **ver6** against **baseline** | ▲ better; +5.0 points (+3.0 to +7.0); p = 0.020 (Holm) |" in text
    assert "? cannot be said; the test set has no background photo" in text
    assert "| balanced accuracy | 90.0\xa0% (88.0–92.0\xa0%) |" in text
    assert "* Trained once: ver5 and ver6." in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({line.count(" | ") for line in table}) == 1


def test_a_reason_can_neither_break_the_markdown_nor_name_a_folder(findings):
    change = Unlocking(
        when="today", reason="a | b <b>c</b>\n# d of /home/jane/x", photos_before=1, added=0, removed=0
    )
    text = verdicts_markdown(replace(findings, test=replace(findings.test, unlocked=(change,))))
    assert "a \\| b \\<b>c\\</b>␊# d of …/x" in text


def test_lines_for_the_terminal_begin_with_what_has_a_verdict(findings):
    lines = verdict_lines(findings, at_most=1)
    assert lines[0] == "ver6 is better than baseline."
    assert lines[1] == (
        "ver6 against baseline: better, balanced accuracy, +5.0 points (+3.0 to +7.0); "
        "damaged vehicles found +5.0 points (+3.0 to +7.0); false alarms −5.0 points (−7.0 to −3.0)"
    )
    assert lines[2] == "and 2 more pairs, in the report"
    assert len(verdict_lines(findings)) == 4


def test_an_interval_without_0_is_explained_on_the_terminal_too(findings):
    first, *others = findings.judged.pairs
    found = replace(
        first.differences["balanced_accuracy"], value=-0.174, low=-0.307, high=-0.023, p_value=0.03, p_holm=0.09
    )
    pair = replace(first, differences=first.differences | {"balanced_accuracy": found})
    odd = replace(findings, judged=replace(findings.judged, pairs=(pair, *others)))
    told = "+17.4 points (+2.3 to +30.7), the interval is before the correction for several comparisons"
    assert any(told in line for line in verdict_lines(odd))
    assert "the interval is before the correction for several comparisons" in verdicts_markdown(odd)


def test_one_system_has_nothing_to_be_compared_with(make_report, make_findings):
    report = make_report(["baseline"], (40, 20, 40), on_disk=False)
    findings = make_findings(report)
    assert verdict_lines(findings) == ["There is only one system, so nothing to compare."]
    assert verdicts_markdown(findings).startswith("## Intervals")
