import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import cv2
import pytest

from wreckognize.collect import collect
from wreckognize.demo import collection as module
from wreckognize.demo.collection import FULL, make, scaled
from wreckognize.errors import UsageError
from wreckognize.study import Study


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def collected(collection):
    study = Study.load(collection.study)
    return collect(study.sources, seed=study.seed)


def test_counts_are_as_promised(collection):
    folder, counts = collection.folder, collection.counts
    expected = {
        "claims/images/TS_damage": counts.claims,
        "wrecks/images": counts.wrecks,
        "street/images": counts.street_vehicles + counts.street_places,
        "fleet/images": counts.fleet,
        "showroom": counts.showroom,
        "backyard": counts.backyard,
        "scrapyard": counts.scrapyard,
    }
    assert {name: len(list((folder / name).glob("*.jpg"))) for name in expected} == expected
    assert sum(expected.values()) == counts.total


def test_full_counts_give_a_test_set_that_can_be_judged():
    assert scaled(1.0) == FULL
    assert FULL.backyard >= 100  # pinned to test
    assert FULL.wrecks >= 80
    assert FULL.fleet >= 40
    assert 2 / FULL.claims < 0.05


def test_a_small_collection_has_some_of_everything():
    counts = scaled(0.001)
    assert counts.claims == 60
    assert {counts.wrecks, counts.fleet, counts.showroom, counts.backyard, counts.scrapyard} == {6}


def test_claims_share_vehicle_and_name(collection):
    photos = sorted((collection.folder / "claims/images/TS_damage").iterdir())
    claims = Counter()
    for number, photo in enumerate(photos, 1):
        found = re.fullmatch(r"(\d{7})_(sc-\d{6})", photo.stem)
        assert found
        assert int(found[1]) == number
        claims[found[2]] += 1
    assert set(claims.values()) == {1, 2, 3}


def test_aihub_labels_agree_with_their_photos(collection):
    for photo in sorted((collection.folder / "claims/images/TS_damage").iterdir())[:-1]:
        label = json.loads((collection.folder / f"claims/labels/TL_damage/{photo.stem}.json").read_text())
        height, width = cv2.imread(str(photo)).shape[:2]
        assert (label["images"]["width"], label["images"]["height"]) == (width, height)
        assert label["images"]["file_name"] == photo.name
        for one in label["annotations"]:
            assert one["category_id"] == photo.stem.partition("_")[2]
            assert len(one["bbox"]) == 4


def test_every_reader_takes_it(collection, collected):
    used = dict(collected.catalog.photos.group_by("source").len().iter_rows())
    counts = collection.counts
    assert used.pop("street-places") > 0
    assert used == {
        "claims": counts.claims - 1,
        "wrecks": counts.wrecks,
        "street": counts.street_vehicles,
        "fleet": counts.fleet,
        "showroom": counts.showroom,
        "backyard": counts.backyard,
        "scrapyard": counts.scrapyard,
    }


def test_the_defects_are_found_and_no_others(collected):
    assert sorted(collected.quarantine["reason"]) == ["label without photo", "truncated or damaged photo"]
    told = {(outcome, reason) for _, outcome, reason, _ in collected.tally.iter_rows()}
    assert {
        ("box_left_out", "damage null"),
        ("box_left_out", "zero-area box"),
        ("noted", "CMYK"),
        ("noted", "grey"),
        ("noted", "EXIF orientation 6"),
    } <= told
    assert not any(outcome == "box_clipped" for outcome, _ in told)
    names = collected.catalog.photos.filter(source="showroom")["photo"]
    assert "showroom/전시장 사진.jpg" in names


def test_whole_vehicles_are_human_truth(collected):
    photos, boxes = collected.catalog.photos, collected.catalog.boxes
    for source in ("wrecks", "street", "fleet"):
        names = photos.filter(source=source)
        assert names["box_truth"].all()
        found = boxes.filter(boxes["photo"].is_in(names["photo"].implode()))
        assert set(found["kind"]) == {"vehicle"}
        assert set(found["origin"]) == {"human"}
    assert set(photos.filter(source="wrecks")["role"]) == {"damaged"}


def test_the_study_loads_and_uses_all_readers(collection):
    study = Study.load(collection.study)
    assert {source.type for source in study.sources} == {"aihub", "coco", "folder", "yolo"}
    assert [system.name for system in study.systems] == ["baseline", "ver1", "ver5", "ver6"]
    pinned = {source.role for source in study.sources if source.split == "test"}
    assert pinned == {"damaged", "normal", "background"}


def test_the_same_seed_draws_the_same_bytes(collection, tmp_path):
    again = make(tmp_path / "again", seed=3, scale=0.05)
    assert digests(again.folder) == digests(collection.folder)


def test_a_finished_collection_is_left_as_it_is(collection):
    times = {path: path.stat().st_mtime_ns for path in collection.folder.rglob("*")}
    assert make(collection.folder, seed=3, scale=0.05) == collection
    assert {path: path.stat().st_mtime_ns for path in collection.folder.rglob("*")} == times


def fewest(monkeypatch):
    monkeypatch.setattr(module, "_FEWEST_CLAIMS", 8)
    monkeypatch.setattr(module, "_FEWEST", 4)


def test_another_seed_replaces_it(tmp_path, monkeypatch):
    fewest(monkeypatch)
    before = digests(make(tmp_path / "photos", seed=1, scale=0).folder)
    after = digests(make(tmp_path / "photos", seed=2, scale=0).folder)
    assert before["backyard/backyard-0001.jpg"] != after["backyard/backyard-0001.jpg"]
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_foreign_files_are_not_replaced(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(UsageError, match="did not make"):
        make(tmp_path, scale=0)
    assert (tmp_path / "holiday.jpg").read_bytes() == b"mine"


def test_an_interrupted_drawing_leaves_nothing(tmp_path, monkeypatch):
    fewest(monkeypatch)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_vary_showroom", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "photos", scale=0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="could not be written"):
        make(tmp_path / "file" / "photos", scale=0)
