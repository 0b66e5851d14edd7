"""Very many photos: helper processes open them, and the same comes out as in threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from wreckognize import imagefile
from wreckognize.collect import collect, opening
from wreckognize.collect.helpers import Helpers
from wreckognize.collect.photobatch import LASTING, LEFT, PASSING, PhotoRequest, glances, open_photos
from wreckognize.collect.photofile import Opened, glance


@pytest.fixture
def many(room, monkeypatch):
    """Forty photos in requests of three, some of them spoilt."""
    monkeypatch.setattr(opening, "_CHUNK", 3)
    for number in range(40):
        photo = room.photo(f"images/{number}.jpg", (20 + number, 16))
        if number % 9 == 4:
            photo.write_bytes(photo.read_bytes()[:-40])
    room.file("images/empty.jpg", b"")
    room.file("images/text.jpg", b"no photo")
    return room


def tables(collected):
    catalog = collected.catalog
    parts = (catalog.photos, catalog.boxes, collected.quarantine, collected.tally, collected.stamps)
    return [table.rows() for table in parts]


def test_processes_tell_what_threads_tell(many, tmp_path):
    alone = tables(collect([many.folder()], seed=0, processes=1))
    assert len(alone[0]) == 36
    assert len(alone[2]) == 6
    assert tables(collect([many.folder()], seed=0, processes=2)) == alone
    assert tables(collect([many.folder()], seed=0, processes=3, cache=tmp_path / "c")) == alone


def test_a_helper_that_dies_costs_nothing_but_time(many, monkeypatch):
    alone = tables(collect([many.folder()], seed=0, processes=1))
    ask = Helpers.ask

    def kill_some(self, requests):
        for number, told in enumerate(ask(self, requests)):
            if number == 1:
                for process in self.process_ids:
                    os.kill(process, signal.SIGKILL)
            yield told

    monkeypatch.setattr(Helpers, "ask", kill_some)
    assert tables(collect([many.folder()], seed=0, processes=2)) == alone


def test_few_photos_start_no_process(many, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    collect([many.folder()], seed=0)


def test_helpers_leave_large_photos_to_who_asked(many, monkeypatch):
    """Only there is one decoded at a time."""
    large, small = (os.fsencode(many.root / f"images/{number}.jpg") for number in (39, 0))
    gone = os.fsencode(many.root / "images/gone.jpg")
    monkeypatch.setattr(imagefile, "_LARGE_PIXELS", 20 * 16)
    told = open_photos(PhotoRequest([large, small, gone]))
    assert list(told.states) == [LEFT, LASTING, PASSING]
    found = list(glances([large, small, gone], told))
    assert found == [glance(large), glance(small), found[2]]
    assert [one.opened.header.width for one in found[:2] if isinstance(one.opened, Opened)] == [59, 20]
    assert (found[2].opened.where, found[2].size, found[2].encoded) == ("No such file or directory", -1, None)


def test_a_helper_opens_usual_photos_without_what_takes_long_to_load(room):
    photos = [room.photo("images/a.jpg"), room.photo("images/b.png")]
    program = (
        "import os, sys\n"
        "from wreckognize.collect.helper import answer\n"
        "from wreckognize.collect.photobatch import PhotoRequest\n"
        "print(list(answer(PhotoRequest([os.fsencode(path) for path in sys.argv[1:]])).states))\n"
        "print({'numpy', 'cv2', 'polars', 'pillow_heif'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *photos], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str([LASTING] * 2), "set()"]
