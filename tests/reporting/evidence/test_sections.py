from __future__ import annotations

from dataclasses import replace

import pytest

from wreckognize.evaluation.box_level import TeacherAgreement
from wreckognize.evidence.findings import Unlocking
from wreckognize.reporting.evidence.claims import claim_part, prevalence_table
from wreckognize.reporting.evidence.figures import figures_table, reasons
from wreckognize.reporting.evidence.shortcuts import shortcut_part
from wreckognize.reporting.evidence.slices import hard_table, system_slices
from wreckognize.reporting.evidence.thresholds import (
    frozen_cards,
    third_answer_reasons,
    third_answer_table,
    weakened,
)
from wreckognize.reporting.evidence.truth import agreement_table, truth_part
from wreckognize.reporting.tables import Table, comparison_table, confusions, found_table
from wreckognize.settings import ThresholdSettings


def row(table: Table, label: str, group: str = "") -> list:
    """The cells of the first row whose label begins so, in a group whose title does."""
    return next(
        list(own.cells)
        for of in table.groups
        if of.title.startswith(group)
        for own in of.rows
        if own.label.startswith(label)
    )


@pytest.fixture(scope="module")
def findings(small_report, make_findings):
    return make_findings(small_report)


def test_every_figure_stands_with_its_interval_and_the_trivial_systems_beside_it(findings):
    table = figures_table(findings.judged)
    assert table.columns == ("baseline", "ver5", "ver6", "always vehicle", "never vehicle")
    for cell, system in zip(row(table, "balanced accuracy"), findings.judged.rows, strict=True):
        found = system.figures["balanced_accuracy"]
        assert cell.text == f"{100 * found.value:.1f}\xa0%"
        assert cell.small == ("" if system.trivial else f"{100 * found.low:.1f}–{100 * found.high:.1f}\xa0%")
    assert [cell.text for cell in row(table, "balanced accuracy")[3:]] == ["50.0\xa0%", "50.0\xa0%"]
    empty = row(table, "mAP50-95")
    assert {cell.text for cell in empty} == {"–"}
    assert all(cell.why for cell in empty)


def test_the_spread_between_trainings_stands_beneath_the_interval(small_report, make_findings):
    judged = make_findings(small_report, trainings=3).judged
    untrained, trained, *_ = row(figures_table(judged), "false alarms")
    assert "SD" not in untrained.small
    deviation = judged.rows[1].figures["false_alarms"].seeds_sd
    assert trained.small.endswith(f"\nSD {100 * deviation:.1f}")


def test_all_that_is_of_the_first_training_says_so(small_report, make_findings):
    findings = make_findings(small_report, trainings=3, several=3, prevalence=0.8, warned=("ver6",))
    marked = ("baseline", "ver5 (first of 3 trainings)", "ver6 (first of 3 trainings)")
    assert prevalence_table(findings).columns == marked
    assert third_answer_table(findings).columns == marked
    assert tuple(name for name, _, _ in third_answer_reasons(findings)) == marked
    assert tuple(group.title for group in claim_part(findings).table.groups) == marked
    assert tuple(system_slices(own).system for own in findings.systems) == marked
    part = shortcut_part(findings)
    assert part.changes.columns == marked
    assert [own.system for own in part.warned] == list(marked[2:])
    assert figures_table(findings.judged).columns[:3] == ("baseline", "ver5", "ver6")  # means over trainings
    first, *others = small_report.comparison.systems
    comparison = replace(small_report.comparison, systems=(first, *(replace(own, seeds=3) for own in others)))
    assert comparison_table(comparison).columns == found_table(comparison).columns == marked
    assert tuple(own.system for own in confusions(comparison)) == marked
    agreed = [
        replace(own, teacher_agreement=TeacherAgreement(0.25, 40, 38, 0.81, 0.6)) for own in comparison.systems
    ]
    assert agreement_table(tuple(agreed)).columns == marked


def test_what_cannot_be_said_has_its_reason_in_sight(make_report, make_findings):
    report = make_report(["baseline", "ver6"], (60, 20, 0), on_disk=False)
    judged = make_findings(report).judged
    told, *_ = [text for text in reasons(judged) if "background" in text]
    assert told.endswith(": cannot be said, the test set has no background photo.")
    assert all(figure in told for figure in ("accuracy", "precision", "F1", "MCC", "ROC area", "false alarms"))
    few = make_findings(make_report(["baseline", "ver6"], (6, 20, 60), on_disk=False)).judged
    cell = row(figures_table(few), "5\xa0% false alarms")[0]
    assert cell.small.startswith("no interval: the damaged photos are too few to resample")


