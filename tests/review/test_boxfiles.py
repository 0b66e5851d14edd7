"""COCO and YOLO files, against the tools' own readers."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO

from reviews import catalog_of, come_back, digest, photo_row
from wreckognize.errors import UsageError
from wreckognize.review import coco, yolo
from wreckognize.review.answers import check
from wreckognize.review.manifest import manifest_json, manifest_of, read_manifest
from wreckognize.review.plan import DrawnBox, Task

NOW = "2026-11-24T12:00:00+00:00"
NAMES = {0: "vehicle"}


def tasks_of(*drawn, width=400, height=300):
    return [
        Task(
            photo=f"s/{number}.jpg",
            sha256=digest(f"s/{number}.jpg"),
            path=f"/photos/{number}.jpg",
            plain=True,
            width=width,
            height=height,
            split="train",
            verdict="damaged" if boxes else "background",
            boxes=tuple(DrawnBox(corners=tuple(box), origin="human", confidence=None) for box in boxes),
            drawn_by="a person",
            why="",
        )
        for number, boxes in enumerate(drawn)
    ]


class Sent:
    """An export that can be changed as a tool would and read again."""

    def __init__(self, *drawn, width=400, height=300):
        self.tasks = tasks_of(*drawn, width=width, height=height)
        self.manifest = manifest_of(self.tasks, study="claims", tool="coco", system="ver6")
        self.files = [photo.file for photo in self.manifest.photos]
        self.coco = json.loads(coco.files(self.tasks, self.manifest)["instances.json"])
        written = yolo.files(self.tasks, self.manifest)
        self.data = written["data.yaml"].decode()
        self.labels = {file[:-4]: written[f"labels/{file[:-4]}.txt"].decode() for file in self.files}

    def read(self, tool, looked_at=None, names=NAMES):
        if tool == "coco":
            return coco.read(json.dumps(self.coco).encode(), self.manifest, where="x.json", looked_at=looked_at)
        return yolo.read(self.labels, names, self.manifest, looked_at=looked_at)

    def reviews(self, tool, looked_at=None):
        width, height = self.tasks[0].width, self.tasks[0].height
        photos = catalog_of([photo_row(task.photo, width=width, height=height) for task in self.tasks]).photos
        incoming = self.read(tool, looked_at)
        return check(incoming, photos, study="claims", reviewer="anna", now=NOW, where="x").reviews


@st.composite
def sent(draw):
    width, height = draw(st.integers(16, 8000)), draw(st.integers(16, 8000))
    photos = []
    for _ in range(draw(st.integers(1, 3))):
        boxes = []
        for _ in range(draw(st.integers(0, 3))):
            x1, y1 = draw(st.floats(0, width - 1)), draw(st.floats(0, height - 1))
            boxes.append((x1, y1, draw(st.floats(x1 + 0.5, width)), draw(st.floats(y1 + 0.5, height))))
        photos.append(boxes)
    return Sent(*photos, width=width, height=height)


@pytest.mark.parametrize("tool", ["coco", "yolo"])
@given(export=sent())
def test_boxes_that_nobody_touched_come_back_within_a_hundredth_of_a_pixel(tool, export):
    assert export.reviews(tool) == (), "nothing changed, so nobody need have looked"
    reviews = {review.photo: review for review in export.reviews(tool, "all")}
    assert reviews.keys() == {task.photo for task in export.tasks}
    for task in export.tasks:
        review = reviews[task.photo]
        assert review.verdict == (None if task.boxes else "background")
        assert come_back([box.corners for box in task.boxes], review.boxes)


def test_pycocotools_reads_the_file(tmp_path):
    export = Sent([(10, 20, 60, 90)], [])
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(export.coco))
    index = COCO(str(file))
    (found,) = index.loadAnns(index.getAnnIds(imgIds=[1]))
    assert found["bbox"] == [10, 20, 50, 70]
    assert found["area"] == 3500
    assert index.loadImgs([2])[0]["file_name"] == f"images/{export.files[1]}"
    assert [category["name"] for category in index.loadCats(index.getCatIds())] == ["vehicle"]
    assert export.coco["info"]["study"] == "claims"
    assert export.coco["images"][0]["sha256"] == digest("s/0.jpg")


def test_a_yolo_line_is_centre_and_size_in_shares():
    export = Sent([(100, 30, 300, 270)])
    (text,) = export.labels.values()
    assert text == "0 0.500000000 0.500000000 0.500000000 0.800000000\n"
    assert yolo.read_names(export.data, where="data.yaml") == NAMES
    assert yolo.read_names("names: [vehicle, wheel]", where="data.yaml") == {0: "vehicle", 1: "wheel"}
    for wrong in ("names: vehicle", "- 1", "names: {a: b}", "a: [", ""):
        with pytest.raises(UsageError):
            yolo.read_names(wrong, where="data.yaml")


@pytest.mark.parametrize("tool", ["coco", "yolo"])
def test_changed_photos_are_answers_and_so_is_all_that_was_looked_at(tool):
    export = Sent([(10, 20, 60, 90)], [(10, 20, 60, 90)], [(10, 20, 60, 90)], [])
    export.coco["annotations"][1]["bbox"] = [30, 20, 50, 70]
    export.coco["annotations"].pop(2)
    export.labels[export.files[1][:-4]] = f"0 {55 / 400} {55 / 300} {50 / 400} {70 / 300}"
    export.labels[export.files[2][:-4]] = ""
    changed = {review.photo: (review.verdict, review.boxes) for review in export.reviews(tool)}
    assert changed == {"s/1.jpg": (None, ((30, 20, 80, 90),)), "s/2.jpg": ("background", ())}
    assert {review.photo for review in export.reviews(tool, 1)} == {"s/0.jpg", "s/1.jpg", "s/2.jpg"}
    assert len(export.reviews(tool, "all")) == 4
    with pytest.raises(UsageError, match="only 4 were exported"):
        export.reviews(tool, 5)


def test_a_photo_that_is_not_in_the_file_has_no_answer():
    export = Sent([(10, 20, 60, 90)], [])
    export.labels.popitem()
    export.coco["images"].pop()
    for tool in ("coco", "yolo"):
        incoming = export.read(tool, "all")
        assert (len(incoming.answers), incoming.unanswered) == (1, 1)


def broken(change):
    export = Sent([(10, 20, 60, 90)])
    change(export.coco)
    return export.read("coco", "all").problems


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one["categories"][0].update(name="car"), "class 'car'"),
        (lambda one: one["annotations"][0].update(category_id=9), "category 9, which is not defined"),
        (lambda one: one["annotations"][0].update(image_id=9), "no such image"),
        (lambda one: one["annotations"][0].update(iscrowd=1), "crowd"),
        (lambda one: one["images"][0].update(width=800), "800 x 300 pixels there; it has 400 x 300"),
        (lambda one: one["images"][0].update(file_name="elsewhere.jpg"), "not a photo of this export"),
        (lambda one: one["images"].append(one["images"][0] | {"id": 2}), "twice"),
    ],
)
def test_what_cannot_be_right_in_a_coco_file_is_named(change, said):
    assert said in broken(change)[0]


@pytest.mark.parametrize("text", [b"", b"[]", b'{"images": []}', b'{"images": [{"id": 1}]}', b'{"x": NaN}'])
def test_what_is_no_coco_file_is_refused(text):
    with pytest.raises(UsageError, match="not a COCO file"):
        coco.read(text, Sent([]).manifest, where="x.json", looked_at=None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 0.5 0.5 0.1 0.1", "class 1, which is not defined"),
        ("0.5 0.5 0.5 0.1 0.1", "class 0.5, which is not defined"),
        ("0 0.5 0.5 0.1", "has 4 numbers"),
        ("0 0.5 0.5 0.1 0.1 0.9", "has 6 numbers"),
        ("vehicle 0.5 0.5 0.1 0.1", "not a line of numbers"),
        ("0 nan 0.5 0.1 0.1", "not a box of numbers"),
        ("0 inf 0.5 0.1 0.1", "not a box of numbers"),
    ],
)
def test_what_cannot_be_right_in_a_yolo_file_is_named(line, said):
    export = Sent([(10, 20, 60, 90)])
    export.labels[export.files[0][:-4]] = f"\n{line}\n"
    (problem,) = export.read("yolo").problems
    assert said in problem
    assert f"{export.files[0][:-4]}.txt line 2" in problem


def test_a_label_file_of_another_photo_is_named():
    export = Sent([(10, 20, 60, 90)])
    export.labels["000001-ffffffffffff"] = ""
    assert "not of a photo of this export" in export.read("yolo").problems[0]


@pytest.mark.parametrize("line", ["0 0.5 0.5 1.2 0.1", "0 0.5 0.5 0 0.1", "0 0.5 0.5 -0.1 0.1"])
def test_boxes_outside_or_without_area_are_refused(line):
    export = Sent([(10, 20, 60, 90)])
    export.labels[export.files[0][:-4]] = line
    with pytest.raises(UsageError, match=r"s/0\.jpg: the box .* (reaches outside|has no area)"):
        export.reviews("yolo")


def test_answers_without_a_name_are_refused():
    export = Sent([(10, 20, 60, 90)])
    photos = catalog_of([photo_row("s/0.jpg")]).photos
    with pytest.raises(UsageError, match="does not say who"):
        check(export.read("yolo", "all"), photos, study="claims", reviewer=None, now=NOW, where="x")
    with pytest.raises(UsageError, match="the study 'claims', not 'others'"):
        check(export.read("yolo", "all"), photos, study="others", reviewer="anna", now=NOW, where="x")


def test_a_coco_file_of_another_study_is_refused():
    export = Sent([(10, 20, 60, 90)])
    export.coco["info"]["study"] = "another"
    with pytest.raises(UsageError, match="about the study 'another', not 'claims'"):
        export.reviews("coco", "all")
    for nothing in ({}, {"info": None}, {"info": {"year": 2026}}, {"info": "made by a tool"}):
        export.coco = {key: value for key, value in export.coco.items() if key != "info"} | nothing
        assert len(export.reviews("coco", "all")) == 1, "tools write what they like there"


def test_the_manifest_is_read_as_it_was_written(tmp_path):
    manifest = Sent([(10, 20, 60, 90)], []).manifest
    file = tmp_path / "export.json"
    file.write_bytes(manifest_json(manifest))
    assert read_manifest(file) == manifest
    for text in ("{}", "[]", "{", json.dumps(msgspec.to_builtins(manifest) | {"format": 2})):
        file.write_text(text)
        with pytest.raises(UsageError, match="not what"):
            read_manifest(file)
    with pytest.raises(UsageError, match="cannot be read"):
        read_manifest(tmp_path / "none.json")
