"""What a target is, and the list of all of them.

A target takes any bytes and returns nothing. What it may raise is said beside it and taken as a refusal; anything else
is a defect.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from wreckognize.errors import WreckognizeError

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Target:
    """A reader, how it may refuse, and what the files it reads look like (`kind`: a folder of good and odd ones)."""

    run: Callable[[bytes], None]
    refuses: tuple[type[WreckognizeError], ...]
    kind: str

    def __call__(self, data: bytes) -> bool:
        """Whether the bytes were taken; False where they were refused as they may be."""
        try:
            self.run(data)
        except self.refuses:
            return False
        return True

    def seeds(self) -> list[Path]:
        """The files of its corpus."""
        return sorted((CORPUS / self.kind).iterdir())


TARGETS: dict[str, Target] = {}


def target(
    kind: str, *refuses: type[WreckognizeError]
) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Make a function a target of its own name; `kind` names its corpus."""

    def register(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
        TARGETS[run.__name__] = Target(run, refuses, kind)
        return run

    return register


@cache
def folder() -> Path:
    """Where files lie for readers that take only files; gone when the process ends."""
    keep = tempfile.TemporaryDirectory(prefix="wreckognize-fuzz-")
    _kept.append(keep)
    return Path(keep.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


def put(name: str, data: bytes) -> Path:
    """Write a file into `folder`."""
    path = folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def corpus_file(kind: str, name: str) -> bytes:
    """A file of the corpus."""
    return (CORPUS / kind / name).read_bytes()
