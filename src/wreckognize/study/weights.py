"""What a study may write under ``weights``, and the file it means."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from wreckognize.errors import WeightsError
from wreckognize.fetching import FILES
from wreckognize.study.paths import absolute
from wreckognize.weightfiles import Refusal, exported_graph, is_graph, refusal_of, refused_checkpoint, trusted

STARTER = "starter"
"""The small detector that ships with the package."""

KINDS = (".pt", ".safetensors", ".onnx")
KINDS_IN_WORDS = "a .pt, .safetensors or .onnx file"

_ARCHITECTURE = re.compile(r"yolov8[nsmlx]\.yaml")


def is_random(text: str) -> bool:
    """Whether ``weights`` names an architecture, whose weights are random."""
    return _ARCHITECTURE.fullmatch(text) is not None


def starter_path() -> Path:
    """Where the starter lies in this installation, whether or not it is there."""
    return Path(__file__).parents[1] / "demo" / "starter.safetensors"


def absolute_weights(text: str, folder: Path) -> str:
    """``weights`` with its path made absolute; ``starter`` and architecture names stay as they are."""
    return text if text == STARTER or is_random(text) else str(absolute(text, folder))


def resolve_weights(text: str, folder: Path, trust: Collection[str] = ()) -> Path | str:
    """Find the file that ``weights`` means, and look into it as far as it takes to say whether it may be opened.

    Args:
        text: ``starter``; ``yolov8{n,s,m,l,x}.yaml``, an architecture with random weights; or the path of a
            ``.pt`` or ``.safetensors`` file (with its card beside it), or of an ``.onnx`` file as Ultralytics exports
            detectors, absolute or below ``folder``.
        folder: the study file's.
        trust: ``sha256:...`` of pickle checkpoints that may be opened whatever they hold.

    Returns:
        The file's absolute path, or the architecture's name as it was given.

    Raises:
        WeightsError: the file is not there, is empty, cannot be read, is of another kind, is a pickle that is more
            than data, or an ONNX graph that cannot be used.
        MissingExtraError: an ONNX graph is named, and the package to read it is not installed.
    """
    if is_random(text):
        return text
    path = starter_path() if text == STARTER else absolute(text, folder)
    if path.suffix not in KINDS:
        raise WeightsError(
            f"weights of the kind {path.suffix or 'without an extension'!r}",
            where=text,
            remedy=f"give {KINDS_IN_WORDS}, `starter`, or `yolov8n.yaml` for random weights",
        )
    try:
        size = path.stat().st_size if path.is_file() else None
        refusal = _refusal(path) if size and path.suffix == ".pt" else None
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot be read ({error})", where=str(path), remedy="check the path") from error
    if size is None:
        raise WeightsError("no such file", where=str(path), remedy=_remedy(text, path))
    if size == 0:
        raise WeightsError("an empty file", where=str(path), remedy="copy or download it again")
    if refusal is not None and not trusted(path, trust):
        raise refused_checkpoint(path, refusal)
    if is_graph(str(path)):
        exported_graph(path)
    cards = (path.with_suffix(".json"), path.with_name("model.json"))
    if path.suffix == ".safetensors" and not any(card.is_file() for card in cards):
        raise WeightsError(
            "weights without their card",
            where=str(path),
            remedy=f"put {cards[0].name} or model.json, written with the weights, beside them",
        )
    return path


def needs_trust(path: Path) -> bool:
    """Whether a file is a pickle that is opened only because a person vouched for it."""
    return path.suffix == ".pt" and _refusal(path) is not None


def _refusal(path: Path) -> Refusal | None:
    status = path.stat()
    return _refusal_of_state(path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=64)
def _refusal_of_state(path: Path, *_state: int) -> Refusal | None:
    """A file is asked about by every part of a study that names it; it is looked into once."""
    return refusal_of(path)


def _remedy(text: str, path: Path) -> str:
    if text == STARTER:
        return "install the package again; it should hold demo/starter.safetensors and demo/starter.json"
    if path.name in FILES:
        instead = f", or write {path.stem}.yaml for random weights" if is_random(f"{path.stem}.yaml") else ""
        return f"`wreckognize fetch weights {path.stem} --to {path.parent}` downloads it{instead}"
    return "check the path; it is relative to the study file"
