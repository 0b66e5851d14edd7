"""ONNX files: of weights, and of bundles; and the names of classes within them."""

from __future__ import annotations

import ast
from contextlib import suppress
from pathlib import Path

import onnx
from fuzz.target import put, target
from google.protobuf.message import DecodeError

from wreckognize.errors import WeightsError
from wreckognize.weightfiles import read_exported, require_whole
from wreckognize.weightfiles.exported import names_of
from wreckognize.weightfiles.graphs import messages, parsed


@target("onnx", WeightsError)
def onnx_weights(data: bytes) -> None:
    """What is taken for a detector names no other file, and says only what can be worked with."""
    path = put("onnx/weights.onnx", data)
    read, graph = read_exported(path)
    assert read == data
    assert graph.names
    assert all(name.isprintable() for name in graph.names)
    assert graph.side is None or (graph.side % graph.stride == 0 and graph.misfit(graph.side) == "")
    assert graph.batch is None or graph.batch > 0
    for tensor in messages(parsed(data, path), "TensorProto"):
        assert not tensor.external_data


@target("onnx", WeightsError)
def onnx_of_a_bundle(data: bytes) -> None:
    """Whatever passes without a look at its structure names no file where its structure is looked at."""
    path = Path("model.onnx")
    require_whole(data, path)
    model = onnx.ModelProto()
    with suppress(DecodeError):
        model.ParseFromString(data)
    for tensor in messages(model, "TensorProto"):
        assert all(entry.key != "location" for entry in tensor.external_data)
    assert all(node.op_type != "EPContext" for node in messages(model, "NodeProto"))


@target("onnx-names", WeightsError)
def onnx_names(data: bytes) -> None:
    """What the grammar takes, Python reads the same."""
    text = data.decode("utf-8", "replace")
    names = names_of(text, Path("model.onnx"))
    literal = ast.literal_eval(text.strip())
    assert names == tuple(literal[number] for number in range(len(literal)))
