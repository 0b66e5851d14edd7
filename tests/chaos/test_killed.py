"""The short form of `make chaos`: a study that is killed ten times within its work."""

import random
from collections import Counter
from types import SimpleNamespace

import pytest
from chaos.kills import aims, campaign
from chaos.subject import Stage


@pytest.mark.slow
def test_a_study_killed_ten_times_ends_as_one_that_was_not(subject, tmp_path):
    tally = campaign(subject, tmp_path, 10, seed=11, in_a_life=10)
    assert tally.errors == []
    assert (tally.lost, tally.corrupted, tally.orphans) == (0, 0, 0)
    assert tally.hits.total() == 10
    assert tally.resumes >= 9  # the first may have hit before anything was written
    assert len(tally.places) >= 4  # not always in the same place


def test_the_child_alone_is_aimed_at_often_and_all_else_is_not_forgotten():
    order = [
        Stage(name, "", seconds, "") for name, seconds in (("collect", 0.5), ("train:ver6", 10.0), ("report", 4.0))
    ]
    drawn = [aim for seed in range(100) for aim in aims(SimpleNamespace(order=order), 3, random.Random(seed))]
    victims = Counter(aim.victim if aim.operation is None else "operation" for aim in drawn)
    assert victims["child"] / len(drawn) > 0.2
    assert min(victims[one] / len(drawn) for one in ("parent", "group", "operation")) > 0.1
    assert {aim.stage for aim in drawn} == {0, 1, 2}
    assert all(order[aim.stage].name == "train:ver6" for aim in drawn if aim.victim == "child")
