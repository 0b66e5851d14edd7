from __future__ import annotations

from dataclasses import replace

import pytest

from wreckognize.evidence.findings import NearPair, Unlocking
from wreckognize.reporting.page import render

HOSTILE = "<script>alert(1)</script>\"' onload=alert(2) [x](javascript:1) /home/jane/a.jpg"


@pytest.fixture(autouse=True, scope="module")
def no_plots():
    """Plots are tested where they are drawn, and take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wreckognize.reporting.page.to_svg", lambda plot: "<svg></svg>")
        yield


@pytest.fixture(scope="module")
def page(small_report, make_findings, parse):
    findings = make_findings(small_report, several=3, trainings=3, prevalence=0.8, warned=("ver6",))
    return parse(render(replace(small_report, findings=findings)))


def test_every_section_is_on_the_page_in_the_order_of_the_navigation(page):
    sections = [own["id"] for own in page.all("section") if "id" in own]
    targets = [own["href"][1:] for own in page.all("a")][1:]
    wanted = ["verdicts", "comparison", "thresholds", "claims", "slices", "shortcut-check", "truth"]
    assert sections[: len(wanted)] == wanted
    assert [own for own in targets if own in wanted] == wanted
    assert page.open == []
    assert not page.all("script")


def test_each_part_says_its_words(page):
    for words in (
        "better", "Before you rely on it", "Trained several times: ver5 (3 times) and ver6 (3 times)", "always vehicle",
        "never vehicle", "Nothing is promised for photos to come.", "it goes to a person", "(this study's rule)",
        "Precision where 80 % of the photos show a vehicle", "ver6 (first of 3 trainings): figures moved when",
        "No hard backgrounds are in the test set", "Agreement with the teacher", "Its photos were never changed since.",
        "25 photos to review first", "No difference shown: the test set is too small to tell",
    ):  # fmt: skip
        assert words in page.text.replace("\xa0", " "), words
    assert "raw counts" not in page.text


def test_intervals_are_drawn_within_the_bar(page):
    styles = [own["style"] for own in page.all("i") if "--low" in (own.get("style") or "")]
    assert len(styles) == 3
    for style in styles:
        low, high = (float(part.split(":")[1]) for part in style.split(";"))
        assert 0 <= low <= high <= 1


def test_a_study_of_many_systems_folds_its_pairs(make_report, make_findings, parse):
    report = make_report(["baseline", "ver1", "ver4", "ver5", "ver6"], (40, 20, 60))
    page = parse(render(replace(report, findings=make_findings(report))))
    assert "All 10 pairs" in page.text
    assert "ver1 against ver1" not in page.text
    assert len([own for own in page.all("table") if own.get("class") == "square"]) == 3


def test_names_and_reasons_are_text_and_never_markup(small_report, make_findings, parse):
    findings = make_findings(small_report, warned=("ver6",))
    change = Unlocking(when=HOSTILE, reason=HOSTILE, photos_before=1, added=1, removed=1)
    near = NearPair(left=HOSTILE, right=HOSTILE, reason="embedding", distance=0.01)
    named = replace(findings.systems[0].slices.rows[0], slice=HOSTILE)
    first = findings.systems[0]
    hostile = replace(
        findings,
        test=replace(findings.test, unlocked=(change,)),
        groups=replace(findings.groups, closest=(near,), pairs={HOSTILE: 1}),
        truth=tuple(replace(own, review_first=(HOSTILE,)) for own in findings.truth),
        systems=(replace(first, slices=replace(first.slices, rows=(named,))), *findings.systems[1:]),
    )
    html = render(replace(small_report, findings=hostile))
    page = parse(html)
    assert not page.all("script")
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") >= 6


def test_findings_on_other_systems_are_refused(small_report, make_report, make_findings):
    other = make_findings(make_report(["baseline", "ver6"], (40, 20, 40), on_disk=False))
    with pytest.raises(ValueError, match="the findings judge the systems"):
        replace(small_report, findings=other)


def test_what_is_no_failure_stands_apart_from_what_could_not_be_done(small_report, make_findings, parse):
    told = ("People reviewed 5 photos.", "the test set has no photo of role normal.")
    findings = make_findings(small_report)
    page = parse(render(replace(small_report, findings=findings, shortfalls=told)))
    failed = page.text.index("What this run could not do as asked")
    notes = page.text.index("Notes on this run")
    assert failed < page.text.index(told[1]) < notes < page.text.index(told[0])
    assert "was chosen on calibration photos" not in page.text
    only = parse(render(replace(small_report, findings=findings, shortfalls=told[:1])))
    assert "What this run could not do as asked" not in only.text
