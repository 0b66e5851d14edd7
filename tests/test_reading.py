"""Files that change while they are read, or tell a wrong size."""

from __future__ import annotations

import errno
import os

import pytest

from wreckognize.reading import read_regular, read_with_status


@pytest.fixture
def growing(tmp_path, monkeypatch):
    """A file of ten bytes that has grown by so many when it is read."""
    path = tmp_path / "file"

    def grow(number: int) -> str:
        path.write_bytes(b"0" * 10)
        fstat = os.fstat

        def first(descriptor: int) -> os.stat_result:
            status = fstat(descriptor)
            with path.open("ab") as file:
                file.write(b"1" * number)
            return status

        monkeypatch.setattr(os, "fstat", first)
        return str(path)

    return grow


def test_what_a_file_grows_by_is_read_and_its_size_is_as_before(growing):
    data, status = read_with_status(growing(3_000_000), 4_000_000)
    assert data == b"0" * 10 + b"1" * 3_000_000
    assert status.st_size == 10


def test_a_file_that_grows_over_the_limit_is_refused(growing):
    with pytest.raises(OSError, match="larger than") as refused:
        read_regular(growing(91), 100)
    assert refused.value.errno == errno.EOVERFLOW


def test_a_file_that_the_system_gives_in_parts_is_read_whole(tmp_path, monkeypatch):
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, number: read(descriptor, min(number, 7)))
    (tmp_path / "file").write_bytes(bytes(range(100)))
    assert read_regular(tmp_path / "file", 100) == bytes(range(100))
