"""One pickle, read without executing it.

A pickle is a program for a small machine with a stack. Two readings of it:

* `names_in` walks over its instructions (``pickletools``) and collects every name that it calls for, whatever else is
  wrong with it. It is for telling a person what is inside.
* `check` follows the program on a machine of its own, which knows only the instructions that ``torch.save`` writes and
  whose calls build nothing: a call becomes a note of what was called with what. It says no to anything that a
  checkpoint does not do, among it tensors larger than the data they stand on. What it passes is a description of data.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from wreckognize.weightfiles.allowed import ALLOWED, FUNCTIONS, LAYERS, RECORDS, STORAGES

MAX_BYTES = 64 * 2**20
"""Of a pickle without its tensors. That of YOLOv8x has half a million."""

_OLD_NAMES = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # modules of Python 2, which protocol 2 writes


class Refused(Exception):
    """The pickle does something that a checkpoint does not do; the text says what."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a pickle calls for.

    Attributes:
        names: ``module.name``, each once, in their order.
        damage: why it could not be read to its end; empty if it could.
        size: bytes up to its end.
    """

    names: tuple[str, ...]
    damage: str
    size: int

    @property
    def refused(self) -> tuple[str, ...]:
        """The names that no checkpoint needs."""
        return tuple(name for name in self.names if name not in ALLOWED)


def names_in(data: bytes) -> Names:
    """Every name that the pickle at the beginning of ``data`` calls for."""
    found: dict[str, None] = {}
    texts: list[str] = []  # all that was pushed so far; STACK_GLOBAL takes the last two
    memo: dict[int, str] = {}
    stream = io.BytesIO(data)
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in ("GLOBAL", "INST"):
                module, _, name = str(argument).partition(" ")
                found[f"{_OLD_NAMES.get(module, module)}.{name}"] = None
            elif opcode.name == "STACK_GLOBAL":
                pair = texts[-2:] if len(texts) >= 2 else ["?", "?"]
                found[".".join(pair)] = None
            elif opcode.name.startswith("EXT"):
                found[f"copyreg extension {argument}"] = None
            elif isinstance(argument, str) and "UNICODE" in opcode.name:
                texts.append(argument)
            elif opcode.name == "MEMOIZE":
                if texts:
                    memo[len(memo)] = texts[-1]
            elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
                if texts:
                    memo[int(str(argument))] = texts[-1]
            elif opcode.name in ("GET", "BINGET", "LONG_BINGET") and int(str(argument)) in memo:
                texts.append(memo[int(str(argument))])
    except Exception as error:
        return Names(tuple(found), f"damaged: {error}", stream.tell())
    return Names(tuple(found), "", stream.tell())


@dataclass(frozen=True, slots=True)
class Name:
    """A name that was called for."""

    text: str


@dataclass(frozen=True, slots=True)
class Storage:
    """The data of tensors: ``count`` values of a kind, in the archive's part ``key``."""

    kind: str
    key: str
    count: int


@dataclass(slots=True, eq=False)
class Made:
    """A note that ``what`` was called with ``arguments``, and given ``state`` later."""

    what: str
    arguments: tuple[Any, ...]
    items: list[tuple[Any, Any]] = field(default_factory=list)
    state: Any = None


_MARK = object()


class _Machine:
    """Follows a pickle; see the module."""

    def __init__(self, data: bytes) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._data = data
        self.storages: dict[str, Storage] = {}

    def run(self) -> Any:
        end = 0
        for opcode, argument, position in pickletools.genops(self._data):
            end = (position or 0) + 1
            step = _STEPS.get(opcode.name)
            if step is None:
                raise Refused(f"an instruction that torch does not write ({opcode.name})")
            step(self, argument)
        if len(self._stack) != 1:
            raise Refused("a stack that is not empty at its end")
        if end != len(self._data):
            raise Refused(f"{len(self._data) - end} bytes behind its end")
        return self._stack[0]

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise Refused("a stack that does not add up")
        return value

    def to_mark(self) -> list[Any]:
        values: list[Any] = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def named(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        text = f"{_OLD_NAMES.get(module, module)}.{name}"
        if text not in ALLOWED:
            raise Refused(f"the name {text}")
        self.push(Name(text))

    def store(self, argument: int) -> None:
        if not self._stack or self._stack[-1] is _MARK:
            raise Refused("a stack that does not add up")
        self._memo[argument] = self._stack[-1]

    def recall(self, argument: int) -> None:
        if argument not in self._memo:
            raise Refused("a memory that holds nothing")
        self.push(self._memo[argument])

    def wrap(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(values[::-1]))

    def append(self, values: list[Any]) -> None:
        target = self.pop()
        if type(target) is not list:
            raise Refused("something appended to what is no list")
        target.extend(values)
        self.push(target)

    def set_items(self, values: list[Any]) -> None:
        target = self.pop()
        pairs = list(zip(values[::2], values[1::2], strict=True))
        if (isinstance(target, Made) and target.what == "collections.OrderedDict") or type(target) is _Pairs:
            target.items.extend(pairs)
        else:
            raise Refused("items set in what is no dictionary")
        self.push(target)

    def new_object(self) -> None:
        arguments, what = self.pop(), self.pop()
        if not isinstance(what, Name) or what.text not in LAYERS | RECORDS or arguments != ():
            raise Refused("an object made of something that is no layer")
        self.push(Made(what.text, ()))

    def call(self) -> None:
        arguments, what = self.pop(), self.pop()
        if not isinstance(what, Name) or what.text not in FUNCTIONS or type(arguments) is not tuple:
            shown = what.text if isinstance(what, Name) else "something made up while reading"
            raise Refused(f"a call of {shown}")
        if not _CALLS.get(what.text, _plain)(arguments):
            raise Refused(f"a call of {what.text} with {_shown(arguments)}")
        self.push(Made(what.text, arguments))

    def build(self) -> None:
        state, target = self.pop(), self.pop()
        if not isinstance(target, Made) or target.what not in _HAVE_STATE:
            raise Refused("a state given to what has none")
        target.state = state
        self.push(target)

    def persistent(self) -> None:
        match self.pop():
            case (str("storage"), Name(text=kind), str(key), str(), int(count)) if kind in STORAGES and count >= 0:
                storage = Storage(kind, key, count)
            case other:
                raise Refused(f"data that is no tensor's: {_shown(other)}")
        if self.storages.setdefault(key, storage) != storage:
            raise Refused(f"two descriptions of the tensor data {key!r}")
        self.push(storage)


@dataclass(slots=True, eq=False)
class _Pairs:
    """A dictionary, without a look at its keys."""

    items: list[tuple[Any, Any]] = field(default_factory=list)


_HAVE_STATE = LAYERS | RECORDS | {"collections.OrderedDict", "numpy.dtype"}

_PUSHED = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": _Pairs,
    "MARK": lambda: _MARK,
}
_VALUES = ("BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "LONG1")

_STEPS: Mapping[str, Callable[[_Machine, Any], None]] = {
    **{name: lambda machine, _, make=make: machine.push(make()) for name, make in _PUSHED.items()},  # type: ignore[misc]
    **dict.fromkeys(_VALUES, lambda machine, argument: machine.push(argument)),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.store),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.recall),
    **{f"TUPLE{count}": lambda machine, _, count=count: machine.wrap(count) for count in (1, 2, 3)},  # type: ignore[misc]
    "TUPLE": lambda machine, _: machine.push(tuple(machine.to_mark())),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.to_mark()),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.to_mark()),
    "GLOBAL": _Machine.named,
    "NEWOBJ": lambda machine, _: machine.new_object(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.persistent(),
    "PROTO": lambda machine, argument: _require_protocol_2(argument),
    "STOP": lambda machine, _: None,
}
"""What ``torch.save`` writes, and torch's own ``weights_only`` reader takes."""


