"""What a study may write under ``weights``, and the file it means."""

from __future__ import annotations

import re
from pathlib import Path

from wreckognize.errors import WeightsError
from wreckognize.study.paths import absolute

STARTER = "starter"
"""The small detector that ships with the package."""

_ARCHITECTURE = re.compile(r"yolov8[nsmlx]\.yaml")
_ZIP = b"PK\x03\x04"
_OFFICIAL = re.compile(r"yolov8[nsmlx]\.pt")


def is_random(text: str) -> bool:
    """Whether ``weights`` names an architecture, whose weights are random."""
    return _ARCHITECTURE.fullmatch(text) is not None


def starter_path() -> Path:
    """Where the starter lies in this installation, whether or not it is there."""
    return Path(__file__).parents[1] / "demo" / "starter.safetensors"


def absolute_weights(text: str, folder: Path) -> str:
    """``weights`` with its path made absolute; ``starter`` and architecture names stay as they are."""
    return text if text == STARTER or is_random(text) else str(absolute(text, folder))


def resolve_weights(text: str, folder: Path) -> Path | str:
    """Find the file that ``weights`` means.

    Args:
        text: ``starter``; ``yolov8{n,s,m,l,x}.yaml``, an architecture with random weights; or the path of a
            ``.pt`` or ``.safetensors`` file (with its card beside it), absolute or below ``folder``.
        folder: the study file's.

    Returns:
        The file's absolute path, or the architecture's name as it was given.

    Raises:
        WeightsError: the file is not there, is empty, cannot be read, or is of another kind.
    """
    if is_random(text):
        return text
    path = starter_path() if text == STARTER else absolute(text, folder)
    if path.suffix not in (".pt", ".safetensors"):
        raise WeightsError(
            f"weights of the kind {path.suffix or 'without an extension'!r}",
            where=text,
            remedy="give a .pt or .safetensors file, `starter`, or `yolov8n.yaml` for random weights",
        )
    try:
        size = path.stat().st_size if path.is_file() else None
        beginning = _beginning(path) if size else b""
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot be read ({error})", where=str(path), remedy="check the path") from error
    if size is None:
        raise WeightsError("no such file", where=str(path), remedy=_remedy(text, path))
    if size == 0:
        raise WeightsError("an empty file", where=str(path), remedy="copy or download it again")
    if path.suffix == ".pt" and not beginning.startswith(_ZIP):
        raise WeightsError("not a checkpoint: torch writes a zip archive", where=str(path), remedy="get it again")
    cards = (path.with_suffix(".json"), path.with_name("model.json"))
    if path.suffix == ".safetensors" and not any(card.is_file() for card in cards):
        raise WeightsError(
            "weights without their card",
            where=str(path),
            remedy=f"put {cards[0].name} or model.json, written with the weights, beside them",
        )
    return path


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_ZIP))


def _remedy(text: str, path: Path) -> str:
    if text == STARTER:
        return "install the package again; it should hold demo/starter.safetensors and demo/starter.json"
    if _OFFICIAL.fullmatch(path.name):
        return (
            f"download {path.name} from the releases page of the GitHub project ultralytics/assets and put it "
            f"into {path.parent}, or write {path.stem}.yaml for random weights"
        )
    return "check the path; it is relative to the study file"
