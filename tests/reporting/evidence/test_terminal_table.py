"""The table on the screen shows what the report shows: means over trainings, and no figure that cannot be said."""

from __future__ import annotations

import re

from wreckognize.cli.tables import print_comparison


def shown(capsys, report, findings) -> tuple[dict[str, list[str]], str]:
    """The cells of each system by its name, and all that was printed."""
    print_comparison(report.comparison, findings)
    text = capsys.readouterr().out
    rows = [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in text.splitlines() if "│" in line]
    return {row[0].split()[0]: row for row in rows if row[0]}, " ".join(text.split())


def test_of_several_trainings_the_means_are_shown(capsys, small_report, make_findings):
    findings = make_findings(small_report, trainings=3)
    rows, text = shown(capsys, small_report, findings)
    for row in findings.judged.rows[:3]:
        found, area, missed = (rows[row.name][place] for place in (1, 3, 5))
        assert found == f"{100 * row.figures['damaged_found_at_0.05'].value:.1f} %"
        assert area == f"{row.figures['roc_area'].value:.3f}"
        assert float(missed) == round((1 - row.figures["recall"].value) * small_report.comparison.test.vehicle, 1)
    assert text.count("(mean") == 2


def test_without_backgrounds_nothing_is_0_or_perfect(capsys, make_report, make_findings):
    report = make_report(["baseline", "ver6"], (60, 20, 0), on_disk=False)
    rows, text = shown(capsys, report, make_findings(report))
    for row in rows.values():
        assert [row[place] for place in (1, 2, 3, 6, 7)] == ["–"] * 5
        assert row[5] != "–"
    assert "cannot be said, the test set has no background photo." in text


def test_without_vehicles_nothing_is_missed(capsys, make_report, make_findings):
    report = make_report(["baseline", "ver6"], (0, 0, 60), on_disk=False)
    rows, text = shown(capsys, report, make_findings(report))
    for row in rows.values():
        assert [row[place] for place in (1, 2, 3, 5, 7)] == ["–"] * 5
        assert row[6] != "–"
    assert "missed and F1: cannot be said, the test set has no photo of a vehicle." in text


def test_too_few_backgrounds_are_named(capsys, make_report, make_findings):
    report = make_report(["baseline", "ver6"], (60, 20, 24), on_disk=False)
    rows, text = shown(capsys, report, make_findings(report))
    assert rows["ver6"][1:3] == ["–", "–"]
    assert "12 background photos are fewer than the 20 that a rate of 5 % needs" in text
