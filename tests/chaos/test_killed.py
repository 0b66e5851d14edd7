"""The short form of `make chaos`: a study that is killed ten times within its work."""

import pytest
from chaos.kills import campaign


@pytest.mark.slow
def test_a_study_killed_ten_times_ends_as_one_that_was_not(subject, tmp_path):
    tally = campaign(subject, tmp_path, 10, seed=11, in_a_life=10)
    assert tally.errors == []
    assert (tally.lost, tally.corrupted, tally.orphans) == (0, 0, 0)
    assert tally.hits.total() == 10
    assert tally.resumes >= 9  # the first may have hit before anything was written
    assert len(tally.places) >= 4  # not always in the same place
