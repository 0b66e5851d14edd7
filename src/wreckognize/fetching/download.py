"""Getting one pinned file: resumed where it broke off, bounded in size, checked, and there whole or not at all."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from wreckognize.errors import DownloadError, HashError
from wreckognize.fetching.pins import Pin
from wreckognize.files import sha256_of, sync
from wreckognize.progress import Progress, Task

_CHUNK = 1 << 18
_MOVED = 5  # times a server may send us on


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        attempts: connections in a row that bring nothing worth while (``least`` times ``window`` bytes).
        silence: seconds without a byte.
        pause: seconds before the second attempt; each further pause is twice as long.
        least: bytes a second, over `window` seconds; a server that is slower is taken for one that hangs.
        window: in seconds.
    """

    attempts: int = 5
    silence: float = 30.0
    pause: float = 1.0
    least: float = 1024.0
    window: float = 60.0


def fetch(
    pin: Pin, folder: Path, *, source: str, progress: Progress, patience: Patience | None = None
) -> tuple[Path, bool]:
    """Bring a pinned file into ``folder``.

    Args:
        pin: what it must be.
        folder: where it goes.
        source: a URL (of the file, or of the folder it lies in, then with ``/`` at its end), or a path.
        progress: where to report.
        patience: with a server.

    Returns:
        The file, and whether it was fetched now; False if it stood there already.

    Raises:
        DownloadError: it cannot be had; what came so far is kept, and gone on with by the next call.
        HashError: what came, or what stands there, is not the file. What came is removed.
    """
    target = folder / pin.file
    if target.exists():
        _require_hash(target, pin, "the file that stands there is not", "move it away, then fetch again")
        return target, False
    if not folder.is_dir():
        raise DownloadError("no such folder", where=str(folder), remedy="make it, or choose another with --to")
    part = folder / f".{pin.file}.{pin.sha256[:12]}.download"
    try:
        _require_room(pin, folder, part)
        if "://" in source:
            _download(_address(source, pin), part, pin, progress, patience or Patience())
        else:
            _copy(Path(source), part, pin)
        if not _is(part, pin):
            part.unlink()
            raise HashError(
                f"what came is not {pin.file}: its sha256 is not {pin.sha256}; it was removed",
                where=source,
                remedy="fetch it from the official place (without --from); if that happens there too, tell the authors",
            )
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
        sync(folder)
    except OSError as error:
        raise DownloadError(
            f"cannot be written ({error.strerror or error})", where=str(folder), remedy="mend it, then fetch again"
        ) from error
    return target, True


def _is(path: Path, pin: Pin) -> bool:
    return path.stat().st_size == pin.size and sha256_of(path) == pin.sha256


def _require_hash(path: Path, pin: Pin, what: str, remedy: str) -> None:
    if not _is(path, pin):
        raise HashError(f"{what} {pin.file}: its sha256 is not {pin.sha256}", where=str(path), remedy=remedy)


def _require_room(pin: Pin, folder: Path, part: Path) -> None:
    there = part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(folder).free
    if free < pin.size - there:
        raise DownloadError(
            f"{(pin.size - there) / 1e6:.0f} MB are wanted, {free / 1e6:.0f} MB are free",
            where=str(folder),
            remedy="free some, or choose another folder with --to",
        )


def _address(source: str, pin: Pin) -> str:
    scheme = urllib.parse.urlsplit(source).scheme
    if scheme not in ("http", "https"):
        raise DownloadError(
            f"no download by {scheme}", where=source, remedy="give an https or http URL, or the path of a file"
        )
    return source + pin.file if source.endswith("/") else source


def _copy(source: Path, part: Path, pin: Pin) -> None:
    if not source.is_file():
        raise DownloadError("no such file", where=str(source), remedy="give --from the path of the file, or a URL")
    if not _is(source, pin):
        raise HashError(
            f"is not {pin.file}: its sha256 is not {pin.sha256}",
            where=str(source),
            remedy="get the file of this name from the release this version speaks of (`wreckognize fetch weights` "
            "without --from says where)",
        )
    shutil.copyfile(source, part)


