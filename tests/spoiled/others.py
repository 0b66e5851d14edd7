"""Good photos of plain folders, COCO and YOLO, spoiled one by one, with what is to become of each.

A photo is spoiled as one of AI-Hub's is (`spoil.PHOTO_WAYS`); what stands here spoils what is said about it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spoiled.spoil import HEIGHT, PHOTO_WAYS, WIDTH, Item, Spoil, Way, photo_item, registering

from wreckognize.settings import CocoSource, FolderSource, Source, YoloSource

CAR, BENCH = 3, 15
BOX = [24, 16, 48, 32]

COCO: dict[str, Way] = {}
YOLO: dict[str, Way] = {}
in_coco, in_yolo = registering(COCO), registering(YOLO)


@dataclass(frozen=True)
class Kind:
    """A type of source.

    Attributes:
        ways: of spoiling one of its items.
        good: writes an item that is not spoiled.
        close: called when all are, for what is written for all of them at once.
        source: reads the folder.
    """

    ways: dict[str, Way]
    good: Callable[[Path, int, int], Item]
    close: Callable[[Path, list[Item]], None]
    source: Callable[..., Source]


def read_as(kind: type[Source], name: str, role: str, **paths: str) -> Callable[..., Source]:
    def source(folder: Path, **settings: object) -> Source:
        places = {key: folder / place for key, place in paths.items()}
        return kind(**{"name": "s", "type": name, "role": role, "max_failed": 1} | places | settings)

    return source


def without_label(ways: dict[str, Way]) -> dict[str, Way]:
    """Where nothing is said about a photo, what spoils its name leaves no label behind."""
    return {
        name: Way(way.spoil, "not wanted" if way.expect == "not a photo" else way.expect)
        for name, way in ways.items()
    }


# A plain folder: nothing is said about a photo.


def folder_item(folder: Path, number: int, seed: int) -> Item:
    return photo_item(folder, number, seed, label=".none")


# COCO: one file for all photos.


@dataclass
class CocoItem(Item):
    """A photo, and what the annotation file says of it.

    Attributes:
        images: its entries, of which a good one has one.
        annotations: of these.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)


def coco_item(folder: Path, number: int, seed: int) -> CocoItem:
    photo = photo_item(folder, number, seed, label=".none")
    image = {"id": number, "file_name": photo.photo.name, "width": WIDTH, "height": HEIGHT}
    annotation = {"image_id": number, "category_id": CAR, "bbox": list(BOX), "iscrowd": 0}
    return CocoItem(photo.photo, photo.label, photo.chance, {}, [image], [annotation])


def write_instances(folder: Path, items: list[CocoItem]) -> None:
    """One annotation file; of a photo that was given another name, the entry is what names it."""
    content = {
        "images": [image for item in items for image in item.images],
        "annotations": [annotation for item in items for annotation in item.annotations],
        "categories": [{"id": CAR, "name": "car"}, {"id": BENCH, "name": "bench"}],
    }
    (folder / "instances.json").write_text(json.dumps(content), encoding="utf-8")


def renamed(spoil: Spoil) -> Spoil:
    """The entry goes along where the photo gets another name that is one."""

    def spoiled(item: CocoItem) -> None:
        spoil(item)
        item.images[0]["file_name"] = item.photo.name

    return spoiled


@in_coco("label", "label without photo")
def entry_without_photo(item: CocoItem) -> None:
    item.photo.unlink()


@in_coco("photo", "photo without label")
def photo_without_entry(item: CocoItem) -> None:
    item.images, item.annotations = [], []


@in_coco("photo", "two entries of one photo")
def two_entries(item: CocoItem) -> None:
    again = item.images[0] | {"id": f"again {item.images[0]['id']}"}
    item.images.append(again)
    item.annotations.append(item.annotations[0] | {"image_id": again["id"]})


@in_coco("photo", "photo without label")
def path_that_leads_out(item: CocoItem) -> None:
    place = item.chance.choice(("../outside/{}", "/etc/{}", "C:\\photos\\{}", "a/../../{}"))
    item.images[0]["file_name"] = place.format(item.photo.name)


@in_coco("photo", "photo without label")
def entry_of_another_shape(item: CocoItem) -> None:
    broken = item.chance.choice((5, "text", None, {"id": item.images[0]["id"]}, item.images[0] | {"file_name": 7}))
    item.images = [broken]
    item.annotations = []


@in_coco("photo", "box")
def box_that_is_none(item: CocoItem) -> None:
    box = item.chance.choice(
        ([1, 2, 3], ["a", 1, 2, 3], [1, 2, 3, float("nan")], [0, 0, float("inf"), 5], {"x": 1})
    )
    item.annotations[0]["bbox"] = box


@in_coco("photo", "class that the file does not list")
def class_of_no_name(item: CocoItem) -> None:
    item.annotations[0]["category_id"] = item.chance.choice((99, "car", None, -1))


@in_coco("photo", "box wholly outside")
def box_outside(item: CocoItem) -> None:
    item.annotations[0]["bbox"] = item.chance.choice(
        ([WIDTH + 5, 0, 9, 9], [0, HEIGHT + 1, 9, 9], [-50, 0, 40, 9])
    )


@in_coco("not wanted", "none of the wanted classes")
def zero_area(item: CocoItem) -> None:
    item.annotations[0]["bbox"] = item.chance.choice(([30, 20, 0, 9], [30, 20, 5, -9], None, []))


@in_coco("not wanted", "none of the wanted classes")
def crowd_alone(item: CocoItem) -> None:
    item.annotations[0]["iscrowd"] = 1


@in_coco("not wanted", "none of the wanted classes")
def another_class(item: CocoItem) -> None:
    item.annotations[0]["category_id"] = BENCH


