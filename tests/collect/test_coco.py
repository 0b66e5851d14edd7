"""COCO annotation files: filters, names, and entries that are broken."""

from __future__ import annotations

import json

import pytest

from wreckognize.errors import UsageError


@pytest.fixture
def coco(room):
    """Write photos and their annotation file, and collect them."""

    def make(photos, *, on_disk=None, size=(100, 60), edit=None, **settings):
        for name in photos if on_disk is None else on_disk:
            room.photo(f"images/{name}")
        content = room.instances(photos, size)
        room.file("instances.json", edit(content) if edit else content)
        return room.run(room.coco(**settings))

    return make


def test_vehicle_boxes_are_human_truth_crowds_flagged(room, coco):
    found = coco({"a.jpg": [room.thing(), room.thing("truck", (0, 0, 20, 20)), room.thing("person"),
                            room.thing("car", (60, 5, 30, 30), iscrowd=1)]})  # fmt: skip
    assert found.catalog.boxes.rows() == [
        ("s/a.jpg", 10, 10, 60, 50, "vehicle", "human", None, False),
        ("s/a.jpg", 0, 0, 20, 20, "vehicle", "human", None, False),
        ("s/a.jpg", 60, 5, 90, 35, "vehicle", "human", None, True),
    ]
    row = room.row(found, "a.jpg")
    assert (row["box_truth"], row["has_vehicle"], row["damage_types"]) == (True, True, [])


def test_photos_without_a_wanted_box_are_not_wanted(room, coco):
    found = coco(
        {
            "car.jpg": [room.thing("car")],
            "bus.jpg": [room.thing("bus")],
            "crowd.jpg": [room.thing("car", iscrowd=1)],
            "thin.jpg": [room.thing("car", (1, 1, 0, 9))],
            "boxless.jpg": [room.thing("car", None)],
            "dog.jpg": [room.thing("dog")],
            "bare.jpg": [],
        },
        classes=("Car",),
    )
    assert room.names(found) == ["car.jpg"]
    assert room.tally(found) == {("used", ""): 1, ("not_wanted", "none of the wanted classes"): 6}


def test_boxes_of_asked_classes_are_vehicles_beside_the_usual_three(room, coco):
    found = coco({"a.jpg": [room.thing("motorcycle"), room.thing("bus", (0, 0, 9, 9))]}, classes=("motorcycle",))
    assert room.boxes(found) == [[10, 10, 60, 50], [0, 0, 9, 9]]


def test_min_area_asks_the_largest_wanted_box_within_the_frame(room, coco):
    photos = {
        "exact.jpg": [room.thing("car", (0, 0, 50, 12))],
        "below.jpg": [room.thing("car", (0, 0, 50, 11))],
        "outside.jpg": [room.thing("car", (90, 0, 500, 50))],
        "crowd.jpg": [room.thing("car", (0, 0, 5, 5)), room.thing("car", (0, 0, 90, 50), iscrowd=1)],
        "other.jpg": [room.thing("car", (0, 0, 5, 5)), room.thing("bus", (0, 0, 90, 50))],
        "second.jpg": [room.thing("car", (0, 0, 5, 5)), room.thing("car", (0, 0, 90, 50))],
    }
    found = coco(photos, classes=("car",), min_area=0.1)
    assert room.names(found) == ["exact.jpg", "second.jpg"]
    assert room.tally(found)["not_wanted", "smaller than min_area"] == 4


def test_min_area_needs_the_size(room, coco):
    photos = {"a.jpg": [room.thing()]}
    assert room.names(coco(photos, size=None)) == ["a.jpg"]
    with pytest.raises(UsageError, match="image without width or height"):
        coco(photos, size=None, min_area=0.1)


