import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.boxes import as_boxes
from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA
from wreckognize.evidence.slicing import ASPECT, LONG_SIDE, SLICE_SCHEMA, Bins, covered_area, slices_of
from wreckognize.inference.traits import TRAIT_SCHEMA

DAMAGE = "share of the photo that damage covers"
VEHICLE = "share of the photo that the largest vehicle covers"


def photos(*rows):
    """Rows of photo, source, role, width, height, damage types."""
    table = pl.DataFrame(
        list(rows),
        schema={
            name: PHOTO_SCHEMA[name] for name in ("photo", "source", "role", "width", "height", "damage_types")
        },
        orient="row",
    )
    missing = [
        pl.lit(None, PHOTO_SCHEMA[name]).alias(name) for name in PHOTO_SCHEMA.names() if name not in table.columns
    ]
    return (
        table.with_columns(missing)
        .with_columns(has_vehicle=pl.col("role") != "background")
        .select(PHOTO_SCHEMA.names())
    )


def boxes(*rows):
    """Rows of photo, corners, kind; drawn by a person, no crowd unless said."""
    full = [(*row[:5], row[5], "human", None, row[6] if len(row) > 6 else False) for row in rows]
    return pl.DataFrame(full, schema=BOX_SCHEMA, orient="row")


def traits(**brightness):
    return pl.DataFrame(
        [(photo, value, 75) for photo, value in brightness.items()], schema=TRAIT_SCHEMA, orient="row"
    )


def of(table, photo):
    return {(row["trait"], row["slice"]) for row in table.filter(photo=photo).iter_rows(named=True)}


corner = st.integers(-5, 25)


@given(st.lists(st.tuples(corner, corner, corner, corner), max_size=8))
def test_the_covered_area_is_that_of_painted_pixels(corners):
    canvas = np.zeros((17, 20), dtype=bool)
    for x1, y1, x2, y2 in corners:
        canvas[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = True
    assert covered_area(as_boxes(corners), 20, 17) == canvas.sum()


def test_the_covered_area_is_exact_between_pixels():
    assert covered_area(as_boxes([[0.5, 0.25, 2, 1], [0.5, 0.25, 2, 1], [1, 0, 1.5, 4]]), 9, 9) == pytest.approx(
        1.5 * 0.75 + 0.5 * 4 - 0.5 * 0.75
    )


def test_an_edge_belongs_to_the_bin_above():
    bins = Bins((0.05, 0.5), ("low", "middle", "high"))
    cut = bins.cut(pl.Series([0.0, 0.0499, 0.05, 0.5, 1.0, None]))
    assert cut.to_list() == ["low", "low", "middle", "high", "high", None]


def test_common_shapes_and_sizes_are_told_apart():
    shapes = pl.Series([3 / 4, 1.0, 4 / 3, 3 / 2, 16 / 9])
    assert ASPECT.cut(shapes).to_list() == ["upright", "square", "up to 4:3", "wider than 4:3", "wider than 4:3"]
    assert LONG_SIDE.cut(pl.Series([320, 640, 1280, 4000])).n_unique() == 4


def test_overlapping_damage_boxes_are_not_counted_twice():
    table = photos(("a", "claims", "damaged", 100, 100, ["Scratched"]), ("b", "claims", "damaged", 100, 100, []))
    drawn = boxes(
        ("a", 0, 0, 100, 15, "Scratched"), ("a", 0, 0, 100, 15, "Crushed"), ("a", 0, 10, 100, 19, "Dent")
    )
    found = slices_of(table, drawn, traits(a=90, b=150), ())
    assert (DAMAGE, "5 to 20 %") in of(found, "a")  # 15 %, not 30; a kind that is no damage type is no damage
    assert (DAMAGE, "no damage box") in of(found, "b")


def test_a_source_without_damage_boxes_has_no_share_of_damage():
    table = photos(("a", "claims", "damaged", 10, 10, []), ("b", "other", "damaged", 10, 10, []))
    found = slices_of(table, boxes(("a", 0, 0, 10, 9, "Crushed")), traits(a=9, b=9), ())
    assert (DAMAGE, "80 % and more") in of(found, "a")
    assert DAMAGE not in {trait for trait, _ in of(found, "b")}


def test_the_largest_vehicle_is_from_boxes_that_people_drew():
    table = photos(
        ("a", "s", "normal", 100, 100, []), ("b", "s", "normal", 100, 100, []), ("c", "s", "normal", 9, 9, [])
    )
    drawn = boxes(
        ("a", 0, 0, 50, 50, "vehicle"), ("a", 60, 60, 100, 100, "vehicle"), ("a", 0, 0, 100, 100, "vehicle", True)
    )
    by_teacher = boxes(("b", 0, 0, 100, 100, "vehicle")).with_columns(origin=pl.lit("teacher"))
    found = slices_of(table, pl.concat([drawn, by_teacher]), traits(a=1, b=1, c=1), ())
    assert {photo: [name for trait, name in of(found, photo) if trait == VEHICLE] for photo in "abc"} == {
        "a": ["20 to 50 %"], "b": [], "c": []
    }  # fmt: skip


def test_a_photo_is_in_a_slice_of_each_trait():
    table = photos(
        ("a", "claims", "damaged", 640, 480, ["Scratched", "Crushed"]), ("b", "papers", "background", 480, 640, []),
        ("c", "coco", "background", 640, 360, []),
    )  # fmt: skip
    found = slices_of(table, boxes(), traits(a=79.9, b=80, c=255), {"papers"})
    assert found.schema == SLICE_SCHEMA
    assert of(found, "a") == {
        ("role", "damaged"), ("source", "claims"), ("damage type", "Scratched"), ("damage type", "Crushed"),
        ("brightness", "dark (below 80)"), ("long side", "480 to 799 px"), ("aspect ratio", "up to 4:3"),
    }  # fmt: skip
    assert of(found, "b") == {
        ("role", "background"), ("source", "papers"), ("background", "hard"), ("aspect ratio", "upright"),
        ("brightness", "rather dark (80 to 110)"), ("long side", "480 to 799 px"),
    }  # fmt: skip
    assert ("background", "other") in of(found, "c")


def test_an_unknown_brightness_is_no_slice():
    found = slices_of(photos(("a", "s", "normal", 9, 9, [])), boxes(), traits(), ())
    assert "brightness" not in {trait for trait, _ in of(found, "a")}


def test_no_photos_are_in_no_slice():
    assert slices_of(photos(), boxes(), traits(), {"papers"}).is_empty()
