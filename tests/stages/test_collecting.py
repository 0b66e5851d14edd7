"""The stage `collect`: when it is done again, and when not."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import polars as pl
import pytest
from PIL import Image

from wreckognize import pipeline
from wreckognize.collect import gather
from wreckognize.files import sha256_of
from wreckognize.progress import Silent
from wreckognize.study import Study

STUDY = """
study: s
sources:
  - {name: a, type: aihub, role: damaged, images: images, labels: labels, per_damage: 3, max_failed: 0.5}
teacher: {weights: yolov8n.yaml}
systems: {baseline: {recipe: baseline, weights: yolov8n.yaml}}
"""


class Said(Silent):
    """What was said."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def say(self, text: str) -> None:
        self.sentences.append(text)


class Place:
    """Twelve photos and their labels; three of a run's sample, of which one is spoilt."""

    def __init__(self, folder) -> None:
        self.folder, self.run = folder, folder / "run"
        (folder / "images").mkdir()
        (folder / "labels").mkdir()
        label = {"annotations": [{"bbox": [1, 1, 9, 9], "damage": "Dent", "category_id": "sc-1"}]}
        for number in range(12):
            self.draw(number, number)
            (folder / f"labels/{number}.json").write_text(json.dumps(label))
        (folder / "study.yaml").write_text(STUDY)
        self.collect()
        self.spoilt = self.selected()[0]
        self.photo(self.spoilt).write_bytes(b"no photo")
        self.collect()

    def photo(self, number):
        return self.folder / f"images/{number}.png"

    def draw(self, number, seed):
        pixels = np.random.default_rng(seed).integers(0, 255, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(self.photo(number))

    def collect(self):
        """Whether anything was collected."""
        said = Said()
        pipeline.run(Study.load(self.folder / "study.yaml"), out=self.run, until="collect", progress=said)
        return any(sentence.startswith("collected") for sentence in said.sentences)

    def rows(self):
        return pl.read_parquet(self.run / "catalog/photos.parquet")

    def selected(self):
        return sorted(int(name.split("/")[1][:-4]) for name in self.rows()["photo"])


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_photo_of_the_sample_that_changed_is_opened_again(place):
    assert not place.collect()
    chosen = place.selected()[0]
    place.draw(chosen, 99)
    assert place.collect()
    row = place.rows().filter(photo=f"a/{chosen}.png")
    assert row["sha256"].to_list() == [sha256_of(place.photo(chosen))]
    assert not place.collect()


def test_a_photo_of_the_sample_that_was_mended_is_used(place):
    assert place.spoilt not in place.selected()
    assert len(place.selected()) == 2
    place.draw(place.spoilt, place.spoilt)
    assert place.collect()
    assert place.spoilt in place.selected()


def test_a_photo_that_was_not_selected_may_change(place):
    others = set(range(12)) - {*place.selected(), place.spoilt}
    place.draw(others.pop(), 98)
    assert not place.collect()


def test_a_photo_that_was_not_selected_may_not_go_or_come(place):
    other = (set(range(12)) - {*place.selected(), place.spoilt}).pop()
    place.photo(other).rename(place.photo(other).with_suffix(".unknown"))
    assert place.collect()
    place.photo(other).with_suffix(".unknown").rename(place.photo(other))
    assert place.collect()


def test_a_label_that_changed_is_read_again_whatever_was_selected(place):
    other = (set(range(12)) - {*place.selected(), place.spoilt}).pop()
    label = place.folder / f"labels/{other}.json"
    text = label.read_text()
    label.write_text(text.replace("Dent", "null"))
    assert place.collect()
    label.write_text(text)
    assert place.collect()
    os.utime(label, ns=(1, 1))
    assert place.collect()
    assert not place.collect()


def test_without_what_is_remembered_of_the_sample_all_is_looked_at_again(place):
    (place.run / "cache/selected.parquet").write_bytes(b"spoilt")
    before = place.rows()
    assert place.collect()
    assert place.rows().equals(before)
    assert not place.collect()


@pytest.mark.parametrize("change", ["label", "new label", "new photo"])
def test_what_changes_while_it_is_collected_for_the_first_time_is_seen_the_next_time(place, monkeypatch, change):
    shutil.rmtree(place.run)
    select = gather._select

    def meanwhile(*asked):
        monkeypatch.undo()
        label = place.folder / "labels/0.json"
        if change == "label":
            label.write_text(label.read_text().replace("Dent", "Breakage"))
        elif change == "new label":
            (place.folder / "labels/12.json").write_text(label.read_text())
        else:
            place.draw(12, 12)
        return select(*asked)

    monkeypatch.setattr(gather, "_select", meanwhile)
    assert place.collect()
    assert place.collect()
    assert not place.collect()


def test_the_first_time_is_told_as_any_other_time(place):
    def fingerprint():
        return json.loads((place.run / "state.json").read_text())["stages"]["collect"]["fingerprint"]

    assert not place.collect()
    again = fingerprint()
    shutil.rmtree(place.run)
    place.collect()
    assert fingerprint() == again
