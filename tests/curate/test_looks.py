"""Each time that figures on the test set are computed anew leaves a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.curate.looks import Look, add_look, count_looks, looks_by_system, read_looks
from wreckognize.errors import LockError

LOOKS = st.builds(
    Look,
    when=st.text(max_size=10),
    what=st.lists(st.sampled_from(["baseline", "ver6", "차"]), max_size=3).map(tuple),
    digest=st.sampled_from("abcdef"),
)


@given(looks=st.lists(LOOKS, max_size=12))
def test_looks_are_read_as_they_were_added_and_the_same_one_counts_once(looks):
    text = ""
    for look in looks:
        text = add_look(text, look)
    first = {}
    for look in looks:
        first.setdefault(look.digest, look)
    assert read_looks(text) == tuple(first.values())
    assert count_looks(read_looks(text)) == len(first)
    assert text.count("\n") == len(first)


def test_looks_are_counted_for_each_system():
    looks = [Look(when="1", what=("ver6", "ver5"), digest="a"), Look(when="2", what=("ver6",), digest="b")]
    assert looks_by_system(looks) == {"ver5": 1, "ver6": 2}
    assert count_looks([]) == 0
    assert looks_by_system([]) == {}


@pytest.mark.parametrize("line", ["{", "[]", '{"when":"1"}', '{"when":"1","what":["a"],"digest":"d","more":1}'])
def test_a_line_that_is_not_a_look_is_refused(line):
    good = add_look("", Look(when="1", what=("a",), digest="d"))
    with pytest.raises(LockError, match=r"run/test\.looks\.jsonl: line 2 is not the record of a look"):
        read_looks(good + line, where="run/test.looks.jsonl")
