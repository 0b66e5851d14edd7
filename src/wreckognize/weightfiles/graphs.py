"""ONNX files: graphs of operations, which run no code of their own, but may name files to read their tensors from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from wreckognize.errors import MissingExtraError, WeightsError

_LOCATION = (
    b"location"  # the key of an entry of TensorProto.external_data, however its length is written before it
)
MAX_FILE = 2 * 2**30
"""Bytes; the format itself holds no more."""


def require_own_folder(path: Path) -> None:
    """Say no to an ONNX file that reads its tensors from elsewhere than its own folder.

    To be called before any engine opens the file: engines follow the paths in it.

    Raises:
        WeightsError: it is no ONNX file, or names a file outside its folder, or one that is not there.
        MissingExtraError: the package ``onnx`` is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("export", "reading an ONNX file") from error
    from google.protobuf.message import DecodeError

    try:
        if path.stat().st_size > MAX_FILE:
            raise DecodeError("larger than the format allows")
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise WeightsError(f"not an ONNX file ({error})", where=str(path), remedy="copy it again") from error
    if not model.graph.node:
        raise WeightsError("not an ONNX file (it holds no graph)", where=str(path), remedy="copy it again")
    folder = path.parent.resolve()
    for location in dict.fromkeys(_locations(model)):
        named = folder / location
        absolute = location.startswith("/") or bool(PureWindowsPath(location).drive) or "\\" in location
        if absolute or not location or not named.resolve().is_relative_to(folder):
            raise WeightsError(
                f"an ONNX file that reads from outside its folder: {location!r}",
                where=str(path),
                remedy="do not use it; get the model from its publisher as one file",
            )
        if not named.is_file():
            raise WeightsError(
                f"an ONNX file without its tensors: {location!r} is not beside it",
                where=str(path),
                remedy="copy both files",
            )


def require_whole(graph: bytes, where: Path) -> None:
    """Say no to an ONNX graph that keeps a tensor in any other file; for graphs that we write ourselves, which do not.

    Needs no package. It looks for the word under which such a file is named, wherever it stands, so a graph of another
    maker may be refused for a name with that word in it; use `require_own_folder` for those.

    Raises:
        WeightsError: it names another file.
    """
    if _LOCATION in graph:
        raise WeightsError(
            "an ONNX graph that reads from another file", where=str(where), remedy="export the model again"
        )


def _locations(message: Any) -> Iterator[str]:
    """Where the tensors of a model lie, at whatever depth they stand: graphs hold graphs."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield from (entry.value for entry in message.external_data if entry.key == "location")
        if message.data_location == message.EXTERNAL and not any(
            e.key == "location" for e in message.external_data
        ):
            yield ""
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        values = [value] if hasattr(value, "ListFields") else value
        for one in values:
            if hasattr(one, "ListFields"):
                yield from _locations(one)
