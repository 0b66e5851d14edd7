"""AI-Hub labels and all their quirks."""

from __future__ import annotations

import json
import unicodedata

import pytest


def test_a_label_becomes_a_photo_and_its_boxes(room):
    room.photo("images/0000459_sc-226797.jpg")
    room.file("labels/0000459_sc-226797.json", room.label(room.damage(), room.damage((0, 0, 5, 5), "Crushed")))
    found = room.run(room.aihub(split="test"))
    row = room.row(found, "0000459_sc-226797.jpg")
    assert row["damage_types"] == ["Scratched", "Crushed"]
    assert (row["claim"], row["role"], row["pinned"], row["has_vehicle"]) == ("sc-1", "damaged", "test", True)
    assert (row["width"], row["height"], row["box_truth"], row["plain"]) == (100, 60, False, True)
    assert found.catalog.boxes.rows() == [
        ("s/0000459_sc-226797.jpg", 10, 20, 40, 30, "Scratched", "damage", None, False),
        ("s/0000459_sc-226797.jpg", 0, 0, 5, 5, "Crushed", "damage", None, False),
    ]
    assert room.tally(found) == {("used", ""): 1}
    assert found.quarantine.is_empty()


USABLE = {
    "images as a list": {"images": [{"width": 100, "height": 60}]},
    "images empty": {"images": []},
    "images missing": {"images": None},
    "images without size": {"images": {"file_name": "a.jpg"}},
    "size as text": {"images": {"width": "100", "height": "60"}},
    "annotations as an object": {"annotations": {"bbox": [10, 20, 30, 10], "damage": "Scratched"}},
    "repair as text": {
        "annotations": [{"bbox": [10, 20, 30, 10], "damage": "Scratched", "repair": "exchange"}],
    },
    "numbers as text": {"annotations": [{"bbox": ["10", "20", "30", "10"], "damage": "Scratched"}]},
    "unknown keys": {"whatever": [{"deep": {}}]},
}


@pytest.mark.parametrize("kind", USABLE)
@pytest.mark.parametrize("not_quite_json", [{}, {"note": float("nan")}])
def test_odd_shapes_that_can_be_read_are_read(room, kind, not_quite_json):
    room.photo("images/a.jpg")
    room.file("labels/a.json", room.label() | USABLE[kind] | not_quite_json)
    found = room.run(room.aihub())
    assert room.boxes(found) == [[10, 20, 40, 30]]
    assert room.tally(found) == {("used", ""): 1}


