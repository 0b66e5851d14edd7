"""The file that ``torch.save`` writes: a zip archive of one pickle and the data of its tensors.

Two programs that read one archive may see two archives in it (doubled names, parts that overlap, bytes before its
beginning), and what one has checked the other then opens. So whatever is not laid out as torch lays it out is refused,
and torch is never given the file itself but an archive written anew from the parts that were checked.
"""

from __future__ import annotations

import errno
import io
import re
import stat
import struct
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wreckognize.weightfiles.allowed import STORAGES
from wreckognize.weightfiles.pickles import MAX_BYTES, Names, Refused, Storage, check, names_in

MAX_FILE = 4 * 2**30
"""Bytes of a whole checkpoint. That of YOLOv8x with its optimizer has 800 MB."""
MAX_PARTS = 20_000
_LEGACY_PICKLES = 5  # magic number, protocol, system, the object, keys of its data
_LOOKED_AT = 8 * 2**20  # bytes of a file of another kind in which names are looked for
_NAMES_SHOWN = 6

_PART = re.compile(
    r"[^/\\\x00-\x1f]{1,200}/"
    r"(data\.pkl|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id|data/[0-9]{1,9})"
)
_SMALL = 1024  # bytes of the parts that are no pickle and no tensor


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a checkpoint is not opened.

    Attributes:
        what: in words.
        names: what it calls for beyond a checkpoint's needs, ``module.name``.
        damaged: it is no checkpoint, or no whole one, so that trust is of no use.
    """

    what: str
    names: tuple[str, ...] = ()
    damaged: bool = False

    def __str__(self) -> str:
        if not self.names:
            return self.what
        more = len(self.names) - _NAMES_SHOWN
        shown = ", ".join(self.names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        return f"{self.what}; it calls for {shown}"


class CheckpointRefused(Exception):
    """The file is not opened; ``refusal`` says why."""

    def __init__(self, what: str, names: tuple[str, ...] = (), *, damaged: bool = False) -> None:
        self.refusal = Refusal(what, names, damaged)
        super().__init__(what)


def refusal_of(path: Path) -> Refusal | None:
    """Why a ``.pt`` file would not be opened; None if it would. Reads its directory and its pickle, not its tensors.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        with _opened(path) as archive:
            _checked(archive)
    except CheckpointRefused as bad:
        return bad.refusal
    return None


def clean_archive(path: Path) -> bytes:
    """A ``.pt`` file's parts, each checked, as an archive that holds nothing else.

    Raises:
        CheckpointRefused: it is not opened.
        OSError: the file cannot be read.
    """
    with _opened(path) as archive:
        pickled, storages = _checked(archive)
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as clean:
            clean.writestr("archive/data.pkl", pickled)
            clean.writestr("archive/byteorder", "little")
            clean.writestr("archive/version", "3\n")
            for storage in storages:
                clean.writestr(f"archive/data/{storage.key}", archive.part(f"data/{storage.key}"))
        return target.getvalue()


_DAMAGE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, OverflowError, ValueError,
    struct.error,
)  # fmt: skip
"""What Python's reader of zips raises for a spoilt one; and `OSError`, where it looks before its start."""


class _Archive:
    """A zip that is laid out as torch lays it out."""

    def __init__(self, file: zipfile.ZipFile, size: int) -> None:
        self._file = file
        entries = file.infolist()
        if not 0 < len(entries) <= MAX_PARTS:
            raise CheckpointRefused(f"an archive of {len(entries):,} parts", damaged=True)
        if strange := [entry.filename for entry in entries if not _PART.fullmatch(entry.filename)]:
            raise CheckpointRefused(_what_kind(strange), _names_in_pickles(file))
        _require_layout(entries, size)
        if len({entry.filename.partition("/")[0] for entry in entries}) != 1:
            raise CheckpointRefused("an archive with several folders", _names_in_pickles(file))
        self._parts = {entry.filename.partition("/")[2]: entry for entry in entries}
        if "data.pkl" not in self._parts:
            raise CheckpointRefused("not a checkpoint: an archive without data.pkl", damaged=True)

    def size(self, name: str) -> int | None:
        return self._parts[name].file_size if name in self._parts else None

    def part(self, name: str) -> bytes:
        try:
            return self._file.read(self._parts[name])
        except _DAMAGE as error:
            raise CheckpointRefused(f"a damaged file: {name}: {error}", damaged=True) from None


@contextmanager
def _opened(path: Path) -> Iterator[_Archive]:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointRefused("not a file", damaged=True)
    if status.st_size > MAX_FILE:
        raise CheckpointRefused(
            f"a checkpoint of {status.st_size / 2**30:.1f} GiB, where {MAX_FILE / 2**30:.0f} are plenty"
        )
    with path.open("rb") as stream:
        beginning = stream.read(512)
        stream.seek(0)
        if not beginning.startswith(b"PK\x03\x04"):
            raise _other_kind(path, beginning)
        try:
            with zipfile.ZipFile(stream) as file:
                yield _Archive(file, status.st_size)
        except (*_DAMAGE, OSError) as error:
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise  # the disk's fault, not the file's
            raise CheckpointRefused(f"a damaged or cut-off file: {error}", damaged=True) from None


