import hashlib

import polars as pl
import pytest

from wreckognize.files import atomic_path, atomic_write, sha256_of, write_table


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
