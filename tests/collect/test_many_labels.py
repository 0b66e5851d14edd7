"""Very many label files: the same comes out in any number of processes, whatever becomes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import PurePosixPath

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wreckognize.collect import bulk, collect, gather, helpers
from wreckognize.collect.aihub_label import (
    READ,
    UNCHANGED,
    UNREADABLE,
    LabelRequest,
    Reading,
    decode_reading,
    read_label,
    read_labels,
)
from wreckognize.collect.helpers import Helpers
from wreckognize.collect.walk import File, find_files

numbers = st.one_of(st.integers(-5, 900), st.floats(), st.text(max_size=2), st.none(), st.booleans())
words = st.sampled_from(["Scratched", " dent", "Crushed", "Rust", "", None, 3])
annotations = st.fixed_dictionaries(
    {},
    optional={
        "bbox": st.one_of(st.none(), st.lists(numbers, max_size=5)),
        "damage": words,
        "category_id": st.one_of(st.none(), st.text(max_size=4), st.integers(), st.just("\ud800")),
    },
)
labels = st.one_of(
    st.fixed_dictionaries(
        {"annotations": st.one_of(annotations, st.lists(annotations, max_size=3))},
        optional={"images": st.fixed_dictionaries({}, optional={"width": numbers, "height": numbers})},
    ),
    st.lists(st.integers(), max_size=2),
    st.none(),
)


@settings(max_examples=40, deadline=None)
@given(labels)
def test_a_reading_survives_its_encoding(label):
    reading = read_label(json.dumps(label).encode())
    assert decode_reading(msgspec.msgpack.encode(reading)) == reading
    assert isinstance(reading, Reading)
    assert bool(reading.error) == bool(reading.mark & 16)
    assert bool(reading.boxes) == bool(reading.mark & 8)


def test_states_tell_unchanged_from_read_from_unreadable(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('{"annotations": []}')
    status = file.stat()
    paths = [os.fsencode(file)] * 3 + [os.fsencode(tmp_path / "gone.json"), os.fsencode(tmp_path)]
    sizes = [status.st_size, -1, status.st_size, 5, -1]
    times = [status.st_mtime_ns, -1, status.st_mtime_ns - 1, 5, -1]
    told = read_labels(LabelRequest(paths, sizes, times))
    assert list(told.states) == [UNCHANGED, READ, READ, UNREADABLE, UNREADABLE]
    assert [decode_reading(one).error[1] for one in told.readings[3:]] == [
        "No such file or directory",
        "Is a directory",
    ]


def test_a_label_larger_than_one_read_is_read_whole(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"annotations": [], "more": "x" * 300_000}))
    assert decode_reading(read_labels(LabelRequest([os.fsencode(file)], [-1], [-1])).readings[0]).error is None


@pytest.fixture
def many(room, monkeypatch):
    """Sixty labels in requests of four."""
    monkeypatch.setattr(bulk, "_CHUNK", 4)
    for number in range(60):
        room.photo(f"images/{number}.png", (12, 12))
        content = room.label(room.damage((1, 1, 5, 5), damage=["Dent", "Breakage", None][number % 3]))
        room.file(f"labels/{number}.json", "{" if number % 10 == 7 else content)
    return room


def tables(collected):
    return [
        table.rows()
        for table in (
            collected.catalog.photos,
            collected.catalog.boxes,
            collected.quarantine,
            collected.tally,
        )
    ]


def test_the_result_is_the_same_in_any_number_of_processes(many, tmp_path):
    alone = tables(collect([many.aihub()], seed=0, processes=1))
    assert tables(collect([many.aihub()], seed=0, processes=3)) == alone
    assert tables(collect([many.aihub()], seed=0, processes=2, cache=tmp_path / "c")) == alone
    assert tables(collect([many.aihub()], seed=0, processes=2, cache=tmp_path / "c")) == alone


def test_helpers_that_are_killed_cost_nothing_but_time(many, monkeypatch):
    alone = tables(collect([many.aihub()], seed=0, processes=1))
    killed = []
    ask = Helpers.ask

    def kill_some(self, requests):
        for number, told in enumerate(ask(self, requests)):
            if number == 1:
                killed.extend(self.process_ids)
                for process in self.process_ids:
                    os.kill(process, signal.SIGKILL)
            yield told

    monkeypatch.setattr(Helpers, "ask", kill_some)
    assert tables(collect([many.aihub()], seed=0, processes=2)) == alone
    assert len(killed) == 2


def test_helpers_that_cannot_be_started_are_done_without(many, monkeypatch):
    alone = tables(collect([many.aihub()], seed=0, processes=1))

    def refuse(*_, **__):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert tables(collect([many.aihub()], seed=0, processes=2)) == alone


def test_helpers_that_answer_nonsense_are_done_without(many, monkeypatch):
    alone = tables(collect([many.aihub()], seed=0, processes=1))
    monkeypatch.setattr(helpers, "receive", lambda _: b"\xc1 nonsense")
    assert tables(collect([many.aihub()], seed=0, processes=2)) == alone


def test_few_labels_start_no_process(many, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    collect([many.aihub()], seed=0)


def test_no_helper_stays_behind():
    with Helpers(2) as team:
        ids = team.process_ids
        assert len(list(team.ask([LabelRequest([], [], [])] * 3))) == 3
    for process in ids:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_labels_and_photos_that_vanish_while_they_are_read_are_quarantined(many, monkeypatch):
    before = many.run(many.aihub())
    ask, list_photos = Helpers.ask, gather.find_photos

    def remove_some(self, requests):
        for number in (0, 1, 57):
            (many.root / f"labels/{number}.json").unlink()
        yield from ask(self, requests)

    def remove_one(*arguments, **options):
        listed = list_photos(*arguments, **options)
        (many.root / "images/3.png").unlink()
        return listed

    monkeypatch.setattr(Helpers, "ask", remove_some)
    monkeypatch.setattr(gather, "find_photos", remove_one)
    after = many.run(many.aihub())
    gone = after.quarantine.filter(after.quarantine["reason"].str.contains("No such file|not there"))
    assert [PurePosixPath(file).name for file in gone["file"]] == ["3.png", "0.json", "1.json", "57.json"]
    assert set(many.names(after)) < set(many.names(before))


def test_a_folder_that_vanishes_while_it_is_walked_is_as_if_it_had_never_been(room, monkeypatch):
    room.photo("images/a.jpg")
    room.photo("images/deep/b.jpg")
    scandir = os.scandir

    def vanish(folder):
        if str(folder).endswith("deep"):
            raise FileNotFoundError(2, "No such file or directory")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", vanish)
    assert room.names(room.run(room.folder())) == ["a.jpg"]


names = st.lists(st.text("ab.é ", min_size=1, max_size=6), min_size=1, max_size=3).map("/".join)


@settings(max_examples=50, deadline=None)
@given(names.filter(lambda name: not name.rpartition("/")[2].startswith(".")))
def test_suffix_and_stem_are_those_of_paths(name):
    if name.endswith("."):  # Python changed its mind about these in 3.14
        return
    path = PurePosixPath(name)
    assert File(name, "/x").suffix == path.suffix.lower()
    assert File(name, "/x").stem == path.stem


def test_files_of_nested_roots_are_found_once_under_the_first_name(room):
    room.photo("x/one/a.jpg")
    room.photo("x/b.jpg")
    roots = [room.root / "x" / "one", room.root / "x"]
    ledger = None
    assert [file.name for file in find_files(roots, "", ledger)] == ["a.jpg", "b.jpg"]
    assert [file.name for file in find_files(roots[::-1], "", ledger)] == ["b.jpg", "one/a.jpg"]
