"""Against an export recorded from Label Studio 1.23.2: annotations made in its page and over its API."""

import json
from pathlib import Path
from xml.etree import ElementTree

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviews import catalog_of, come_back, digest, photo_row
from wreckognize.catalog import PHOTO_SCHEMA
from wreckognize.errors import UsageError
from wreckognize.review.answers import check
from wreckognize.review.labelstudio import CHOICES, LABEL_CONFIG, files, read
from wreckognize.review.manifest import manifest_of
from wreckognize.review.plan import DrawnBox, Task

RECORDED = Path(__file__).with_name("label-studio-1.23.json").read_bytes()
NOW = "2026-11-24T12:00:00+00:00"


def task_of(boxes, *, width=400, height=300, verdict="damaged", photo="s/1.jpg"):
    return Task(
        photo=photo,
        sha256=digest(photo),
        path=f"/photos/{photo}",
        plain=True,
        width=width,
        height=height,
        split="train",
        verdict=verdict,
        boxes=tuple(DrawnBox(corners=box, origin="teacher", confidence=0.5) for box in boxes),
        drawn_by="labels of ver6",
        why="",
    )


def answered(task, *, change=lambda result: result, user=1, when="2026-11-24T10:00:00Z", **more):
    """What Label Studio exports when the predictions of a task were submitted."""
    manifest = manifest_of([task], study="claims", tool="label-studio", system="ver6")
    (exported,) = json.loads(files([task], manifest, "folder")["tasks.json"])
    (prediction,) = exported["predictions"]
    annotation = {"id": 7, "completed_by": user, "result": change(prediction["result"]), "updated_at": when} | more
    return {"id": 1, "data": exported["data"], "annotations": [annotation], "drafts": []}


def checked(tasks, *, photos=None, reviewer=None, study="claims"):
    """Read and check, in a catalog with the photo ``s/1.jpg`` of 400 x 300 pixels."""
    photos = catalog_of([photo_row("s/1.jpg")]).photos if photos is None else photos
    sizes = {photo: (width, height) for photo, width, height in photos["photo", "width", "height"].iter_rows()}
    incoming = read(json.dumps(tasks).encode(), where="export.json", sizes=sizes)
    return check(incoming, photos, study=study, reviewer=reviewer, now=NOW, where="export.json"), incoming


@st.composite
def a_task(draw):
    width, height = draw(st.integers(16, 12_000)), draw(st.integers(16, 12_000))
    boxes = []
    for _ in range(draw(st.integers(1, 4))):
        x1, y1 = draw(st.floats(0, width - 1, width=32)), draw(st.floats(0, height - 1, width=32))
        boxes.append((x1, y1, draw(st.floats(x1 + 0.5, width)), draw(st.floats(y1 + 0.5, height))))
    return task_of(boxes, width=width, height=height)


@given(a_task())
def test_boxes_that_nobody_touched_come_back_within_a_hundredth_of_a_pixel(task):
    photos = catalog_of([photo_row("s/1.jpg", width=task.width, height=task.height)]).photos
    result, _ = checked([answered(task)], photos=photos)
    (review,) = result.reviews
    assert review.verdict == "damaged"
    assert come_back([box.corners for box in task.boxes], review.boxes)


def test_the_labelling_interface_has_one_class_and_all_choices():
    tree = ElementTree.fromstring(LABEL_CONFIG)
    assert [label.get("value") for label in tree.iter("Label")] == ["vehicle"]
    assert [choice.get("value") for choice in tree.iter("Choice")] == list(CHOICES)
    controls = {tag.get("name") for tag in tree.iter() if tag.get("toName") == "image"}
    task = answered(task_of([(1, 2, 30, 40)]))
    assert {result["from_name"] for result in task["annotations"][0]["result"]} == controls
    for name in ("$image", "$note"):
        assert name[1:] in task["data"]


def test_a_recorded_export_gives_what_the_reviewers_did():
    tasks = json.loads(RECORDED)
    sizes = {
        task["data"]["photo"]: (result["original_width"], result["original_height"])
        for task in tasks
        for annotation in task["annotations"]
        for result in annotation["result"]
        if "original_width" in result
    }
    rows = [
        photo_row(task["data"]["photo"], sha256=task["data"]["sha256"], width=width, height=height)
        for task in tasks
        for width, height in [sizes.get(task["data"]["photo"], (320, 320))]
    ]
    photos = pl.DataFrame(rows, schema=PHOTO_SCHEMA).sort("photo")
    result, incoming = checked(tasks, photos=photos, study="claims-2026")
    said = {(one.photo.split("/")[-1], one.reviewer): (one.verdict, one.boxes) for one in result.reviews}
    assert said == {
        ("0000010_sc-100028.jpg", "user 1"): ("damaged", ((0, 0, 320, 320),)),  # submitted as it was
        ("0000010_sc-100028.jpg", "user 2"): ("damaged", ((0, 0, 320, 320),)),
        ("0000017_sc-100063.jpg", "user 1"): (None, ()),  # cannot tell
        ("0000020_sc-100077.jpg", "user 1"): ("background", ()),  # box taken away, "no vehicle"
        ("0000020_sc-100077.jpg", "user 2"): ("damaged", ((0, 0, 320, 320),)),
        # the first box dragged to the right and up, the second left alone
        ("0000021_sc-100077.jpg", "user 1"): (
            "damaged",
            ((91.17, 83.07, 400, 279.04), (151.63, 104.53, 372.86, 293.63)),
        ),
        ("0000021_sc-100077.jpg", "user 2"): (
            "damaged",
            ((65.38, 100.64, 250.67, 296.61), (151.63, 104.53, 284.37, 293.63)),
        ),
        ("0000026_sc-100105.jpg", "user 2"): ("damaged", ((0, 0, 320, 320),)),
        ("0000058_sc-100224.jpg", "user 1"): ("damaged", ((42.87, 137.27, 239.12, 264.12),)),  # a test photo
        ("showroom 0001.jpg", "user 1"): ("normal", ((58.31, 45.18, 146.13, 97.87),)),  # drawn by hand
    }
    assert (incoming.unanswered, incoming.skipped) == (2, 1)
    assert [place.split("/")[-1] for place in result.incomplete] == ["0000014_sc-100056.jpg"], (
        "its box was deleted"
    )