def _download(url: str, part: Path, pin: Pin, progress: Progress, patience: Patience) -> None:
    """Write the file's bytes to ``part``, behind those that stand there already."""
    failed = 0
    pause = patience.pause
    with progress.task(f"fetching {pin.file}", pin.size, unit="bytes") as task:
        shown = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            if before > pin.size:
                part.unlink()
                before = 0
            task.advance(before - shown)
            shown = before
            if before == pin.size:
                return
            try:
                shown += _once(url, part, before, pin, task, patience)
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code == 416:
                    part.unlink(missing_ok=True)  # no such part of its file: begin anew
                elif (
                    isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code not in (408, 429)
                ):
                    raise _unreachable(url, pin, part, f"the server says {error.code} {error.reason}") from error
                reason = str(getattr(error, "reason", None) or error) or type(error).__name__
            else:
                reason = "the connection ended early"
            now = part.stat().st_size if part.exists() else 0
            if now == pin.size:
                continue
            brought = now - before >= patience.least * patience.window
            failed = 0 if brought else failed + 1
            pause = patience.pause if brought else pause * 2
            if failed == patience.attempts:
                raise _unreachable(url, pin, part, reason)
            time.sleep(pause)


def _once(url: str, part: Path, before: int, pin: Pin, task: Task, patience: Patience) -> int:
    """One connection; returns the bytes it brought."""
    headers = {"User-Agent": "wreckognize", "Accept-Encoding": "identity"}
    if before:
        headers["Range"] = f"bytes={before}-"
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener(_CarefulRedirects())
    opener.addheaders = []
    with opener.open(request, timeout=patience.silence) as response:
        begin = _first_byte(response, before)
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and begin + int(length) != pin.size:
            raise HashError(
                f"what is offered is not {pin.file}: {begin + int(length):,} bytes instead of {pin.size:,}",
                where=url,
                remedy="check the URL; without --from it is fetched from the official place",
            )
        with part.open("ab") as file:
            file.truncate(begin)
            if begin < before:
                task.advance(begin - before)
            return begin - before + _pour(response, file, pin.size - begin, task, patience, url)


def _pour(response: Any, file: IO[bytes], wanted: int, task: Task, patience: Patience, url: str) -> int:
    """Copy bytes, but never more than ``wanted`` and never without end."""
    came, began, counted = 0, time.monotonic(), 0
    while chunk := response.read1(_CHUNK):
        if came + len(chunk) > wanted:
            raise HashError("more bytes come than the file has", where=url, remedy="check the URL")
        file.write(chunk)
        came += len(chunk)
        task.advance(len(chunk))
        waited = time.monotonic() - began
        if waited >= patience.window:
            if (came - counted) / waited < patience.least:
                raise TimeoutError("the server hardly sends anything")
            began, counted = time.monotonic(), came
    return came


def _first_byte(response: Any, asked: int) -> int:
    """Where in the file the answer begins: a server may ignore the wish for a part."""
    if response.status != 206:
        return 0
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != asked:
        raise http.client.HTTPException("a part of the file that was not asked for")
    return asked


class _CarefulRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address, but never from https to anything else, nor without end."""

    max_redirections = _MOVED

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urllib.parse.urlsplit(newurl).scheme not in allowed:
            raise HashError(
                f"the server sends us on to {newurl[:200]}", where=req.full_url, remedy="do not use this place"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _unreachable(url: str, pin: Pin, part: Path, reason: str) -> DownloadError:
    folder = part.parent
    kept = part.stat().st_size if part.exists() else 0
    more = (
        f" ({kept / 1e6:.1f} of {pin.size / 1e6:.1f} MB came; the same command goes on from there)" if kept else ""
    )
    return DownloadError(
        f"cannot be fetched: {reason}{more}",
        where=url,
        remedy=f"try again; or, where there is no network, get this file on another machine (sha256 {pin.sha256}) and "
        f"put it in place with: wreckognize fetch weights {pin.file.removesuffix('.pt')} --to {folder} --from FILE",
    )
