from __future__ import annotations

from dataclasses import replace

import pytest

from wreckognize.evidence.findings import Unlocking
from wreckognize.reporting.evidence.first_screen import verdict_line, with_evidence
from wreckognize.reporting.evidence.reservations import reservations
from wreckognize.reporting.evidence.thresholds import broken_promises, frozen_cards, third_answer_table
from wreckognize.reporting.headline import headline
from wreckognize.settings import ThresholdSettings

NONE, BETTER, WORSE, UNKNOWN = "no difference shown", "better", "worse", "cannot be said"


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ({("a", "b"): BETTER}, "a is better than b"),
        ({("a", "b"): WORSE}, "b is better than a"),
        ({("a", "b"): NONE}, "No difference shown between a and b"),
        ({("a", "b"): UNKNOWN}, "Which system is better cannot be said from this test set"),
        ({("a", "b"): BETTER, ("a", "c"): BETTER, ("b", "c"): NONE}, "a is better than every other system"),
        (
            {("a", "b"): NONE, ("a", "c"): BETTER, ("b", "c"): BETTER},
            "a and b are ahead; between them no difference is shown",
        ),
        ({("a", "b"): NONE, ("a", "c"): NONE, ("b", "c"): BETTER}, "b is better than c"),
        ({("a", "b"): UNKNOWN, ("a", "c"): UNKNOWN, ("b", "c"): NONE}, "No difference shown between a, b and c"),
        (
            {
                (one, other): BETTER if other == "e" else NONE
                for one in "abcde"
                for other in "abcde"
                if one < other
            },
            "4 systems are ahead, and no difference is shown between them",
        ),
        (
            {(one, other): NONE for one in "abcd" for other in "abcd" if one < other},
            "No difference shown between the systems",
        ),
    ],
)
def test_the_verdict_in_one_line(make_judged, verdicts, said):
    names = sorted({name for pair in verdicts for name in pair})
    assert verdict_line(make_judged(dict.fromkeys(names, 1), verdicts)) == said


@pytest.fixture(scope="module")
def findings(small_report, make_findings):
    return make_findings(small_report)


def screen(small_report, findings, judged=None):
    return with_evidence(headline(small_report.comparison), replace(findings, judged=judged or findings.judged))


def test_the_sentences_say_what_the_verdict_means_and_what_it_goes_by(small_report, findings, make_judged):
    verdicts = {("baseline", "ver5"): WORSE, ("baseline", "ver6"): WORSE, ("ver5", "ver6"): NONE}
    head = screen(small_report, findings, make_judged({"baseline": 0, "ver5": 1, "ver6": 1}, verdicts))
    assert head.verdict == "ver5 and ver6 are ahead; between them no difference is shown"
    assert head.sentences[0] == (
        "ver5 finds more damaged vehicles than baseline: +5.0 points (+3.0 to +7.0), better. "
        "ver5 raises fewer false alarms than baseline: −5.0 points (−7.0 to −3.0), better."
    )
    assert (
        "ver5 is better than baseline. No difference is shown against ver6; about 3,500 photos"
        in head.sentences[1]
    )
    assert not any("raw counts" in sentence for sentence in head.sentences)
    assert any(sentence.startswith("Whiskers") for sentence in head.sentences)


def test_no_difference_is_said_as_plainly_as_a_winner(small_report, findings, make_judged):
    verdicts = dict.fromkeys((("baseline", "ver5"), ("baseline", "ver6"), ("ver5", "ver6")), NONE)
    head = screen(small_report, findings, make_judged({"baseline": 0, "ver5": 1, "ver6": 1}, verdicts))
    assert head.verdict == "No difference shown between baseline, ver5 and ver6"
    assert "no system is shown to be better than another" in head.sentences[0]
    assert "+1.0 points (−1.0 to +3.0); about 3,500 photos in 1,800 groups needed" in head.sentences[0]


def test_what_cannot_be_said_has_its_reason(small_report, findings, make_judged):
    verdicts = dict.fromkeys((("baseline", "ver5"), ("baseline", "ver6"), ("ver5", "ver6")), UNKNOWN)
    head = screen(small_report, findings, make_judged({"baseline": 0, "ver5": 1, "ver6": 1}, verdicts))
    assert head.sentences[0] == "The test set has no background photo."


def test_bars_carry_the_intervals_of_the_evidence(small_report, findings):
    head = screen(small_report, findings)
    rows = {row.name: row for row in findings.judged.rows}
    assert [bar.share for bar in head.bars] == sorted((bar.share for bar in head.bars), reverse=True)
    assert {bar.system for bar in head.bars} == {"baseline", "ver5", "ver6"}
    for bar in head.bars:
        found = rows[bar.system].figures["damaged_found_at_0.05"]
        assert (bar.share, bar.low, bar.high) == (found.value, found.low, found.high)
        assert f"{100 * found.low:.1f}–" in bar.value


def test_without_enough_backgrounds_the_bars_carry_the_roc_area(make_report, make_findings):
    report = make_report(["baseline", "ver6"], (60, 0, 24))
    findings = make_findings(report)
    head = screen(report, findings)
    areas = {row.name: row.figures["roc_area"].value for row in findings.judged.rows}
    assert {bar.system: bar.share for bar in head.bars} == {name: areas[name] for name in ("baseline", "ver6")}


def test_one_system_is_compared_with_none(make_report, make_findings):
    report = make_report(["baseline"], (60, 20, 60))
    head = screen(report, make_findings(report))
    assert "no other system" in head.sentences[0]
    assert "Its balanced accuracy is" in head.sentences[0]


def test_a_clean_study_has_few_reservations(small_report, make_findings):
    own = reservations(make_findings(small_report, trainings=3, hard_backgrounds=12))
    assert len(own) == 1
    assert own[0].startswith("Trained several times: ver5 (3 times) and ver6 (3 times)")


