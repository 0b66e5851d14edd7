"""API keys: a file of their hashes, and how a request shows one.

A key is 256 random bits, so one sha256 hides it: guessing it is out of reach however fast a hash is, and the slow
hashes made for passwords would only slow the service. A line of the file:

    claims-portal sha256:9f86d0...  rate=5 burst=100

``rate`` (photos a second) and ``burst`` (photos at once) are optional and win over the service's own.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wreckognize.errors import UsageError
from wreckognize.serving.answers import Refused
from wreckognize.serving.measures import Log

_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9._-]{1,64})\s+sha256:(?P<sha256>[0-9a-f]{64})"
    r"(?:\s+rate=(?P<rate>[0-9]+(?:\.[0-9]+)?))?(?:\s+burst=(?P<burst>[0-9]+))?"
)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PREFIX = "wk_"
_MOST_BYTES = 1_000_000
_LOOK_AGAIN = 1.0  # seconds between looks at the file


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the file. ``rate`` and ``burst`` None: the service's."""

    name: str
    sha256: bytes
    rate: float | None = None
    burst: int | None = None


def new_key(name: str) -> tuple[str, str]:
    """Make a key.

    Returns:
        The key, to be given away and never stored, and its line for the file.

    Raises:
        UsageError: the name has signs that a line cannot hold.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a key", remedy="use up to 64 letters, digits, dots, dashes and underscores"
        )
    key = _PREFIX + secrets.token_urlsafe(32)
    return key, f"{name} sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def add_line(file: Path, line: str) -> None:
    """Append a key's line to the file, which only its owner may read.

    Raises:
        UsageError: there is a key of that name, or the file cannot be read or written.
    """
    name = line.split()[0]
    try:
        known = read_keys(file) if file.exists() else []
        if any(key.name == name for key in known):
            raise UsageError(f"there is a key called {name}", where=str(file), remedy="choose another name")
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as written:
            written.write(line + "\n")
    except OSError as error:
        raise UsageError(
            f"cannot be written ({error.strerror})", where=str(file), remedy="choose another file"
        ) from error


def read_keys(file: Path) -> list[Key]:
    """Read a file of keys; empty lines and lines that begin with # are left out.

    Raises:
        UsageError: it cannot be read, or a line is none; the line's number is named, never its text.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UsageError("too large for a file of keys", where=str(file), remedy="name the right file")
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            "cannot be read as a file of keys", where=str(file), remedy="make one with `wreckognize serve-key`"
        ) from error
    keys: list[Key] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None or any(key.name == found["name"] for key in keys):
            raise UsageError(
                "no line of a key, or a name that is there already",
                where=f"{file}:{number}",
                remedy="write NAME sha256:64 HEX DIGITS, or make a line with `wreckognize serve-key`",
            )
        rate, burst = found["rate"], found["burst"]
        keys.append(
            Key(
                found["name"],
                bytes.fromhex(found["sha256"]),
                None if rate is None else float(rate),
                None if burst is None else int(burst),
            )
        )
    return keys


def find(keys: list[Key], shown: str) -> Key | None:
    """The key that was shown. Every line is compared, in a time that does not depend on which one fits."""
    digest = hashlib.sha256(shown.encode("utf-8", "surrogateescape")).digest()
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found


class KeyFile:
    """A file of keys that is read again when it changes.

    A file that has become unreadable or wrong leaves the keys as they were, and the log says so.

    Raises:
        UsageError: it cannot be read now.
    """

    def __init__(self, file: Path, log: Log) -> None:
        self._file, self._log = file, log
        self._lock = threading.Lock()
        self._looked = time.monotonic()
        self._stamp = self._stat()
        self.keys = read_keys(file)

    def key_of(self, headers: Mapping[str, str]) -> Key:
        """The key that a request shows, as ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``.

        Raises:
            Refused: 401 where it shows none, 403 where it shows another.
        """
        self.refresh()
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        shown = credentials.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "").strip()
        if not shown:
            raise Refused(
                401,
                "no_key",
                "this service wants an API key",
                "send it as `Authorization: Bearer KEY`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        key = find(self.keys, shown)
        if key is None:
            raise Refused(403, "key", "the API key is not known here", "ask the service's operator for one")
        return key

    def refresh(self, *, now: bool = False) -> None:
        """Read the file again if it has changed; ``now``: in any case."""
        with self._lock:
            if not now and time.monotonic() - self._looked < _LOOK_AGAIN:
                return
            self._looked = time.monotonic()
            stamp = self._stat()
            if stamp == self._stamp and not now:
                return
            self._stamp = stamp
            try:
                self.keys = read_keys(self._file)
            except UsageError as error:
                self._log("keys not read", level="error", text=f"{error.where}: {error.what}; the old ones stay")
            else:
                self._log("keys read", keys=len(self.keys))

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