def test_thresholds_that_came_about_alike_share_a_card(findings):
    [card] = frozen_cards(findings)
    assert card.systems == ("baseline", "ver5", "ver6")
    assert (card.thresholds, card.promise, card.why, card.kept) == ("0.10", "", (), True)
    assert card.frozen == "2026-11-23 10:00 UTC"
    assert "100 calibration photos in 100 groups" in card.calibration


def test_a_promise_and_a_rule_that_was_not_kept_are_told_apart(small_report, make_findings):
    rule = ThresholdSettings(rule="miss_rate_at_most", value=0.25)
    kept = frozen_cards(make_findings(small_report, rule=rule, trainings=2))[-1]
    assert kept.systems == ("ver6",)
    assert kept.rule == "promises to miss at most 25\xa0% of the vehicles"
    assert kept.kept
    assert "conformal risk control" in kept.promise
    assert kept.thresholds.endswith("(one for each training)")
    failed = frozen_cards(
        make_findings(small_report, rule=ThresholdSettings(rule="miss_rate_at_most", value=0.001))
    )
    assert all(not card.kept and card.promise == "" for card in failed)
    assert "too few calibration groups" in " ".join(failed[0].why)


def test_pinned_photos_weaken_a_promise(findings):
    assert weakened(findings) == ""
    assert weakened(replace(findings, pinned_test=40)).startswith("40 of 100 test photos come from sources")


def test_the_third_answer_is_also_told_without_photos_of_pinned_sources(findings):
    group = "The same without photos of sources pinned"
    assert group not in [of.title[: len(group)] for of in third_answer_table(findings).groups]
    without = replace(
        findings, systems=tuple(replace(own, third_answer_free=own.third_answer) for own in findings.systems)
    )
    assert row(third_answer_table(without), "vehicles answered", group) == row(
        third_answer_table(findings), "vehicles answered", "Answered wrongly"
    )


def test_the_third_answer_says_who_looks_at_what(findings):
    table = third_answer_table(findings)
    for cell, system in zip(row(table, "of all photos"), findings.systems, strict=True):
        assert cell.text.startswith(f"{100 * system.third_answer.to_a_person.share:.1f}")
        assert "–" in cell.small
    for cell, system in zip(row(table, "no vehicle below"), findings.systems, strict=True):
        assert (cell.text == "never") == (system.frozen[0].third_answer.low is None)
    backgrounds = findings.systems[0].third_answer.by_role["background"]
    assert row(table, "of the backgrounds")[0].small == f"{backgrounds.to_a_person} of {backgrounds.photos}"


def test_no_claims_is_said(findings):
    part = claim_part(findings)
    assert part.table is None
    assert part.notes == ("No test photo with a vehicle has a claim number, so nothing can be said per claim.",)


def test_three_rules_stand_side_by_side_and_the_studys_own_is_marked(small_report, make_findings):
    findings = make_findings(small_report, several=3, claim_rule="majority")
    part = claim_part(findings)
    assert part.table.columns[1] == "at least half of the photos (this study's rule)"
    cells = row(part.table, "found, of", "ver6")
    assert [cell.best for cell in cells] == [False, True, False]
    for cell, own in zip(cells, findings.systems[2].claims, strict=True):
        assert cell.text == f"{100 * own.recall.share:.1f}\xa0%"
    assert part.notes[0].startswith("Claims: ")


def test_precision_is_given_at_the_users_prevalence_or_not_at_all(small_report, findings, make_findings):
    assert prevalence_table(findings) is None
    own = make_findings(small_report, prevalence=0.9)
    table = prevalence_table(own)
    assert table.title == "Precision where 90\xa0% of the photos show a vehicle"
    value = own.systems[0].predictive.vehicle.value
    assert row(table, "“vehicle”")[0].text == f"{100 * value:.1f}\xa0%"


