"""What is handed to training or to the threshold holds nothing that the test set knows."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.curate import lock as locks
from wreckognize.curate.groups import LINK_SCHEMA
from wreckognize.curate.guard import Match, find_matches, name_matches, refuse_leaks
from wreckognize.errors import LeakError

COLUMNS = dict.fromkeys(("photo", "sha256", "hash", "claim", "group"), pl.String)
HASH = "0123456789abcdef"
THREE_BITS_OFF = "0123456789abcde8"


def rows(*given):
    full = [
        {"sha256": f"bytes of {row['photo']}", "hash": None, "claim": None, "group": row["photo"]} | row
        for row in given
    ]
    return pl.DataFrame(full, schema=COLUMNS)


def lock_of(test):
    photos = tuple(
        locks.LockedPhoto(photo=photo, sha256=sha256, hash=bits, group=group)
        for photo, sha256, bits, group in test.select("photo", "sha256", "hash", "group").iter_rows()
    )
    return locks.TestLock(version=2, study="s", seed=0, created="now", digest="0" * 64, photos=photos)


TEST = rows(
    {"photo": "b/y.jpg", "hash": HASH, "claim": "c1", "sha256": "same", "group": "b/y.jpg"}, {"photo": "b/z.jpg"}
)


def refuse(given, *, distance=8, groups=None):
    given, lock = given.drop("claim"), lock_of(TEST)
    refuse_leaks(given, lock, hash_distance=distance, what="training of ver5", groups=groups)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"photo": "b/y.jpg"}, "b/y.jpg is a test photo"),
        ({"photo": "a/x.jpg", "sha256": "same"}, "a/x.jpg matches test photo b/y.jpg (the same file)"),
        ({"photo": "a/x.jpg", "hash": THREE_BITS_OFF}, "a/x.jpg matches test photo b/y.jpg (hash, 3 of 64 bits)"),
        ({"photo": "a/x.jpg", "group": "b/y.jpg"}, "a/x.jpg matches test photo b/y.jpg (the same group)"),
    ],
)
def test_a_photo_that_belongs_to_the_test_set_is_named(row, words):
    with pytest.raises(LeakError) as caught:
        refuse(rows({"photo": "a/innocent.jpg"}, row))
    text = str(caught.value)
    assert text.startswith("training of ver5 was handed photos that belong to the locked test set, 1 in number: ")
    assert words in text
    assert "innocent" not in text
    assert caught.value.photos == tuple(sorted({row["photo"], "b/y.jpg"}))
    assert caught.value.exit_code == 1


def test_what_has_nothing_to_do_with_the_test_set_passes():
    refuse(rows({"photo": "a/x.jpg", "hash": "f" * 16, "claim": "c1"}, {"photo": "a/w.jpg"}))
    refuse(rows())
    refuse(rows({"photo": "a/x.jpg", "hash": THREE_BITS_OFF}), distance=2)
    refuse(rows({"photo": "a/x.jpg", "hash": HASH}), distance=None)


def test_photos_without_a_hash_match_by_hash_with_none():
    lock = lock_of(rows({"photo": "b/blank.jpg"}))
    given = rows({"photo": "a/blank.jpg"}, {"photo": "a/x.jpg", "hash": HASH})
    refuse_leaks(given, lock, hash_distance=64, what="training")


def test_a_group_that_was_renamed_since_is_known_by_its_test_photo():
    groups = pl.DataFrame({"photo": ["a/x.jpg", "b/y.jpg", "b/z.jpg"], "group": ["a/0.jpg", "a/0.jpg", "b/z.jpg"]})
    with pytest.raises(LeakError, match=r"a/x\.jpg matches test photo b/y\.jpg \(the same group\)"):
        refuse(rows({"photo": "a/x.jpg", "group": "a/0.jpg"}), groups=groups)


def test_ten_pairs_are_named_and_the_rest_counted():
    many = rows(*({"photo": f"a/{number:02}.jpg", "hash": HASH} for number in range(13)))
    with pytest.raises(LeakError, match=r"13 in number: a/00\.jpg .*a/09\.jpg .*; and 3 more") as caught:
        refuse(many)
    assert len(caught.value.photos) == 14


@given(
    given=st.lists(st.integers(0, 2**64 - 1), max_size=8),
    copies=st.lists(st.tuples(st.integers(0, 7), st.sets(st.integers(0, 63), max_size=12)), max_size=8),
    distance=st.integers(0, 20),
)
def test_hashes_are_matched_as_by_brute_force(given, copies, distance):
    test = [given[index % len(given)] ^ sum(1 << bit for bit in bits) for index, bits in copies if given]
    left = rows(*({"photo": f"a/{n}", "hash": f"{bits:016x}"} for n, bits in enumerate(given)))
    right = rows(*({"photo": f"b/{n}", "hash": f"{bits:016x}"} for n, bits in enumerate(test)))
    expected = {}
    for number, bits in enumerate(given):
        apart = [(bits ^ other).bit_count() for other in test]
        if apart and min(apart) <= distance:
            expected[f"a/{number}"] = f"hash, {min(apart)} of 64 bits"
    found = find_matches(left, right, hash_distance=distance)
    assert {match.photo: match.why for match in found} == expected
    for match in found:
        ends = (
            int(left.filter(photo=match.photo)["hash"][0], 16),
            int(right.filter(photo=match.test_photo)["hash"][0], 16),
        )
        assert match.why == f"hash, {(ends[0] ^ ends[1]).bit_count()} of 64 bits"


class TestReasons:
    LINKS = pl.DataFrame(
        [
            ("a/1.jpg", "b/y.jpg", "embedding", 0.0185),
            ("a/2.jpg", "a/3.jpg", "claim", None),
            ("a/3.jpg", "b/y.jpg", "hash", 7.0),
            ("a/4.jpg", "a/5.jpg", "file", None),
        ],
        schema=LINK_SCHEMA,
        orient="row",
    )

    def why(self, *given):
        group = "a/1.jpg"
        given = rows(*({"group": group} | row for row in given))
        test = TEST.with_columns(group=pl.when(photo="b/y.jpg").then(pl.lit(group)).otherwise("group"))
        return [tuple(match) for match in name_matches(given, test, self.LINKS, hash_distance=8)]

    def test_a_direct_reason_comes_first(self):
        assert self.why({"photo": "a/2.jpg", "claim": "c1"}) == [("a/2.jpg", "b/y.jpg", "the same claim")]

    def test_else_the_links_say_it(self):
        assert self.why({"photo": "a/1.jpg"}) == [("a/1.jpg", "b/y.jpg", "embedding, cosine 0.982")]

    def test_or_a_chain_of_links(self):
        assert self.why({"photo": "a/2.jpg"}) == [("a/2.jpg", "b/y.jpg", "hash, 7 of 64 bits, by way of a/3.jpg")]

    def test_a_group_that_no_link_explains_is_still_named(self):
        assert self.why({"photo": "a/4.jpg"}) == [("a/4.jpg", "b/y.jpg", "the same group")]

    def test_a_test_photo_itself(self):
        assert str(Match("b/y.jpg", "b/y.jpg", "the photo itself")) == "b/y.jpg is a test photo"
