"""A run's folder kept in object storage as well: brought from there when a run begins, put there as stages end.

Tables are written on this machine's disk and then copied: a table in the storage is whole, and ``manifest.json``, put
there last, says which bytes belong together. Where a copy was cut off half-way, files whose sha256 is not the
manifest's are passed over when they are brought back, and the stages that made them are done again.

One run at a time may write to a place. That is checked before every writing (the edition must be the one that this
machine brought or wrote last), but not locked: object storage has no locks that all of its makers share.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from wreckognize.errors import InputError, StorageError
from wreckognize.files import PART_SUFFIX, atomic_write, sha256_of
from wreckognize.progress import Progress
from wreckognize.scale.storage import Storage

MANIFEST = "manifest.json"
REMEMBERED = ".published.json"
"""In the run's folder: the manifest that it was last the same as."""

_KEPT_HERE = frozenset({"fetched", "cache", "engines", "audit", "search", "review"})
_THREADS = 8


class Entry(BaseModel):
    """One file of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size: int
    mtime_ns: int


class Manifest(BaseModel):
    """What a place holds.

    Attributes:
        format: of this file.
        edition: other at every writing.
        written: UTC, ISO 8601.
        files: by their path below the place, POSIX.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    edition: str
    written: str
    files: dict[str, Entry]


