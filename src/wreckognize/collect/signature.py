"""Whether anything below a folder has changed, by the name, size and time of every file."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from wreckognize.collect.folderstamp import FolderAnswer, FolderRequest, stamp_folder
from wreckognize.collect.helpers import MOST, Helpers, processors
from wreckognize.errors import UsageError

_MANY = 20_000
"""Files from which on helper processes look at the rest: their start takes about as long as so many files."""


def tree_signature(paths: Iterable[Path], processes: int | None = None) -> str:
    """sha256 over name, size and time of every file below ``paths``: changes when a source does.

    What it proves is that no file came, went or was written to in the usual ways; a file whose bytes were changed
    while its size and its time of change were put back (`touch -r`) looks the same.

    Args:
        paths: folders and files.
        processes: that look where there are many files; by default one a processor.

    Raises:
        UsageError: if a folder cannot be read.
    """
    digest = hashlib.sha256()
    folders: list[bytes] = []
    for path in sorted(paths):
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            folders.append(os.fsencode(path))
        else:
            digest.update(b"%b\0%d\0%d\n" % (os.fsencode(path), status.st_size, status.st_mtime_ns))
    for folder, answer in sorted(_stamps(folders, processes or min(MOST, processors()))):
        digest.update(b"%b\0%b" % (folder, answer))
    return digest.hexdigest()


def _stamps(folders: list[bytes], processes: int) -> Iterator[tuple[bytes, bytes]]:
    """Every folder from these down, and the digest of its files; in this process until there are many files."""
    waiting, files = list(folders), 0
    while waiting and not (files >= _MANY and len(waiting) > 1 and processes > 1):
        folder = waiting.pop()
        answer = _require(folder, stamp_folder(FolderRequest(folder)))
        files += answer.files
        waiting += [b"%b/%b" % (folder, name) for name in answer.folders]
        yield folder, answer.digest
    if not waiting:
        return
    with Helpers(processes) as helpers:
        while waiting:
            asked, waiting = waiting, []
            for folder, told in zip(asked, helpers.ask([FolderRequest(one) for one in asked]), strict=True):
                assert isinstance(told, FolderAnswer)
                answer = _require(folder, told)
                waiting += [b"%b/%b" % (folder, name) for name in answer.folders]
                yield folder, answer.digest


def _require(folder: bytes, answer: FolderAnswer) -> FolderAnswer:
    if answer.error is None:
        return answer
    raise UsageError(
        f"folder cannot be read: {os.fsdecode(folder)} ({answer.error})",
        remedy="give yourself the right to read it, or take it out of the source",
    )
