"""One worker on a node: it holds the model, fetches the photos of a part if they lie in object storage, and looks.

Knows nothing of Ray: `executor` makes an actor of it. Two parts may be handed to it at a time, so that the photos of
the next one are fetched while the model is busy with this one.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from wreckognize.errors import ClusterError, InputError, WreckognizeError
from wreckognize.inference.executor import Doing, Tables, Work
from wreckognize.scale.storage import Storage

FETCH_THREADS = 16
_PACKAGES = (
    *("wreckognize", "polars", "numpy", "opencv-python-headless", "pillow", "pillow-heif", "torch"),
    "ultralytics-opencv-headless",
)


@dataclass(frozen=True, slots=True)
class Carried:
    """A file that goes to the workers: its name, its sha256 in hexadecimal, and where its bytes are."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Order:
    """All that a worker is told before the first part.

    Attributes:
        work: what is done to each part.
        files: what `Work.files` are, in the order in which their bytes are handed over.
        places: folders of the driver whose photos are read from object storage instead: folder -> URL.
        storage: reads them.
        versions: of the driver's libraries; the worker's must be the same.
    """

    work: Work
    files: tuple[Carried, ...]
    places: Mapping[str, str]
    storage: Storage
    versions: Mapping[str, str]


def library_versions() -> dict[str, str]:
    """Versions that must be the same on all machines, as they decide what is seen in a photo."""
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


class Worker:
    """Does parts. Errors made on purpose are handed back as values, so that they arrive as they were raised.

    It has a process to itself: whatever is written to a temporary folder in it lies in one of its own, which `close`
    takes away.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="wreckognize-worker-"))
        tempfile.tempdir = os.environ["TMPDIR"] = str(
            self._folder
        )  # a worker is killed: nothing tidies up at exit
        self._turn = threading.Lock()  # the model is used by one part at a time
        self._order: Order | None = None
        self._do: Doing | None = None

    def start(self, order: Order, *contents: bytes) -> WreckognizeError | None:
        """Check versions, put the carried files in place and load the model."""
        try:
            _require_same_versions(order.versions)
            folder = self._folder / "files"
            folder.mkdir()
            for carried, content in zip(order.files, contents, strict=True):
                if hashlib.sha256(content).hexdigest() != carried.sha256:
                    raise ClusterError(f"{carried.name} did not arrive whole", remedy="run again")
                (folder / carried.name).write_bytes(content)
            self._order = order
            self._do = order.work.moved(folder).start()
        except WreckognizeError as error:
            return error
        return None

    def do(self, rows: pl.DataFrame) -> Tables | WreckognizeError:
        """One part's tables."""
        assert self._order is not None  # for the type checker: `start` came first
        assert self._do is not None
        fetched = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            there, lost = fetch(rows, fetched, self._order.places, self._order.storage)
            with self._turn:
                tables = self._do(there, _nobody_listens)
            return with_reasons(tables, lost, rows)
        except WreckognizeError as error:
            return error
        finally:
            shutil.rmtree(fetched, ignore_errors=True)

    def close(self) -> None:
        """Take away what was put on this machine."""
        shutil.rmtree(self._folder, ignore_errors=True)


def fetch(
    rows: pl.DataFrame, folder: Path, places: Mapping[str, str], storage: Storage
) -> tuple[pl.DataFrame, dict[str, InputError]]:
    """Bring the photos that lie in object storage to ``folder``.

    Args:
        rows: with ``photo``, ``path`` and ``sha256``; null where any bytes will do.
        folder: empty.
        places: folder -> URL, as in `Order`.
        storage: reads the URLs.

    Returns:
        ``rows`` with the paths of the fetched photos, and why some could not be fetched, by photo. Photos that lie
        in no place are read where they are.

    Raises:
        StorageError: no such bucket, no permission, or the storage kept failing.
        ClusterError: photos lie on a disk that this machine does not see.
    """
    urls = [_url(path, places) for path in rows["path"]]
    _require_shared_disk([path for path, url in zip(rows["path"], urls, strict=True) if url is None])
    if not any(urls):
        return rows, {}

    def bring(number: int) -> tuple[str, InputError | None]:
        url, target = urls[number], folder / str(number)
        if url is None:
            return rows["path"][number], None
        try:
            data = storage.read(url)
            expected = rows["sha256"][number]
            if expected is not None and hashlib.sha256(data).hexdigest() != expected:
                raise InputError(
                    "has other bytes than when it was collected",
                    where=url,
                    remedy="leave photos alone while a study runs, or run again: what has changed is collected anew",
                )
        except InputError as error:
            return str(target), error
        target.write_bytes(data)
        return str(target), None

    with ThreadPoolExecutor(FETCH_THREADS, thread_name_prefix="fetch") as pool:
        brought = list(pool.map(bring, range(rows.height)))
    lost = {photo: error for photo, (_, error) in zip(rows["photo"], brought, strict=True) if error is not None}
    return rows.with_columns(path=pl.Series([path for path, _ in brought], dtype=pl.String)), lost


def _url(path: str, places: Mapping[str, str]) -> str | None:
    for folder, url in places.items():
        if path.startswith(f"{folder}/"):
            return f"{url}/{path[len(folder) + 1 :]}"
    return None


def with_reasons(tables: Tables, lost: Mapping[str, InputError], rows: pl.DataFrame) -> Tables:
    """What was lost on the way is named with the reason it was lost for."""
    if not lost:
        return tables
    unread = tables["unread"]
    sources = dict(rows.select("photo", "source").iter_rows())
    named = [(sources[photo], photo, error.reason, error.remedy) for photo, error in lost.items()]
    kept = unread.filter(~pl.col("file").is_in(list(lost)))
    table = pl.concat([kept, pl.DataFrame(named, schema=unread.schema, orient="row")])
    return {**tables, "unread": table.sort("file")}


def _require_shared_disk(paths: Sequence[str]) -> None:
    if paths and not any(Path(path).exists() for path in paths):
        raise ClusterError(
            f"the machine {platform.node()} does not see the photos (none of {len(paths)} is there, {paths[0]!r} "
            "for one)",
            remedy="put them on a disk that all machines of the cluster mount at the same path, or into object "
            "storage and write its URL under `images`",
        )


def _require_same_versions(wanted: Mapping[str, str]) -> None:
    have = library_versions()
    other = [f"{name} {have[name]} (here: {version})" for name, version in wanted.items() if have[name] != version]
    if other:
        raise ClusterError(
            f"the machine {platform.node()} has other versions: {', '.join(other)}",
            remedy="install the same versions on all machines, so that they see the same in a photo",
        )


def _nobody_listens(_: int) -> None:
    """Progress is told to the driver by the part."""