def test_everything_that_weakens_the_verdict_is_a_reservation(small_report, make_findings):
    findings = make_findings(small_report, warned=("ver5",))
    changes = tuple(
        Unlocking(
            when="2026-11-22T09:00:00+00:00", reason=f"reason {number}", photos_before=100, added=1, removed=2
        )
        for number in range(5)
    )
    findings = replace(findings, test=replace(findings.test, unlocked=changes, looks=9))
    text = "\n".join(reservations(findings))
    assert "changed on 2026-11-22 09:00 UTC: “reason 4” (100 photos before; 1 added, 2 removed)" in text
    assert "reason 1" not in text
    assert "It was changed 2 times before that" in text
    assert "Figures of ver5 moved by more than 2 points, beyond chance" in text
    assert "9 sets of predictions have been judged on the test set, of which this report shows 3" in text
    assert "Trained once: ver5 and ver6." in text
    assert "No hard backgrounds are in the test set" in text


def test_a_move_within_chance_is_no_reservation_and_every_system_that_moved_is_named(small_report, make_findings):
    findings = make_findings(small_report, warned=("baseline", "ver5", "ver6"))
    assert "Figures of baseline, ver5 and ver6 moved" in "\n".join(reservations(findings))

    def by_chance(system):
        alterations = tuple(
            replace(own, rate=replace(own.rate, change=0.037, low=-0.091, high=0.183))
            for own in system.shortcuts.alterations
        )
        return replace(system, shortcuts=replace(system.shortcuts, alterations=alterations))

    first, second, third = findings.systems
    some = replace(findings, systems=(by_chance(first), second, by_chance(third)))
    assert "Figures of ver5 moved" in "\n".join(reservations(some))
    yardstick = replace(first, shortcuts=replace(first.shortcuts, trained=False))
    some = replace(findings, systems=(yardstick, second, by_chance(third)))
    assert "So did those of baseline, not trained here" in "\n".join(reservations(some))
    none = replace(findings, systems=tuple(map(by_chance, findings.systems)))
    assert not any("moved by more than" in text for text in reservations(none))


def test_one_damaged_photo_gives_no_headline_of_100_percent(make_report, make_findings):
    for names in (["baseline"], ["baseline", "ver6"]):
        report = make_report(names, (1, 40, 60), on_disk=False)
        findings = make_findings(report)
        head = screen(report, findings)
        assert "only 1 damaged car: figures on damaged cars say next to nothing" in head.sentences[0]
        assert not any("%" in head.verdict for _ in names)
        assert any("has only 1 damaged car" in text for text in reservations(findings))
        assert head.measure.startswith("AUC")
        for bar in head.bars:
            assert "(" in bar.value or bar.share == 0
            assert "damaged cars found" not in bar.detail or "of the damaged cars found" in bar.detail
            assert bar.detail.count("–") == 2  # an interval beside each share


def test_a_promise_that_did_not_hold_is_said(small_report, make_findings):
    findings = make_findings(small_report, pinned_test=40)
    assert broken_promises(findings) == ()
    first, *others = findings.systems
    misses = replace(first.third_answer.misses, share=0.267, low=0.186, high=0.366)
    broken = replace(first, third_answer=replace(first.third_answer, misses=misses, group_miss_share=0.26))
    broken = replace(
        broken,
        frozen=tuple(
            replace(own, third_answer=replace(own.third_answer, low=0.05, high=0.9, misses_at_most=0.1))
            for own in broken.frozen
        ),
    )
    findings = replace(findings, systems=(broken, *others))
    [text] = broken_promises(findings)
    assert "did not hold on this test: 26.7\xa0% (18.6–36.6\xa0%) of the vehicles" in text
    assert "at most 10\xa0% were promised" in text
    assert "40 of 100 from sources pinned to the test set" in text
    assert text in reservations(findings)
    cells = [
        row.cells[0]
        for group in third_answer_table(findings).groups
        for row in group.rows
        if row.label == "… promised for that mean, at most"
    ]
    assert [(cell.small, cell.tone) for cell in cells] == [("did not hold on this test", "bad"), ("", "")]


def test_a_thresholds_promise_that_did_not_hold_is_said(small_report, make_findings):
    rule = ThresholdSettings(rule="miss_rate_at_most", value=0.25)
    findings = make_findings(small_report, rule=rule)
    assert broken_promises(findings) == ()
    row = findings.judged.rows[2]
    poor = replace(
        row, figures=row.figures | {"recall": replace(row.figures["recall"], value=0.6, low=0.5, high=0.7)}
    )
    judged = replace(findings.judged, rows=(*findings.judged.rows[:2], poor, *findings.judged.rows[3:]))
    findings = replace(findings, judged=judged)
    [text] = broken_promises(findings)
    assert text == (
        "The promise of ver6's threshold did not hold on this test: "
        "40.0\xa0% (30.0–50.0\xa0%) of the vehicles were missed."
    )
    assert [card.systems for card in frozen_cards(findings) if card.broken] == [("ver6",)]


def test_a_rule_that_was_not_kept_and_pinned_photos_are_reservations(small_report, make_findings):
    findings = make_findings(
        small_report, rule=ThresholdSettings(rule="miss_rate_at_most", value=0.25), pinned_test=30
    )
    assert all(own.chosen.guarantee for own in findings.systems[2].frozen)
    text = "\n".join(reservations(findings))
    assert "30 of 100 test photos come from sources that were pinned" in text
    strict = make_findings(small_report, rule=ThresholdSettings(rule="miss_rate_at_most", value=0.001))
    assert "The threshold rule of baseline, ver5 and ver6 could not be kept" in "\n".join(reservations(strict))