def _require_layout(entries: list[zipfile.ZipInfo], size: int) -> None:
    """Each part stored once, as it is, at its own place in the file, from its first byte on."""
    doubled = [name for name, count in Counter(entry.filename for entry in entries).items() if count > 1]
    if doubled:
        raise CheckpointRefused(f"an archive with several parts called {doubled[0]}")
    if any(
        entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries
    ):
        raise CheckpointRefused("a compressed archive, which torch does not write")
    if any(entry.flag_bits & 0x41 for entry in entries):
        raise CheckpointRefused("an encrypted archive")
    end = 0
    for entry in sorted(entries, key=lambda one: one.header_offset):
        if entry.header_offset < end or (end == 0 and entry.header_offset != 0):
            raise CheckpointRefused("an archive whose parts overlap or begin behind something else")
        end = entry.header_offset + 30 + len(entry.filename.encode()) + entry.file_size
    if end > size:
        raise CheckpointRefused("a damaged or cut-off file: its parts are longer than itself", damaged=True)


def _checked(archive: _Archive) -> tuple[bytes, list[Storage]]:
    """The pickle and the tensor data it speaks of, all of it there and none of it larger than it is."""
    if (archive.size("data.pkl") or 0) > MAX_BYTES:
        raise CheckpointRefused(f"a description of more than {MAX_BYTES / 2**20:.0f} MiB")
    if (archive.size("byteorder") or 0) > _SMALL or (
        archive.size("byteorder") is not None and archive.part("byteorder") != b"little"
    ):
        raise CheckpointRefused("written on a machine of another byte order", damaged=True)
    pickled = archive.part("data.pkl")
    names = names_in(pickled)
    if names.refused:
        raise CheckpointRefused("a pickle that is more than data", names.refused)
    try:
        storages = check(pickled)
    except Refused as refused:
        raise CheckpointRefused(f"a pickle that is more than data: {refused}") from None
    for storage in storages.values():
        found, wanted = archive.size(f"data/{storage.key}"), storage.count * STORAGES[storage.kind]
        if found != wanted:
            raise CheckpointRefused(
                f"tensor data {storage.key!r} of {wanted:,} bytes, where the file holds {found or 0:,}"
            )
    return pickled, list(storages.values())


def _what_kind(strange: list[str]) -> str:
    """A sentence about an archive with parts that no checkpoint has."""
    tails = [name.partition("/")[2] for name in strange]
    if any(tail == "constants.pkl" or tail.startswith("code/") for tail in tails):
        return f"a TorchScript archive, which holds programs ({strange[0]})"
    if any(tail.endswith(".py") or tail == ".data/extern_modules" for tail in tails):
        return f"an archive of Python modules (torch.package: {strange[0]})"
    return f"an archive with a part that no checkpoint has ({strange[0][:80]!r})"


def _names_in_pickles(file: zipfile.ZipFile) -> tuple[str, ...]:
    """What the pickles of an archive call for; every part is looked at, whatever it is called."""
    found: dict[str, None] = {}
    for entry in file.infolist()[:200]:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > _LOOKED_AT:
            continue
        try:
            found |= dict.fromkeys(_names_in(file.read(entry)))
        except (*_DAMAGE, OSError):
            continue  # it is refused anyway; this is only about what to show
    return tuple(found)


def _names_in(data: bytes) -> tuple[str, ...]:
    """Refused names in the pickles that stand one behind another at the beginning of ``data``."""
    found: dict[str, None] = {}
    for _ in range(_LEGACY_PICKLES):
        if not data.startswith(b"\x80") and found:
            break
        names: Names = names_in(data)
        found |= dict.fromkeys(names.refused)
        if names.damage or not names.size:
            break
        data = data[names.size :]
    return tuple(found)


def _other_kind(path: Path, beginning: bytes) -> CheckpointRefused:
    """What a file is that is no zip."""
    if beginning[257:262] == b"ustar":
        return CheckpointRefused("a tar archive, as torch wrote it before 2018", _names_in_tar(path))
    if beginning.startswith(b"\x80"):
        with path.open("rb") as stream:
            return CheckpointRefused(
                "a bare pickle, as torch wrote it before 2020", _names_in(stream.read(_LOOKED_AT))
            )
    return CheckpointRefused("not a checkpoint: torch writes a zip archive", damaged=True)


def _names_in_tar(path: Path) -> tuple[str, ...]:
    found: dict[str, None] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for number, member in enumerate(archive):
                if number == 50:
                    break
                part = archive.extractfile(member) if member.isfile() and member.size <= _LOOKED_AT else None
                if part is not None:
                    found |= dict.fromkeys(_names_in(part.read()))
    except (tarfile.TarError, OSError, ValueError):
        return tuple(found)  # it is refused anyway
    return tuple(found)