def test_background_has_no_annotated_vehicle_crowds_included(room, coco):
    photos = {
        "dog.jpg": [room.thing("dog")],
        "bike.jpg": [room.thing("bicycle"), room.thing("dog")],
        "bare.jpg": [],
        "broken dog box.jpg": [room.thing("dog", [1])],
    } | {
        f"{name}{crowd}.jpg": [room.thing("dog"), room.thing(name, iscrowd=crowd)]
        for name in ("car", "bus", "truck", "motorcycle")
        for crowd in (0, 1)
    }
    found = coco(photos, role="background")
    assert room.names(found) == ["bare.jpg", "bike.jpg", "broken dog box.jpg", "dog.jpg"]
    assert room.tally(found)["not_wanted", "shows an annotated vehicle"] == 8
    assert found.catalog.boxes.is_empty()
    row = room.row(found, "dog.jpg")
    assert (row["has_vehicle"], row["box_truth"]) == (False, True)

    found = coco(photos, role="background", classes=("dog", "bench"))
    assert room.names(found) == ["bike.jpg", "broken dog box.jpg", "dog.jpg"]
    assert room.tally(found)["not_wanted", "none of the wanted classes"] == 1


def test_an_unknown_class_is_a_usage_error_that_names_the_nearest(room, coco):
    with pytest.raises(
        UsageError, match=r"unknown class 'trcuk'(.|\n)*did you mean truck\?(.|\n)*bench, bicycle, bus"
    ):
        coco({"a.jpg": [room.thing()]}, classes=("car", "trcuk"))
    with pytest.raises(UsageError, match=r"unknown classes 'zzzz', 'qqqq'(.|\n)*to do: there are"):
        coco({"a.jpg": [room.thing()]}, classes=("zzzz", "qqqq"))


def test_annotations_without_any_vehicle_class_ask_for_classes(room, coco):
    def rename(content):
        return content | {"categories": [{"id": 1, "name": "Fahrzeug"}], "annotations": []}

    with pytest.raises(UsageError, match=r"none of the classes car, bus and truck(.|\n)*Fahrzeug"):
        coco({"a.jpg": []}, edit=rename)


def test_files_match_by_path_then_by_last_part(room, coco):
    photos = {
        "val2017/a.jpg": [room.thing()],
        "b.jpg": [room.thing()],
        "sub\\c.jpg": [room.thing()],
        "elsewhere/d.jpg": [room.thing()],
        "e.jpg": [room.thing()],
    }
    on_disk = ["val2017/a.jpg", "deep/er/b.jpg", "sub/c.jpg", "d.jpg", "x/e.jpg", "y/e.jpg"]
    found = coco(photos, on_disk=on_disk)
    assert room.names(found) == ["d.jpg", "deep/er/b.jpg", "sub/c.jpg", "val2017/a.jpg"]
    assert room.reasons(found) == {"e.jpg": "file name fits several photos"}


def test_wanted_photos_must_be_there_and_photos_must_be_named(room, coco):
    photos = {"a.jpg": [room.thing()], "gone.jpg": [room.thing()], "gone dog.jpg": [room.thing("dog")]}
    found = coco(photos, on_disk=["a.jpg", "unnamed.jpg"])
    assert room.reasons(found) == {"gone.jpg": "label without photo", "unnamed.jpg": "photo without label"}
    assert room.tally(found)["not_wanted", "none of the wanted classes"] == 1


@pytest.mark.parametrize("name", ["/etc/a.jpg", "../a.jpg", "x/../../a.jpg", "C:\\photos\\a.jpg", "..\\a.jpg"])
def test_file_names_that_lead_out_are_quarantined(room, coco, name):
    found = coco({name: [room.thing()], "b.jpg": [room.thing()]}, on_disk=["a.jpg", "b.jpg"])
    assert room.names(found) == ["b.jpg"]
    assert sorted(found.quarantine["reason"]) == ["file name leads out of the folder", "photo without label"]


def test_two_entries_of_one_photo_are_quarantined(room, coco):
    found = coco(
        {"x/a.jpg": [room.thing()], "a.jpg": [room.thing()], "b.jpg": [room.thing()]}, on_disk=["x/a.jpg", "b.jpg"]
    )
    assert room.names(found) == ["b.jpg"]
    assert set(found.quarantine["reason"]) == {"two entries of one photo in the annotations"}


