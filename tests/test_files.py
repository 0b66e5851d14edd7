import errno
import hashlib
import os
import shutil

import polars as pl
import pytest

from wreckognize import files
from wreckognize.errors import WriteError
from wreckognize.files import (
    atomic_folder,
    atomic_path,
    atomic_write,
    claim,
    is_kept,
    read_sealed,
    sha256_of,
    write_kept,
    write_sealed,
    write_table,
)


def test_a_failed_write_leaves_the_old_content_and_no_part(tmp_path):
    target = tmp_path / "table.csv"
    atomic_write(target, "old")

    def write_half():
        with atomic_path(target) as part:
            part.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_half()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_folders_are_made_and_text_is_utf8(tmp_path):
    target = tmp_path / "a" / "b" / "이름.txt"
    atomic_write(target, "차량")
    assert target.read_bytes() == "차량".encode()
    assert sha256_of(target) == hashlib.sha256("차량".encode()).hexdigest()


def test_a_table_comes_back_as_it_was(tmp_path):
    table = pl.DataFrame({"photo": ["a", "b"], "score": [0.5, None]})
    write_table(tmp_path / "t.parquet", table)
    assert pl.read_parquet(tmp_path / "t.parquet").equals(table)


def test_a_full_disk_is_told_and_changes_nothing(tmp_path, monkeypatch):
    target = tmp_path / "table.csv"
    atomic_write(target, "old")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        WriteError, match=r"table\.csv: cannot be written \(No space left on device\)(?s:.*)make room"
    ):
        atomic_write(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_what_cannot_be_read_is_not_called_unwritable(tmp_path):
    def copy_nothing():
        with atomic_path(tmp_path / "copy") as part:
            shutil.copyfile(tmp_path / "missing", part)

    with pytest.raises(FileNotFoundError):
        copy_nothing()


def test_a_file_that_stands_where_a_folder_should_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        atomic_write(tmp_path / "file" / "below", "x")


def test_the_parent_folders_are_synced_too(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync", lambda path: synced.append(path))
    atomic_write(tmp_path / "a" / "b" / "c.txt", "x")
    assert {tmp_path, tmp_path / "a", tmp_path / "a" / "b"} <= set(synced)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: bytes(len(data)), lambda data: b""])
def test_a_sealed_table_is_read_whole_or_not_at_all(tmp_path, damage):
    table = pl.DataFrame({"photo": ["a", "b"]})
    file = tmp_path / "t.table"
    assert read_sealed(file) is None
    write_sealed(file, table)
    assert read_sealed(file).equals(table)
    file.write_bytes(damage(file.read_bytes()))
    assert read_sealed(file) is None


def test_a_kept_file_is_known_by_its_bytes(tmp_path):
    file = tmp_path / "network.onnx"
    assert not is_kept(file)
    write_kept(file, b"graph")
    assert is_kept(file)
    file.write_bytes(b"grapH")
    assert not is_kept(file)
    write_kept(file, b"graph")
    (tmp_path / "network.onnx.sha256").unlink()
    assert not is_kept(file)


def test_a_folder_of_another_or_a_torn_key_is_thrown_away(tmp_path):
    folder = tmp_path / "training"
    claim(folder, "차")
    (folder / "checkpoint").write_text("x")
    claim(folder, "차")
    assert (folder / "checkpoint").exists()
    (folder / "key.txt").write_bytes("차".encode()[:2])  # torn within a letter
    claim(folder, "차")
    assert not (folder / "checkpoint").exists()


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "out"

    def fill_half():
        with atomic_folder(target) as part:
            (part / "a").write_text("a")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fill_half()
    assert list(tmp_path.iterdir()) == []
    for text in ("one", "two"):
        with atomic_folder(target, replace=True) as part:
            (part / "a").write_text(text)
        assert (target / "a").read_text() == text
    with pytest.raises(FileExistsError), atomic_folder(target):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        sha256_of(tmp_path / "pipe")
