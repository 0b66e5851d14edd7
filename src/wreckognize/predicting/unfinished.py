"""Lines on the disk before all are there, so that a killed command goes on where it stood and memory stays flat.

``NAME.unfinished`` beside the result: its first line says what the lines depend on, every other holds one photo's key
(path, size, time of change) and its line, parted by a tab, which JSON text never holds. Lines come in whole chunks of
photos. A chunk counts only if all its photos are there as they are now; else it is looked at again as a whole, so that
the same photos go through the network together as in a command that was never interrupted, and the result is the same
to the last digit.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from wreckognize.errors import UsageError
from wreckognize.files import held_file, writing
from wreckognize.predicting.photos import shown
from wreckognize.urls import url_of

SUFFIX = ".unfinished"
_FORMAT = 1


class Unfinished:
    """The file of lines so far, held by this process."""

    def __init__(self, file: BinaryIO, known: dict[bytes, int]) -> None:
        self._file, self._known = file, known
        self._places: dict[int, array[int]] = {}  # of each chunk's lines

    def take(self, chunk: int, keys: Sequence[bytes | None]) -> bool:
        """Take the lines of a chunk over from an earlier command, if all are there; whether they are.

        Args:
            chunk: its number.
            keys: of its photos; None: of a photo whose state cannot be known, so it is looked at again.
        """
        places = array("q")
        for key in keys:
            place = None if key is None else self._known.get(_digest(key))
            if place is None:
                return False
            places.append(place)
        self._places[chunk] = places
        return True

    def add(self, chunk: int, keys: Sequence[bytes | None], texts: Sequence[str]) -> None:
        """Write the lines of a chunk."""
        self._file.seek(0, os.SEEK_END)
        places = array("q")
        for key, text in zip(keys, texts, strict=True):
            places.append(self._file.tell())
            self._file.write((key or b"null") + b"\t" + text.encode() + b"\n")
        self._file.flush()
        self._places[chunk] = places

    def lines(self) -> Iterator[str]:
        """Every line, by chunk."""
        for chunk in sorted(self._places):
            for place in self._places[chunk]:
                self._file.seek(place)
                yield self._file.readline().partition(b"\t")[2].rstrip(b"\n").decode()


@contextmanager
def unfinished(out: Path, depends: Mapping[str, Any]) -> Iterator[Unfinished]:
    """Open the lines so far of a result; lines of other settings or models are thrown away.

    The file stays if the block ends with an error, and is removed if it does not.

    Args:
        out: the result's file.
        depends: all that the lines depend on besides the photos.

    Raises:
        UsageError: another process is writing the same result.
        WriteError: the disk takes no more.
    """
    path = out.with_name(out.name + SUFFIX)
    head = json.dumps({"format": _FORMAT, **depends}, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    with writing(path), held_file(path, wait=False) as held:
        if held is None:
            raise UsageError(
                "another process is writing this result",
                where=str(out),
                remedy="wait until it ends, or give another name with --out",
            )
        with path.open("r+b") as file:
            yield Unfinished(file, _read(file, head))
        path.unlink()


def key_of(name: str) -> bytes | None:
    """What tells one state of a photo from another, as JSON: path, size, time of change; None for a URL."""
    if url_of(name) is not None:
        return None
    try:
        status = os.stat(name)  # noqa: PTH116 (a million names)
    except (OSError, ValueError):
        return _json([shown(name), None, None])
    return _json([shown(name), status.st_size, status.st_mtime_ns])


def _read(file: BinaryIO, head: bytes) -> dict[bytes, int]:
    """Where the line of each key stands; the file is cut behind its last whole line."""
    if file.readline() != head:
        file.seek(0)
        file.truncate()
        file.write(head)
        return {}
    known: dict[bytes, int] = {}
    place = file.tell()
    while (line := file.readline()).endswith(b"\n"):
        key, tab, _ = line.partition(b"\t")
        if not tab:
            break
        known[_digest(key)] = place
        place = file.tell()
    file.truncate(place)
    return known


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _digest(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=16).digest()
