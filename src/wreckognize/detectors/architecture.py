"""The description of a network in a card or a checkpoint, checked before the library builds anything from it.

Ultralytics builds a network from a list of layers, each with the name of a class and its arguments. It looks the name
up among everything its module knows, evaluates ``activation`` as Python, and one of its layers (``TorchVision``)
downloads weights. A description comes from a file, so here it may name layers only, and hold numbers and short texts
only.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

from wreckognize.errors import WeightsError
from wreckognize.weightfiles.allowed import BLOCKS_OF_A_NETWORK

_ACTIVATION = re.compile(
    r"(torch\.)?nn\.(SiLU|ReLU|ReLU6|LeakyReLU|Hardswish|GELU|Mish|ELU|Sigmoid)\([A-Za-z0-9=., ]{0,40}\)"
)
_KEYS = frozenset(
    [
        "nc",
        "ch",
        "channels",
        "scale",
        "scales",
        "depth_multiple",
        "width_multiple",
        "max_channels",
        "activation",
        "backbone",
        "head",
        "end2end",
        "reg_max",
        "anchors",
        "inplace",
    ]
)
_NUMBER = 1_000_000
_TEXT = 100
_LAYERS = 300
_PARTS = 20_000
_DEEP = 6
_CLASSES = 10_000
_ROOM = 4  # times the numbers in the file; a class branch may be built wider than the one in the file


def check_architecture(value: Any, where: Path) -> dict[str, Any]:
    """A copy of the description, once it is known to describe a network and nothing else.

    Raises:
        WeightsError: it does not.
    """
    if not isinstance(value, dict):
        raise _wrong("no description of its layers", where)
    value = {key: one for key, one in value.items() if key != "yaml_file"}
    if strange := [key for key in value if key not in _KEYS]:
        raise _wrong(f"a description with an unknown part {str(strange[0])[:_TEXT]!r}", where)
    if not _plain(value):
        raise _wrong("a description that is more than numbers and names", where)
    activation = value.get("activation")
    if activation is not None and not (isinstance(activation, str) and _ACTIVATION.fullmatch(activation)):
        raise _wrong(f"an activation that is none: {str(activation)[:_TEXT]!r}", where)
    layers = [*_list(value.get("backbone")), *_list(value.get("head"))]
    if not 0 < len(layers) <= _LAYERS:
        raise _wrong(f"a description of {len(layers)} layers", where)
    for layer in layers:
        if not isinstance(layer, list | tuple) or len(layer) != 4:
            raise _wrong("a layer that is not [from, number, name, arguments]", where)
        _, number, name, arguments = layer
        if not isinstance(name, str) or name not in BLOCKS_OF_A_NETWORK:
            raise _wrong(f"an unknown layer {str(name)[:_TEXT]!r}", where)
        if type(number) is not int or not 0 < number <= 100 or not isinstance(arguments, list | tuple):
            raise _wrong(f"a layer {name} with a number or arguments that are none", where)
    return copy.deepcopy(value)


def check_names(value: Any, where: Path) -> tuple[str, ...]:
    """Names of classes by number, from a list or from a dictionary with the keys 0, 1, ...

    Raises:
        WeightsError: they are something else.
    """
    pairs = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list | tuple) else {}
    names = tuple(pairs.get(number) for number in range(len(pairs)))
    if not 0 < len(names) <= _CLASSES or not all(isinstance(name, str) and len(name) <= _TEXT for name in names):
        raise _wrong("no names of its classes", where)
    return tuple(str(name) for name in names)


def check_size(architecture: dict[str, Any], numbers: int, where: Path) -> None:
    """Say no to a description of a network many times larger than the tensors that came with it.

    Torch builds it without memory for this. Call it after `check_architecture`, with the library fenced.

    Args:
        architecture: the description.
        numbers: values in the file's tensors.
        where: the file.

    Raises:
        WeightsError: it is too large, or cannot be built.
    """
    import torch
    from ultralytics.nn.tasks import parse_model

    described = copy.deepcopy(architecture)
    try:
        with torch.device("meta"):
            layers, _ = parse_model(
                described, ch=described.get("channels") or described.get("ch") or 3, verbose=False
            )
        wanted = sum(one.numel() for one in layers.parameters())
    except Exception as error:
        raise _wrong(
            f"a description that cannot be built ({type(error).__name__}: {str(error)[:_TEXT]})", where
        ) from (error)
    if wanted > _ROOM * numbers + _NUMBER:
        raise _wrong(f"a description of {wanted:,} numbers, where the file holds {numbers:,}", where)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _plain(value: Any) -> bool:
    """Lists and tables of numbers and short texts, not many of them: one list may stand in another a thousand times."""
    waiting, seen = [(value, 0)], 0
    while waiting:
        one, depth = waiting.pop()
        seen += 1
        if seen > _PARTS or depth > _DEEP:
            return False
        if isinstance(one, dict):
            waiting += [(inner, depth + 1) for pair in one.items() for inner in pair][:_PARTS]
        elif isinstance(one, list | tuple):
            waiting += [(inner, depth + 1) for inner in one[:_PARTS]]
        elif isinstance(one, str):
            if len(one) > _TEXT:
                return False
        elif one is not None and not (isinstance(one, bool | int | float) and abs(one) <= _NUMBER):
            return False
    return True


def _wrong(what: str, where: Path) -> WeightsError:
    return WeightsError(what, where=str(where), remedy="get weights and card again from where they were made")
