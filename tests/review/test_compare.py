from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews import review_of
from wreckognize.boxes import as_boxes, iou
from wreckognize.errors import UsageError
from wreckognize.review.compare import difference, one_to_one, resolve, same_boxes, settle

BOX, NEAR, FAR = (10, 10, 110, 110), (10, 10, 110, 100), (200, 10, 300, 110)


@given(
    st.integers(0, 4).flatmap(
        lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=n, max_size=n)
    )
)
def test_pairs_are_found_wherever_trying_them_all_finds_some(rows):
    allowed = np.array(rows, dtype=bool).reshape(len(rows), len(rows))
    tried = any(all(allowed[i, j] for i, j in enumerate(order)) for order in permutations(range(len(rows))))
    assert one_to_one(allowed) == tried


def test_boxes_match_one_to_one_at_an_iou_of_seven_tenths():
    assert iou(as_boxes([BOX]), as_boxes([NEAR]))[0, 0] == pytest.approx(0.9)
    assert same_boxes([BOX, FAR], [FAR, NEAR])
    assert not same_boxes([BOX, BOX], [BOX, FAR]), "two boxes for one vehicle are not two vehicles"
    assert not same_boxes([BOX], [])
    assert same_boxes([(0, 0, 100, 100)], [(0, 0, 100, 70.1)])
    assert not same_boxes([(0, 0, 100, 100)], [(0, 0, 100, 69)])


@pytest.mark.parametrize(
    ("left", "right", "why"),
    [
        (review_of("p", BOX), review_of("p", NEAR, reviewer="ben"), None),
        (
            review_of("p", BOX),
            review_of("p", verdict="background", reviewer="ben"),
            "anna: a damaged vehicle; ben: no vehicle",
        ),
        (review_of("p", BOX), review_of("p", BOX, verdict="normal", reviewer="ben"), "an intact vehicle"),
        (review_of("p", BOX), review_of("p", BOX, verdict=None, reviewer="ben"), None),
        (
            review_of("p", BOX, verdict=None),
            review_of("p", verdict="background", reviewer="ben"),
            "anna: a vehicle; ben: no",
        ),
        (review_of("p", BOX), review_of("p", BOX, FAR, reviewer="ben"), "anna: 1 box; ben: 2 boxes"),
        (review_of("p", BOX), review_of("p", FAR, reviewer="ben"), "do not match"),
        (review_of("p", verdict=None), review_of("p", verdict="background", reviewer="ben"), None),
        (review_of("p", verdict="background"), review_of("p", verdict="background", reviewer="ben"), None),
    ],
)
def test_what_counts_as_a_difference(left, right, why):
    for found in (difference(left, right), difference(right, left)):
        assert (found is None) == (why is None)
    assert why is None or why in difference(left, right)


def test_a_conflict_is_shown_and_has_no_answer():
    settled = settle([review_of("p", BOX), review_of("p", FAR, reviewer="ben"), review_of("q", BOX)])
    assert [one.photo for one in settled.answers] == ["q"]
    assert settled.conflicts[0].photo == "p"
    assert settled.conflicts[0].reviewers == ("anna", "ben")


def test_of_those_who_agree_one_with_a_verdict_counts_and_the_later_one():
    early, late = "2026-11-01T00:00:00", "2026-11-02T00:00:00"
    silent = review_of("p", NEAR, verdict=None, reviewer="ben", when=late)
    settled = settle([review_of("p", BOX, when=early), silent, review_of("p", verdict=None, reviewer="carl")])
    assert settled.answers[0].reviewer == "anna"
    settled = settle([review_of("p", BOX, when=early), review_of("p", NEAR, reviewer="ben", when=late)])
    assert settled.answers[0].reviewer == "ben"
    assert settle([review_of("p", verdict=None)]).answers == ()


def test_one_reviewer_decides_everywhere_or_on_one_photo():
    reviews = [review_of(photo, box, reviewer=who) for photo in "pq" for who, box in (("anna", BOX), ("ben", FAR))]
    decided = settle(resolve(reviews, ["anna"]))
    assert [one.reviewer for one in decided.answers] == ["anna", "anna"]
    one = resolve(reviews, ["q=ben"])
    assert [answer.reviewer for answer in settle(one).answers] == ["ben"]
    assert [conflict.photo for conflict in settle(one).conflicts] == ["p"]
    assert resolve(one, ["q=ben"]) == one, "deciding twice changes nothing"
    for wrong in ("carl", "p=carl", "z=anna"):
        with pytest.raises(UsageError, match="no conflict fits"):
            resolve(reviews, [wrong])
