"""A YOLO network as one plain graph from pixels to vehicle boxes, for engines that run graphs, and its ONNX file.

The graph does what `wreckognize.detectors.ultralytics.UltralyticsDetector` does, from a batch as the stream hands it on
to the three arrays of `RawDetections`, with batch, height and width left open. Two things differ, and only in rounding:
colour order and the division by 255 are part of the first convolution's weights (so that pixels enter it as the whole
numbers they are, which bfloat16 and int8 hold exactly), and boxes are decoded by a sum instead of a convolution (so
that engines that run convolutions in a coarse format decode in float32).
"""

from __future__ import annotations

import copy
import hashlib
import json
import tempfile
import warnings
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wreckognize.detectors.port import VehicleReading
from wreckognize.errors import WeightsError
from wreckognize.files import is_kept, write_kept

if TYPE_CHECKING:
    from torch import nn

    from wreckognize.detectors.ultralytics import Network

INPUT, OUTPUTS = "photos", ("boxes", "confidences", "features")
"""Names in the graph: ``(B, H, W, 3) uint8`` BGR in; out as in `RawDetections`."""
OPSET = 17
_REVISION = 1  # of the graph: raised when this module writes another one


@dataclass(frozen=True, slots=True)
class GraphSource:
    """What is recorded of the network that a graph was made from: the fields of `DetectorInfo` of these names."""

    weights: str
    weights_sha256: str
    random_weights: bool
    names: tuple[str, ...]
    stride: int

    @classmethod
    def of(cls, network: Network) -> GraphSource:
        """The source that a network is."""
        stride = int(network.model.stride.max())  # type: ignore[operator]
        return cls(network.weights, network.sha256, network.random, network.names, stride)


def graph_key(network: Network, reading: VehicleReading) -> str:
    """What a graph's file depends on, as a file name: the weights, how they are read, and who wrote it."""
    facts = {
        "weights": network.sha256,
        "indices": reading.indices,
        "merge": reading.merge,
        "opset": OPSET,
        "revision": _REVISION,
        "torch": metadata.version("torch"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def cached_onnx(network: Network, reading: VehicleReading, cache: Path) -> Path:
    """The graph's ONNX file in the folder ``cache``, written now if it is not there, or not as it was written.

    Raises:
        WeightsError: as `onnx_bytes`.
    """
    file = cache / f"{graph_key(network, reading)}.onnx"
    if not is_kept(file):
        write_kept(file, onnx_bytes(network, reading))
    return file


def onnx_bytes(network: Network, reading: VehicleReading) -> bytes:
    """The network as an ONNX model (opset 17, float32, open batch, height and width).

    Raises:
        WeightsError: the network's head is not the one of YOLOv8 and YOLO11.
    """
    import torch

    module = vehicle_graph(network, reading)
    example = torch.zeros((2, 64, 96, 3), dtype=torch.uint8)
    free = {INPUT: {0: "batch", 1: "height", 2: "width"}}
    free |= {name: {0: "batch", 1: "candidate"} for name in OUTPUTS[:2]} | {OUTPUTS[2]: {0: "batch"}}
    with tempfile.TemporaryDirectory(prefix="wreckognize-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks about shapes it holds for constant; tests compare
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            module,
            (example,),
            file,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,  # the other exporter wants a package of its own
        )
        return file.read_bytes()


def vehicle_graph(network: Network, reading: VehicleReading, dtype: Any = None) -> nn.Module:
    """The graph as a module of torch, on the CPU.

    Args:
        network: what to run.
        reading: how its classes become one vehicle confidence.
        dtype: torch's type of the layers; default float32. What follows the last convolutions is float32 in any case.

    Raises:
        WeightsError: the network's head is not the one of YOLOv8 and YOLO11.
    """
    import torch
    from torch import nn
    from ultralytics.nn.modules import Detect

    model: Any = copy.deepcopy(network.model)
    head = model.model[-1]
    if type(head) is not Detect or head.end2end:
        raise WeightsError(
            f"a network with the head {type(head).__name__} cannot be turned into a graph",
            where=network.weights,
            remedy="run it with `engine: torch`, or use weights of YOLOv8 or YOLO11",
        )
    model.fuse(verbose=False)
    model.eval().float()
    dtype = torch.float32 if dtype is None else dtype
    # float16 holds small numbers coarsely: there the pixels are divided, not the weights.
    divisor = 255.0 if dtype == torch.float16 else 1.0
    with torch.no_grad():
        first = model.model[0].conv
        first.weight.copy_(first.weight.flip(1) * (divisor / 255))
    model.to(dtype)
    backbone_end = len(model.yaml["backbone"]) - 1
    strides = [float(stride) for stride in head.stride]
    bins, wanted = int(head.reg_max), list(reading.indices)

    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = model.model[:-1]
            self.head = head
            self.register_buffer("bins", torch.arange(bins, dtype=torch.float32).view(1, 1, -1, 1))

        def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            x: Any = photos.permute(0, 3, 1, 2).to(dtype)
            if divisor != 1.0:
                x = x / divisor
            kept: list[Any] = []
            features: Any = None
            for layer in self.layers:
                x = layer(_inputs_of(layer, x, kept))
                kept.append(x if layer.i in model.save else None)
                if layer.i == backbone_end:
                    features = x.mean(dim=(2, 3))
            maps = _inputs_of(head, x, kept)
            sides = torch.cat([part(one).flatten(2) for part, one in zip(head.cv2, maps, strict=True)], dim=2)
            scores = torch.cat([part(one).flatten(2) for part, one in zip(head.cv3, maps, strict=True)], dim=2)
            if dtype != torch.float32:
                sides, scores, features = sides.float(), scores.float(), features.float()
            return self.boxes(sides, maps), self.vehicle(scores), features

        def boxes(self, sides: Any, maps: list[Any]) -> Any:
            """Distances to the four sides as distributions over bins (Generalized Focal Loss), to xyxy pixels."""
            if bins > 1:
                sides = (sides.unflatten(1, (4, bins)).softmax(dim=2) * self.bins).sum(dim=2)
            centres, scale = [], []
            for one, stride in zip(maps, strides, strict=True):
                rows, columns = one.shape[2], one.shape[3]
                y = (
                    (torch.arange(rows, dtype=torch.float32, device=one.device) + 0.5)
                    .view(-1, 1)
                    .expand(rows, columns)
                )
                x = (
                    (torch.arange(columns, dtype=torch.float32, device=one.device) + 0.5)
                    .view(1, -1)
                    .expand(rows, columns)
                )
                centres.append(torch.stack([x.flatten(), y.flatten()]))
                scale.append(torch.ones_like(x.flatten()) * stride)
            centre = torch.cat(centres, dim=1)
            corners = torch.cat([centre - sides[:, :2], centre + sides[:, 2:]], dim=1) * torch.cat(scale)
            return corners.transpose(1, 2)

        def vehicle(self, scores: Any) -> Any:
            """``(B, C, A)`` logits to ``(B, A)``; the sigmoid rises, so it is taken of the highest only."""
            vehicle = scores[:, wanted].amax(dim=1)
            if reading.merge == "max":
                return vehicle.sigmoid()
            return torch.where(vehicle >= scores.amax(dim=1), vehicle.sigmoid(), torch.zeros_like(vehicle))

    return Graph().eval()


def _inputs_of(layer: Any, x: Any, kept: list[Any]) -> Any:
    """What a layer of Ultralytics' list takes: the layer before it, or those that its ``f`` names."""
    if layer.f == -1:
        return x
    if isinstance(layer.f, int):
        return kept[layer.f]
    return [x if index == -1 else kept[index] for index in layer.f]