def test_a_person_counts_once_a_photo_with_the_last_answer():
    task = answered(task_of([(1, 2, 30, 40)]))
    later = answered(task_of([(5, 6, 70, 80)]), when="2026-11-24T11:00:00Z")
    task["annotations"] = later["annotations"] + task["annotations"]
    (review,) = checked([task])[0].reviews
    assert review.boxes == ((5, 6, 70, 80),)
    assert review.when == "2026-11-24T11:00:00.000000+00:00"


def test_a_name_replaces_the_number_of_one_user_only():
    one, other = (
        answered(task_of([(1, 2, 30, 40)])),
        answered(task_of([(1, 2, 30, 40)]), user={"id": 2, "email": "x"}),
    )
    assert checked([one], reviewer="anna")[0].reviews[0].reviewer == "anna"
    assert [review.reviewer for review in checked([one, other])[0].reviews] == ["user 1", "user 2"]
    with pytest.raises(UsageError, match=r"2 people \(user 1, user 2\)"):
        checked([one, other], reviewer="anna")


def value(**changes):
    def change(result):
        result[0]["value"] |= changes
        return result

    return change


def key(**changes):
    def change(result):
        result[0] |= changes
        return result

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (value(rotation=12.5), "turned box"),
        (key(image_rotation=90), "turned photo"),
        (value(rectanglelabels=["wheel"]), "class ['wheel']"),
        (value(rectanglelabels=[]), "class []"),
        (value(x=-2), "outside the photo of 400 x 300"),
        (value(width=120), "outside"),
        (value(width=0), "no area"),
        (value(height=-5), "no area"),
        (value(x="left"), "without numbers"),
        (value(y=None), "without numbers"),
        (key(type="polygonlabels"), "'polygonlabels'"),
        (key(original_width=800), "800 x 300"),
        (lambda result: [*result[:1], {"type": "choices", "value": {"choices": ["a lorry"]}}], "a lorry"),
        (
            lambda result: [*result[:1], {"type": "choices", "value": {"choices": ["no vehicle"]}}],
            "says no vehicle",
        ),
    ],
)
def test_an_answer_that_cannot_be_right_is_named(change, said):
    with pytest.raises(UsageError) as caught:
        checked([answered(task_of([(1, 2, 30, 40)]), change=change)])
    assert said in str(caught.value)
    assert "task 1, s/1.jpg" in str(caught.value)
    assert "nothing was written" in str(caught.value)


def test_a_box_that_slipped_over_the_edge_is_cut():
    (review,) = checked([answered(task_of([(1, 2, 30, 40)]), change=value(x=-0.2, width=10))])[0].reviews
    assert review.boxes[0][0] == 0


def test_unknown_photos_changed_photos_and_other_studies_are_refused_by_name():
    task = answered(task_of([(1, 2, 30, 40)]))
    with pytest.raises(UsageError, match=r"the study has no photo 's/1\.jpg'"):
        checked([task], photos=catalog_of([photo_row("s/2.jpg")]).photos)
    with pytest.raises(UsageError, match=r"s/1\.jpg: the photo's file is another now"):
        checked([task], photos=catalog_of([photo_row("s/1.jpg", sha256="0" * 64)]).photos)
    with pytest.raises(UsageError, match="about the study 'claims', not 'others'"):
        checked([task], study="others")
    with pytest.raises(UsageError, match="not a task of"):
        checked([{"id": 3, "data": {"image": "x.jpg"}, "annotations": []}])


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1]", b'[{"data": 1}]', b'[{"annotations": []}]', b"\xff\xfe", b"{}"]
)
def test_what_is_no_export_is_refused(text):
    with pytest.raises(UsageError, match="not an export of Label Studio"):
        read(text, where="x.json", sizes={})


def test_numbers_that_are_none_are_refused():
    text = json.dumps([answered(task_of([(1, 2, 30, 40)]), change=value(x=float("nan")))]).encode()
    with pytest.raises(UsageError, match="not an export"):
        read(text, where="x.json", sizes={"s/1.jpg": (400, 300)})
