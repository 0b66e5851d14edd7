"""What a training is made from: a state is gone on from only where all of it is the same."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wreckognize.files import sha256_of
from wreckognize.training.job import TrainJob
from wreckognize.training.state import Facts, UnfitState, check_best

_DECIDING = ("torch", "ultralytics-opencv-headless", "numpy", "opencv-python-headless")
_INDIFFERENT = frozenset({"device"})
"""Settings under which a training may go on though they changed: it takes the same steps, in other bits at most."""


def key_of(job: TrainJob) -> dict[str, Any]:
    """Settings, start weights, photos and labels, and the versions of the libraries that decide the result."""
    weights = Path(job.weights)
    return {
        "settings": {name: value for name, value in sorted(job.settings.items()) if name not in _INDIFFERENT},
        "weights": sha256_of(weights) if weights.is_file() else job.weights,
        "data": data_digest(job.data.parent),
        "versions": {name: importlib.metadata.version(name) for name in _DECIDING},
    }


def data_digest(folder: Path) -> str:
    """sha256 over names and sizes of the photos, and names and texts of the labels, of a training folder."""
    digest = hashlib.sha256()
    for file in sorted((folder / "images").rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(folder)} {file.stat().st_size}\n".encode())
    for file in sorted((folder / "labels").rglob("*.txt")):
        digest.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """In words, how the key of a state differs from that of the training to be done; empty if it does not.

    >>> difference({"settings": {"lr0": 0.1}, "data": "a"}, {"settings": {"lr0": 0.2}, "data": "b"})
    'other settings (lr0: 0.1, now 0.2), other photos or labels'
    """
    said = []
    for part, word in (("settings", "other settings"), ("versions", "other versions")):
        then, now = found.get(part, {}), wanted.get(part, {})
        names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
        if names:
            said.append(
                f"{word} ({', '.join(f'{name}: {then.get(name)}, now {now.get(name)}' for name in names)})"
            )
    if found.get("weights") != wanted.get("weights"):
        said.append("other start weights")
    if found.get("data") != wanted.get("data"):
        said.append("other photos or labels")
    return ", ".join(said)


def check_fit(facts: Facts, training: Path, key: Mapping[str, Any]) -> None:
    """See that a state belongs to the training to be done, and that the weights it speaks of are there.

    Raises:
        UnfitState: it does not, or they are not.
    """
    differs = difference(facts.key, key)
    if differs:
        raise UnfitState(f"it was made with {differs}")
    check_best(training, facts)
