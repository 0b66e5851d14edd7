from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.collect.walk import PHOTO_SUFFIXES
from wreckognize.errors import UsageError
from wreckognize.predicting.photos import expand, shown

names = st.binary(min_size=1, max_size=12).filter(
    lambda name: (
        b"\0" not in name
        and b"\n" not in name
        and b"\r" not in name
        and os.fsencode(Path(os.fsdecode(name))) == name
    )
)


def touch(*files):
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


def test_folders_are_walked_in_the_order_of_their_sorted_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b/z.jpg", "b.jpg", "a/deep/er/x.PNG", "a/deep.jpg", "a/notes.txt", "c.webp"):
        touch(tmp_path / "in" / name)
    expected = sorted(file for file in Path("in").rglob("*") if file.suffix.lower() in PHOTO_SUFFIXES)
    assert list(expand(["in"])) == [str(file) for file in expected]
    assert list(expand(["."])) == [str(file) for file in expected]
    assert list(expand(["in/*.jpg", "in/c.webp", "in", "gone.jpg"])) == [
        "in/b.jpg",
        "in/c.webp",
        *(str(file) for file in expected if file.name not in ("b.jpg", "c.webp")),
        "gone.jpg",
    ]


def test_what_is_not_there_keeps_its_place_beside_what_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "a.jpg")
    assert list(expand(["none*.jpg", "a.jpg", "nofolder/*", "gone"])) == [
        "none*.jpg",
        "a.jpg",
        "nofolder/*",
        "gone",
    ]


@pytest.mark.parametrize("patterns", [["gone/"], ["gone.jpg", "none*.jpg"]])
def test_nothing_of_what_was_named_is_wrong_use(tmp_path, monkeypatch, patterns):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="no photo was found"):
        list(expand(patterns))


def test_an_empty_name_is_not_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "a.jpg")
    with pytest.raises(UsageError, match="empty name"):
        list(expand(["a.jpg", ""]))


def test_a_folder_that_cannot_be_read_costs_only_itself(tmp_path, monkeypatch):
    touch(tmp_path / "a" / "x.jpg", tmp_path / "b" / "y.jpg", tmp_path / "c.jpg")
    scandir = os.scandir

    def refusing(folder):
        if Path(folder).name == "a":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    found = [Path(name).relative_to(tmp_path).as_posix() for name in expand([str(tmp_path)])]
    assert found == ["a", "b/y.jpg", "c.jpg"]


def test_a_name_with_the_signs_of_a_glob_is_a_name_first(tmp_path):
    touch(tmp_path / "a[1].jpg", tmp_path / "a1.jpg")
    assert list(expand([str(tmp_path / "a[1].jpg")])) == [str(tmp_path / "a[1].jpg")]


@given(st.lists(names, unique=True), st.booleans())
def test_a_list_gives_back_any_names_it_was_given(given_names, null):
    end = b"\0" if null else b"\n"
    for whole in (end.join(given_names), b"".join(name + end for name in given_names)):
        assert [os.fsencode(name) for name in expand(["-"], io.BytesIO(whole), null=null)] == given_names


def test_a_long_list_and_lines_of_windows(tmp_path):
    many = [f"photos/{number:05}.jpg" for number in range(20_000)]
    assert list(expand(["-"], io.BytesIO("\r\n".join(many).encode()))) == many
    assert list(expand(["-", "photos/00000.jpg"], io.BytesIO(b"\n\nphotos/00000.jpg\n"))) == ["photos/00000.jpg"]
    assert shown(os.fsdecode(b"\xff.jpg")) == "\\xff.jpg"
