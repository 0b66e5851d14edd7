"""Good AI-Hub photos and labels, each spoiled in one of many ways by a seed, with what is to become of it.

The other types of source are in `others`, sources that are refused as a whole in `test_refused`. The table of what
happens to bad input stands in docs/collecting.md; `Way.expect` is its row.
"""

from __future__ import annotations

import io
import json
import os
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
from PIL import Image

WIDTH, HEIGHT = 96, 64


@dataclass
class Item:
    """One photo and its label on disk, as they are before they are spoiled.

    Attributes:
        photo: path of the photo; a way may give it another name.
        label: path of the label, likewise.
        chance: of this item alone.
    """

    photo: Path
    label: Path
    chance: random.Random
    content: dict[str, object] = field(default_factory=dict)

    def bytes(self) -> bytes:
        return self.photo.read_bytes()

    def write_label(self, **changes: object) -> None:
        self.label.write_text(json.dumps(self.content | changes), encoding="utf-8")

    def annotation(self, **changes: object) -> list[object]:
        """The label's one annotation, with some of it changed."""
        return [{**self.content["annotations"][0], **changes}]  # type: ignore[index]

    def rename(self, name: str) -> None:
        """Another stem for photo and label."""
        self.photo = self.photo.rename(self.photo.with_name(f"{name}.jpg"))
        if self.label.exists():  # else its photo alone stands on disk
            self.label = self.label.rename(self.label.with_name(f"{name}{self.label.suffix}"))


@dataclass(frozen=True)
class Way:
    """How an item is spoiled, and what becomes of it.

    Attributes:
        spoil: does it.
        expect: ``used``; ``photo`` or ``label``: that file is quarantined; ``photo or used`` where chance decides
            whether a decoder notices; ``not wanted``: its photo is counted as that; ``not a photo``: the same, and its
            label, where it has one, is quarantined as it has no photo then.
        reason: words that the quarantine's reason holds.
    """

    spoil: Callable[[Item], None]
    expect: str
    reason: str = ""


Spoil = Callable[[Item], None]

WAYS: dict[str, Way] = {}


def registering(ways: dict[str, Way]) -> Callable[..., Callable[[Spoil], Spoil]]:
    """A decorator that puts a function into a table, with what is to become of what it spoils."""

    def way(expect: str, reason: str = "") -> Callable[[Spoil], Spoil]:
        def register(spoil: Spoil) -> Spoil:
            ways[spoil.__name__] = Way(spoil, expect, reason)
            return spoil

        return register

    return way


way = registering(WAYS)


def photo_item(folder: Path, number: int, seed: int, *, label: str) -> Item:
    """A photo different from all others, and where its label would stand; ``label`` is its suffix."""
    chance = random.Random(f"{seed}:{number}")
    stem = f"{number:07}_sc-{number:06}"
    item = Item(folder / "images" / f"{stem}.jpg", folder / "labels" / f"{stem}{label}", chance)
    item.photo.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.frombuffer(chance.randbytes(16 * 12 * 3), np.uint8).reshape(12, 16, 3)
    item.photo.write_bytes(_encoded(cv2.resize(pixels, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST), ".jpg"))
    return item


def good_item(folder: Path, number: int, seed: int) -> Item:
    """A photo and its label, different from all others."""
    item = photo_item(folder, number, seed, label=".json")
    item.label.parent.mkdir(parents=True, exist_ok=True)
    annotation = {"id": 1, "category_id": f"sc-{number:06}", "bbox": [30, 20, 12, 9], "damage": "Scratched"}
    content = {"images": {"id": number, "width": WIDTH, "height": HEIGHT}, "annotations": [annotation]}
    item.content = content
    item.write_label()
    return item


