"""YOLO networks compiled by torch: fused kernels for each input shape, and on a GPU one CUDA graph for each.

It runs the plain graph of `wreckognize.detectors.graph`, whose layers may be narrow and whose boxes and confidences are
worked out in float32. Kernels are compiled for each shape that comes, which takes a minute or more, so batches are
filled up to a power of two; what they were filled with is cut off again. torch's own way to CUDA graphs
(``mode="reduce-overhead"``) keeps them with the thread that compiled (pytorch/pytorch#123177), and the stream looks
from several; so the graphs are captured here.
"""

from __future__ import annotations

import importlib.metadata
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wreckognize.detectors.graph import vehicle_graph
from wreckognize.detectors.port import DetectorInfo, OutOfMemory, Precision, RawDetections, VehicleReading
from wreckognize.detectors.ultralytics import Network, describe_device, device_name, layer_type
from wreckognize.errors import EngineError

_SHAPES = 256
"""Shapes that are compiled before torch would run further ones uncompiled."""
_WARM_UP = 3  # runs before a capture, as torch's notes on CUDA graphs want


class CompiledDetector:
    """A YOLO network, compiled.

    Args:
        network: what to run.
        reading: how its classes become one vehicle confidence.
        device: as the study says; None takes the first GPU where there is one.
        precision: of the layers up to the last convolutions.
        backend: of torch's compiler.

    Raises:
        UsageError: the device does not offer the precision.
        WeightsError: the network cannot be turned into a graph.
    """

    def __init__(
        self,
        network: Network,
        reading: VehicleReading,
        device: str | int | None = None,
        precision: Precision = "float32",
        *,
        backend: str = "inductor",
    ) -> None:
        import torch

        self._torch = torch
        self._device = torch.device(device_name(device))
        graph = vehicle_graph(network, reading, layer_type(precision, self._device.type))
        graph = graph.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        dynamo: Any = torch._dynamo
        dynamo.config.recompile_limit = max(_SHAPES, dynamo.config.recompile_limit)
        self._compiled: Any = torch.compile(graph, dynamic=False, backend=backend)
        self._captured: dict[tuple[int, ...], tuple[Any, Any, Any]] = {}  # shape -> graph, its input, its outputs
        self._turn = threading.Lock()  # a captured graph has one input
        self._info = DetectorInfo(
            engine=f"torch {importlib.metadata.version('torch')}, compiled",
            weights=network.weights,
            weights_sha256=network.sha256,
            random_weights=network.random,
            names=network.names,
            stride=int(network.model.stride.max()),  # type: ignore[operator]
            device=describe_device(self._device),
            precision=precision,
            threads=torch.get_num_threads(),
        )

    @property
    def info(self) -> DetectorInfo:
        """What it is and what it runs on."""
        return self._info

    def infer(self, batch: NDArray[np.uint8]) -> RawDetections:
        """Look at a batch, ``(B, H, W, 3) uint8`` BGR; see `RawDetections` for what comes back.

        Raises:
            OutOfMemory: the batch is too large for the GPU.
            EngineError: torch cannot compile here.
        """
        torch, count = self._torch, len(batch)
        filled = np.zeros((1 << (count - 1).bit_length(), *batch.shape[1:]), np.uint8)
        filled[:count] = batch
        try:
            with self._turn, torch.inference_mode():
                photos = torch.from_numpy(filled)
                outputs = self._run(photos) if self._device.type == "cpu" else self._replay(photos)
                return RawDetections(*(one[:count].float().cpu().numpy() for one in outputs))
        except torch.cuda.OutOfMemoryError as error:
            self._captured.clear()  # their memory may be what is missing
            torch.cuda.empty_cache()
            raise OutOfMemory(str(error).splitlines()[0]) from None

    def _run(self, photos: Any) -> Any:
        from torch._inductor.exc import InductorError

        try:
            return self._compiled(photos)
        except InductorError as error:
            if isinstance(error.__cause__, self._torch.cuda.OutOfMemoryError):
                raise error.__cause__ from None
            raise EngineError(
                f"torch cannot compile here: {' '.join(str(error).split())[:300]}",
                where=self._info.device,
                remedy="install a C++ compiler (Triton for a GPU), or use `engine: torch`",
            ) from error

    def _replay(self, photos: Any) -> Any:
        """The outputs on the GPU; they hold until the next call with this shape."""
        torch, shape = self._torch, tuple(photos.shape)
        if shape not in self._captured:
            self._captured[shape] = self._capture(photos)
        graph, static, outputs = self._captured[shape]
        static.copy_(photos)
        graph.replay()
        torch.cuda.current_stream(self._device).synchronize()
        return outputs

    def _capture(self, photos: Any) -> tuple[Any, Any, Any]:
        torch = self._torch
        static = photos.to(self._device)
        with torch.cuda.device(self._device):
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP):  # compiles, and lets libraries choose their kernels
                    self._run(static)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                outputs = self._run(static)
        return graph, static, outputs
