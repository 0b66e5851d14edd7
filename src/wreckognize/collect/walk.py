"""Which files are there: folders, globs and single files become names below the source.

Opens nothing. Links to folders are not followed, as they can lead in circles. A link to a file counts as a file if it
stays within the folders that the study names: a collection from elsewhere may hold one to any file of this machine.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

import msgspec

from wreckognize.collect.ledger import Ledger
from wreckognize.errors import InputError, UsageError
from wreckognize.study.paths import matches

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".gif"}
)


class File(msgspec.Struct, frozen=True, gc=False):
    """A file: its name below the folder ``base`` that it was found in, POSIX. Small, as there may be a million."""

    name: str
    base: str

    @property
    def path(self) -> str:
        """Absolute, if its base is."""
        return f"{self.base}/{self.name}"

    @property
    def suffix(self) -> str:
        """In lower case, with its dot."""
        name = self.name
        dot = name.rfind(".")
        if dot <= 0 or name[dot - 1] == "/":
            return ""
        ending = name[dot:]
        return ending.lower() if len(ending) > 1 and "/" not in ending else ""

    @property
    def stem(self) -> str:
        """The last part of the name without its suffix, composed (NFC) so that any two systems agree."""
        last = self.name.rpartition("/")[2]
        stem, dot, ending = last.rpartition(".")
        return compose(stem if stem and ending and dot else last)


def compose(text: str) -> str:
    """Unicode NFC: macOS stores names decomposed, labels have them composed."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def expand(paths: Sequence[Path], where: str) -> list[Path]:
    """Replace patterns by what they fit, without doubles, in order.

    Raises:
        UsageError: if a path is not there or a pattern fits nothing.
    """
    found: dict[Path, None] = {}
    for path in paths:
        try:
            matched = matches(path)
        except (OSError, ValueError):  # a folder on the way that may not be read, or no path at all
            matched = []
        if not matched:
            raise UsageError(f"not found: {path}", where=where, remedy="correct the path in the study file")
        found.update(dict.fromkeys(match.absolute() for match in matched))
    return list(found)


def find_files(roots: Sequence[Path], where: str, ledger: Ledger, *, follow_links: bool = False) -> list[File]:
    """All files below ``roots``, sorted by name; hidden ones are passed over, a file found twice counts once.

    Links that lead out of ``roots`` are quarantined unless they are to be followed.

    Raises:
        UsageError: if a folder cannot be read.
    """
    # Of two files of one name the one of the smaller base comes first, as the sort keeps the order.
    found: list[File] = []
    seen: set[str] | None = set() if _may_overlap(roots) else None
    bounds = None if follow_links else _Bounds(roots)
    for root in roots:
        if root.is_file():
            link = root.is_symlink()
            files: Iterable[File] = _within(File(root.name, _base(root.parent)), link, bounds, ledger)
        else:
            files = _below(str(root), where, bounds, ledger)
        if seen is None:
            found.extend(files)
            continue
        for file in files:
            if file.path not in seen:
                seen.add(file.path)
                found.append(file)
    found.sort(key=attrgetter("base"))
    found.sort(key=attrgetter("name"))
    return found


def _may_overlap(roots: Sequence[Path]) -> bool:
    """Whether a file may be found from two of these."""
    texts = sorted(f"{root}/" for root in roots)
    return any(second.startswith(first) for first, second in pairwise(texts))


def _base(folder: Path) -> str:
    return str(folder).rstrip("/")


class _Bounds:
    """The folders that links must stay within."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._folders = [os.path.realpath(root.parent if root.is_file() else root) + os.sep for root in roots]

    def hold(self, path: str) -> bool:
        """Whether what a link leads to lies in one of them; one to nothing does, as opening it will say so."""
        place = os.path.realpath(path)
        return any(place.startswith(folder) for folder in self._folders) or not os.path.lexists(place)


def _within(file: File, link: bool, bounds: _Bounds | None, ledger: Ledger) -> Iterator[File]:
    """The file itself, unless it is a link that leads out; that goes to quarantine."""
    if link and bounds is not None and not bounds.hold(file.path):
        remedy = "copy the file there, or set `follow_links: true` on the source if you trust where its links lead"
        ledger.quarantine(file.path, InputError("link leads out of the source's folders", remedy=remedy))
    else:
        yield file


def _below(root: str, where: str, bounds: _Bounds | None, ledger: Ledger) -> Iterator[File]:
    base = root.rstrip("/")
    folders = [("", root)]
    while folders:
        prefix, folder = folders.pop()
        try:
            with os.scandir(folder) as entries:  # one by one: there may be a million
                for entry in entries:
                    name = entry.name
                    if name[0] == ".":
                        continue
                    if entry.is_file(follow_symlinks=False):
                        yield File(prefix + name, base)
                    elif entry.is_dir(follow_symlinks=False):
                        folders.append((f"{prefix}{name}/", entry.path))
                    elif other := _neither_file_nor_folder(entry):
                        ledger.count("not_wanted", other)
                    else:
                        link = entry.is_symlink()
                        yield from _within(File(prefix + name, base), link, bounds, ledger)
        except FileNotFoundError:
            if not prefix:
                raise _unreadable(folder, "No such file or directory", where) from None
            continue  # taken away since its parent was listed: as if it had been so before
        except OSError as error:
            raise _unreadable(folder, error.strerror, where) from error


def _unreadable(folder: str, why: str | None, where: str) -> UsageError:
    return UsageError(
        f"folder cannot be read: {folder} ({why})",
        where=where,
        remedy="give yourself the right to read it, or take it out of the source",
    )


def _neither_file_nor_folder(entry: os.DirEntry[str]) -> str:
    """What an entry is that cannot be read as a file (reading a pipe would wait for ever); empty for files."""
    try:
        mode = entry.stat().st_mode
    except OSError:  # a link to nothing, or to where one may not look: opening it will say so
        return ""
    if stat.S_ISDIR(mode):
        return "link to a folder"
    return "" if stat.S_ISREG(mode) else "neither file nor folder"


def find_photos(
    roots: Sequence[Path],
    where: str,
    ledger: Ledger,
    label_suffixes: frozenset[str],
    *,
    follow_links: bool = False,
) -> list[File]:
    """The photos below ``roots`` by their extension, sorted by name, names unique.

    Files of other kinds are counted, labels among them not. Photos that no table can name, and photos of one name,
    are quarantined.
    """
    photos: list[File] = []
    files = find_files(roots, where, ledger, follow_links=follow_links)
    nameable = {base: _is_unicode(base) for base in {file.base for file in files}}
    for file in files:
        suffix = file.suffix
        if suffix not in PHOTO_SUFFIXES:
            ledger.count("not_wanted", "not a photo by its extension", int(suffix not in label_suffixes))
        elif not nameable[file.base] or not _is_unicode(file.name):
            remedy = "rename the file (convmv -f cp949 -t utf-8 turns Korean names into Unicode)"
            ledger.quarantine(file.path, InputError("file name is not Unicode", remedy=remedy))
        else:
            photos.append(file)
    return _unique(photos, ledger)


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unique(photos: Sequence[File], ledger: Ledger) -> list[File]:
    """Photos whose name no other has, of photos sorted by name."""
    doubled = {one.name for one, following in pairwise(photos) if one.name == following.name}
    if not doubled:
        return list(photos)
    error = InputError(
        "two photos of one name in one source", remedy="rename one, or make two sources of the folders"
    )
    unique: list[File] = []
    for photo in photos:
        if photo.name in doubled:
            ledger.quarantine(photo.path, error)
        else:
            unique.append(photo)
    return unique
