"""YOLO text labels."""

from __future__ import annotations

import pytest

from wreckognize.errors import UsageError


@pytest.fixture
def yolo(room):
    """Write one photo a text (None: no label file), and collect them."""

    def make(texts, **settings):
        for stem, text in texts.items():
            room.photo(f"images/{stem}.jpg")
            if text is not None:
                room.file(f"labels/{stem}.txt", text)
        return room.run(room.yolo(**settings))

    return make


def test_lines_become_boxes_in_pixels(room, yolo):
    text = "\ufeff0 0.5 0.5 0.2 0.5\n\n0 0.1 0.1 0.1 0.1 0.87\n0 0.1 0.2 0.3 0.2 0.3 0.6 0.2 0.7\r\n"
    found = yolo({"a": text})
    assert room.boxes(found) == [[40, 15, 60, 45], [5, 3, 15, 9], [10, 12, 30, 42]]
    assert set(found.catalog.boxes["kind"]) == {"vehicle"}
    assert set(found.catalog.boxes["origin"]) == {"human"}
    assert room.row(found, "a.jpg")["box_truth"] is True


NAMES = ("person", "car", "Truck", "Dent", "scratched")


def test_classes_are_vehicles_damage_or_left_out(room, yolo):
    text = "0 .5 .5 .1 .1\n1 .5 .5 .2 .2\n2 .5 .5 .3 .3\n3 .5 .5 .4 .4\n4 .5 .5 .5 .5\n3 .5 .5 .6 .6\n1 .5 .5 0 .1"
    found = yolo({"a": text}, names=NAMES, role="damaged")
    assert found.catalog.boxes.select("kind", "origin").rows() == [
        ("vehicle", "human"),
        ("vehicle", "human"),
        ("Crushed", "damage"),
        ("Scratched", "damage"),
        ("Crushed", "damage"),
    ]
    assert room.row(found, "a.jpg")["damage_types"] == ["Crushed", "Scratched"]
    assert room.tally(found)["box_left_out", "class not wanted: person"] == 1
    assert room.tally(found)["box_left_out", "zero-area box"] == 1


def test_without_a_usual_name_all_but_damage_are_vehicles(room, yolo):
    found = yolo({"a": "0 .5 .5 .1 .1\n1 .5 .5 .2 .2"}, names=("Auto", "dent"), role="damaged")
    assert found.catalog.boxes["kind"].to_list() == ["vehicle", "Crushed"]


def test_classes_asked_for_are_the_vehicles(room, yolo):
    found = yolo({"a": "0 .5 .5 .1 .1\n1 .5 .5 .2 .2"}, names=NAMES, classes=("person",))
    assert room.boxes(found) == [[45, 27, 55, 33]]
    with pytest.raises(UsageError, match=r"unknown class 'crr'(.|\n)*did you mean car"):
        yolo({"a": ""}, names=NAMES, classes=("crr",))


def test_damage_boxes_alone_are_enough_for_damaged_but_are_no_box_truth(room, yolo):
    found = yolo({"a": "3 .5 .5 .1 .1"}, names=NAMES, role="damaged")
    assert room.row(found, "a.jpg")["box_truth"] is False
    with pytest.raises(UsageError, match="1 not wanted: no vehicle box"):
        yolo({"a": "3 .5 .5 .1 .1"}, names=NAMES, role="normal")


def test_min_area_and_missing_labels(room, yolo):
    found = yolo({"a": "0 .5 .5 .5 .5", "small": "0 .5 .5 .1 .1", "none": None, "empty": ""}, min_area=0.2)
    assert room.names(found) == ["a.jpg"]
    assert room.reasons(found) == {"none.jpg": "photo without label"}
    assert room.tally(found) == {
        ("used", ""): 1,
        ("not_wanted", "smaller than min_area"): 1,
        ("not_wanted", "no vehicle box"): 1,
        ("quarantined", "photo without label"): 1,
    }


