"""Photos that belong together get one group; nothing else does."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wreckognize.curate.groups import LINK_SCHEMA, assign_groups, same_bytes, same_claim


def groups_of(table):
    return dict(table.iter_rows())


def links(left, right):
    row = {"left": left, "right": right, "reason": "told", "distance": None}
    return pl.DataFrame([row], schema=LINK_SCHEMA)


def test_photos_of_one_claim_stay_together_across_sources(make_photos):
    photos = make_photos(
        [
            {"photo": "train/1.jpg", "claim": "sc-1"},
            {"photo": "val/1.jpg", "claim": "sc-1"},
            {"photo": "val/2.jpg", "claim": "sc-2"},
        ]
    )
    assert groups_of(assign_groups(photos)) == {
        "train/1.jpg": "train/1.jpg",
        "val/1.jpg": "train/1.jpg",
        "val/2.jpg": "val/2.jpg",
    }


@pytest.mark.parametrize("claim", [None, ""])
def test_photos_without_a_claim_stand_alone(make_photos, claim):
    photos = make_photos([{"photo": "a/1.jpg", "claim": claim}, {"photo": "a/2.jpg", "claim": claim}])
    assert assign_groups(photos).get_column("group").to_list() == ["a/1.jpg", "a/2.jpg"]


def test_a_claim_and_a_copied_file_chain_into_one_group(make_photos):
    photos = make_photos(
        [
            {"photo": "a/1.jpg", "claim": "x"},
            {"photo": "a/2.jpg", "claim": "x", "sha256": "same"},
            {"photo": "b/3.jpg", "claim": "y", "sha256": "same"},
            {"photo": "b/4.jpg", "claim": "y"},
            {"photo": "b/5.jpg", "claim": "z"},
        ]
    )
    assert assign_groups(photos).get_column("group").to_list() == ["a/1.jpg"] * 4 + ["b/5.jpg"]
    by_claim = assign_groups(photos, [same_claim]).get_column("group").to_list()
    assert by_claim == ["a/1.jpg", "a/1.jpg", "b/3.jpg", "b/3.jpg", "b/5.jpg"]
    by_bytes = assign_groups(photos, [same_bytes]).get_column("group").to_list()
    assert by_bytes == ["a/1.jpg", "a/2.jpg", "a/2.jpg", "b/4.jpg", "b/5.jpg"]


def test_a_further_join_needs_only_a_function(make_photos):
    def neighbours(photos):
        return links("a/3.jpg", "a/1.jpg")

    photos = make_photos({"photo": f"a/{number}.jpg"} for number in (1, 2, 3))
    assert assign_groups(photos, [neighbours]).get_column("group").to_list() == ["a/1.jpg", "a/2.jpg", "a/1.jpg"]


def test_a_join_that_names_an_unknown_photo_is_a_mistake(make_photos):
    def wrong(photos):
        return links("a/1.jpg", "gone.jpg")

    with pytest.raises(ValueError, match=r"gone\.jpg"):
        assign_groups(make_photos([{"photo": "a/1.jpg"}]), [wrong])


def test_two_rows_for_one_photo_are_a_mistake(make_photos):
    with pytest.raises(ValueError, match=r"not unique: 'a/1\.jpg'"):
        assign_groups(make_photos([{"photo": "a/1.jpg"}, {"photo": "a/1.jpg"}]))


def test_no_photos_no_groups(make_photos):
    assert assign_groups(make_photos([])).to_dicts() == []


@settings(deadline=None, max_examples=50)
@given(
    keys=st.lists(st.tuples(st.sampled_from([None, "", "p", "q", "r"]), st.sampled_from("stuvwxyz")), max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_groups_are_the_connected_components_whatever_the_order(make_photos, keys, order):
    rows = [{"photo": f"a/{n:02}.jpg", "claim": c, "sha256": s} for n, (c, s) in enumerate(keys)]
    expected = list(range(len(rows)))  # by repeated relabelling, the slow and obvious way
    for _ in rows:
        for i, left in enumerate(rows):
            for j, right in enumerate(rows):
                if (left["claim"] and left["claim"] == right["claim"]) or left["sha256"] == right["sha256"]:
                    expected[i] = expected[j] = min(expected[i], expected[j])
    shuffled = list(rows)
    order.shuffle(shuffled)
    table = assign_groups(make_photos(shuffled))
    assert table.get_column("photo").to_list() == [row["photo"] for row in rows]
    assert table.get_column("group").to_list() == [rows[smallest]["photo"] for smallest in expected]
