"""What `test_spoiled` asks of AI-Hub, of plain folders, COCO and YOLO: none is lost, all good ones are used."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from spoiled.others import KINDS, CocoItem, Kind
from spoiled.spoil import Item, Way

from wreckognize.collect import Collected, collect
from wreckognize.collect.ledger import printable
from wreckognize.errors import TooManyFailuresError

NUMBER = int(os.environ.get("WRECKOGNIZE_SPOILED", "100"))
SEED = int(os.environ.get("WRECKOGNIZE_SPOILED_SEED", "1"))
GOOD_EVERY = 5
GOOD = Way(lambda item: None, "used")


@dataclass(frozen=True)
class Spoiled:
    """A folder of items, each with its way (`GOOD`: left alone), and what collecting found."""

    folder: Path
    kind: Kind
    items: list[tuple[str, Way, Item]]
    found: Collected

    @property
    def used(self) -> set[str]:
        return set(self.found.catalog.photos["path"])

    @property
    def reasons(self) -> dict[str, str]:
        return {file: reason for _, file, reason, _ in self.found.quarantine.rows()}

    def of(self, item: Item) -> tuple[str, str]:
        """What became of an item, and why."""
        photo, reasons = printable(str(item.photo)), self.reasons
        label = printable(str(item.label))
        if isinstance(item, CocoItem) and item.images and isinstance(item.images[0], dict):
            label = printable(str(item.images[0].get("file_name")))
        if photo in self.used:
            return "used", ""
        if photo in reasons:
            return "photo", reasons[photo]
        if label in reasons:
            return "label", reasons[label]
        return "not wanted", ""


@pytest.fixture(scope="module", params=KINDS)
def spoiled(request, tmp_path_factory):
    folder, kind = tmp_path_factory.mktemp(request.param), KINDS[request.param]
    names, items = list(kind.ways), []
    for number in range(NUMBER):
        item, name = kind.good(folder, number, SEED), "good"
        if number % GOOD_EVERY:
            name = names[(number - 1 - number // GOOD_EVERY) % len(names)]
            kind.ways[name].spoil(item)
        items.append((name, kind.ways.get(name, GOOD), item))
    kind.close(folder, [item for _, _, item in items])
    return Spoiled(folder, kind, items, collect([kind.source(folder)], seed=0))


def test_every_way_was_used(spoiled):
    assert {name for name, _, _ in spoiled.items} == {"good", *spoiled.kind.ways}


def test_each_is_used_or_quarantined_or_not_wanted_as_the_table_says(spoiled):
    wrong = []
    for name, way, item in spoiled.items:
        became, reason = spoiled.of(item)
        expected = {"not a photo": ("label",), "photo or used": ("photo", "used")}.get(way.expect, (way.expect,))
        if became not in expected or (reason and not re.search(way.reason, reason)):
            wrong.append((name, item.photo.name, became, way.expect, reason))
    assert wrong == []


def test_none_is_dropped_silently_and_none_is_counted_twice(spoiled):
    photos = {printable(str(path)) for path in (spoiled.folder / "images").iterdir()}
    quarantined = spoiled.found.quarantine["file"].to_list()
    assert len(quarantined) == len(set(quarantined))
    assert not spoiled.used & set(quarantined)
    by_label = {printable(str(item.photo)) for _, way, item in spoiled.items if way.expect == "label"}
    rest = photos - spoiled.used - set(quarantined) - by_label
    tally = Counter()
    for _, outcome, _, count in spoiled.found.tally.rows():
        tally[outcome] += count
    unwanted = [item for _, way, item in spoiled.items if way.expect in ("not wanted", "not a photo")]
    assert rest == {printable(str(item.photo)) for item in unwanted}
    pipes = sum(path.is_fifo() for path in (spoiled.folder / "labels").glob("*"))  # labels that are none
    assert tally["not_wanted"] == len(rest) + pipes
    assert tally["used"] == len(spoiled.used)
    assert tally["quarantined"] == len(quarantined)


def test_all_good_ones_are_used(spoiled):
    good = {str(item.photo) for name, _, item in spoiled.items if name == "good"}
    assert len(good) == NUMBER / GOOD_EVERY
    assert good <= spoiled.used


def test_every_reason_says_what_to_do(spoiled):
    assert spoiled.found.quarantine["reason"].str.len_chars().min() > 5
    assert spoiled.found.quarantine["what_to_do"].str.len_chars().min() > 10


def test_the_guard_stops_with_all_of_them_named(spoiled):
    with pytest.raises(TooManyFailuresError) as caught:
        collect([spoiled.kind.source(spoiled.folder, max_failed=0.05)], seed=0)
    assert caught.value.exit_code == 1
    assert len(caught.value.rows) > NUMBER / 20
