"""Where the service keeps corrections, and where an import reads them: a folder, or object storage by URL.

Both know names such as ``photos/<sha256>.jpg`` and bytes; what they mean is `corrections`' matter.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wreckognize.errors import InputError, StorageError
from wreckognize.files import PART_SUFFIX, sync
from wreckognize.urls import url_of

if TYPE_CHECKING:
    from wreckognize.scale.storage import Storage
    from wreckognize.settings import StorageSettings


class Place(Protocol):
    """A flat store of named bytes that nothing in it is ever overwritten."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    def sizes(self) -> dict[str, int]:
        """Every name with its size in bytes.

        Raises:
            StorageError: it cannot be listed.
        """
        ...

    def read(self, name: str) -> bytes:
        """The bytes of one.

        Raises:
            InputError: it is not there.
            StorageError: it cannot be read.
        """
        ...

    def put_new(self, name: str, data: bytes) -> bool:
        """Write one, whole or not at all; False if the name is taken, which leaves it as it was.

        Raises:
            StorageError: it cannot be written.
        """
        ...


def place_of(where: str | Path, storage: StorageSettings | None = None) -> Place:
    """The place that a path or URL names.

    Args:
        where: a folder, or ``s3://bucket/prefix``.
        storage: how object storage is spoken to; None: as the environment says.
    """
    url = url_of(where)
    if url is None:
        return FolderPlace(Path(where))
    from wreckognize.scale.storage import Storage

    return UrlPlace(url, Storage() if storage is None else Storage(storage))


class FolderPlace:
    """A folder; it need not be there yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """For messages."""
        return str(self.folder)

    def sizes(self) -> dict[str, int]:
        """See `Place`."""
        try:
            found = [path for path in self.folder.rglob("*") if path.is_file() and path.suffix != PART_SUFFIX]
            return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in sorted(found)}
        except OSError as error:
            raise self._failed("read", error) from error

    def read(self, name: str) -> bytes:
        """See `Place`."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError as error:
            raise InputError("not there any more", where=name, remedy="put the file back") from error
        except OSError as error:
            raise self._failed("read", error) from error

    def put_new(self, name: str, data: bytes) -> bool:
        """See `Place`. The file appears under its name by a hard link, which never replaces another."""
        path = self.folder / name
        part = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}{PART_SUFFIX}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(part, path)
                sync(path.parent)
            finally:
                part.unlink(missing_ok=True)
        except FileExistsError:
            return False
        except OSError as error:
            raise self._failed("written", error) from error
        return True

    def _failed(self, verb: str, error: OSError) -> StorageError:
        return StorageError(
            f"cannot be {verb} ({error.strerror})",
            where=self.name,
            remedy="give the service's user the right to write there, and see whether the disk is full",
        )


class UrlPlace:
    """A prefix in object storage. Whoever lists it sees an object once it is whole."""

    def __init__(self, url: str, storage: Storage) -> None:
        self.url, self._storage = url.rstrip("/"), storage

    @property
    def name(self) -> str:
        """For messages."""
        return self.url

    def sizes(self) -> dict[str, int]:
        """See `Place`."""
        return {one.name: one.size for one in self._storage.listing(self.url)}

    def read(self, name: str) -> bytes:
        """See `Place`."""
        return self._storage.read(f"{self.url}/{name}")

    def put_new(self, name: str, data: bytes) -> bool:
        """See `Place`. Names hold the bytes' own hash or a random id, so two who write one name write the same."""
        url = f"{self.url}/{name}"
        if self._storage.exists(url):
            return False
        self._storage.write(url, data)
        return True
