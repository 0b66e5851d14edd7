"""A pickle checkpoint as data: the description of a network and its tensors.

Three fences, one behind another. `wreckognize.weightfiles` has followed the pickle without building anything and passed
an archive of its checked parts; torch names what it finds unsafe in that archive, and its ``weights_only`` reader
builds nothing beyond tensors and an allow-list; and what we put on that list are not the classes that a checkpoint
names but empty stand-ins. So no code of a layer runs, neither its constructor nor its ``__setstate__``.
"""

from __future__ import annotations

import io
import pickle
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wreckognize.detectors.architecture import check_architecture, check_names
from wreckognize.errors import WeightsError
from wreckognize.weightfiles import CheckpointRefused, Refusal, clean_archive, refused_checkpoint
from wreckognize.weightfiles.allowed import STAND_INS

if TYPE_CHECKING:
    import torch

_DETECTORS = {"DetectionModel", "YOLOv10DetectionModel"}
_DEEPEST, _MODULES = 40, 20_000  # YOLO networks have 8 and 1,000
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
    except CheckpointRefused as refused:
        raise refused_checkpoint(path, refused.refusal) from None
    except OSError as error:
        raise WeightsError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="check the path"
        ) from error
    try:
        content = _loaded(archive)
    except (pickle.UnpicklingError, RuntimeError, ValueError, TypeError, KeyError, EOFError, MemoryError) as error:
        raise refused_checkpoint(
            path, Refusal(f"torch does not read it as data ({str(error).splitlines()[0]})")
        ) from (error)
    network = _network_of(content, path)
    values = network.values
    return Description(
        architecture=check_architecture(values.get("yaml"), path),
        names=check_names(values.get("names"), path),
        state=_tensors(network, path),
    )


class _StandIn:
    """Takes the place of an object of some class, holds what the checkpoint gives it, and does nothing."""

    name = ""

    values: dict[str, Any]

    def __new__(cls, *_: object) -> _StandIn:
        made = object.__new__(cls)
        made.values = {}
        return made

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
    found = content
    if isinstance(content, dict):
        found = content.get("model") if content.get("ema") is None else content["ema"]
    kind = type(found).__name__
    if not isinstance(found, _StandIn) or kind not in _DETECTORS:
        raise WeightsError(
            f"holds {f'a {kind}' if isinstance(found, _StandIn) else 'no network'}, not a detector",
            where=str(path),
            remedy="use weights of a detection model, as Ultralytics writes them",
        )
    return found


def _tensors(network: _StandIn, path: Path) -> dict[str, torch.Tensor]:
    """Parameters and buffers of a network and of all modules within it, as its ``state_dict`` names them."""
    import torch

    found: dict[str, torch.Tensor] = {}
    waiting, seen = [("", network)], 0
    while waiting:
        prefix, module = waiting.pop()
        seen += 1
        if seen > _MODULES or prefix.count(".") > _DEEPEST:  # a module may hold itself
            raise WeightsError(
                "modules within modules without end",
                where=str(path),
                remedy="get the file again from its publisher",
            )
        transient = module.values.get("_non_persistent_buffers_set")
        for table in ("_parameters", "_buffers"):
            for name, value in _table(module.values.get(table)).items():
                if isinstance(value, torch.Tensor) and not (isinstance(transient, set) and name in transient):
                    found[f"{prefix}{name}"] = value.detach()
        for name, inner in _table(module.values.get("_modules")).items():
            if isinstance(inner, _StandIn):
                waiting.append((f"{prefix}{name}.", inner))
    return found


def _table(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}
