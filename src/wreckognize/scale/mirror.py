"""Photos in object storage, brought to a folder here: training and the report read them there.

An object is fetched again only if its size or time changed; what the storage no longer has is taken away. An object
that was replaced within one second by another of the same size is not noticed (S3 keeps times to the second).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from wreckognize.errors import InputError, StorageError, UsageError
from wreckognize.files import atomic_write
from wreckognize.progress import Progress
from wreckognize.scale.storage import Storage, Stored

THREADS = 16
_CHUNK = 1024


def mirror(
    url: str, folder: Path, storage: Storage, progress: Progress, *, suffixes: frozenset[str], name: str
) -> None:
    """Make ``folder`` hold the photos that lie below ``url``.

    Args:
        url: a prefix.
        folder: ours alone: other files in it are taken away.
        storage: reads it.
        progress: where to report.
        suffixes: of photos, in lower case with their dot; nothing else is fetched.
        name: what the progress bar calls it.

    Raises:
        StorageError: as `Storage`; or an object has a name that no file can have.
        UsageError: there is no photo.
    """
    wanted = {one.name: one for one in storage.listing(url) if _is_photo(one.name, suffixes)}
    if not wanted:
        raise UsageError(
            "no photo lies there", where=url, remedy="correct the URL; photos are known by their extension"
        )
    _require_file_names(url, wanted.values())
    have = dict(_files(folder))
    for gone in have.keys() - wanted.keys():
        (folder / gone).unlink()
    vanished = 0
    missing = [one for one in wanted.values() if have.get(one.name) != (one.size, one.mtime_ns)]
    with (
        progress.task(f"fetching {name}", len(wanted)) as task,
        ThreadPoolExecutor(THREADS, thread_name_prefix="fetch") as pool,
    ):
        task.advance(len(wanted) - len(missing))
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            for fetched in pool.map(lambda one: _fetch(url, one, folder, storage), chunk):
                vanished += not fetched
                task.advance()
    if vanished:
        progress.say(f"  note: {vanished:,} photos of {name} were taken away while the others were fetched")


def _fetch(url: str, one: Stored, folder: Path, storage: Storage) -> bool:
    try:
        data = storage.read(f"{url}/{one.name}")
    except InputError:
        return False
    path = folder / one.name
    atomic_write(path, data)
    os.utime(path, ns=(one.mtime_ns, one.mtime_ns))
    return True


def _is_photo(name: str, suffixes: frozenset[str]) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts if part != "..")
    return path.suffix.lower() in suffixes and not hidden


def _require_file_names(url: str, wanted: Iterable[Stored]) -> None:
    for one in wanted:
        if any(part in ("", ".", "..") for part in one.name.split("/")) or "\0" in one.name:
            raise StorageError(
                f"the object {one.name!r} has a name that no file can have", where=url, remedy="rename it"
            )


def _files(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            status = path.stat()
            yield path.relative_to(folder).as_posix(), (status.st_size, status.st_mtime_ns)
