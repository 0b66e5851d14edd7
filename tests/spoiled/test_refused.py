"""Sources that cannot be used as a whole: the command ends with what, where and what to do, and nothing is written."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from chaos.room import call
from spoiled.others import KINDS, write_instances
from spoiled.spoil import good_item

from wreckognize.reading import TABLE_BYTES

GOOD = 12
SEEDS = range(2)


@dataclass(frozen=True)
class Whole:
    """How a source is spoiled as a whole, and how the command ends.

    Attributes:
        kind: type of the source.
        spoil: does it: takes the folder, the source's entry in the study, and chance.
        words: what is said, among other things.
        code: exit code; 1 where the guard says no, which leaves the quarantine, else 2.
    """

    kind: str
    spoil: Callable[[Path, dict, random.Random], object]
    words: str
    code: int = 2


WHOLE: dict[str, Whole] = {}


def whole(kind: str, words: str, code: int = 2) -> Callable:
    def register(spoil: Callable) -> Callable:
        WHOLE[f"{kind}: {spoil.__name__}"] = Whole(kind, spoil, words, code)
        return spoil

    return register


def on_all(*kinds: str, words: str, code: int = 2) -> Callable:
    def register(spoil: Callable) -> Callable:
        for kind in kinds:
            whole(kind, words, code)(spoil)
        return spoil

    return register


@on_all("aihub", "coco", "folder", "yolo", words="images: found no such path")
def no_photos_folder(folder, entry, chance):
    shutil.rmtree(folder / "images")


@on_all("folder", "coco", words="images: found an empty folder")
def nothing_in_it(folder, entry, chance):
    for path in (folder / "images").iterdir():
        path.unlink()


@whole("yolo", "label without photo", code=1)
@whole("folder", "no photo left")
def no_photo_among_the_files(folder, entry, chance):
    for path in (folder / "images").iterdir():
        path.rename(path.with_suffix(chance.choice((".doc", ".zip", ".jpg_"))))


@on_all("aihub", "coco", "folder", "yolo", words="no photo left")
def every_photo_broken_and_all_allowed_to_be(folder, entry, chance):
    entry["max_failed"] = 1.0
    for path in (folder / "images").iterdir():
        path.write_bytes(chance.choice((b"", b"text", path.read_bytes()[:60])))


@on_all("aihub", "coco", "folder", "yolo", words="of source 's' cannot be used", code=1)
def more_broken_than_allowed(folder, entry, chance):
    for path in sorted((folder / "images").iterdir())[: GOOD // 2]:
        path.write_bytes(path.read_bytes()[: chance.randrange(len(path.read_bytes()) // 2)])


@whole("aihub", "cannot be used", code=1)
def half_of_the_labels_torn(folder, entry, chance):
    for path in sorted((folder / "labels").iterdir())[: GOOD // 2]:
        path.write_bytes(path.read_bytes()[: chance.randrange(1, 40)])


@on_all("aihub", "yolo", words="labels")
def no_labels_folder(folder, entry, chance):
    shutil.rmtree(folder / "labels")


@whole("coco", "annotations")
def no_annotation_file(folder, entry, chance):
    (folder / "instances.json").unlink()


@whole("coco", "not a file|annotations")
def folder_for_a_file(folder, entry, chance):
    (folder / "instances.json").unlink()
    (folder / "instances.json").mkdir()


@whole("coco", "annotation file cannot be used: .*JSON")
def torn_annotation_file(folder, entry, chance):
    data = (folder / "instances.json").read_bytes()
    (folder / "instances.json").write_bytes(data[: chance.randrange(1, len(data) - 1)])


@whole("coco", "annotations: found an empty file|annotation file cannot be used: .*(empty|JSON|text)")
def no_json(folder, entry, chance):
    bytes_ = chance.choice((b"", b" \n", b"<html>404</html>", b"\xff" * 99, b"[" * 200_000, b"\x00" * 500))
    (folder / "instances.json").write_bytes(bytes_)


@whole("coco", "annotation file cannot be used: .*wrong-shaped")
def json_of_another_shape(folder, entry, chance):
    content = json.loads((folder / "instances.json").read_bytes())
    key = chance.choice(("images", "annotations", "categories"))
    shapes = (
        [],
        5,
        "text",
        {key: 7},
        content | {key: None},
        content | {key: {}},
        content | {"categories": [{"id": 3}]},
    )
    (folder / "instances.json").write_text(json.dumps(chance.choice(shapes)))


@whole("coco", "larger than")
def annotation_file_of_many_gigabytes(folder, entry, chance):
    with (folder / "instances.json").open("r+b") as file:
        file.truncate(TABLE_BYTES + chance.randrange(1, 10**9))


@on_all("coco", "yolo", words="unknown class")
def class_that_is_not_there(folder, entry, chance):
    entry["classes"] = [chance.choice(("lorry", "Car ", "0", "차량"))]
    if entry["type"] == "coco":
        content = json.loads((folder / "instances.json").read_bytes())
        content["categories"] = [{"id": 15, "name": "bench"}]
        (folder / "instances.json").write_text(json.dumps(content))


@whole("coco", "none of the classes car, bus and truck")
def no_class_of_vehicles(folder, entry, chance):
    text = (folder / "instances.json").read_text()
    (folder / "instances.json").write_text(text.replace('"car"', f'"thing {chance.randrange(9)}"'))


@on_all("aihub", "coco", "folder", "yolo", words="sources.*name")
def two_of_one_name(folder, entry, chance):
    entry["twice"] = True


def entry_of(kind: str) -> dict:
    places = {
        "aihub": {"labels": "labels"},
        "coco": {"annotations": "instances.json"},
        "yolo": {"labels": "labels"},
    }
    role = "damaged" if kind == "aihub" else "normal"
    return {"name": "s", "type": kind, "role": role, "images": "images", **places.get(kind, {})}


def write_source(folder: Path, kind: str, seed: int) -> None:
    good = good_item if kind == "aihub" else KINDS[kind].good
    items = [good(folder, number, seed) for number in range(GOOD)]
    if kind == "coco":
        write_instances(folder, items)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", WHOLE)
def test_it_is_told_and_nothing_is_written(name, seed, tmp_path):
    way, chance = WHOLE[name], random.Random(f"{name}:{seed}")
    write_source(tmp_path, way.kind, seed)
    entry = entry_of(way.kind)
    way.spoil(tmp_path, entry, chance)
    entries = [entry, entry] if entry.pop("twice", False) else [entry]
    study = {
        "study": "spoiled",
        "sources": entries,
        "teacher": {"weights": "yolov8n.yaml"},
        "systems": {"baseline": {"recipe": "baseline", "weights": "yolov8n.yaml"}},
    }
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(study), encoding="utf-8")
    code, said = call(["collect", str(file), "--out", str(tmp_path / "run")])
    assert code == way.code, said
    assert "Traceback" not in said
    assert "what to do: " in said
    assert re.search(way.words, said), said
    assert "'s'" in said or "sources" in said or str(tmp_path) in said  # which of them
    if code == 2:
        assert not (tmp_path / "run").exists()
    else:
        assert (tmp_path / "run" / "quarantine.csv").read_text().count("\n") > GOOD // 2
