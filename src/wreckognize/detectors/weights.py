"""Weights on disk: ``NAME.safetensors`` with a card ``NAME.json`` (or ``model.json``) beside it.

The card holds all that is needed to build the network again, so that reading weights never runs code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wreckognize.errors import WeightsError
from wreckognize.files import sha256_of
from wreckognize.reading import RECORD_BYTES, read_regular


class ModelCard(BaseModel):
    """What stands in the JSON file beside a ``.safetensors`` file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    architecture: dict[str, Any]  # the layers, as Ultralytics writes them in YAML, with its scale already chosen
    names: tuple[str, ...] = Field(min_length=1)
    stride: int = 32
    imgsz: int = 640  # that it was trained at
    dtype: Literal["float16", "float32"]
    sha256: str  # of the .safetensors file
    trained_on: str = ""  # in words


def card_path(weights: Path) -> Path:
    """The card of a ``.safetensors`` file: of its own name, else ``model.json`` in its folder."""
    own = weights.with_suffix(".json")
    return own if own.exists() else weights.with_name("model.json")


def read_card(weights: Path) -> ModelCard:
    """Read and check the card of a ``.safetensors`` file.

    Raises:
        WeightsError: the card is missing or broken, or the file's bytes are not those the card speaks of.
    """
    path = card_path(weights)
    try:
        card = ModelCard.model_validate_json(read_regular(path, RECORD_BYTES))
    except FileNotFoundError:
        raise WeightsError(
            "the weights have no card",
            where=str(weights),
            remedy=f"put {weights.stem}.json or model.json, written with the weights, beside them",
        ) from None
    except OSError as error:
        raise WeightsError(
            f"the card cannot be read ({error.strerror})", where=str(path), remedy="put the card back as it was"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise WeightsError(
            f"not a model card: {place}: {first['msg']}",
            where=str(path),
            remedy="write the weights again, or copy the card that belongs to them",
        ) from None
    found = file_sha256(weights)
    if found != card.sha256:
        raise WeightsError(
            f"the weights are not those its card speaks of (sha256 {found[:12]}..., card {card.sha256[:12]}...)",
            where=str(weights),
            remedy="copy both files again from the run that made them",
        )
    return card


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        return sha256_of(path)
    except OSError as error:
        raise WeightsError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="check the path and its permissions"
        ) from error