@in_coco("not wanted", "none of the wanted classes")
def no_annotation(item: CocoItem) -> None:
    item.annotations = []


@in_coco("not wanted", "none of the wanted classes")
def annotation_of_no_image(item: CocoItem) -> None:
    item.annotations[0]["image_id"] = item.chance.choice((None, [1], 10**9, "nobody"))


@in_coco("used")
def box_partly_outside(item: CocoItem) -> None:
    item.annotations[0]["bbox"] = item.chance.choice(([-5, -5, 30, 30], [80, 50, 500, 500], [0, 0, 1e30, 1e30]))


@in_coco("used")
def numbers_as_text(item: CocoItem) -> None:
    item.annotations[0]["bbox"] = ["30", "20", "12.5", 9]


@in_coco("used")
def size_that_is_not_the_photo_s(item: CocoItem) -> None:
    item.images[0] |= item.chance.choice(({"width": 5, "height": 7}, {"width": None}, {"height": 1e12}))


@in_coco("used")
def file_name_with_other_slashes(item: CocoItem) -> None:
    item.images[0]["file_name"] = item.chance.choice(("./{}", "train2017\\{}", "somewhere/else/{}")).format(
        item.photo.name
    )


# YOLO: a text file a photo.


def yolo_item(folder: Path, number: int, seed: int) -> Item:
    item = photo_item(folder, number, seed, label=".txt")
    item.label.parent.mkdir(parents=True, exist_ok=True)
    item.label.write_text("0 0.5 0.5 0.5 0.5\n", encoding="ascii")
    return item


def one_of(*lines: str) -> Spoil:
    """The label's one line becomes one of these."""

    def spoil(item: Item) -> None:
        item.label.write_text(item.chance.choice(lines) + "\n", encoding="utf-8")

    return spoil


for name, expect, reason, lines in (
    (
        "words_for_numbers",
        "label",
        "broken",
        ("car 0.5 0.5 0.5 0.5", "0 half 0.5 0.5 0.5", "{", "0;0.5;0.5;0.5;0.5"),
    ),
    ("too_few_numbers", "label", "broken label line", ("0", "0 0.5", "0 0.5 0.5 0.5")),
    ("half_a_corner", "label", "broken label line", ("0 .1 .1 .2 .2 .3 .3 .4", "0 .1 .1 .2 .2 .3 .3 .4 .4 .5")),
    (
        "class_of_no_name",
        "label",
        "class number",
        ("7 .5 .5 .5 .5", "-1 .5 .5 .5 .5", "0.5 .5 .5 .5 .5", "1e9 .5 .5 .5 .5"),
    ),
    (
        "box_that_is_none",
        "label",
        "NaN or infinite",
        ("0 nan .5 .5 .5", "0 .5 .5 inf .5", "0 .5 .5 .5 1e999", "0 .1 .1 nan .2 .3 .3"),
    ),
    ("box_outside", "photo", "box wholly outside", ("0 2.5 .5 .5 .5", "0 .5 -3 .5 .5", "0 .5 1e9 .5 .5")),
    ("pixels_for_shares", "photo", "box wholly outside", ("0 48 32 48 32", "0 30 20 12 9")),
    ("zero_area", "not wanted", "", ("0 .5 .5 0 .5", "0 .5 .5 .5 -1", "0 .1 .1 .1 .1 .1 .1")),
    ("box_partly_outside", "used", "", ("0 0 0 .5 .5", "0 .9 .9 .9 .9", "0 .5 .5 9 9")),
    ("polygon", "used", "", ("0 .1 .1 .5 .1 .3 .9", "0 .1 .1 .5 .1 .5 .9 .1 .9")),
    ("with_a_confidence", "used", "", ("0 .5 .5 .5 .5 .93",)),
    ("odd_spaces", "used", "", ("\ufeff0 .5 .5 .5 .5", "\r\n 0\t.5  .5 .5 .5 \r", "0.0 5e-1 .5 .5 .5")),
):
    YOLO[name] = Way(one_of(*lines), expect, reason)


@in_yolo("not wanted")
def empty_label(item: Item) -> None:
    item.label.write_text(item.chance.choice(("", " \n\n")))


@in_yolo("label", "not text|broken")
def bytes_for_text(item: Item) -> None:
    item.label.write_bytes(item.chance.choice((b"\xff\xfe0\x00 \x00", b"\x00\x81\xff\xff", b"\xff" * 50)))


@in_yolo("label", "larger than 8 MB")
def label_of_two_gigabytes(item: Item) -> None:
    with item.label.open("r+b") as file:
        file.truncate(2_100_000_000)


@in_yolo("photo", "photo without label")
def missing_label(item: Item) -> None:
    item.label.unlink()


@in_yolo("photo", "photo without label")
def label_that_is_a_pipe(item: Item) -> None:
    item.label.unlink()
    os.mkfifo(item.label)


@in_yolo("label", "label without photo")
def missing_photo(item: Item) -> None:
    item.photo.unlink()


KINDS: dict[str, Kind] = {
    "folder": Kind(
        without_label(PHOTO_WAYS),
        folder_item,
        lambda folder, items: None,
        read_as(FolderSource, "folder", "normal", images="images"),
    ),
    "coco": Kind(
        COCO
        | {
            name: Way(renamed(way.spoil), way.expect, way.reason) if name == "odd_name" else way
            for name, way in PHOTO_WAYS.items()
        },
        coco_item,
        write_instances,
        read_as(CocoSource, "coco", "normal", images="images", annotations="instances.json"),
    ),
    "yolo": Kind(
        YOLO | PHOTO_WAYS,
        yolo_item,
        lambda folder, items: None,
        read_as(YoloSource, "yolo", "normal", images="images"),
    ),
}
