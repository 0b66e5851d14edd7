"""Object storage that is slow, flaky or shut: reading, listing and writing by URL, with bounded retries.

Credentials are taken from where the storage's own tools take them (``AWS_ACCESS_KEY_ID`` and so on, a profile, the
machine's role); they never stand in a study. Endpoint and region may, and are taken from the environment otherwise.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from wreckognize.errors import InputError, MissingExtraError, StorageError
from wreckognize.files import atomic_write
from wreckognize.settings import StorageSettings
from wreckognize.urls import SCHEMES, scheme_of

_Result = TypeVar("_Result")

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 20.0
"""Seconds; the pause before a further attempt is drawn evenly from 0 to the first pause doubled at each attempt
("full jitter", Brooker, Exponential Backoff and Jitter, AWS Architecture Blog, 2015), so that many workers that were
turned away together do not come back together."""

PIECE_ATTEMPTS = 3
"""Requests for each piece of an object that is written, before the whole is begun anew; what is read is one piece."""

_NO_BUCKET = ("NO_SUCH_BUCKET", "NoSuchBucket")
_DENIED = (
    *("ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "INVALID_CLIENT_TOKEN_ID", "SIGNATURE_DOES_NOT_MATCH"),
    *("MISSING_AUTHENTICATION_TOKEN", "UNRECOGNIZED_CLIENT", "EXPIRED_TOKEN", "ExpiredToken"),
    *("HTTP status 401", "HTTP status 403"),
)
_NO_STORAGE = ("RESOURCE_NOT_FOUND during ListObjects", "HTTP status 405", "HTTP status 501")


@dataclass(frozen=True, slots=True)
class Stored:
    """One object: its name below the prefix that was listed, its size in bytes, its time in ns since 1970."""

    name: str
    size: int
    mtime_ns: int


@dataclass
class Storage:
    """Reads, lists and writes objects by URL; may be pickled, and connects again wherever it comes to.

    Attributes:
        settings: how; an endpoint and a region that they do not name are those of the environment where this is made,
            by the names that the storage's own tools know, and so the same on every machine it is sent to.
        pause: waits for so many seconds.
    """

    settings: StorageSettings = field(default_factory=StorageSettings)
    pause: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self.settings = self.settings.model_copy(
            update={
                "endpoint": self.settings.endpoint or _environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
                "region": self.settings.region or _environment("AWS_REGION", "AWS_DEFAULT_REGION"),
            }
        )
        self._systems: dict[tuple[str, bool], Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings, "pause": self.pause, "_systems": {}}

    def require(self, url: str) -> None:
        """Make sure that such a URL can be spoken to, before work is done whose result goes there; nothing is asked.

        Raises:
            MissingExtraError: the extra ``[ray]`` is not installed.
            StorageError: it is no place in storage of a kind that is known.
        """
        self._open(url, writing=True)

    def listing(self, url: str) -> list[Stored]:
        """All objects below a prefix, sorted by name; empty if there is none.

        Raises:
            StorageError: no such bucket, no permission, or it kept failing.
        """
        system, path = self._open(url)
        from pyarrow.fs import FileSelector, FileType  # which is there, as it was opened

        selector = FileSelector(path, recursive=True)
        try:
            found = self._trying(url, lambda: system.get_file_info(selector))
        except FileNotFoundError:
            return []
        below = [
            Stored(info.path[len(path) + 1 :], info.size or 0, info.mtime_ns or 0)
            for info in found
            if info.type == FileType.File
        ]
        return sorted(below, key=lambda one: one.name)

    def exists(self, url: str) -> bool:
        """Whether there is an object or anything below a prefix.

        Raises:
            StorageError: no permission, or it kept failing.
        """
        system, path = self._open(url)
        from pyarrow.fs import FileType  # which is there, as it was opened

        return bool(self._trying(url, lambda: system.get_file_info(path)).type != FileType.NotFound)

    def read(self, url: str) -> bytes:
        """The bytes of one object.

        Raises:
            InputError: it is not there.
            StorageError: no such bucket, no permission, or it kept failing.
        """
        system, path = self._open(url)

        def whole() -> bytes:
            with system.open_input_file(path) as file:
                data: bytes = file.readall()
                if len(data) != file.size():
                    raise OSError(f"{len(data)} of {file.size()} bytes came")
                return data

        try:
            return self._trying(url, whole)
        except FileNotFoundError as error:
            raise InputError("not there any more", where=url, remedy="put the object back") from error

    def write(self, url: str, data: bytes) -> None:
        """Put one object there, whole or not at all, in place of what it held.

        Raises:
            StorageError: no such bucket, no permission, or it kept failing.
        """
        system, path = self._open(url, writing=True)
        if scheme_of(url) == "file":
            atomic_write(Path(path), data)
            return

        def whole() -> None:
            with system.open_output_stream(path) as stream:
                stream.write(data)
            if (size := system.get_file_info(path).size) != len(data):
                raise OSError(f"{len(data)} bytes were sent and {size} are there")

        try:
            self._trying(url, whole, "write")
        except FileNotFoundError as error:
            raise _no_bucket(url) from error

    def remove(self, url: str) -> None:
        """Take one object away; nothing happens if it is not there.

        Raises:
            StorageError: no permission, or it kept failing.
        """
        system, path = self._open(url, writing=True)
        with contextlib.suppress(FileNotFoundError):
            self._trying(url, lambda: system.delete_file(path), "write")

    def _trying(self, url: str, action: Callable[[], _Result], doing: str = "read") -> _Result:
        """Do it, again if it failed in a way that may pass; `FileNotFoundError` is handed on."""
        for attempt in range(1, self.settings.attempts + 1):
            try:
                return action()
            except FileNotFoundError:
                raise
            except OSError as error:
                _refuse_at_once(url, error, doing)
                if attempt == self.settings.attempts:
                    raise StorageError(
                        f"the storage failed {attempt} times, the last time: {_first_line(error)}",
                        where=url,
                        remedy="see whether the storage answers (scale.storage.endpoint), or let it try longer with "
                        "scale.storage.attempts and scale.storage.timeout; what is finished is not done again",
                    ) from error
                self.pause(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))))
        raise AssertionError("attempts are at least 1")

    def _open(self, url: str, *, writing: bool = False) -> tuple[Any, str]:
        scheme = scheme_of(url)
        if scheme != "file" and not _bucket_of(url):
            raise StorageError("no bucket is named", where=url, remedy="write it as s3://bucket/prefix")
        if (scheme, writing) not in self._systems:
            self._systems[scheme, writing] = _connect(scheme, self.settings, PIECE_ATTEMPTS if writing else 1)
        return self._systems[scheme, writing], url[len(scheme) + 3 :]


def _connect(scheme: str, settings: StorageSettings, attempts: int) -> Any:
    try:
        from pyarrow import fs
    except ImportError as error:
        raise MissingExtraError("ray", "object storage") from error
    if scheme == "file":
        return fs.LocalFileSystem()
    if scheme != "s3":
        raise StorageError(
            f"storage of the kind {scheme}:// cannot be read", remedy=f"use one of {', '.join(SCHEMES)}"
        )
    options: dict[str, Any] = {
        "connect_timeout": settings.timeout,
        "request_timeout": settings.timeout,
        "retry_strategy": fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
        "allow_delayed_open": True,  # a small object is one request
    }
    if settings.endpoint is not None:
        options["endpoint_override"] = settings.endpoint
    if settings.region is not None:
        options["region"] = settings.region
    return fs.S3FileSystem(**options)


def _environment(*names: str) -> str | None:
    """The first of some variables that is set to something."""
    return next((value for name in names if (value := os.environ.get(name))), None)


def _bucket_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _no_bucket(url: str) -> StorageError:
    return StorageError(
        f"no such bucket: {_bucket_of(url)!r}",
        where=url,
        remedy="correct the URL, or scale.storage.endpoint and region",
    )


def _refuse_at_once(url: str, error: OSError, doing: str) -> None:
    """Raise what no further attempt would change."""
    text = str(error)
    if any(mark in text for mark in _NO_BUCKET):
        raise _no_bucket(url) from error
    if any(mark in text for mark in _NO_STORAGE):
        raise StorageError(
            f"what answers there is no object storage ({_first_line(error)})",
            where=url,
            remedy="correct scale.storage.endpoint (or AWS_ENDPOINT_URL)",
        ) from error
    if any(mark in text for mark in _DENIED) or isinstance(error, PermissionError):
        raise StorageError(
            f"no permission to {doing} here ({_first_line(error)})",
            where=url,
            remedy=f"give this machine, and every machine of the cluster, credentials that may list and {doing} "
            f"{_bucket_of(url)!r} (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role)",
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
