"""ONNX files: graphs of operations, which run no code of their own, but may name files to read their tensors from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from wreckognize.errors import MissingExtraError, WeightsError
from wreckognize.reading import read_regular

_READS_ELSEWHERE = (
    b"location",  # the key of an entry of TensorProto.external_data, however its length is written before it
    b"EPContext",  # the operation that hands an engine a compiled program, or the name of a file with one
)
MAX_FILE = 2 * 2**30
"""Bytes; the format itself holds no more."""


def read_whole(path: Path) -> tuple[bytes, Any]:
    """The bytes of an ONNX file that holds all its tensors itself, and what they say, as a ``ModelProto``.

    Engines follow the paths in a file; so they are handed these bytes, never the path. Tensors beside the file are
    refused too: a run knows weights by the hash of one file.

    Raises:
        WeightsError: it cannot be read, is no ONNX file, or keeps a tensor in another file.
        MissingExtraError: the package ``onnx`` is not installed.
    """
    try:
        data = read_regular(path, MAX_FILE)
    except OSError as error:
        raise WeightsError(
            f"cannot be read ({error.strerror})", where=str(path), remedy="check the path and its permissions"
        ) from error
    return data, parsed(data, path)


def parsed(data: bytes, path: Path) -> Any:
    """What an ONNX file says, as `read_whole` gives it.

    Raises:
        WeightsError: as there.
        MissingExtraError: as there.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("export", "reading an ONNX file") from error
    from google.protobuf.message import DecodeError

    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise WeightsError(f"not an ONNX file ({error})", where=str(path), remedy="copy it again") from error
    if not model.graph.node:
        raise WeightsError("not an ONNX file (it holds no graph)", where=str(path), remedy="copy it again")
    for tensor in messages(model, "TensorProto"):
        if tensor.external_data or tensor.data_location == tensor.EXTERNAL:
            raise _reads_elsewhere(tensor, path)
    return model


def messages(model: Any, kind: str) -> Iterator[Any]:
    """Every message of a kind, such as ``NodeProto``, within another, at whatever depth: graphs hold graphs."""
    waiting = [model]
    while waiting:
        one = waiting.pop()
        if one.DESCRIPTOR.name == kind:
            yield one
        for field, value in one.ListFields():
            if field.message_type is not None:
                waiting.extend([value] if hasattr(value, "ListFields") else value)


def require_whole(graph: bytes, where: Path) -> None:
    """Say no to an ONNX graph that keeps a tensor in any other file; for graphs that we write ourselves, which do not.

    Needs no package. It looks for the words under which such a file is named, wherever they stand, so a graph of
    another maker may be refused for a name with such a word in it; use `read_whole` for those.

    Raises:
        WeightsError: it names another file.
    """
    if any(word in graph for word in _READS_ELSEWHERE):
        raise WeightsError(
            "an ONNX graph that reads from another file", where=str(where), remedy="export the model again"
        )


def _reads_elsewhere(tensor: Any, path: Path) -> WeightsError:
    named = [entry.value for entry in tensor.external_data if entry.key == "location"]
    location = named[0] if named else ""
    if _is_outside(location, path.parent):
        return WeightsError(
            f"an ONNX file that reads from outside its folder: {location!r}",
            where=str(path),
            remedy="do not use it; get the model from its publisher as one file",
        )
    return WeightsError(
        f"an ONNX file whose tensors lie in another one: {location!r}",
        where=str(path),
        remedy="make one file of both: python -c \"import onnx; onnx.save(onnx.load('FILE.onnx'), 'one.onnx')\"",
    )


def _is_outside(location: Any, folder: Path) -> bool:
    if not isinstance(location, str) or not location or "\0" in location:  # bytes where it is no text
        return True
    absolute = location.startswith("/") or bool(PureWindowsPath(location).drive) or "\\" in location
    return absolute or not (folder / location).resolve().is_relative_to(folder.resolve())
