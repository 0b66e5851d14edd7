"""Optimizer, gradients and networks as named tensors and plain data, and back, to the bit.

The layout of a tensor in memory (channels last or not) decides in which order sums are taken; therefore what is
loaded takes the layout of the parameter it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def pack_network(model: nn.Module, name: str) -> dict[str, Tensor]:
    """Parameters and buffers of a network, under ``name.``."""
    return {f"{name}.{key}": value for key, value in model.state_dict().items()}


def unpack_network(model: nn.Module, name: str, tensors: Mapping[str, Tensor]) -> None:
    """Fill a network with what `pack_network` gave.

    Raises:
        RuntimeError: it is another network.
    """
    model.load_state_dict(_below(name, tensors))


def pack_gradients(model: nn.Module) -> dict[str, Tensor]:
    """Gradients that are summed up and not yet applied."""
    return {
        f"gradient.{key}": parameter.grad
        for key, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def unpack_gradients(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give parameters the gradients that `pack_gradients` gave; the others have none."""
    gradients = _below("gradient", tensors)
    for key, parameter in model.named_parameters():
        found = gradients.get(key)
        parameter.grad = None if found is None else _like(parameter, found)


def pack_optimizer(
    optimizer: torch.optim.Optimizer,
) -> tuple[dict[str, Tensor], list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Tensors of an optimizer (``optimizer.PARAMETER.*``), its groups, and what else it keeps by parameter."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, dict[str, Any]] = {}
    for number, kept in state["state"].items():
        for key, value in kept.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{number}.{key}"] = value
            else:
                scalars.setdefault(str(number), {})[key] = value
    groups = [{key: value for key, value in group.items() if key != "params"} for group in state["param_groups"]]
    return tensors, groups, scalars


def unpack_optimizer(
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, Tensor],
    groups: list[dict[str, Any]],
    scalars: Mapping[str, Mapping[str, Any]],
) -> None:
    """Fill an optimizer over the same parameters with what `pack_optimizer` gave.

    Raises:
        ValueError: it has other groups.
    """
    state: dict[int, dict[str, Any]] = {int(number): dict(kept) for number, kept in scalars.items()}
    for key, value in _below("optimizer", tensors).items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    now = optimizer.state_dict()["param_groups"]
    merged = [
        {key: _typed(saved.get(key, value), value) for key, value in group.items()}
        for group, saved in zip(now, groups, strict=True)
    ]
    optimizer.load_state_dict({"state": state, "param_groups": merged})
    for parameter in _parameters(optimizer):
        kept = optimizer.state.get(parameter, {})
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                kept[name] = _like(parameter, value)


def _parameters(optimizer: torch.optim.Optimizer) -> Iterator[nn.Parameter]:
    for group in optimizer.param_groups:
        yield from group["params"]


def _typed(value: Any, example: Any) -> Any:
    """JSON knows no tuples."""
    return tuple(value) if isinstance(example, tuple) else value


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)


def _below(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