def test_background_needs_no_label_but_no_vehicle_either(room, yolo):
    texts = {"none": None, "empty": "", "person": "0 .5 .5 .1 .1", "car": "1 .5 .5 .1 .1", "bike": "5 .5 .5 .1 .1"}
    found = yolo(texts, names=(*NAMES, "motorcycle"), role="background")
    assert room.names(found) == ["empty.jpg", "none.jpg", "person.jpg"]
    assert found.catalog.boxes.is_empty()
    assert room.tally(found)["not_wanted", "shows an annotated vehicle"] == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 a b c d", "broken label line (line 2)"),
        ("0 .5 .5 .1", "broken label line (line 2)"),
        ("0", "broken label line (line 2)"),
        ("0 .1 .2 .3 .4 .5 .6 .7", "broken label line (line 2)"),
        ("7 .5 .5 .1 .1", "class number without a name (line 2)"),
        ("-1 .5 .5 .1 .1", "class number without a name (line 2)"),
        ("0.5 .5 .5 .1 .1", "class number without a name (line 2)"),
        ("nan .5 .5 .1 .1", "class number without a name (line 2)"),
        ("0 nan .5 .1 .1", "box is NaN or infinite"),
        ("0 .1 .1 inf .2 .3 .3", "box is NaN or infinite"),
        ("0 1.2 .5 .1 .1", "box wholly outside the photo"),
    ],
)
def test_broken_lines_cost_their_photo_only(room, yolo, line, reason):
    good = "0 .5 .5 .1 .1\n"
    found = yolo({"a": good + line, "b": good})
    assert room.names(found) == ["b.jpg"]
    assert list(room.reasons(found).values()) == [reason]


def test_boxes_over_the_edge_are_clipped(room, yolo):
    found = yolo({"a": "0 .95 .5 .2 .5\n0 .5 .5 1 1\n0 .5 .5 1e308 .5"})
    assert room.boxes(found) == [[85, 15, 100, 45], [0, 0, 100, 60], [0, 15, 100, 45]]
    assert room.tally(found)["box_clipped", "partly outside the photo"] == 2


def test_labels_that_are_not_text_or_gone_are_quarantined(room, yolo):
    room.file("labels/.keep", "")
    room.photo("images/gone.jpg")
    (room.root / "labels/gone.txt").symlink_to(room.root / "nowhere")
    found = yolo({"a": "0 .5 .5 .1 .1", "b": ""})
    room.file("labels/b.txt", b"\xff\xff\xff")
    found = room.run(room.yolo())
    assert room.reasons(found) == {
        "b.txt": "label is not text (neither UTF-8 nor CP949)",
        "gone.txt": "label cannot be read (No such file or directory)",
    }


GOOD = "0 .5 .5 .1 .1"


@pytest.mark.parametrize(
    ("photo", "label", "root"),
    [
        ("images/train/a.jpg", "labels/train/a.txt", "images/train"),
        ("images/train/a.jpg", "labels/train/a.txt", "images"),
        ("images/train/a.jpg", "labels/train/a.txt", "."),
        ("train/images/a.jpg", "train/labels/a.txt", "train/images"),
        ("train/images/a.jpg", "train/labels/a.txt", "."),
        ("images/x/images/a.jpg", "images/x/labels/a.txt", "images/x/images"),
        ("photos/a.jpg", "photos/a.txt", "photos"),
        ("images/a.jpg", "labels/a.txt", "images/a.jpg"),
    ],
)
def test_labels_are_found_in_the_usual_layouts(room, photo, label, root):
    room.photo(photo)
    room.file(label, GOOD)
    room.file(label.replace("a.txt", "classes.txt"), "vehicle")
    found = room.run(room.yolo(images=room.root / root))
    assert room.boxes(found) == [[45, 27, 55, 33]]
    assert found.quarantine.is_empty()


def test_a_label_folder_that_is_named_or_missing(room):
    room.photo("images/a.jpg")
    room.file("truth/a.txt", GOOD)
    assert room.names(room.run(room.yolo(labels=room.root / "truth"))) == ["a.jpg"]
    with pytest.raises(UsageError, match="label folder not found"):
        room.run(room.yolo())
    assert room.names(room.run(room.yolo(role="background"))) == ["a.jpg"]