class Published:
    """A run's folder, and the place in object storage where it is kept as well.

    Args:
        url: the place.
        folder: the run's, held by this process.
        storage: reads and writes the place.
        progress: where to report.
    """

    def __init__(self, url: str, folder: Path, storage: Storage, progress: Progress) -> None:
        self._url, self._folder, self._storage, self._progress = url, folder, storage, progress
        self._last = self._remembered()

    def bring(self, *, begun: bool) -> None:
        """Make the folder what the place holds, unless it went on from there itself.

        Args:
            begun: whether the folder holds finished stages.

        Raises:
            StorageError: both have changed since they were the same, the place holds another run, or the storage
                cannot be read.
        """
        there = self._manifest()
        if there is None or (self._last is not None and self._last.edition == there.edition):
            return
        if (self._last is not None or begun) and not self._differs(there):  # killed before it could remember
            self._remember(there)
            return
        if self._last is None and begun:
            raise StorageError(
                f"another run stands there (of {there.written}), and this machine has one of its own",
                where=f"{self._url}, {self._folder}",
                remedy="choose another URL, or move the folder away to go on with what stands there",
            )
        if self._last is not None and self._differs(self._last):
            raise StorageError(
                f"a run on another machine went on there (at {there.written}), and this machine did too",
                where=f"{self._url}, {self._folder}",
                remedy="move the folder away to go on with what stands there, or choose another URL",
            )
        have = {} if self._last is None else self._last.files
        for gone in have.keys() - there.files.keys():
            (self._folder / gone).unlink(missing_ok=True)
        wanted = {name: entry for name, entry in there.files.items() if have.get(name) != entry}
        with (
            self._progress.task("bringing the run", len(wanted), "files") as task,
            ThreadPoolExecutor(_THREADS, thread_name_prefix="bring") as pool,
        ):
            broken = []
            for name, whole in zip(wanted, pool.map(lambda one: self._fetch(*one), wanted.items()), strict=True):
                task.advance()
                broken += [] if whole else [name]
        for name in broken:
            (self._folder / name).unlink(missing_ok=True)
        if broken:
            self._progress.say(
                f"  note: {len(broken)} files at {self._url} are not what its manifest says ({sorted(broken)[0]} for "
                "one), as after a run that was cut off; what they come from is done again"
            )
        whole_ones = {name: entry for name, entry in there.files.items() if name not in broken}
        self._remember(there.model_copy(update={"files": whole_ones}))

    def put(self, listed: Collection[str]) -> None:
        """Make the place hold what the folder does.

        Args:
            listed: outputs of finished stages, below the folder; they are kept wherever they lie.

        Raises:
            StorageError: another run has written there since, or the storage cannot be written to.
        """
        have = {} if self._last is None else self._last.files
        files = {name: self._entry(name, have.get(name)) for name in self._names(listed)}
        new = [name for name, entry in files.items() if name not in have or have[name].sha256 != entry.sha256]
        if self._last is not None and not new and files.keys() == have.keys():
            return
        there = self._manifest()
        if there is not None and (self._last is None or there.edition != self._last.edition):
            raise StorageError(
                f"another run has written there meanwhile (at {there.written})",
                where=self._url,
                remedy="let one run at a time write to a URL; what this one did is on this machine, in "
                f"{self._folder}",
            )
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="put") as pool:
            for name, digest in zip(new, pool.map(self._copy, new), strict=True):
                if digest != files[name].sha256:
                    raise StorageError(
                        f"{name} changed while it was copied",
                        where=str(self._folder),
                        remedy="leave the run's folder alone while a run works in it, and run again",
                    )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        manifest = Manifest(edition=secrets.token_hex(8), written=now, files=files)
        self._storage.write(f"{self._url}/{MANIFEST}", manifest.model_dump_json(indent=1).encode())
        self._remember(manifest)
        for gone in set() if there is None else there.files.keys() - files.keys():
            self._storage.remove(f"{self._url}/{gone}")

    def _copy(self, name: str) -> str:
        data = (self._folder / name).read_bytes()
        self._storage.write(f"{self._url}/{name}", data)
        return hashlib.sha256(data).hexdigest()

    def _fetch(self, name: str, entry: Entry) -> bool:
        """Bring one file with the time it had; whether it is what the manifest says."""
        try:
            data = self._storage.read(f"{self._url}/{name}")
        except InputError:
            return False
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            return False
        path = self._folder / name
        atomic_write(path, data)
        os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))
        return True

    def _names(self, listed: Collection[str]) -> Iterator[str]:
        """Files of the folder that are kept, sorted: no caches, no photos, nothing of trainings but stages' outputs."""
        kept = {name for name in listed if (self._folder / name).is_file()}
        for parent, folders, names in os.walk(self._folder):
            below = Path(parent).relative_to(self._folder)
            folders[:] = [
                name
                for name in folders
                if not name.startswith((".", "parts-"))
                and name != "training"
                and not (below == Path() and name in _KEPT_HERE)
            ]
            kept |= {
                (below / name).as_posix()
                for name in names
                if not name.startswith(".")
                and not name.endswith(PART_SUFFIX)
                and not Path(parent, name).is_symlink()
            }
        yield from sorted(kept - {MANIFEST})

    def _entry(self, name: str, before: Entry | None) -> Entry:
        path = self._folder / name
        status = path.stat()
        if before is not None and (status.st_size, status.st_mtime_ns) == (before.size, before.mtime_ns):
            return before
        return Entry(sha256=sha256_of(path), size=status.st_size, mtime_ns=status.st_mtime_ns)

    def _differs(self, manifest: Manifest) -> bool:
        """Whether anything that a manifest names is not here as it says."""
        return any(
            not (self._folder / name).is_file() or self._entry(name, entry).sha256 != entry.sha256
            for name, entry in manifest.files.items()
        )

    def _manifest(self) -> Manifest | None:
        """What stands there; None if nothing does."""
        where = f"{self._url}/{MANIFEST}"
        try:
            manifest = Manifest.model_validate_json(self._storage.read(where))
        except InputError:
            return None
        except ValidationError as error:
            raise StorageError(
                "is not the manifest of a run, or one of another version",
                where=where,
                remedy="choose a URL below which nothing stands",
            ) from error
        for name in manifest.files:
            if any(part in ("", ".", "..") for part in name.split("/")) or "\0" in name or "\\" in name:
                raise StorageError(
                    f"names a file {name!r}, which lies in no run", where=where, remedy="choose another URL"
                )
        return manifest

    def _remembered(self) -> Manifest | None:
        """The manifest that the folder was last the same as, if that was this place's."""
        try:
            url, _, text = (self._folder / REMEMBERED).read_text(encoding="utf-8").partition("\n")
            return Manifest.model_validate_json(text) if url == self._url else None
        except (FileNotFoundError, ValidationError):
            return None

    def _remember(self, manifest: Manifest) -> None:
        atomic_write(self._folder / REMEMBERED, f"{self._url}\n{manifest.model_dump_json()}")
        self._last = manifest