def _encoded(pixels: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def _saved(item: Item, change: Callable[[Image.Image], Image.Image], kind: str, **options: object) -> None:
    """The photo again in another form, under the name it has."""
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    with Image.open(item.photo) as image:
        change(image).save(buffer, kind, **options)
    item.photo.write_bytes(buffer.getvalue())


def _same(image: Image.Image) -> Image.Image:
    return image


# Photos that cannot be used.


@way("photo", "truncated or damaged")
def truncated(item: Item) -> None:
    data = item.bytes()
    item.photo.write_bytes(data[: item.chance.randint(len(data) // 2, len(data) - 40)])


@way("photo", "damaged")
def truncated_early(item: Item) -> None:
    item.photo.write_bytes(item.bytes()[: item.chance.randint(3, 150)])


@way("photo", "damaged")
def zeroed_head(item: Item) -> None:
    data = bytearray(item.bytes())
    data[: item.chance.randint(20, 200)] = bytes(item.chance.randint(20, 200))
    item.photo.write_bytes(data)


@way("photo", "truncated or damaged")
def zeroed_block_of_a_png(item: Item) -> None:
    _saved(item, _same, "PNG")
    data = bytearray(item.bytes())
    place = item.chance.randint(60, len(data) - 200)
    data[place : place + 64] = bytes(64)
    item.photo.write_bytes(data)


@way("photo or used", "damaged")
def zeroed_block(item: Item) -> None:
    data = bytearray(item.bytes())
    place = item.chance.randint(len(data) // 2, len(data) - 100)
    data[place : place + 40] = bytes(40)
    item.photo.write_bytes(data)


@way("photo or used", "damaged")
def flipped_bits(item: Item) -> None:
    data = bytearray(item.bytes())
    for _ in range(20):
        data[item.chance.randrange(len(data))] ^= 1 << item.chance.randrange(8)
    item.photo.write_bytes(data)


@way("photo", "empty file")
def empty(item: Item) -> None:
    item.photo.write_bytes(b"")


@way("photo", "not a photo")
def text_in_a_photo(item: Item) -> None:
    item.photo.write_text("<html>404 not found</html>" * item.chance.randint(1, 50))


@way("photo", "damaged")
def random_bytes(item: Item) -> None:
    item.photo.write_bytes(b"\xff\xd8\xff" + item.chance.randbytes(item.chance.randint(10, 3000)))


@way("photo", "over 200 megapixels")
def huge_declared_size(item: Item) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    side = item.chance.randint(15_000, 60_000)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    item.photo.write_bytes(b"\x89PNG\r\n\x1a\n" + head + data)


@way("photo", "smaller than 10 px")
def one_pixel(item: Item) -> None:
    item.photo.write_bytes(_encoded(np.zeros((1, 1, 3), np.uint8), ".png"))


@way("photo", "link leads out")
def link_out_of_the_tree(item: Item) -> None:
    outside = item.photo.parent.parent / "outside" / item.photo.name
    outside.parent.mkdir(exist_ok=True)
    item.photo.rename(outside)
    item.photo.symlink_to(outside)


@way("photo", "file name is not Unicode")
def name_not_unicode(item: Item) -> None:
    place = item.photo.with_name(os.fsdecode(f"차량{item.photo.stem}.jpg".encode("cp949")))
    item.photo = item.photo.rename(place)


@way("not a photo", "label without photo")
def pipe(item: Item) -> None:
    item.photo.unlink()
    os.mkfifo(item.photo)


@way("not a photo", "label without photo")
def wrong_extension(item: Item) -> None:
    item.photo = item.photo.rename(item.photo.with_suffix(item.chance.choice((".doc", ".jpg_", ".zip"))))


# Photos that are used, whatever they look like.


@way("used")
def grey(item: Item) -> None:
    _saved(item, lambda image: image.convert("L"), "JPEG")


@way("used")
def cmyk(item: Item) -> None:
    _saved(item, lambda image: image.convert("CMYK"), "JPEG")


@way("used")
def sixteen_bits(item: Item) -> None:
    pixels = cv2.imread(str(item.photo)).astype(np.uint16) * 257
    item.photo.write_bytes(_encoded(pixels, ".png"))


@way("used")
def turned_by_exif(item: Item) -> None:
    exif = Image.Exif()
    exif[0x0112] = item.chance.randint(2, 8)
    _saved(item, _same, "JPEG", exif=exif)


@way("used")
def another_format_under_its_name(item: Item) -> None:
    _saved(item, _same, item.chance.choice(("PNG", "WEBP", "BMP", "TIFF", "GIF", "HEIF")))


@way("used")
def odd_name(item: Item) -> None:
    number = item.photo.stem[:7]
    odd = item.chance.choice(
        ("사고 {}", "two\nlines {}", '"quoted" {}', "=1+1;{}", "<b>{}", "\u202e{}", "{}" + "x" * 230)
    )
    item.rename(odd.format(number))


PHOTO_WAYS = dict(WAYS)
"""Those above spoil the photo alone, so they go with any type of source."""

# Labels that cannot be used.


@way("label", "empty label")
def empty_label(item: Item) -> None:
    item.label.write_text(item.chance.choice(("", " \n", "\ufeff")), encoding="utf-8")


@way("label", "JSON")
def truncated_label(item: Item) -> None:
    data = item.label.read_bytes()
    item.label.write_bytes(data[: item.chance.randint(1, len(data) - 2)])


@way("label", "wrong-shaped JSON")
def wrong_types(item: Item) -> None:
    item.label.write_text(
        json.dumps(
            item.chance.choice(
                (
                    [],
                    5,
                    "text",
                    {"annotations": "none"},
                    {"images": {}},
                    item.content | {"images": "a.jpg"},
                    item.content | {"annotations": [1, 2]},
                )
            )
        )
    )


@way("label", "box")
def box_that_is_none(item: Item) -> None:
    box = item.chance.choice(
        ([1, 2, 3], ["a", 1, 2, 3], [1, 2, 3, float("nan")], [0, 0, float("inf"), 5], {"x": 1})
    )
    item.write_label(annotations=item.annotation(bbox=box))


@way("label", "no usable damage box")
def zero_area(item: Item) -> None:
    box = item.chance.choice(([30, 20, 0, 9], [30, 20, 5, -9], None, []))
    item.write_label(annotations=item.annotation(bbox=box))


@way("label", "no usable damage box")
def unknown_damage(item: Item) -> None:
    item.write_label(annotations=item.annotation(damage=item.chance.choice((None, "Exploded", "", 7))))


@way("label", "broken JSON")
def deep_nesting(item: Item) -> None:
    item.label.write_text('{"annotations": ' + item.chance.choice(("[", '{"a":')) * 100_000)


@way("label", "JSON|not text")
def wrong_encoding(item: Item) -> None:
    item.label.write_bytes(item.label.read_text().encode(item.chance.choice(("utf-16", "utf-32", "utf-16-be"))))


@way("label", "larger than 8 MB")
def label_of_two_gigabytes(item: Item) -> None:
    with item.label.open("r+b") as file:
        file.truncate(2_100_000_000)


@way("label", "one label for several photos")
def several_photos_in_a_label(item: Item) -> None:
    item.write_label(images=[item.content["images"]] * 2)


@way("photo", "photo without label")
def missing_label(item: Item) -> None:
    item.label.unlink()


@way("label", "label without photo")
def missing_photo(item: Item) -> None:
    item.photo.unlink()


@way("photo", "two labels of one name")
def two_labels(item: Item) -> None:
    item.label.with_suffix(".txt").write_bytes(item.label.read_bytes())


@way("photo", "box wholly outside")
def box_outside(item: Item) -> None:
    box = item.chance.choice(([WIDTH + 5, 0, 9, 9], [0, HEIGHT + 1, 9, 9], [-50, 0, 40, 9], [1e300, 1e300, 5, 5]))
    item.write_label(annotations=item.annotation(bbox=box))


# Labels that are used, as far as they say something.


@way("used")
def mark_before_the_label(item: Item) -> None:
    item.label.write_bytes(b"\xef\xbb\xbf" + item.label.read_bytes())


@way("used")
def label_in_a_text_file(item: Item) -> None:
    item.label = item.label.rename(item.label.with_suffix(".txt"))


@way("used")
def korean_code_page(item: Item) -> None:
    item.label.write_bytes(json.dumps(item.content | {"info": "차량 파손"}, ensure_ascii=False).encode("cp949"))


@way("used")
def box_partly_outside(item: Item) -> None:
    box = item.chance.choice(([-5, -5, 30, 30], [80, 50, 500, 500], [0, 0, 1e30, 1e30]))
    item.write_label(annotations=item.annotation(bbox=box))


@way("used")
def duplicate_keys(item: Item) -> None:
    text = item.label.read_text()
    item.label.write_text(text.replace('"annotations"', '"annotations": [], "annotations"'))


@way("used")
def a_list_where_an_object_belongs(item: Item) -> None:
    item.write_label(images=[item.content["images"]], annotations=item.annotation()[0])


@way("used")
def numbers_as_text(item: Item) -> None:
    item.write_label(annotations=item.annotation(bbox=["30", "20", "12.5", 9]))


@way("used")
def one_box_of_two_is_none(item: Item) -> None:
    item.write_label(annotations=[*item.annotation(), *item.annotation(bbox=[1, 1, 0, 0])])