def test_several_files_each_with_ids_of_their_own(room):
    for name in ("a.jpg", "b.jpg"):
        room.photo(f"images/{name}")
    first = room.instances({"a.jpg": [room.thing("car", (1, 1, 9, 9))]})
    second = room.instances({"b.jpg": [room.thing("bus", (2, 2, 9, 9))]})
    second["categories"] = [{"id": second["annotations"][0]["category_id"], "name": "Truck "}]
    room.file("one.json", first)
    room.file("two.json", second)
    found = room.run(room.coco(annotations=room.root / "*.json"))
    assert room.boxes(found) == [[1, 1, 10, 10], [2, 2, 11, 11]]


def broken(**changes):
    def edit(content):
        content["annotations"][0] |= changes
        return content

    return edit


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bbox": [float("nan"), 1, 2, 3]}, "box is NaN or infinite"),
        ({"bbox": [1, 2, 3]}, "box is not four numbers"),
        ({"bbox": "large"}, "box is not four numbers"),
        ({"bbox": ["a", 1, 2, 3]}, "box is not four numbers"),
        ({"bbox": [500, 500, 5, 5]}, "box wholly outside the photo"),
        ({"category_id": 999}, "annotation of a class that the file does not list"),
        ({"category_id": None}, "annotation of a class that the file does not list"),
    ],
)
def test_a_broken_annotation_costs_its_photo_only(room, coco, changes, reason):
    found = coco({"a.jpg": [room.thing()], "b.jpg": [room.thing()]}, edit=broken(**changes))
    assert room.names(found) == ["b.jpg"]
    assert room.reasons(found) == {"a.jpg": reason}


def test_numbers_written_as_text_and_odd_crowd_flags_are_read(room, coco):
    found = coco({"a.jpg": [room.thing()]}, edit=broken(bbox=["1", "2", "3", "4"], iscrowd="no"))
    assert room.boxes(found) == [[1, 2, 4, 6]]


def test_annotations_that_belong_to_nothing_are_counted(room, coco):
    def edit(content):
        content["annotations"] += [
            {"image_id": 77, "category_id": 9, "bbox": [1, 1, 2, 2]},
            {"category_id": 9, "bbox": [1, 1, 2, 2]},
            "nonsense",
        ]
        content["images"].append({"file_name": "without id.jpg"})
        return content

    found = coco({"a.jpg": [room.thing()]}, edit=edit)
    tally = room.tally(found)
    assert tally["box_left_out", "annotation of an image that the file does not list"] == 1
    assert tally["box_left_out", "annotation that names no image"] == 2
    assert tally["quarantined", "wrong-shaped JSON"] == 1
    assert found.quarantine["file"][0].endswith("instances.json: images[1]")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "empty label"),
        ('{"images": [', r"broken JSON \(line 1, column 13"),
        ("[]", "wrong-shaped JSON"),
        ('{"images": [], "annotations": []}', "categories is missing"),
        ('{"images": [], "annotations": [], "categories": ["car"]}', "categories: Expected"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_broken_as_a_whole_is_a_usage_error(room, content, told):
    room.photo("images/a.jpg")
    room.file("instances.json", content)
    with pytest.raises(UsageError, match=told) as caught:
        room.run(room.coco())
    assert "instances.json" in caught.value.where


def test_a_mark_before_the_json_is_passed_over(room):
    room.photo("images/a.jpg")
    room.file("instances.json", b"\xef\xbb\xbf" + json.dumps(room.instances({"a.jpg": [room.thing()]})).encode())
    assert room.names(room.run(room.coco())) == ["a.jpg"]


def test_a_folder_or_nothing_in_place_of_the_file_is_a_usage_error(room):
    room.photo("images/a.jpg")
    with pytest.raises(UsageError, match="not found"):
        room.run(room.coco())
    with pytest.raises(UsageError, match="not a file"):
        room.run(room.coco(annotations=room.root / "images"))


def test_rounding_of_two_decimals_is_no_clipping(room, coco):
    found = coco({"a.jpg": [room.thing("car", (49.995, 20, 50.01, 40.01))]})
    assert room.boxes(found) == [[49.995, 20, 100, 60]]
    assert room.tally(found) == {("used", ""): 1}