def _require_protocol_2(number: int) -> None:
    if number != 2:
        raise Refused(f"pickle protocol {number}, where torch writes 2")


def _whole(values: Any) -> bool:
    return type(values) is tuple and all(type(value) is int and 0 <= value < 2**48 for value in values)


def _is_tensor(arguments: tuple[Any, ...]) -> bool:
    """``(storage, offset, size, stride, requires_grad, hooks)``: a tensor that lies within its storage."""
    match arguments:
        case (Storage(count=count), int(offset), tuple(size), tuple(stride), bool(), Made(what=what, items=[])):
            inside = (
                what == "collections.OrderedDict" and _whole((offset, *size, *stride)) and len(size) == len(stride)
            )
            if not inside or len(size) > 8 or math.prod(size) > count:
                return False
            last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
            return 0 in size or last < count
        case _:
            return False


def _is_parameter(arguments: tuple[Any, ...]) -> bool:
    match arguments:
        case (
            Made(what="torch._utils._rebuild_tensor_v2"),
            bool(),
            Made(what="collections.OrderedDict", items=[]),
        ):
            return True
        case _:
            return False


def _is_forward(arguments: tuple[Any, ...]) -> bool:
    """``getattr(a layer or its class, "forward")``: some published checkpoints name a method so."""
    match arguments:
        case (Name(text=owner) | Made(what=owner), str(name)):
            return owner in LAYERS and name in {"forward", "forward_fuse", "forward_split"}
        case _:
            return False


def _plain(arguments: tuple[Any, ...]) -> bool:
    """Numbers and texts, and what was made of such."""
    kinds = (str, bytes, int, float, type(None), Made, list, tuple)
    return all(isinstance(value, kinds) for value in arguments)


_CALLS: Mapping[str, Callable[[tuple[Any, ...]], bool]] = {
    "builtins.getattr": _is_forward,
    "builtins.set": lambda arguments: len(arguments) == 1 and type(arguments[0]) is list,
    "collections.OrderedDict": lambda arguments: arguments == (),
    "torch.Size": lambda arguments: len(arguments) == 1 and _whole(arguments[0]),
    "torch._utils._rebuild_parameter": _is_parameter,
    "torch._utils._rebuild_tensor_v2": _is_tensor,
    "_codecs.encode": lambda arguments: (
        len(arguments) == 2 and type(arguments[0]) is str and arguments[1] == "latin1"
    ),
}


def check(data: bytes) -> dict[str, Storage]:
    """Follow a pickle from its first to its last byte.

    Returns:
        The tensor data it speaks of, by key.

    Raises:
        Refused: it does something that a checkpoint does not do, or is damaged.
    """
    if len(data) > MAX_BYTES:
        raise Refused(f"{len(data) / 2**20:.0f} MiB of description, where {MAX_BYTES / 2**20:.0f} are plenty")
    machine = _Machine(data)
    try:
        machine.run()
    except (ValueError, IndexError, TypeError, OverflowError, RecursionError, pickle.UnpicklingError) as error:
        raise Refused(f"damage ({error})") from None
    return machine.storages


def _shown(value: Any) -> str:
    def short(item: Any) -> str:
        match item:
            case Name(text=text):
                return text
            case Made(what=what):
                return f"{what}(...)"
            case str() | int() | float() | bool() | None:
                return repr(item)
            case _:
                return type(item).__name__

    text = ", ".join(map(short, value)) if isinstance(value, tuple) else short(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