def test_slices_keep_their_order_and_their_words(findings):
    table = findings.systems[0].slices
    own = system_slices(findings.systems[0])
    said = [found for found in table.rows if found.share is not None]
    assert [line.name for line in own.lines] == [f"{found.trait}: {found.slice}" for found in said]
    assert [line.share for line in own.lines] == [found.share for found in said]
    worst = replace(said[0], verdict="worse", p_adjusted=0.001)
    few = replace(said[1], share=None, low=None, high=None, photos=3, verdict="too few to say")
    own = system_slices(replace(findings.systems[0], slices=replace(table, rows=(worst, few))))
    assert {line.against for line in system_slices(findings.systems[0]).lines} == {
        "", "all other vehicles", "the other damaged cars", "the other intact cars", "the other backgrounds",
    }  # fmt: skip
    assert (own.worse, own.lines[0].verdict, own.lines[0].tone) == (1, "▼ worse", "bad")
    assert own.lines[0].p == "p = 0.001"
    assert own.too_few == (f"{few.trait}: {few.slice} ({own.too_few[0].partition('(')[2]}",)
    assert own.too_few[0].endswith("3 photos)")


def test_hard_backgrounds_have_their_own_table(findings):
    assert hard_table(findings) is None
    first = findings.systems[0]
    hard = replace(
        first.slices.rows[0], trait="background", slice="hard", role="background", share=0.5, low=0.3, high=0.7
    )
    systems = (replace(first, slices=replace(first.slices, rows=(hard,))), *findings.systems[1:])
    table = hard_table(replace(findings, systems=systems, hard_backgrounds=12))
    cells = row(table, "called a vehicle")
    assert (cells[0].text, cells[0].small) == ("50.0\xa0%", "30.0–70.0\xa0%")
    # The others have no such slice: there, every background is hard.
    backgrounds = next(
        own for own in findings.systems[1].slices.rows if (own.trait, own.slice) == ("role", "background")
    )
    assert cells[1].text == f"{100 * backgrounds.share:.1f}\xa0%"


def test_a_shortcut_is_marked_in_its_cell(small_report, make_findings):
    part = shortcut_part(make_findings(small_report, warned=("ver5",)))
    assert [own.system for own in part.warned] == ["ver5"]
    cells = row(part.changes, "backgrounds padded like damaged photos")
    assert [cell.tone for cell in cells] == ["", "bad", ""]
    assert cells[1].text == "+24.0 points"
    assert cells[1].small.startswith("+10.0 to +38.0\n10.0")
    assert row(part.shapes, "commonest size")[0].text == "320 × 240"
    assert row(part.apart, "aspect ratio")[0].text == "0.00"


def test_a_check_that_was_switched_off_has_no_part(findings):
    off = replace(findings, systems=tuple(replace(own, shortcuts=None) for own in findings.systems))
    assert shortcut_part(off) is None


def test_the_teacher_is_not_judged_by_itself(small_report):
    first, *others = small_report.comparison.systems
    assert agreement_table((first, *others)) is None
    agreed = [replace(own, teacher_agreement=TeacherAgreement(0.25, 40, 38, 0.81, 0.6)) for own in others]
    table = agreement_table((first, *agreed))
    refused, *compared = row(table, "mAP50")
    assert (refused.text, refused.small) == ("refused", "the teacher cannot be judged by itself")
    assert [cell.text for cell in compared] == ["0.810", "0.810"]


def test_the_lock_tells_its_history(small_report, findings):
    part = truth_part(findings, small_report.comparison)
    assert part.locked == "Locked on 2026-11-20 08:30 UTC: 100 photos in 100 groups."
    assert part.looks.startswith("3 sets of predictions were judged on it")
    assert part.looked == "baseline 1, ver5 1, ver6 1"
    assert part.changes == ()
    assert [own.role for own in part.review] == ["damaged cars"]
    assert len(part.review[0].photos) == 25
    assert ("same claim number", "40") in part.joined
    assert part.closest[0][2] == "3 of 64 bits differ"
    change = Unlocking(when="some day", reason="a\nreason", photos_before=100, added=0, removed=4)
    unlocked = replace(findings, test=replace(findings.test, unlocked=(change,)))
    [told] = truth_part(unlocked, small_report.comparison).changes
    assert (told.when, told.reason, told.what) == ("some day", "a␊reason", "100 photos before; 0 added, 4 removed")
