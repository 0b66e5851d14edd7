"""Detectors as Ultralytics' own exporter writes them to ONNX, and such as nobody should use."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from wreckognize.detectors.ultralytics import load_network


def export(weights: Path, target: Path, **options: Any) -> Path:
    """What ``model.export(format="onnx")`` makes of ``weights``, at 64 pixels and one photo at a time by default."""
    network = load_network(str(weights))
    from ultralytics.engine.exporter import Exporter

    model: Any = copy.deepcopy(network.model)
    model.task, model.pt_path = "detect", str(target.with_suffix(".pt"))  # it writes beside that
    settings = {"format": "onnx", "imgsz": 64, "batch": 1, "device": "cpu", "simplify": False, "verbose": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would rather export another way
        written = Path(Exporter(overrides={**settings, **options})(model=model))
    assert written == target
    return written


def changed(source: Path, target: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    """A copy of an ONNX file with something changed in it."""
    model = onnx.load(source)
    change(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(model.SerializeToString())
    return target


def said(**texts: str) -> Callable[[onnx.ModelProto], None]:
    """A change of the texts beside a graph; an empty one is left out."""

    def change(model: onnx.ModelProto) -> None:
        kept = {entry.key: entry.value for entry in model.metadata_props} | texts
        del model.metadata_props[:]
        for key, value in kept.items():
            if value:
                model.metadata_props.add(key=key, value=value)

    return change


def tiny_graph() -> onnx.ModelProto:
    """A detector of two classes in a few hundred bytes: it finds a vehicle as bright as each of four quarters."""
    from numpy import float32, full
    from onnx import TensorProto, helper, numpy_helper

    boxes = full((1, 4, 4), 16, float32)
    boxes[:, :2] = [[[16, 48, 16, 48], [16, 16, 48, 48]]]
    nodes = [
        helper.make_node("AveragePool", ["images"], ["quarters"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("Reshape", ["quarters", "flat"], ["colours"]),
        helper.make_node("Slice", ["colours", "from", "to", "axis"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output0"], axis=1),
    ]
    constants = [
        helper.make_tensor("flat", TensorProto.INT64, [3], [1, 3, 4]),
        *(helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in
          (("from", 0), ("to", 2), ("axis", 1))),
        numpy_helper.from_array(boxes, "boxes"),
    ]  # fmt: skip
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])
    made = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, 4])
    graph = helper.make_graph(nodes, "g", [given], [made], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    said(task="detect", stride="32", names="{0: 'car', 1: 'boat'}", imgsz="[64, 64]")(model)
    return model
