"""A pickle checkpoint as data: the description of a network and its tensors.

Three fences, one behind another. `wreckognize.weightfiles` has followed the pickle without building anything and passed
an archive of its checked parts; torch names what it finds unsafe in that archive, and its ``weights_only`` reader builds
nothing beyond tensors and an allow-list; and what we put on that list are not the classes that a checkpoint names but
empty stand-ins. So no code of a layer runs, neither its constructor nor its ``__setstate__``.
"""

from __future__ import annotations

import io
import pickle
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wreckognize.detectors.architecture import check_architecture, check_names
from wreckognize.errors import WeightsError
from wreckognize.files import sha256_of
from wreckognize.weightfiles import Refusal, clean_archive
from wreckognize.weightfiles.allowed import STAND_INS

if TYPE_CHECKING:
    import torch

_DETECTORS = {"DetectionModel", "YOLOv10DetectionModel"}
_DEEPEST = 40  # modules within modules; YOLO networks have 8
_ALLOW_LIST = threading.Lock()  # torch keeps one for the whole process


@dataclass(frozen=True, slots=True)
class Description:
    """What a checkpoint says of a network.

    Attributes:
        architecture: its layers, as Ultralytics writes them in YAML.
        names: of its classes, by number.
        state: its tensors by their dotted names.
    """

    architecture: dict[str, Any]
    names: tuple[str, ...]
    state: dict[str, torch.Tensor]


def read_description(path: Path) -> Description:
    """Read a ``.pt`` file of Ultralytics.

    Raises:
        WeightsError: it is refused or damaged, or holds no detector.
    """
    try:
        archive = clean_archive(path)
    except ValueError as refused:
        raise refused_checkpoint(path, refused.args[0]) from None
    except OSError as error:
        raise WeightsError(f"cannot be read ({error.strerror})", where=str(path), remedy="check the path") from error
    try:
        content = _loaded(archive)
    except (pickle.UnpicklingError, RuntimeError, ValueError, TypeError, KeyError, EOFError, MemoryError) as error:
        raise refused_checkpoint(path, Refusal(f"torch does not read it as data ({str(error).splitlines()[0]})")) from (
            error
        )
    network = _network_of(content, path)
    values = network.values
    return Description(
        architecture=check_architecture(values.get("yaml"), path),
        names=check_names(values.get("names"), path),
        state=dict(_tensors(values, "", 0)),
    )


def refused_checkpoint(path: Path, refusal: Refusal) -> WeightsError:
    """The error about a checkpoint that is not opened, with the one way past."""
    return WeightsError(
        f"not opened: {refusal}",
        where=str(path),
        remedy="get it from its publisher again, or as .safetensors; it is opened as it is, and may then run any "
        f"program, only with --trust sha256:{sha256_of(path)}",
    )


class _StandIn:
    """Takes the place of an object of some class, holds what the checkpoint gives it, and does nothing."""

    name = ""

    def __new__(cls, *_: object) -> _StandIn:
        return object.__new__(cls)

    def __init__(self, *_: object) -> None:
        self.values: Mapping[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.values = state if isinstance(state, dict) else {}


def _named_method(_owner: object, _name: str) -> None:
    """Takes the place of ``getattr``, which some checkpoints call for the method ``forward``; gives nothing."""


def _stand_in(name: str) -> Any:
    return type(name.rpartition(".")[2], (_StandIn,), {"name": name}) if name in STAND_INS else _named_method


def _loaded(archive: bytes) -> Any:
    import torch

    with _own_allow_list():
        unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(archive))
        strange = sorted(set(unsafe) - STAND_INS - {"builtins.getattr"})
        if strange:
            raise pickle.UnpicklingError(f"it calls for {', '.join(strange)}")
        torch.serialization.add_safe_globals([(_stand_in(name), name) for name in unsafe])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about storages of old kinds
            return torch.load(io.BytesIO(archive), map_location="cpu", weights_only=True)


@contextmanager
def _own_allow_list() -> Iterator[None]:
    """Torch's allow-list is the process's; while this lasts it is empty, so that no real class is built."""
    import torch

    with _ALLOW_LIST:
        others = torch.serialization.get_safe_globals()
        torch.serialization.clear_safe_globals()
        try:
            yield
        finally:
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals(others)


def _network_of(content: Any, path: Path) -> _StandIn:
    """The averaged network where there is one, else the network."""
    found = (content.get("ema") or content.get("model")) if isinstance(content, dict) else content
    kind = type(found).__name__
    if not isinstance(found, _StandIn) or kind not in _DETECTORS:
        raise WeightsError(
            f"holds {f'a {kind}' if isinstance(found, _StandIn) else 'no network'}, not a detector",
            where=str(path),
            remedy="use weights of a detection model, as Ultralytics writes them",
        )
    return found


def _tensors(values: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and buffers of a module and of all modules within it, as its ``state_dict`` would name them."""
    import torch

    if depth > _DEEPEST:
        raise WeightsError("modules within modules without end", remedy="get the file again from its publisher")
    transient = values.get("_non_persistent_buffers_set") or ()
    for table in ("_parameters", "_buffers"):
        for name, value in (values.get(table) or {}).items():
            if isinstance(value, torch.Tensor) and name not in transient:
                yield f"{prefix}{name}", value.detach()
    for name, module in (values.get("_modules") or {}).items():
        if isinstance(module, _StandIn):
            yield from _tensors(module.values, f"{prefix}{name}.", depth + 1)
