from __future__ import annotations

from dataclasses import replace

import pytest

from wreckognize.evidence.verdicts import COMPARED, sentence
from wreckognize.reporting.evidence.verdicts import (
    caveats,
    judged_pairs,
    needed_in_words,
    oriented,
    size_in_words,
    verdict_part,
)

NONE, BETTER, WORSE, UNKNOWN = "no difference shown", "better", "worse", "cannot be said"


def test_a_pair_told_from_the_other_side_turns_everything_but_the_size(make_judged):
    [pair] = make_judged({"a": 1, "b": 1}, {("a", "b"): BETTER}).pairs
    turned = oriented(pair, "b")
    assert (turned.first, turned.second) == ("b", "a")
    assert {found.verdict for found in turned.differences.values()} == {WORSE}
    assert turned.differences["balanced_accuracy"].value == -0.05
    assert size_in_words(turned.differences["balanced_accuracy"]) == "−5.0 points (−7.0 to −3.0)"
    assert size_in_words(turned.differences["false_alarms"]) == "+5.0 points (+3.0 to +7.0)"
    assert size_in_words(turned.differences["roc_area"]) == "−0.050 (−0.070 to −0.030)"
    assert oriented(pair, "a") == pair
    assert oriented(turned, "a") == pair


@pytest.mark.parametrize(
    ("verdict", "mark", "tone", "first"),
    [(BETTER, "▲", "good", "a"), (WORSE, "▲", "good", "b"), (NONE, "=", "", "a"), (UNKNOWN, "?", "", "a")],
)
def test_a_pair_is_told_from_the_better_side(make_judged, verdict, mark, tone, first):
    part = verdict_part(make_judged({"a": 1, "b": 1}, {("a", "b"): verdict}))
    [row] = part.pairs
    assert row.first == first
    assert [one.figure for one in row.judged] == list(part.heads)
    assert {(one.mark, one.tone) for one in row.judged} == {(mark, tone)}
    assert part.open
    assert part.matrices == ()
    assert len(part.heads) + len(part.folded_heads) == len(COMPARED)


def test_what_no_verdict_lacks_is_said(make_judged):
    pairs = {("a", "b"): NONE, ("a", "c"): UNKNOWN, ("b", "c"): BETTER}
    none, unknown, better = verdict_part(make_judged(dict.fromkeys("abc", 1), pairs)).pairs
    assert none.judged[0].details == ("p = 0.40 (Holm)", "about 3,500 photos in 1,800 groups needed")
    assert (unknown.judged[0].size, unknown.judged[0].details) == ("", ())
    assert unknown.judged[0].why == "the test set has no background photo"
    assert better.judged[0].details == ("p = 0.020 (Holm)",)


def test_many_systems_get_a_matrix_that_can_be_read_aloud(make_judged):
    verdicts = {
        ("a", "b"): BETTER,
        ("a", "c"): NONE,
        ("a", "d"): UNKNOWN,
        ("b", "c"): WORSE,
        ("b", "d"): NONE,
        ("c", "d"): NONE,
    }
    part = verdict_part(make_judged(dict.fromkeys("abcd", 1), verdicts))
    matrix = part.matrices[0]
    assert matrix.figure == "balanced accuracy"
    assert [[one.mark for one in row] for row in matrix.rows] == [
        ["", "▲", "=", "?"],
        ["▼", "", "▼", "="],
        ["=", "▲", "", "="],
        ["?", "=", "=", ""],
    ]
    assert matrix.rows[1][0].spoken == "b than a: worse"
    assert matrix.rows[0][2].spoken == "a against c: no difference shown"
    assert [own.figure for own in part.matrices] == list(part.heads)


def test_many_pairs_are_folded(make_judged):
    names = "abcde"
    verdicts = {(one, other): NONE for one in names for other in names if one < other}
    assert not verdict_part(make_judged(dict.fromkeys(names, 1), verdicts)).open


def test_one_training_makes_a_verdict_about_detectors_and_three_about_the_recipe(make_judged):
    once, thrice, few = caveats(make_judged({"baseline": 0, "ver5": 1, "ver6": 3}, {}))
    assert once.startswith("Trained once: ver5. A verdict is about this trained detector, not about the recipe")
    assert thrice.startswith("Trained several times: ver6 (3 times).")
    assert few.startswith("The spread between trainings rests on 3 trainings in all, which say little about it")
    assert len(caveats(make_judged({"ver5": 3, "ver6": 3}, {}))) == 1
    assert caveats(make_judged({"baseline": 0}, {})) == ()


def test_an_interval_without_0_and_no_verdict_are_explained(make_judged):
    [pair] = make_judged({"a": 1, "b": 1}, {("a", "b"): NONE}).pairs
    found = replace(
        pair.differences["balanced_accuracy"], value=0.174, low=0.023, high=0.307, p_value=0.03, p_holm=0.09
    )
    shown = replace(pair, differences=pair.differences | {"balanced_accuracy": found})
    [told] = judged_pairs([shown], ["balanced_accuracy"])
    assert "the interval is before the correction for several comparisons" in told.judged[0].details
    assert "before the correction" in sentence(shown, "balanced_accuracy")
    assert replace(found, p_value=0.09).why_not_shown == "the test is stricter than the interval"
    assert replace(found, low=-0.01).why_not_shown == ""
    assert replace(found, verdict="better").why_not_shown == ""


def test_nothing_is_needed_to_show_what_is_shown(make_judged):
    [pair] = make_judged({"a": 1, "b": 1}, {("a", "b"): BETTER}).pairs
    assert needed_in_words(pair.differences["roc_area"]) == ""


def test_an_interval_that_holds_0_against_a_small_p_is_explained(make_judged):
    [pair] = make_judged({"a": 1, "b": 1}, {("a", "b"): NONE}).pairs
    found = replace(pair.differences["roc_area"], low=-0.1, high=0.2, p_value=0.03, p_holm=0.03)
    assert "luck of trainings" in found.why_not_shown
    assert replace(found, p_holm=0.3).why_not_shown == ""


def test_a_difference_of_next_to_nothing_is_no_promise_of_millions_of_photos(make_judged):
    [pair] = make_judged({"a": 1, "b": 1}, {("a", "b"): NONE}).pairs
    found = replace(pair.differences["roc_area"], photos_needed=3412, groups_needed=1706)
    assert needed_in_words(found) == "about 3,500 photos in 1,800 groups needed"
    far = replace(found, photos_needed=98_765_432_101, groups_needed=9)
    assert needed_in_words(far) == "more than 1,000,000 photos needed"
