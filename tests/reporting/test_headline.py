from __future__ import annotations

from dataclasses import replace

import pytest

from wreckognize.evaluation.comparison import Comparison, SystemFigures
from wreckognize.evaluation.image_level import Found, FoundAt
from wreckognize.reporting.headline import headline


@pytest.fixture(scope="session")
def figures(full_report) -> SystemFigures:
    """Any figures; tests replace what they are about."""
    return full_report.comparison.systems[0]


def compare(full_report, *systems: SystemFigures) -> Comparison:
    return replace(full_report.comparison, systems=systems)


def system(
    figures: SystemFigures, name: str, *found: float | None, auc: float = 0.9, damaged: int = 200
) -> SystemFigures:
    """Shares of damaged cars found at 5, 2.5 and 1 % false alarms."""
    rates = dict(zip(("0.05", "0.025", "0.01"), (*found, None, None, None), strict=False))
    return replace(
        figures,
        name=name,
        by_role={"damaged": Found(damaged, damaged), "normal": Found(9, 9), "background": Found(120, 30)},
        found_at_false_alarms={
            key: None if share is None else FoundAt(0.4, share, None) for key, share in rates.items()
        },
        auc_damaged=auc,
    )


def test_the_best_is_named_with_its_counts_and_the_gap(full_report, figures):
    head = headline(
        compare(full_report, system(figures, "a", 0.61), system(figures, "b", 0.995), system(figures, "c", 0.95))
    )
    assert head.verdict == "b finds the most damaged cars at equal false alarms"
    assert "99.5\xa0% of the damaged cars (199 of 200)" in head.sentences[0]
    assert "Next comes c with 95.0\xa0% (190 of 200), 9 cars fewer." in head.sentences[0]
    assert [bar.system for bar in head.bars] == ["b", "c", "a"]
    assert [bar.number for bar in head.bars] == [1, 2, 0]
    assert head.bars[0].detail == "At its own threshold 0.10: 100.0\xa0% found, 25.0\xa0% false alarms"
    assert any("at most 6 of 120 backgrounds" in sentence for sentence in head.sentences)
    assert any("No single threshold tells the story" in sentence for sentence in head.sentences)
    assert any("without intervals or significance tests" in sentence for sentence in head.sentences)


def test_level_systems_are_not_called_better(full_report, figures):
    level = [system(figures, "a", 0.9, 0.7), system(figures, "b", 0.9, 0.8), system(figures, "c", 0.5, 0.5)]
    head = headline(compare(full_report, *level))
    assert head.verdict == "b and a are level: they find equally many damaged cars at 5\xa0% false alarms"
    assert "At 2.5\xa0% false alarms b finds the most: 80.0\xa0%." in head.sentences[0]
    assert "Next comes c" in head.sentences[0]


def test_systems_level_at_every_rate_are_said_to_be_so(full_report, figures):
    head = headline(compare(full_report, system(figures, "a", 0.9, auc=0.8), system(figures, "b", 0.9, auc=0.95)))
    assert "No stricter rate of false alarms tells the first two apart." in head.sentences[0]
    assert [bar.system for bar in head.bars] == ["b", "a"]


def test_one_system_is_compared_with_none(full_report, figures):
    head = headline(compare(full_report, system(figures, "only", 0.9)))
    assert head.verdict == "only finds 90.0\xa0% of the damaged cars at 5\xa0% false alarms"
    assert "no other system" in head.sentences[0]


def test_too_few_backgrounds_give_no_verdict_but_the_auc(full_report, figures):
    few = [system(figures, "a", None, auc=0.7), system(figures, "b", None, auc=0.8)]
    few = [replace(own, by_role=own.by_role | {"background": Found(12, 1)}) for own in few]
    head = headline(compare(full_report, *few))
    assert head.verdict == "Which system to trust cannot be said from this test set"
    assert head.sentences[0] == "The test set has 12 backgrounds; 5\xa0% false alarms need at least 20."
    assert [(bar.system, bar.value) for bar in head.bars] == [("b", "0.800"), ("a", "0.700")]
    assert head.measure == "AUC, damaged cars against backgrounds"


def test_no_damaged_car_gives_no_ranking_at_all(full_report, figures):
    none = replace(system(figures, "a", None, damaged=0), auc_damaged=None)
    head = headline(compare(full_report, none))
    assert head.sentences[0] == "The test set has no damaged car."
    assert head.bars == ()
    assert head.measure == ""
