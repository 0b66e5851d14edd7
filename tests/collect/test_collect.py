"""What all kinds of source share: walking, bad photos, samples, the limit of failures, order."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from wreckognize.catalog import QUARANTINE_SCHEMA, TALLY_SCHEMA
from wreckognize.collect import collect
from wreckognize.errors import TooManyFailuresError, UsageError

ODD_NAMES = [
    "a b.jpg",
    "사고.jpg",
    'it\'s "quoted".jpg',
    "two\nlines.jpg",
    "ümlaut,comma.jpg",
    "UPPER.JPG",
    "[x]*.jpg",
]


def test_odd_names_work_in_every_table(room):
    for name in ODD_NAMES:
        room.photo(f"images/{name}")
    found = room.run(room.folder())
    assert room.names(found) == sorted(ODD_NAMES)
    for path, digest in found.catalog.photos.select("path", "sha256").rows():
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == digest


def test_a_name_that_is_not_unicode_is_quarantined(room):
    room.photo("images/a.jpg")
    Path(os.fsdecode(os.fsencode(room.root) + b"/images/\xbb\xe7\xb0\xed.jpg")).write_bytes(b"x")
    found = room.run(room.folder())
    assert found.quarantine["reason"].to_list() == ["file name is not Unicode"]
    assert found.quarantine["file"][0].endswith("\\udcbb\\udce7\\udcb0\\udced.jpg")


BAD_PHOTOS = {
    "text.jpg": (b"this is text", "not a photo, or its header is damaged"),
    "empty.jpg": (b"", "empty file"),
    "cut.jpg": (None, "truncated or damaged photo"),
    "one.png": ((1, 1), "smaller than 10 px a side"),
}


def test_photos_that_cannot_be_used_are_quarantined(room):
    room.photo("images/good.jpg")
    for name, (content, _) in BAD_PHOTOS.items():
        if isinstance(content, tuple):
            room.photo(f"images/{name}", content)
        else:
            whole = room.photo(f"images/{name}", (300, 300)).read_bytes()
            room.file(f"images/{name}", whole[:2000] if content is None else content)
    (room.root / "images/dangling.jpg").symlink_to(room.root / "nowhere")
    found = room.run(room.folder())
    assert room.names(found) == ["good.jpg"]
    expected = {name: reason for name, (_, reason) in BAD_PHOTOS.items()}
    assert room.reasons(found) == expected | {"dangling.jpg": "file cannot be read (No such file or directory)"}
    assert found.quarantine.schema == QUARANTINE_SCHEMA
    assert found.tally.schema == TALLY_SCHEMA
    assert room.tally(found) == {("used", ""): 1} | {
        ("quarantined", reason.split(" (")[0]): 1 for reason in room.reasons(found).values()
    }


def test_converted_photos_are_used_noted_and_not_plain(room):
    room.photo("images/a.jpg")
    room.photo("images/b.webp")
    room.photo("images/c.jfif")
    found = room.run(room.folder())
    assert found.catalog.photos["plain"].to_list() == [True, False, False]
    assert room.tally(found) == {("used", ""): 3, ("noted", "WebP"): 1}


def test_what_is_no_photo_is_counted_and_hidden_files_are_passed_over(room):
    room.photo("images/a.jpg")
    for name in ("notes.txt", "movie.mp4", "noextension", ".hidden.jpg", ".thumbs/b.jpg"):
        room.file(f"images/{name}", "x")
    (room.root / "images/loop").symlink_to(room.root / "images")
    os.mkfifo(room.root / "images/pipe.jpg")
    found = room.run(room.folder())
    assert room.names(found) == ["a.jpg"]
    assert room.tally(found) == {
        ("used", ""): 1,
        ("not_wanted", "not a photo by its extension"): 3,
        ("not_wanted", "link to a folder"): 1,
        ("not_wanted", "neither file nor folder"): 1,
    }


def test_a_link_to_a_photo_within_the_source_is_a_photo(room):
    target = room.photo("images/.store/a.jpg")
    (room.root / "images/link.jpg").symlink_to(target)
    assert room.names(room.run(room.folder())) == ["link.jpg"]


def test_a_link_that_leads_out_of_the_source_is_quarantined_unless_it_is_to_be_followed(room):
    target = room.photo("store/a.jpg")
    room.photo("images/b.jpg")
    (room.root / "images/link.jpg").symlink_to(target)
    found = room.run(room.folder())
    assert (room.names(found), room.reasons(found)) == (
        ["b.jpg"],
        {"link.jpg": "link leads out of the source's folders"},
    )
    assert room.names(room.run(room.folder(follow_links=True))) == ["b.jpg", "link.jpg"]
    both = room.folder(images=[room.root / "images", room.root / "store"])
    assert room.names(room.run(both)) == ["a.jpg", "b.jpg", "link.jpg"]


def test_a_single_file_that_is_a_link_out_of_its_folder_is_quarantined(room):
    room.photo("images/b.jpg")
    (room.root / "images/link.jpg").symlink_to(room.photo("store/a.jpg"))
    found = room.run(room.folder(images=room.root / "images/*.jpg"))
    assert (room.names(found), list(room.reasons(found))) == (["b.jpg"], ["link.jpg"])


def test_several_folders_globs_and_single_files(room):
    for name in ("x/one/a.jpg", "y/one/b.jpg", "z/c.jpg", "z/d.jpg"):
        room.photo(name)
    images = [room.root / "?/one", room.root / "z/c.jpg", room.root / "z/*.jpg"]
    assert room.names(room.run(room.folder(images=images))) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def test_a_photo_below_two_of_the_folders_counts_once(room):
    room.photo("x/one/a.jpg")
    assert room.names(room.run(room.folder(images=[room.root, room.root / "x"]))) == ["x/one/a.jpg"]


def test_a_folder_whose_name_looks_like_a_pattern(room):
    room.photo("im[1]/a.jpg")
    assert room.names(room.run(room.folder(images=room.root / "im[1]"))) == ["a.jpg"]


def test_two_photos_of_one_name_are_quarantined(room):
    for name in ("x/a.jpg", "y/a.jpg", "y/b.jpg"):
        room.photo(name)
    found = room.run(room.folder(images=[room.root / "x", room.root / "y"]))
    assert room.names(found) == ["b.jpg"]
    assert found.quarantine["reason"].to_list() == ["two photos of one name in one source"] * 2


@pytest.mark.parametrize("images", ["nowhere", "no*where", "images/nothing.jpg"])
def test_a_path_that_is_not_there_is_a_usage_error(room, images):
    room.photo("images/a.jpg")
    with pytest.raises(UsageError, match="not found") as caught:
        room.run(room.folder(images=room.root / images))
    assert caught.value.where == "source 's': images"


def test_a_folder_that_cannot_be_read_is_a_usage_error(room, monkeypatch):
    room.photo("images/a.jpg")

    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UsageError, match="folder cannot be read"):
        room.run(room.folder())


def test_an_empty_source_is_a_usage_error_with_its_tally(room):
    room.file("images/notes.txt", "x")
    with pytest.raises(UsageError, match="no photo left in source 's'") as caught:
        room.run(room.folder())
    assert "1 not wanted: not a photo by its extension" in str(caught.value)
    (room.root / "images/notes.txt").unlink()
    with pytest.raises(UsageError, match="nothing was found"):
        room.run(room.folder())


def test_two_sources_of_one_name_are_a_usage_error(room):
    room.photo("images/a.jpg")
    with pytest.raises(UsageError, match="2 sources have the name 's'"):
        room.run(room.folder(), room.folder())


def test_no_source_gives_empty_tables(room):
    found = room.run()
    assert found.catalog.photos.is_empty()
    assert found.tally.is_empty()


def photos_of_which_some_are_bad(room, good, bad):
    for number in range(good):
        room.photo(f"images/good{number}.png", (12, 12))
    for number in range(bad):
        room.file(f"images/bad{number:02}.png", "x")


def test_exactly_the_share_allowed_is_allowed(room):
    photos_of_which_some_are_bad(room, 19, 1)
    assert len(room.names(room.run(room.folder(max_failed=0.05)))) == 19


def test_more_failures_than_allowed_stop_with_the_first_ten(room):
    photos_of_which_some_are_bad(room, 40, 12)
    with pytest.raises(TooManyFailuresError, match=r"23\.1% of source 's'") as caught:
        room.run(room.folder(max_failed=0.05))
    assert caught.value.exit_code == 1
    assert all(f"bad{number:02}.png: not a photo" in str(caught.value) for number in range(10))
    assert "bad10" not in str(caught.value)


def test_what_is_not_wanted_is_no_failure(room):
    photos_of_which_some_are_bad(room, 19, 1)
    for number in range(50):
        room.file(f"images/{number}.txt", "x")
    assert len(room.names(room.run(room.folder(max_failed=0.05)))) == 19


def test_labels_that_fail_count_among_all_labels_and_photos_among_those_opened(room):
    for number in range(100):
        room.photo(f"images/{number}.png", (12, 12))
        bbox = (1, 1, 5, 5)
        room.file(f"labels/{number}.json", room.label(room.damage(bbox), size=(12, 12)) if number > 3 else "{}")
    source = room.aihub(limit=10, max_failed=0.05)
    assert len(room.names(room.run(source))) == 10
    chosen = room.run(source).catalog.photos["path"].to_list()
    Path(chosen[0]).write_bytes(b"x")
    with pytest.raises(TooManyFailuresError, match=r"13\.6%"):
        room.run(source)


def test_labels_that_fail_stop_before_a_photo_is_opened(room, monkeypatch):
    for name in ("a", "b"):
        room.photo(f"images/{name}.jpg")
        room.file(f"labels/{name}.json", "{")
    monkeypatch.setattr("wreckognize.collect.gather.assemble", lambda *_: pytest.fail("a photo was opened"))
    with pytest.raises(TooManyFailuresError, match="100"):
        room.run(room.aihub(max_failed=0.05))


def seeded(names, seed):
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())


def test_the_limit_takes_by_seed_the_same_anywhere(room):
    names = [f"{number}.png" for number in range(12)]
    for name in names:
        room.photo(f"images/{name}", (12, 12))
    for seed in (0, 1):
        found = room.run(room.folder(limit=4), seed=seed)
        assert list(found.catalog.photos["photo"]) == sorted(seeded([f"s/{name}" for name in names], seed)[:4])
        assert room.tally(found) == {("used", ""): 4, ("not_wanted", "beyond limit"): 8}
    assert room.tally(room.run(room.folder(limit=50))) == {("used", ""): 12}


def test_per_damage_counts_a_photo_under_its_first_type(room):
    kinds = [("Scratched",), ("Scratched", "Crushed"), ("Crushed", "Scratched"), ("Breakage",), ("Rust",)]
    for number in range(30):
        room.photo(f"images/{number:02}.png", (12, 12))
        annotations = [room.damage((1, 1, 5, 5), kind) for kind in kinds[number % 5]]
        room.file(f"labels/{number:02}.json", room.label(*annotations, size=(12, 12)))
    found = room.run(room.aihub(per_damage=4, role="normal"))
    first = Counter(types[0] for types in found.catalog.photos["damage_types"].to_list())
    assert first == {"Scratched": 4, "Crushed": 4, "Breakage": 4}
    scratched = [f"s/{number:02}.png" for number in range(30) if number % 5 in (0, 1)]
    taken = found.catalog.photos.filter(pl.col("damage_types").list.first() == "Scratched")["photo"].to_list()
    assert taken == sorted(seeded(scratched, 0)[:4])
    assert room.tally(found)["not_wanted", "no damage type"] == 6
    assert room.tally(found)["not_wanted", "beyond per_damage"] == 12
    both = room.run(room.aihub(per_damage=4, limit=5, role="normal"))
    assert set(both.catalog.photos["photo"]) < set(found.catalog.photos["photo"])
    assert len(both.catalog.photos) == 5


def test_photos_that_were_not_selected_are_never_opened(room):
    for number in range(10):
        room.file(f"images/{number}.png", "not a photo at all")
    room.file("images/x.txt", "")
    with pytest.raises(TooManyFailuresError) as caught:
        room.run(room.folder(limit=3, max_failed=0.9))
    assert "(3 photos or labels)" in str(caught.value)


def test_the_result_is_the_same_whatever_the_workers_and_the_order_of_sources(room):
    for number in range(20):
        room.photo(f"images/{number}.png", (12, 12))
        room.photo(f"others/{number}.png", (12, 12))
    room.file("images/bad.png", "x")
    first, second = room.folder(name="b"), room.folder(name="a", images=room.root / "others", role="background")
    alone = collect([first, second], seed=0, workers=1)
    many = collect([first, second], seed=0, workers=8)
    turned = collect([second, first], seed=0)
    for other in (many, turned):
        assert other.catalog.photos.equals(alone.catalog.photos)
        assert other.catalog.boxes.equals(alone.catalog.boxes)
    assert many.tally.equals(alone.tally)
    assert alone.catalog.photos["photo"].is_sorted()


def test_progress_is_told_of_every_label_and_photo(room):
    for number in range(3):
        room.photo(f"images/{number}.jpg")
        room.file(f"labels/{number}.json", room.label())

    class Heard:
        def __init__(self):
            self.done = Counter()

        @contextmanager
        def task(self, description, total, unit="photos"):
            heard = self

            class Task:
                def advance(self, count=1):
                    heard.done[description, total, unit] += count

            yield Task()

    heard = Heard()
    collect([room.aihub()], seed=0, progress=heard)
    assert heard.done == {("s: labels", 3, "labels"): 3, ("s: photos", 3, "photos"): 3}


def test_no_photo_or_label_is_written_to(room):
    files = [room.photo("images/a.jpg"), room.file("labels/a.json", room.label())]
    files.append(room.file("images/b.jpg", files[0].read_bytes()[:-40]))
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    room.run(room.aihub())
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before
