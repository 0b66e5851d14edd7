"""Which files are there: folders, globs and single files become names below the source.

Opens nothing. Links to files count as files; links to folders are not followed, as they can lead in circles.
"""

from __future__ import annotations

import glob
import os
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wreckognize.collect.ledger import Ledger
from wreckognize.errors import InputError, UsageError

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".gif"}
)


@dataclass(frozen=True, slots=True)
class File:
    """A file and its name below the folder it was found in, POSIX."""

    name: str
    path: str

    @property
    def suffix(self) -> str:
        """In lower case, with its dot."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def stem(self) -> str:
        """The last part of the name without its suffix, composed (NFC) so that any two systems agree."""
        return compose(PurePosixPath(self.name).stem)


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
        text = str(path)
        # A folder may really be called "a[1]", so what exists is no pattern.
        if os.path.lexists(path):
            matches = [path]
        else:
            # Not Path.glob, which takes no absolute pattern.
            matches = [Path(match) for match in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207
        if not matches:
            raise UsageError(f"not found: {text}", where=where, remedy="correct the path in the study file")
        found.update(dict.fromkeys(match.absolute() for match in matches))
    return list(found)


def find_files(roots: Sequence[Path], where: str, ledger: Ledger) -> list[File]:
    """All files below ``roots``, sorted by name; hidden ones are passed over, a file found twice counts once.

    Raises:
        UsageError: if a folder cannot be read.
    """
    found: dict[str, File] = {}
    for root in roots:
        files = [File(root.name, str(root))] if root.is_file() else _below(str(root), where, ledger)
        for file in files:
            found.setdefault(file.path, file)
    return sorted(found.values(), key=lambda file: (file.name, file.path))


def _below(root: str, where: str, ledger: Ledger) -> Iterator[File]:
    folders = [("", root)]
    while folders:
        prefix, folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            raise UsageError(
                f"folder cannot be read: {folder} ({error.strerror})",
                where=where,
                remedy="give yourself the right to read it, or take it out of the source",
            ) from error
        for entry in visible:
            if entry.is_dir(follow_symlinks=False):
                folders.append((f"{prefix}{entry.name}/", entry.path))
            elif other := _neither_file_nor_folder(entry):
                ledger.count("not_wanted", other)
            else:
                yield File(f"{prefix}{entry.name}", entry.path)


def _neither_file_nor_folder(entry: os.DirEntry[str]) -> str:
    """What an entry is that cannot be read as a file (reading a pipe would wait for ever); empty for files."""
    try:
        mode = entry.stat().st_mode
    except OSError:  # a link to nothing, or to where one may not look: opening it will say so
        return ""
    if stat.S_ISDIR(mode):
        return "link to a folder"
    return "" if stat.S_ISREG(mode) else "neither file nor folder"


def find_photos(roots: Sequence[Path], where: str, ledger: Ledger, label_suffixes: frozenset[str]) -> list[File]:
    """The photos below ``roots`` by their extension, sorted by name, names unique.

    Files of other kinds are counted, labels among them not. Photos that no table can name, and photos of one name,
    are quarantined.
    """
    photos: list[File] = []
    for file in find_files(roots, where, ledger):
        if file.suffix not in PHOTO_SUFFIXES:
            ledger.count("not_wanted", "not a photo by its extension", int(file.suffix not in label_suffixes))
        elif not _is_unicode(file.path):
            remedy = "rename the file (convmv -f cp949 -t utf-8 turns Korean names into Unicode)"
            ledger.quarantine(file.path, InputError("file name is not Unicode", remedy=remedy))
        else:
            photos.append(file)
    return _unique(photos, ledger)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unique(photos: Iterable[File], ledger: Ledger) -> list[File]:
    by_name: defaultdict[str, list[File]] = defaultdict(list)
    for photo in photos:
        by_name[photo.name].append(photo)
    for same in by_name.values():
        if len(same) > 1:
            error = InputError(
                "two photos of one name in one source", remedy="rename one, or make two sources of the folders"
            )
            for photo in same:
                ledger.quarantine(photo.path, error)
    return [same[0] for same in by_name.values() if len(same) == 1]