@pytest.mark.parametrize("suffix", [".json", ".txt", ".JSON"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_labels_may_be_text_files_with_a_mark_or_korean_code_page(room, suffix, encoding):
    room.photo("images/a.png")
    text = json.dumps(room.label(room.damage(part="앞범퍼")), ensure_ascii=False)
    room.file(f"labels/a{suffix}", text.encode(encoding))
    assert room.names(room.run(room.aihub())) == ["a.png"]


BROKEN = {
    "empty file": ("", "empty label"),
    "white space": (" \n", "empty label"),
    "cut short": ('{"images": {"width": 1', "broken JSON (line 1, column 23: Expecting ',' delimiter)"),
    "text": ("not json at all", "broken JSON (line 1, column 1: Expecting value)"),
    "nested too deeply": ('{"annotations": ' + "[" * 100_000, "broken JSON (nested too deeply)"),
    "a number of 5,000 digits": ('{"annotations": ' + "1" * 5000 + "}", "broken JSON"),
    "bytes": (b"\xff\xfe\x00\x81\xff", "label is not text (neither UTF-8 nor CP949)"),
    "a list": ("[]", "wrong-shaped JSON (not an object)"),
    "null": ("null", "wrong-shaped JSON (not an object)"),
    "no annotations": ({"images": {}}, "wrong-shaped JSON (annotations is missing or not a list)"),
    "annotations as text": ({"annotations": "none"}, "wrong-shaped JSON (annotations is missing or not a list)"),
    "annotation as text": ({"annotations": ["dent"]}, "wrong-shaped JSON (an annotation is not an object)"),
    "images as text": ({"annotations": [], "images": "a.jpg"}, "wrong-shaped JSON (images is not an object)"),
    "two photos": (
        {"annotations": [{"bbox": [1, 1, 5, 5], "damage": "Dent"}], "images": [{}, {}]},
        "wrong-shaped JSON (one label for several photos)",
    ),
    "three numbers": ({"annotations": [{"bbox": [1, 2, 3], "damage": "Dent"}]}, "box is not four numbers"),
    "box of words": ({"annotations": [{"bbox": ["a", 1, 2, 3], "damage": "Dent"}]}, "box is not four numbers"),
    "box of truth": ({"annotations": [{"bbox": [True, 1, 2, 3, 4], "damage": "Dent"}]}, "box is not four numbers"),
    "box as an object": ({"annotations": [{"bbox": {"x": 1}, "damage": "Dent"}]}, "box is not four numbers"),
    "box NaN": ('{"annotations": [{"bbox": [NaN, 1, 2, 3], "damage": "Dent"}]}', "box is NaN or infinite"),
    "box infinite": ('{"annotations": [{"bbox": [0, 1, 1e999, 3], "damage": "Dent"}]}', "box is NaN or infinite"),
    "box outside": ({"annotations": [{"bbox": [100, 1, 5, 5], "damage": "Dent"}]}, "box wholly outside the photo"),
    "box above": ({"annotations": [{"bbox": [5, -9, 5, 9], "damage": "Dent"}]}, "box wholly outside the photo"),
    "nothing usable": (
        {"annotations": [{"bbox": None, "damage": "Dent"}, {"bbox": [1, 1, 2, 2]}]},
        "no usable damage box (box missing, damage null)",
    ),
    "no annotation": ({"annotations": []}, "no usable damage box"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_read_is_quarantined_and_the_rest_used(room, kind):
    content, reason = BROKEN[kind]
    for name in ("a", "b"):
        room.photo(f"images/{name}.jpg")
        room.file(f"labels/{name}.json", room.label())
    room.file("labels/a.json", content)
    found = room.run(room.aihub())
    assert room.names(found) == ["b.jpg"]
    (told,) = room.reasons(found).values()
    assert told.startswith(reason)
    assert room.tally(found)["quarantined", reason.split(" (")[0]] == 1


def test_a_label_that_is_a_dangling_link_is_quarantined(room):
    for name in ("a", "b"):
        room.photo(f"images/{name}.jpg")
    room.file("labels/a.json", room.label())
    (room.root / "labels/b.json").symlink_to(room.root / "nowhere")
    found = room.run(room.aihub())
    assert room.reasons(found) == {"b.json": "label cannot be read (No such file or directory)"}


def test_boxes_without_use_are_left_out_one_by_one_and_counted(room):
    room.photo("images/a.jpg")
    left_out = [
        room.damage((5, 5, 0, 9)),
        room.damage((5, 5, 9, -1), "Breakage"),
        room.damage(None),
        room.damage([]),
        room.damage(damage=None),
        room.damage(damage="Rust"),
        room.damage(damage=3),
    ]
    room.file("labels/a.json", room.label(*left_out, room.damage()))
    found = room.run(room.aihub())
    assert room.boxes(found) == [[10, 20, 40, 30]]
    assert room.tally(found) == {
        ("used", ""): 1,
        ("box_left_out", "zero-area box"): 2,
        ("box_left_out", "box missing"): 2,
        ("box_left_out", "damage null"): 1,
        ("box_left_out", "damage unknown"): 2,
    }


def test_boxes_too_thin_for_pixels_are_left_out(room):
    room.photo("images/a.jpg")
    room.file("labels/a.json", room.label(room.damage((50, 5, 1e-9, 9)), room.damage()))
    found = room.run(room.aihub())
    assert room.boxes(found) == [[10, 20, 40, 30]]
    assert room.tally(found)["box_left_out", "zero-area box"] == 1


def test_boxes_partly_outside_or_negative_are_clipped_and_counted(room):
    room.photo("images/a.jpg")
    far = room.damage((-1e308, -4, 1.7e308, 10))
    edge = room.damage((50, 20, 50.01, 10))
    room.file("labels/a.json", room.label(room.damage((-5, 5, 20, 10)), room.damage((90, 50, 20, 20)), edge))
    room.photo("images/b.jpg")
    room.file("labels/b.json", room.label(far))
    found = room.run(room.aihub())
    assert room.boxes(found) == [[0, 5, 15, 15], [90, 50, 100, 60], [50, 20, 100, 30], [0, 0, 100, 6]]
    assert room.tally(found)["box_clipped", "partly outside the photo"] == 3


@pytest.mark.parametrize("role", ["normal", "background"])
def test_other_roles_keep_a_photo_without_a_box(room, role):
    room.photo("images/a.jpg")
    room.file("labels/a.json", room.label(room.damage(None, None)))
    found = room.run(room.aihub(role=role))
    row = room.row(found, "a.jpg")
    assert (row["has_vehicle"], row["box_truth"]) == (role == "normal", role == "background")
    assert row["damage_types"] == []


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("scratched", "Scratched"),
        (" SEPARATED ", "Separated"),
        ("Breakage", "Breakage"),
        ("Crushed", "Crushed"),
        ("Dent", "Crushed"),
        ("dented", "Crushed"),
    ],
)
def test_damage_words_are_mapped(room, word, meant):
    room.photo("images/a.jpg")
    room.file("labels/a.json", room.label(room.damage(damage=word)))
    assert room.run(room.aihub()).catalog.boxes["kind"].to_list() == [meant]


@pytest.mark.parametrize(
    ("name", "ids", "claim"),
    [
        ("a.jpg", ["sc-9", "sc-1"], "sc-9"),
        ("a.jpg", ["", None, "sc-2"], "sc-2"),
        ("a.jpg", [4711], "4711"),
        ("a.jpg", [[1]], None),
        ("a.jpg", [None], None),
        ("0000459_sc-226797.jpg", [None], "sc-226797"),
        ("deep/0000459_as-0026797_x.jpg", [""], "as-0026797"),
        ("0000459_sc-226797.jpg", ["own"], "own"),
        ("459_sc-226797.jpg", [None], None),
        ("0000459_xx-226797.jpg", [None], None),
    ],
)
def test_the_claim_is_the_first_that_is_given_else_of_the_name(room, name, ids, claim):
    room.photo(f"images/{name}")
    label = room.label(*(room.damage(category_id=one) for one in ids))
    room.file(f"labels/{name.removesuffix('.jpg')}.json", label)
    assert room.row(room.run(room.aihub()), name)["claim"] == claim


def test_parallel_trees_pair_by_folder_and_stem(room):
    for tree in ("TS_1.bumper", "VS_1.bumper"):
        room.photo(f"images/{tree}/Images/a.jpg")
    room.file("labels/TL_1.bumper/labels/a.json", room.label(room.damage(category_id="train")))
    room.file("labels/VL_1.bumper/labels/a.json", room.label(room.damage(category_id="valid")))
    found = room.run(room.aihub())
    assert room.row(found, "TS_1.bumper/Images/a.jpg")["claim"] == "train"
    assert room.row(found, "VS_1.bumper/Images/a.jpg")["claim"] == "valid"


def test_leftovers_pair_by_a_stem_that_only_they_have(room):
    room.photo("images/here/one.jpg")
    room.file("labels/there/one.json", room.label())
    for folder in ("x", "y"):
        room.photo(f"images/{folder}/twice.jpg")
    room.file("labels/there/twice.json", room.label())
    found = room.run(room.aihub())
    assert room.names(found) == ["here/one.jpg"]
    assert found.quarantine["reason"].to_list() == ["two photos of one name for a label"] * 2


def test_what_has_no_partner_is_quarantined(room):
    for name in ("a", "photo only"):
        room.photo(f"images/{name}.jpg")
    for name in ("a", "label only"):
        room.file(f"labels/{name}.json", room.label())
    found = room.run(room.aihub())
    assert room.names(found) == ["a.jpg"]
    assert room.reasons(found) == {
        "photo only.jpg": "photo without label",
        "label only.json": "label without photo",
    }


def test_two_photos_or_two_labels_of_one_stem_are_quarantined(room):
    for photo in ("a.jpg", "b.jpg", "b.png", "c.jpg"):
        room.photo(f"images/{photo}")
    for label in ("a.json", "b.json", "c.json", "c.txt"):
        room.file(f"labels/{label}", room.label())
    found = room.run(room.aihub())
    assert room.names(found) == ["a.jpg"]
    assert room.reasons(found) == {
        "b.jpg": "two photos of one name for a label",
        "b.png": "two photos of one name for a label",
        "c.jpg": "two labels of one name for a photo",
    }


def test_composed_and_decomposed_names_are_one(room):
    name = "앞범퍼"
    room.photo(f"images/{unicodedata.normalize('NFD', name)}.jpg")
    room.file(f"labels/{unicodedata.normalize('NFC', name)}.json", room.label())
    assert len(room.names(room.run(room.aihub()))) == 1


def test_labels_may_lie_among_the_photos(room):
    room.photo("images/a.jpg")
    room.file("images/a.json", room.label())
    room.file("images/notes.docx", "x")
    found = room.run(room.aihub(labels=room.root / "images"))
    assert room.tally(found) == {("used", ""): 1, ("not_wanted", "not a photo by its extension"): 1}


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("drawn_on", ["stored", "shown"])
def test_boxes_of_a_turned_photo_agree_with_it(room, orientation, drawn_on):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = orientation
    room.photo("images/a.jpg", (100, 60), exif=exif)
    size = (100, 60) if drawn_on == "stored" else (60, 100)
    room.file("labels/a.json", room.label(room.damage((10, 20, 30, 5)), size=size))
    found = room.run(room.aihub())
    row = room.row(found, "a.jpg")
    assert (row["width"], row["height"], row["plain"]) == (60, 100, False)
    turned = {5: [20, 10, 25, 40], 6: [35, 10, 40, 40], 7: [35, 60, 40, 90], 8: [20, 60, 25, 90]}[orientation]
    assert room.boxes(found) == [turned if drawn_on == "stored" else [10, 20, 40, 25]]
    assert room.tally(found)["noted", f"EXIF orientation {orientation}"] == 1
    assert (("noted", "boxes turned with the photo") in room.tally(found)) == (drawn_on == "stored")


def test_a_label_of_another_size_is_noted(room):
    room.photo("images/a.jpg")
    room.file("labels/a.json", room.label(size=(200, 120)))
    found = room.run(room.aihub())
    assert room.tally(found)["noted", "label says another size than the photo has"] == 1
    assert room.boxes(found) == [[10, 20, 40, 30]]
