import json

import numpy as np

from wreckognize.boxes import as_boxes
from wreckognize.demo.draw import Damage
from wreckognize.demo.formats import CocoPhoto, aihub_label, coco_annotations, yolo_label

SIZE = (320, 240)
POLYGON = np.array([(10.2, 20.0), (50.9, 20.0), (50.9, 60.4)])


def label(*boxes):
    damages = [Damage("Crushed", as_boxes([box]), POLYGON) for box in boxes]
    return json.loads(aihub_label("0000007_sc-100001.jpg", SIZE, "sc-100001", "bus", damages, number=7))


def test_aihub_label_has_the_published_keys():
    found = label([10.2, 20, 50.9, 60.4], [0, 0, 320, 240])
    assert list(found) == ["info", "images", "annotations", "categories"]
    assert found["images"] == {"id": 7, "width": 320, "height": 240, "file_name": "0000007_sc-100001.jpg"}
    assert found["categories"]["id"] == "sc-100001"
    first, second = found["annotations"]
    published = "id image_id category_id segmentation area bbox damage part year color level repair"
    assert " ".join(first) == published
    assert first["bbox"] == [10, 20, 41, 40]
    assert first["area"] == 41 * 40
    assert first["segmentation"] == [[[[10, 20], [51, 20], [51, 60]]]]
    assert first["damage"] == "Crushed"
    assert second["bbox"] == [0, 0, 320, 240]
    assert first["id"] != second["id"]


def test_aihub_boxes_stay_within_the_photo_when_rounded():
    x, y, width, height = label([318.9, 239.8, 319.9, 240])["annotations"][0]["bbox"]
    assert width >= 1
    assert height >= 1
    assert x + width <= 320
    assert y + height <= 240


def test_coco_annotates_what_coco_knows():
    photos = [
        CocoPhoto("a.jpg", SIZE, as_boxes([[1, 2, 11, 22], [0, 0, 5, 5]]), ("car", "wheelie bin")),
        CocoPhoto("b.jpg", SIZE, as_boxes([[3, 3, 9, 9]]), ("cat",)),
        CocoPhoto("c.jpg", SIZE, as_boxes([]), ()),
    ]
    found = json.loads(coco_annotations(photos))
    names = {category["id"]: category["name"] for category in found["categories"]}
    assert [image["file_name"] for image in found["images"]] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [(one["image_id"], names[one["category_id"]], one["bbox"]) for one in found["annotations"]] == [
        (1, "car", [1, 2, 10, 20]),
        (2, "cat", [3, 3, 6, 6]),
    ]
    assert found["annotations"][0]["area"] == 200
    assert names[3] == "car"
    assert names[8] == "truck"


def test_yolo_lines_are_shares():
    assert yolo_label((200, 100), as_boxes([[0, 0, 100, 50]])) == "0 0.250000 0.250000 0.500000 0.500000\n"
    assert yolo_label((200, 100), as_boxes([])) == ""
