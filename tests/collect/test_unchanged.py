"""What was read before is not read again, and never read wrongly: the cache and the signature of a tree."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wreckognize.collect import are_unchanged, collect, list_tree, signature_of, tree_signature
from wreckognize.collect import signature as signature_module
from wreckognize.collect.folderstamp import stamp
from wreckognize.collect.remembered import REMEMBERED_SCHEMA, STAMP_SCHEMA, Remembered
from wreckognize.errors import TooManyFailuresError, UsageError
from wreckognize.files import atomic_write, write_table


def settle(root):
    """Make all files an hour old, as a cache does not trust those that were just written."""
    then = time.time() - 3600
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def same(left, right):
    return (
        left.catalog.photos.equals(right.catalog.photos)
        and left.catalog.boxes.equals(right.catalog.boxes)
        and left.quarantine.equals(right.quarantine)
        and left.tally.equals(right.tally)
    )


@pytest.fixture
def mixed(room):
    """Good and bad labels and photos."""
    for number in range(8):
        room.photo(f"images/{number}.jpg")
        room.file(f"labels/{number}.json", room.label(room.damage(damage=["Dent", "Breakage"][number % 2])))
    room.file("labels/3.json", "{")
    room.file("labels/4.json", room.label(room.damage(damage=None)))
    room.file("images/5.jpg", (room.root / "images/5.jpg").read_bytes()[:200])
    settle(room.root)
    return room


def refuse(*_):
    pytest.fail("a file was read again")


def test_nothing_unchanged_is_read_again_and_what_it_said_stays_the_same(mixed, monkeypatch, tmp_path):
    cache = tmp_path / "cache"
    plain = collect([mixed.aihub()], seed=0)
    first = collect([mixed.aihub()], seed=0, cache=cache)
    monkeypatch.setattr("wreckognize.collect.aihub_label.read_label", refuse)
    monkeypatch.setattr("wreckognize.collect.photofile.verify", refuse)
    written = {file: file.stat().st_mtime_ns for file in cache.iterdir()}
    again = collect([mixed.aihub()], seed=0, cache=cache)
    assert same(plain, first)
    assert same(plain, again)
    assert len(again.quarantine) == 3
    assert written == {file: file.stat().st_mtime_ns for file in cache.iterdir()}  # nothing new, nothing written
    monkeypatch.undo()
    normal = collect([mixed.aihub(role="normal")], seed=0, cache=cache)
    assert normal.catalog.photos.height == 6  # 4.json is usable


def test_what_changed_is_read_again(mixed, tmp_path):
    collect([mixed.aihub()], seed=0, cache=tmp_path / "cache")
    mixed.file("labels/0.json", mixed.label(mixed.damage(damage="Separated")))
    mixed.file("labels/3.json", mixed.label())
    mixed.photo("images/5.jpg")
    (mixed.root / "labels/7.json").unlink()
    changed = collect([mixed.aihub()], seed=0, cache=tmp_path / "cache")
    assert same(changed, collect([mixed.aihub()], seed=0))
    assert changed.catalog.photos["damage_types"][0].to_list() == ["Separated"]


def test_a_change_of_time_alone_is_seen(mixed, tmp_path):
    collect([mixed.aihub()], seed=0, cache=tmp_path / "cache")
    path = mixed.root / "labels/0.json"
    text = path.read_text()
    mixed.file("labels/0.json", text.replace("Dent", "Rust"))  # of the same size
    os.utime(path, ns=(1, 10**18))
    assert same(collect([mixed.aihub()], seed=0, cache=tmp_path / "cache"), collect([mixed.aihub()], seed=0))


def test_what_was_written_just_now_is_not_remembered(room, tmp_path):
    room.photo("images/a.jpg")
    path = room.file("labels/a.json", room.label(room.damage(damage="Dent")))
    collect([room.aihub()], seed=0, cache=tmp_path / "cache")
    status = path.stat()
    path.write_text(path.read_text().replace("Dent", "Rust"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as if within one tick of the clock
    assert same(
        collect([room.aihub(role="normal")], seed=0, cache=tmp_path / "cache"),
        collect([room.aihub(role="normal")], seed=0),
    )


def spoiled(data: bytes) -> dict[str, bytes]:
    head, _, body = data.partition(b"\n")
    other = io.BytesIO()
    pl.DataFrame({"path": ["x"]}).write_parquet(other)
    return {
        "cut": data[:-10],
        "one bit": data[:-50] + bytes([data[-50] ^ 1]) + data[-49:],
        "garbage": b"\0\xff" * 100,
        "empty": b"",
        "another reader": head.replace(b"aihub-1", b"aihub-0") + b"\n" + body,
        "no digest": b"\n".join([b"wreckognize", body]),
        "another table": Remembered(Path("x"), "aihub-1")._head(other.getvalue()) + other.getvalue(),
    }


@pytest.mark.parametrize(
    "how", ["cut", "one bit", "garbage", "empty", "another reader", "no digest", "another table"]
)
def test_a_broken_or_foreign_cache_is_passed_over_and_replaced(mixed, tmp_path, how):
    plain = collect([mixed.aihub()], seed=0, cache=tmp_path / "cache")
    file = tmp_path / "cache" / "labels.cache"
    good = file.read_bytes()
    file.write_bytes(spoiled(good)[how])
    assert same(plain, collect([mixed.aihub()], seed=0, cache=tmp_path / "cache"))
    assert file.read_bytes() == good


def test_a_cache_that_cannot_be_read_tells_nothing(tmp_path):
    assert Remembered(tmp_path, "aihub-1").lookup([b"a"])["size"].to_list() == [None]


def test_too_many_failures_still_leave_what_was_read(mixed, tmp_path, monkeypatch):
    source = mixed.aihub(max_failed=0.0)
    with pytest.raises(TooManyFailuresError) as first:
        collect([source], seed=0, cache=tmp_path / "cache")
    monkeypatch.setattr("wreckognize.collect.aihub_label.read_label", refuse)
    with pytest.raises(TooManyFailuresError) as second:
        collect([source], seed=0, cache=tmp_path / "cache")
    assert str(first.value) == str(second.value)


def test_a_wrong_source_leaves_no_cache(room, tmp_path):
    with pytest.raises(UsageError):
        collect([room.aihub()], seed=0, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_several_sources_share_the_cache(mixed, tmp_path, monkeypatch):
    mixed.photo("others/a.jpg")
    settle(mixed.root)
    sources = [mixed.aihub(), mixed.folder(name="t", images=mixed.root / "others")]
    first = collect(sources, seed=0, cache=tmp_path / "cache")
    monkeypatch.setattr("wreckognize.collect.photofile.verify", refuse)
    assert same(first, collect(sources, seed=0, cache=tmp_path / "cache"))


def test_only_what_was_seen_last_is_kept(tmp_path):
    def remember(*paths):
        remembered = Remembered(tmp_path / "c", "r")
        remembered.lookup([])
        table = pl.DataFrame([(path, 1, 1, 0, b"x") for path in paths], schema=REMEMBERED_SCHEMA, orient="row")
        remembered.keep(table, learned=True)
        remembered.save()

    remember(b"a", b"b")
    remember(b"b", b"\xff")
    assert Remembered(tmp_path / "c", "r").lookup([b"\xff", b"a", b"b"])["size"].to_list() == [1, None, 1]


class TestSignature:
    def test_it_changes_with_names_sizes_and_times(self, tmp_path):
        (tmp_path / "deep").mkdir()
        photo = tmp_path / "deep" / "a.jpg"
        photo.write_bytes(b"1")
        os.utime(photo, ns=(1, 1))
        signatures = [tree_signature([tmp_path])]
        os.utime(photo, ns=(2, 2))
        signatures.append(tree_signature([tmp_path]))
        photo.rename(photo.with_name("b.jpg"))
        signatures.append(tree_signature([tmp_path]))
        photo.with_name("b.jpg").write_bytes(b"22")
        os.utime(photo.with_name("b.jpg"), ns=(2, 2))
        signatures.append(tree_signature([tmp_path]))
        (tmp_path / "deep").rename(tmp_path / "deeper")
        signatures.append(tree_signature([tmp_path]))
        assert len(set(signatures)) == 5

    def test_a_single_file_counts_too(self, tmp_path):
        atomic_write(tmp_path / "a.json", "1")
        before = tree_signature([tmp_path / "a.json"])
        atomic_write(tmp_path / "a.json", "22")
        assert tree_signature([tmp_path / "a.json"]) != before

    def test_of_photos_the_names_count_and_what_is_no_plain_file(self, tmp_path):
        photo, linked = tmp_path / "images" / "deep" / "a.jpg", tmp_path / "b.jpg"
        for file in (photo, linked):
            atomic_write(file, "1")
        (tmp_path / "images" / "link.jpg").symlink_to(linked)

        def signature():
            return tree_signature([], [tmp_path / "images"])

        before = signature()
        photo.write_bytes(b"another")
        assert signature() == before
        changed = []
        atomic_write(linked, "22")
        changed.append(signature())
        photo.rename(photo.with_name("c.jpg"))
        changed.append(signature())
        (tmp_path / "images" / "deep").rename(tmp_path / "images" / "deeper")
        changed.append(signature())
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "pipe").replace(tmp_path / "images" / "deeper" / "c.jpg")
        changed.append(signature())
        assert len({before, *changed}) == 5

    def test_a_label_that_is_a_link_counts_by_what_it_leads_to(self, tmp_path):
        atomic_write(tmp_path / "there" / "a.json", "1")
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels" / "a.json").symlink_to(tmp_path / "there" / "a.json")
        before = tree_signature([tmp_path / "labels"])
        alone = tree_signature([tmp_path / "labels" / "a.json"])
        atomic_write(tmp_path / "there" / "a.json", "22")
        assert tree_signature([tmp_path / "labels"]) != before
        assert tree_signature([tmp_path / "labels" / "a.json"]) != alone

    def test_helpers_see_the_same(self, tmp_path, monkeypatch):
        for name in ("a/x", "b/y", "b/c/z", "d/e/f/g", "b/c/u", "b/c/v"):
            atomic_write(tmp_path / name, name)
        monkeypatch.setattr(signature_module, "_CHUNK", 2)
        alone = tree_signature([tmp_path / "b"], [tmp_path])
        monkeypatch.setattr(signature_module, "_MANY", 0)
        assert tree_signature([tmp_path / "b"], [tmp_path], processes=2) == alone

    @given(read=st.sets(st.sampled_from(["a.json", "b.json", "deep/c.json", "link.json", "gone.json"])))
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def test_what_was_looked_at_while_it_was_read_need_not_be_looked_at_again(self, tmp_path, read):
        for name in ("a.json", "b.json", "deep/c.json", "deep/d.json"):
            if not (tmp_path / name).exists():
                atomic_write(tmp_path / name, name)
        if not (tmp_path / "link.json").is_symlink():
            (tmp_path / "link.json").symlink_to(tmp_path / "a.json")
        files = [os.fsencode(tmp_path / name) for name in sorted(read)]
        stamps = [(file, *(stamp(file) or (-1, -1))) for file in files]
        looked_at = pl.DataFrame(stamps, schema=STAMP_SCHEMA, orient="row")
        listed = list(list_tree([tmp_path]))
        assert signature_of(listed, looked_at) == tree_signature([tmp_path])

    def test_what_is_changed_after_it_was_read_is_a_change(self, tmp_path):
        label = tmp_path / "a.json"
        atomic_write(label, "1")
        listed = list(list_tree([tmp_path]))
        file = os.fsencode(label)
        looked_at = pl.DataFrame([(file, *stamp(file))], schema=STAMP_SCHEMA, orient="row")
        as_read = tree_signature([tmp_path])
        atomic_write(label, "22")
        atomic_write(tmp_path / "b.json", "new")
        assert signature_of(listed, looked_at) == as_read != tree_signature([tmp_path])

    def test_a_folder_that_vanishes_is_no_error_and_one_that_refuses_is(self, tmp_path, monkeypatch):
        for name in ("a", "b"):
            atomic_write(tmp_path / name / "x", name)
        scandir = os.scandir

        def vanish(folder):
            if folder.endswith(b"/a"):
                raise error
            return scandir(folder)

        monkeypatch.setattr(os, "scandir", vanish)
        error = FileNotFoundError(2, "No such file or directory")
        tree_signature([tmp_path])
        error = PermissionError(13, "Permission denied")
        with pytest.raises(UsageError, match=r"folder cannot be read: .*/a \(Permission denied\)"):
            tree_signature([tmp_path])


class TestStamps:
    def table(self, *paths):
        stamps = [(os.fsencode(path), *(stamp(os.fsencode(path)) or (-1, -1))) for path in paths]
        return pl.DataFrame(stamps, schema=STAMP_SCHEMA, orient="row")

    @pytest.mark.parametrize("many", [0, 100], ids=["helpers", "alone"])
    def test_a_change_of_any_is_seen(self, tmp_path, monkeypatch, many):
        monkeypatch.setattr(signature_module, "_MANY", many)
        monkeypatch.setattr(signature_module, "_CHUNK", 2)
        files = [tmp_path / f"{number}.jpg" for number in range(5)]
        for file in files:
            atomic_write(file, "1")
        write_table(tmp_path / "t", self.table(*files, tmp_path / "gone"))
        assert are_unchanged(tmp_path / "t", processes=2)
        os.utime(files[3], ns=(1, 1))
        assert not are_unchanged(tmp_path / "t", processes=2)
        write_table(tmp_path / "t", self.table(*files, tmp_path / "gone"))
        atomic_write(tmp_path / "gone", "")
        assert not are_unchanged(tmp_path / "t", processes=2)

    def test_no_table_and_a_spoilt_one_prove_nothing(self, tmp_path):
        assert not are_unchanged(tmp_path / "t")
        for content in (b"", b"PAR1", b"PAR1" * 50):
            (tmp_path / "t").write_bytes(content)
            assert not are_unchanged(tmp_path / "t")
        write_table(tmp_path / "t", pl.DataFrame({"path": ["a"]}))
        assert not are_unchanged(tmp_path / "t")
