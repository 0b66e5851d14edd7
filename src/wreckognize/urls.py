"""Places in object storage: ``s3://bucket/prefix``, and ``file:///folder`` for what lies on a shared disk."""

from __future__ import annotations

import re
from pathlib import Path

SCHEMES = ("s3", "file")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?:(/+)(.*))?", re.DOTALL)


def url_of(path: str | Path) -> str | None:
    """The URL that a text is, also one that became a path and lost a slash on the way; None for a path.

    >>> url_of(Path("s3://bucket/some photos/"))
    's3://bucket/some photos'
    >>> url_of("file:/mnt/photos")
    'file:///mnt/photos'
    >>> url_of(Path("s3://"))
    's3://'
    >>> url_of("photos/normal") is None
    True
    """
    found = _URL.fullmatch(str(path))
    if found is None:
        return None
    scheme, slashes, rest = found[1].lower(), found[2] or "", (found[3] or "").rstrip("/")
    return f"file:///{rest}" if scheme == "file" and len(slashes) != 2 else f"{scheme}://{rest}"


def scheme_of(url: str) -> str:
    """What stands before the colon."""
    return url.partition(":")[0]
