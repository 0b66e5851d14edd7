"""``sha256:...``: the word of a person that one file, known by its bytes, may be opened whatever it names."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from wreckognize.errors import WeightsError
from wreckognize.files import sha256_of
from wreckognize.weightfiles.archives import Refusal

TRUST = re.compile(r"sha256:[0-9a-f]{64}")
"""How trust is written: the hash of a whole file, in lower case, never a name or a part of a hash."""


def refused_checkpoint(path: Path, refusal: Refusal) -> WeightsError:
    """The error about a checkpoint that is not opened, with the one way past."""
    if refusal.damaged:
        return WeightsError(str(refusal), where=str(path), remedy="copy it, or get it from its publisher, again")
    return WeightsError(
        f"refused: {refusal}",
        where=str(path),
        remedy="get it again from its publisher, or as .safetensors. It is opened as it is, and may then run any "
        f"program, only with --trust {hash_of(path)}",
    )


def hash_of(path: Path) -> str:
    """The file's hash as ``--trust`` takes it."""
    return f"sha256:{sha256_of(path)}"


def trusted(path: Path, trust: Collection[str]) -> bool:
    """Whether the file's own bytes were vouched for."""
    return bool(trust) and hash_of(path) in trust
