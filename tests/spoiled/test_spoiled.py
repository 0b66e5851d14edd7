"""A thousand inputs, most of them spoiled: each is used or quarantined as the table says, and none is lost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from spoiled import spoil

from wreckognize.collect import collect
from wreckognize.collect.ledger import printable
from wreckognize.errors import TooManyFailuresError
from wreckognize.settings import AihubSource

NUMBER = int(os.environ.get("WRECKOGNIZE_SPOILED", "300"))
SEED = int(os.environ.get("WRECKOGNIZE_SPOILED_SEED", "1"))
GOOD_EVERY = 5


def source(folder: Path, **settings: object) -> AihubSource:
    values = {
        "name": "s",
        "type": "aihub",
        "role": "damaged",
        "images": folder / "images",
        "labels": folder / "labels",
    }
    return AihubSource(**values | {"max_failed": 1} | settings)


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """The folder, and for each item its way (None: good) and itself."""
    folder = tmp_path_factory.mktemp("spoiled")
    names = list(spoil.WAYS)
    items = []
    for number in range(NUMBER):
        item = spoil.good_item(folder, number, SEED)
        way = None if number % GOOD_EVERY == 0 else names[number % len(names)]
        if way is not None:
            spoil.WAYS[way].spoil(item)
        items.append((way, item))
    return folder, items


@pytest.fixture(scope="module")
def found(spoiled):
    return collect([source(spoiled[0])], seed=0)


def test_there_are_more_than_25_ways_and_every_one_was_used(spoiled):
    ways = Counter(way for way, _ in spoiled[1])
    assert len(spoil.WAYS) >= 25
    assert set(ways) == {None, *spoil.WAYS}
    assert sum(ways.values()) == NUMBER


def test_each_is_used_or_quarantined_as_the_table_says(spoiled, found):
    used = set(found.catalog.photos["path"])
    reasons = {file: reason for _, file, reason, _ in found.quarantine.rows()}
    wrong = []
    for name, item in spoiled[1]:
        photo, label = printable(str(item.photo)), printable(str(item.label))
        way = spoil.WAYS.get(name, spoil.Way(lambda _: None, "used"))
        became = (
            "used" if photo in used else "photo" if photo in reasons else "label" if label in reasons else "LOST"
        )
        expected = {"not a photo": ("label",), "photo or used": ("photo", "used")}.get(way.expect, (way.expect,))
        reason = reasons.get(photo, "") + reasons.get(label, "")
        if became not in expected or (became != "used" and not re.search(way.reason, reason)):
            wrong.append((name, str(item.photo), became, way.expect, reason))
    assert wrong == []


def test_none_is_dropped_silently_and_none_is_counted_twice(spoiled, found):
    folder, _ = spoiled
    photos = {printable(str(path)) for path in (folder / "images").iterdir()}
    labels = {printable(str(path)) for path in (folder / "labels").iterdir()}
    used = set(found.catalog.photos["path"])
    quarantined = found.quarantine["file"].to_list()
    assert len(quarantined) == len(set(quarantined))
    assert not used & set(quarantined)
    assert set(quarantined) | used <= photos | labels
    tally = {(outcome, reason): count for _, outcome, reason, count in found.tally.rows()}
    not_wanted = sum(count for (outcome, _), count in tally.items() if outcome == "not_wanted")
    # Of each label that is quarantined the photo is neither used nor named once more; the rest of the photos are
    # used, in quarantine themselves, or counted as not wanted.
    stems = {Path(file).stem for file in quarantined if file in labels}
    accounted = used | {file for file in quarantined if file in photos}
    accounted |= {photo for photo in photos if Path(photo).stem in stems}
    assert len(photos - accounted) == 0
    assert not_wanted == sum(path.suffix != ".jpg" or path.is_fifo() for path in (folder / "images").iterdir())
    assert tally["used", ""] == len(used) == found.catalog.photos.height
    assert sum(count for (outcome, _), count in tally.items() if outcome == "quarantined") == len(quarantined)


def test_all_good_ones_are_used_with_their_boxes(spoiled, found):
    boxes = dict(found.catalog.boxes.group_by("photo").len().iter_rows())
    photos = dict(found.catalog.photos.select("path", "photo").iter_rows())
    good = [item for way, item in spoiled[1] if way is None or spoil.WAYS[way].expect == "used"]
    assert len(good) > NUMBER / 4
    for item in good:
        assert boxes[photos[str(item.photo)]] == 1


def test_every_reason_says_what_to_do(found):
    assert found.quarantine["reason"].str.len_chars().min() > 5
    assert found.quarantine["what_to_do"].str.len_chars().min() > 10


def test_the_guard_stops_with_all_of_them_named(spoiled):
    with pytest.raises(TooManyFailuresError) as caught:
        collect([source(spoiled[0], max_failed=0.05)], seed=0)
    assert caught.value.exit_code == 1
    assert len(caught.value.rows) > NUMBER / 5
    assert len(str(caught.value).splitlines()) <= 20 * 3


def test_the_sources_are_left_as_they_are(spoiled):
    folder, items = spoiled
    label = next(item.label for way, item in items if way is None)
    before = label.stat()
    collect([source(folder)], seed=0)
    assert (label.stat().st_mtime_ns, label.stat().st_size) == (before.st_mtime_ns, before.st_size)


def test_it_comes_out_the_same_in_any_number_of_processes_and_from_memory(spoiled, found, tmp_path):
    for settings in ({"processes": 3}, {"cache": tmp_path / "cache"}, {"cache": tmp_path / "cache"}):
        again = collect([source(spoiled[0])], seed=0, **settings)
        assert again.catalog.photos.equals(found.catalog.photos)
        assert again.quarantine.equals(found.quarantine)
        assert again.tally.equals(found.tally)


def test_the_program_itself_ends_with_1_and_writes_the_quarantine(tmp_path, tiny_weights):
    """As users call it: a share beyond what the study allows."""
    for number in range(20):
        item = spoil.good_item(tmp_path, number, SEED)
        if number % 3 == 0:
            spoil.truncated_label(item)
    for file in (tiny_weights, tiny_weights.with_name("model.json")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "study.yaml").write_text(
        "study: s\nsources:\n  - {name: s, type: aihub, role: damaged, images: images, labels: labels}\n"
        f"teacher: {{weights: {tiny_weights.name}}}\n"
        f"systems: {{baseline: {{recipe: baseline, weights: {tiny_weights.name}}}}}\n"
    )
    command = [sys.executable, "-m", "wreckognize", "collect", "study.yaml", "--out", "run"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert pl.read_csv(tmp_path / "run" / "quarantine.csv").height == 7
