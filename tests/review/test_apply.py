import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from reviews import box_row, catalog_of, photo_row, review_of
from wreckognize.catalog import VEHICLE
from wreckognize.review.apply import Correction, apply_reviews

NEW, OLD, OTHER = (10, 10, 110, 110), (50, 50, 90, 90), (200, 100, 300, 200)


def a_catalog():
    return catalog_of(
        [
            photo_row("s/car.jpg"),
            photo_row("s/intact.jpg", "normal"),
            photo_row("s/nothing.jpg", "background"),
        ],
        [
            box_row("s/car.jpg", OLD),
            box_row("s/car.jpg", (0, 0, 400, 300), crowd=True),
            box_row("s/car.jpg", (60, 60, 70, 70), "Scratched"),
        ],
    )


def photo_of(result, photo):
    return result.catalog.photos.row(by_predicate=pl.col("photo") == photo, named=True)


def boxes_of(result, photo, kind=VEHICLE):
    rows = result.catalog.boxes.filter(pl.col("photo") == photo, pl.col("kind") == kind, ~pl.col("crowd"))
    return rows.select("x1", "y1", "x2", "y2").rows()


def test_a_reviewers_boxes_replace_those_of_the_source_and_damage_stays():
    result = apply_reviews(a_catalog(), [review_of("s/car.jpg", NEW, OTHER)])
    assert boxes_of(result, "s/car.jpg") == [NEW, OTHER]
    assert boxes_of(result, "s/car.jpg", "Scratched") == [(60, 60, 70, 70)]
    assert result.catalog.boxes["crowd"].sum() == 1
    assert photo_of(result, "s/car.jpg")["box_truth"]
    assert len(result.reviewed) == 1
    assert result.corrections == ()
    assert result.notes() == ()


def test_no_vehicle_makes_a_background_without_boxes_or_damage():
    result = apply_reviews(a_catalog(), [review_of("s/car.jpg", verdict="background")])
    photo = photo_of(result, "s/car.jpg")
    assert (photo["role"], photo["has_vehicle"], photo["damage_types"], photo["box_truth"]) == (
        "background",
        False,
        [],
        True,
    )
    assert result.catalog.boxes.is_empty()
    assert result.corrections == (
        Correction(photo="s/car.jpg", before="damaged", after="background", reviewer="anna"),
    )
    assert "1 photo: s/car.jpg (damaged -> background, anna)" in result.notes()[0]


def test_a_vehicle_in_a_background_is_intact_unless_it_is_said_to_be_damaged():
    unsaid = apply_reviews(a_catalog(), [review_of("s/nothing.jpg", NEW, verdict=None)])
    assert photo_of(unsaid, "s/nothing.jpg")["role"] == "normal"
    assert photo_of(unsaid, "s/nothing.jpg")["has_vehicle"]
    said = apply_reviews(a_catalog(), [review_of("s/nothing.jpg", NEW, verdict="damaged")])
    assert photo_of(said, "s/nothing.jpg")["role"] == "damaged"


def test_an_intact_vehicle_has_no_damage():
    result = apply_reviews(a_catalog(), [review_of("s/car.jpg", NEW, verdict="normal")])
    assert photo_of(result, "s/car.jpg")["damage_types"] == []
    assert boxes_of(result, "s/car.jpg", "Scratched") == []
    kept = apply_reviews(a_catalog(), [review_of("s/car.jpg", NEW, verdict=None)])
    assert photo_of(kept, "s/car.jpg")["role"] == "damaged"


def test_a_conflict_changes_nothing_and_is_named():
    before = a_catalog()
    result = apply_reviews(before, [review_of("s/car.jpg", NEW), review_of("s/car.jpg", OTHER, reviewer="ben")])
    assert result.catalog.photos.equals(before.photos)
    assert result.catalog.boxes.equals(before.boxes)
    assert "differ on 1 photo: s/car.jpg" in result.notes()[0]


def test_unknown_and_changed_photos_are_named_and_left_alone():
    before = a_catalog()
    result = apply_reviews(
        before, [review_of("gone/1.jpg", NEW), review_of("s/intact.jpg", NEW, verdict="normal", sha256="0" * 64)]
    )
    assert result.catalog.boxes.equals(before.boxes)
    assert result.unknown == ("gone/1.jpg",)
    assert result.changed == ("s/intact.jpg",)
    assert any("gone/1.jpg" in note for note in result.notes())
    assert any("s/intact.jpg" in note and "another" in note for note in result.notes())


def test_who_cannot_tell_changes_nothing():
    before = a_catalog()
    result = apply_reviews(before, [review_of("s/nothing.jpg", verdict=None)])
    assert result.catalog.photos.equals(before.photos)
    assert result.reviewed == ()


answers = st.sampled_from(
    [("damaged", (NEW,)), ("normal", (NEW, OTHER)), (None, (OTHER,)), ("background", ()), (None, ())]
)


@given(st.dictionaries(st.sampled_from(["s/car.jpg", "s/intact.jpg", "s/nothing.jpg", "gone/1.jpg"]), answers))
def test_laws_of_any_set_of_reviews(said):
    reviews = [review_of(photo, *boxes, verdict=verdict) for photo, (verdict, boxes) in said.items()]
    once = apply_reviews(a_catalog(), reviews)
    twice = apply_reviews(once.catalog, reviews)
    assert twice.catalog.photos.equals(once.catalog.photos), "applying twice changes nothing"
    assert twice.catalog.boxes.equals(once.catalog.boxes)
    assert twice.corrections == ()
    photos = once.catalog.photos
    assert (photos["has_vehicle"] == (photos["role"] != "background")).all()
    assert photos.filter(pl.col("role") != "damaged")["damage_types"].list.len().sum() == 0
    backgrounds = photos.filter(role="background").select("photo")
    assert once.catalog.boxes.join(backgrounds, on="photo", how="semi").is_empty()
    assert photos["photo"].to_list() == a_catalog().photos["photo"].to_list()
