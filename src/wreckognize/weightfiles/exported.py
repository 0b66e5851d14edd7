"""Detectors as Ultralytics exports them to ONNX, told from the file before any engine opens it.

``model.export(format="onnx")`` writes a graph with one input, ``(batch, 3, height, width)`` RGB from 0 to 1, and one
output, ``(batch, 4 + classes, candidates)``: centre x, y, width and height in pixels of the input, and a score for
each class. Beside it stand texts (``metadata_props``), written with Python's ``str``: among them the task, the stride
and the names of the classes. They are read by a grammar of their own, never evaluated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from wreckognize.errors import WeightsError
from wreckognize.weightfiles.graphs import messages, read_whole

SUFFIX = ".onnx"
_FLOAT, _FLOAT16 = 1, 10  # of TensorProto.DataType
_WANTED = ("task", "stride", "names")
_MOST_TEXT, _MOST_CLASSES, _LONGEST_NAME = 1_000_000, 10_000, 100
_LARGEST_SIDE, _LARGEST_BATCH, _LARGEST_STRIDE = 4096, 128, 128
_ENTRY = re.compile(
    r"""\s*(?:(?P<number>0|[1-9][0-9]{0,4})\s*:\s*)?"""
    r"""(?:'(?P<single>(?:[^'\\]|\\['"\\])*)'|"(?P<double>(?:[^"\\]|\\['"\\])*)")\s*(?:,|$)"""
)
_ESCAPED = re.compile(r"\\(.)")
_ENDLESS = ("Loop", "Scan")
_SUPPRESSION = "NonMaxSuppression"
_WHOLE_NUMBERS = ("QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "ConvInteger")
_AGAIN = "export it again: yolo export model=FILE.pt format=onnx dynamic=True"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedGraph:
    """What a detector's ONNX file says of itself.

    Attributes:
        names: of its classes, by number.
        stride: pixels; input sides must be multiples of it.
        side: pixels of the square input that it was exported for; None: any input.
        batch: photos that it takes at a time, no more and no fewer; None: any number.
        input: its name in the graph.
        output: its name in the graph.
        half: the input is float16, otherwise float32.
        precision: number format of its layers.
    """

    names: tuple[str, ...]
    stride: int
    side: int | None
    batch: int | None
    input: str
    output: str
    half: bool
    precision: Literal["float32", "float16", "int8"]

    def misfit(self, imgsz: int) -> str:
        """Which input it wants instead, in words; empty where photos may be scaled to ``imgsz`` pixels.

        >>> graph = ExportedGraph(names=("car",), stride=32, side=640, batch=1, input="i", output="o", half=False,
        ...     precision="float32")
        >>> graph.misfit(640), graph.misfit(320)
        ('', '640, for which the graph was exported')
        """
        if self.side is not None:
            return "" if imgsz == self.side else f"{self.side}, for which the graph was exported"
        return "" if imgsz % self.stride == 0 else f"a multiple of {self.stride}, the graph's stride"


def is_graph(weights: str) -> bool:
    """Whether weights are an ONNX graph, by their name.

    >>> is_graph("models/yolov8n.onnx"), is_graph("yolov8n.pt")
    (True, False)
    """
    return weights.endswith(SUFFIX)


def exported_graph(path: Path) -> ExportedGraph:
    """As `read_exported`, without the bytes; a file that does not change is read once.

    Raises:
        WeightsError: as there.
        MissingExtraError: as there.
        OSError: the file is not there.
    """
    status = path.stat()
    return _of_state(path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=64)
def _of_state(path: Path, *_state: int) -> ExportedGraph:
    return read_exported(path)[1]


def read_exported(path: Path) -> tuple[bytes, ExportedGraph]:
    """The bytes of a detector's ONNX file, and what it says of itself.

    Raises:
        WeightsError: it cannot be read, keeps tensors elsewhere, lacks what Ultralytics writes beside a graph, is no
            detector, or is one that cannot be used here.
        MissingExtraError: the package ``onnx`` is not installed.
    """
    data, model = read_whole(path)
    return data, described(model, path)


def described(model: Any, path: Path) -> ExportedGraph:
    """What the ``ModelProto`` of a detector says of it.

    Raises:
        WeightsError: as `read_exported`.
    """
    texts = {entry.key: entry.value for entry in model.metadata_props}
    missing = [key for key in _WANTED if not isinstance(texts.get(key), str)]
    if missing:
        raise WeightsError(
            f"an ONNX file without the texts that Ultralytics writes beside a graph ({', '.join(missing)})",
            where=str(path),
            remedy=f"{_AGAIN}, or use the .pt or .safetensors file",
        )
    if texts["task"] != "detect":
        raise _refused(f"a graph for another task than `detect`: {texts['task'][:_LONGEST_NAME]!r}", path)
    _check_operations(model, path)
    if texts.get("end2end") == "True":
        raise _suppressed(path)
    names, stride = names_of(texts["names"], path), _stride(texts["stride"], path)
    given, made = _ends(model, path)
    batch, side, half = _input(given, stride, path)
    _check_output(made, len(names), path)
    return ExportedGraph(
        names=names,
        stride=stride,
        side=side,
        batch=batch,
        input=given.name,
        output=made.name,
        half=half,
        precision=_precision(model),
    )


def names_of(text: str, path: Path) -> tuple[str, ...]:
    """Names of classes from a Python dictionary with the keys 0, 1, ... or a list, as text.

    >>> names_of('''{0: 'car', 1: "driver's cab"}''', Path("a.onnx"))
    ('car', "driver's cab")
    >>> names_of("['car', 'bus']", Path("a.onnx"))
    ('car', 'bus')

    Raises:
        WeightsError: it is something else, or there are too many, or too long ones.
    """
    text = text.strip()
    names: dict[int, str] = {}
    numbered, position, end = text[:1] == "{", 1, len(text) - 1
    fits = len(text) <= _MOST_TEXT and (text[:1], text[-1:]) in (("{", "}"), ("[", "]")) and text.isprintable()
    while fits and position < end:
        entry = _ENTRY.match(text, position, end)
        fits = entry is not None and (entry["number"] is not None) == numbered and len(names) < _MOST_CLASSES
        if entry is not None and fits:
            quoted = entry["single"] if entry["single"] is not None else entry["double"]
            name, number = _ESCAPED.sub(r"\1", quoted), int(entry["number"] or len(names))
            fits = len(name) <= _LONGEST_NAME and number not in names
            names[number], position = name, entry.end()
    if not fits or not names or sorted(names) != list(range(len(names))):
        raise _refused(f"no names of its classes: {text[:_LONGEST_NAME]!r}", path)
    return tuple(names[number] for number in range(len(names)))


def _stride(text: str, path: Path) -> int:
    stride = int(text) if re.fullmatch("[0-9]{1,4}", text) else 0
    if not 8 <= stride <= _LARGEST_STRIDE:
        raise _refused(f"no stride: {text[:_LONGEST_NAME]!r}", path)
    return stride


def _check_operations(model: Any, path: Path) -> None:
    """Operations of ONNX itself only, none of which may go on without end."""
    for node in messages(model, "NodeProto"):
        if node.domain not in ("", "ai.onnx"):
            raise _refused(
                f"a graph with an operation that is not one of ONNX's: {node.domain}::{node.op_type}", path
            )
        if node.op_type in _ENDLESS:
            raise _refused(f"a graph that loops ({node.op_type})", path)
        if node.op_type == _SUPPRESSION:
            raise _suppressed(path)


def _ends(model: Any, path: Path) -> tuple[Any, Any]:
    """The one input and the one output."""
    constants = {tensor.name for tensor in model.graph.initializer}  # old files name them among the inputs
    inputs = [one for one in model.graph.input if one.name not in constants]
    outputs = list(model.graph.output)
    if len(inputs) != 1 or len(outputs) != 1:
        raise _refused(f"a graph with {len(inputs)} inputs and {len(outputs)} outputs, not one of each", path)
    if not all(isinstance(one.name, str) for one in (*inputs, *outputs)):  # bytes where it is no text
        raise _refused("a graph whose input or output has no name", path)
    return inputs[0], outputs[0]


def _input(given: Any, stride: int, path: Path) -> tuple[int | None, int | None, bool]:
    """Batch and side, None where they are open, and whether it is float16."""
    kind, sides = given.type.tensor_type.elem_type, _sides(given)
    if kind not in (_FLOAT, _FLOAT16) or len(sides) != 4 or sides[1] not in (3, None):
        raise _refused(f"a graph whose input is no (batch, 3, height, width) of floats: {_shown(sides)}", path)
    batch, _, height, width = sides
    if height != width:
        raise _refused(f"a graph for photos of one shape that is not square: {_shown(sides)}", path)
    if height is not None and (not 32 <= height <= _LARGEST_SIDE or height % stride):
        raise _refused(f"a graph for photos of {height} pixels, at a stride of {stride}", path)
    if batch is not None and not 1 <= batch <= _LARGEST_BATCH:
        raise _refused(f"a graph for {batch} photos at a time", path)
    return batch, height, kind == _FLOAT16


def _check_output(made: Any, classes: int, path: Path) -> None:
    """As far as the file says what it is; `wreckognize.detectors.exported` looks at what comes."""
    kind, sides = made.type.tensor_type.elem_type, _sides(made)
    if len(sides) == 3 and sides[2] == 6 and sides[1] != 4 + classes:
        raise _suppressed(path)
    if kind not in (_FLOAT, _FLOAT16) or len(sides) != 3 or sides[1] not in (4 + classes, None):
        wanted = f"(batch, {4 + classes}, candidates)"
        raise _refused(f"a graph whose output is no {wanted} of floats: {_shown(sides)}", path)


def _sides(value: Any) -> list[int | None]:
    """Of an input or output; None where it is open."""
    dimensions = value.type.tensor_type.shape.dim
    return [one.dim_value if one.WhichOneof("value") == "dim_value" else None for one in dimensions]


def _shown(sides: list[int | None]) -> str:
    return f"({', '.join('any' if side is None else str(side) for side in sides[:8])})"


def _precision(model: Any) -> Literal["float32", "float16", "int8"]:
    if any(node.op_type in _WHOLE_NUMBERS for node in messages(model, "NodeProto")):
        return "int8"
    layers = [tensor for tensor in model.graph.initializer if len(tensor.dims) > 1]
    return "float16" if any(tensor.data_type == _FLOAT16 for tensor in layers) else "float32"


def _suppressed(path: Path) -> WeightsError:
    return WeightsError(
        "a graph with the suppression of doubled boxes built in",
        where=str(path),
        remedy=f"{_AGAIN}, without `nms`; boxes are suppressed here, the same way for every detector",
    )


def _refused(what: str, path: Path) -> WeightsError:
    return WeightsError(what, where=str(path), remedy=_AGAIN)
