import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews import review_of
from wreckognize.errors import UsageError
from wreckognize.review.records import merge, read_reviews, to_text, write_reviews

corner = st.floats(0, 4000, allow_nan=False)


@st.composite
def boxes(draw):
    x1, y1 = draw(corner), draw(corner)
    return x1, y1, x1 + draw(st.floats(0.02, 4000)), y1 + draw(st.floats(0.02, 4000))


@st.composite
def reviews(draw):
    drawn = draw(st.lists(boxes(), max_size=3))
    verdict = (
        draw(st.sampled_from(["damaged", "normal", None]))
        if drawn
        else draw(st.sampled_from(["background", None]))
    )
    return review_of(
        draw(st.sampled_from(["s/1.jpg", "s/차 2.jpg", 's/"3".jpg'])),
        *drawn,
        verdict=verdict,
        reviewer=draw(st.sampled_from(["anna", "ben"])),
        when=f"2026-11-{draw(st.integers(1, 28)):02}T10:00:00+00:00",
    )


some_reviews = st.lists(reviews(), max_size=6, unique_by=lambda one: (one.photo, one.reviewer))


@given(some_reviews)
def test_what_is_written_is_read_and_written_again_byte_for_byte(tmp_path_factory, given_reviews):
    file = tmp_path_factory.mktemp("reviews") / "reviews.json"
    assert write_reviews(file, given_reviews, study="claims")
    before = file.read_bytes()
    read = read_reviews(file, study="claims")
    assert not write_reviews(file, reversed(read), study="claims")
    assert file.read_bytes() == before
    assert {(one.photo, one.reviewer) for one in read} == {(one.photo, one.reviewer) for one in given_reviews}
    json.loads(before)


@given(some_reviews, some_reviews)
def test_taking_reviews_in_twice_changes_nothing(stored, incoming):
    once = merge(stored, incoming)
    twice = merge(once.reviews, incoming)
    assert twice.reviews == once.reviews
    assert twice.added == twice.replaced == 0
    assert to_text(twice.reviews, study="s") == to_text(once.reviews, study="s")


def test_a_reviewers_last_word_counts_and_an_older_one_does_not():
    first = review_of("s/1.jpg", (1, 1, 9, 9), when="2026-11-01T10:00:00+00:00", decides=True)
    later = review_of("s/1.jpg", (1, 1, 20, 20), when="2026-11-02T10:00:00+02:00")
    merged = merge([first], [later])
    assert merged.replaced == 1
    assert merged.reviews[0].boxes == later.boxes
    assert not merged.reviews[0].decides, "it decided with other boxes"
    assert merge(merged.reviews, [first]).older == 1
    assert merge(merged.reviews, [first]).reviews == merged.reviews


def test_the_same_said_again_later_keeps_the_first_time_and_the_decision():
    first = review_of("s/1.jpg", (1, 1, 9, 9), decides=True)
    again = msgspec.structs.replace(first, when="2026-12-01T10:00:00+00:00", decides=False)
    assert merge([first], [again]).reviews == (first,)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"boxes": [[5, 5, 5, 9]]}, "no area"),
        ({"boxes": [[-1, 5, 6, 9]]}, "outside"),
        ({"verdict": "background"}, "says no vehicle, but has 1 box"),
        ({"boxes": []}, "says a vehicle, but has no box"),
        ({"when": "yesterday"}, "not a time"),
        ({"reviewer": " "}, "must be named"),
        ({"verdict": "wreck"}, "wreck"),
        ({"decide": True}, "decide"),
        ({"boxes": [[1, 2, 3]]}, "length"),
    ],
)
def test_an_entry_that_was_edited_wrongly_is_named(tmp_path, entry, said):
    good = json.loads(msgspec.json.encode(review_of("s/1.jpg", (1, 1, 9, 9))))
    file = tmp_path / "reviews.json"
    file.write_text(json.dumps({"format": 1, "study": "claims", "reviews": [good | entry]}))
    with pytest.raises(UsageError, match=said):
        read_reviews(file, study="claims")


def test_other_files_are_refused(tmp_path):
    file = tmp_path / "reviews.json"
    with pytest.raises(UsageError, match="cannot be read"):
        read_reviews(file, study="claims")
    write_reviews(file, [review_of("s/1.jpg", (1, 1, 9, 9))], study="another")
    with pytest.raises(UsageError, match="of the study 'another', not of 'claims'"):
        read_reviews(file, study="claims")
    one = msgspec.json.encode(review_of("s/1.jpg", (1, 1, 9, 9))).decode()
    file.write_text(f'{{"format": 1, "study": "claims", "reviews": [{one}, {one}]}}')
    with pytest.raises(UsageError, match=r"s/1\.jpg \(anna\): 2 entries"):
        read_reviews(file, study="claims")
    file.write_text('{"format": 1, "study": "claims", "reviews": [{"boxes": NaN}]}')
    with pytest.raises(UsageError, match="not a reviews file"):
        read_reviews(file, study="claims")
