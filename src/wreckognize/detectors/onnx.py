"""YOLO networks on ONNX Runtime, on the CPU: everywhere, in float32."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wreckognize import processor
from wreckognize.detectors.graph import INPUT, OUTPUTS, cached_onnx, onnx_bytes
from wreckognize.detectors.port import DetectorInfo, RawDetections, VehicleReading
from wreckognize.errors import MissingExtraError

if TYPE_CHECKING:
    from wreckognize.detectors.ultralytics import Network

_QUIET = 3  # errors only


class OnnxDetector:
    """A YOLO network on ONNX Runtime.

    Args:
        network: what to run.
        reading: how its classes become one vehicle confidence.
        cache: a folder for the graph; default: none is kept.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        WeightsError: the network cannot be turned into a graph.
    """

    def __init__(self, network: Network, reading: VehicleReading, *, cache: Path | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("export", "the engine onnxruntime") from error
        threads = processor.cpu_threads()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _QUIET
        graph = (
            onnx_bytes(network, reading) if cache is None else cached_onnx(network, reading, cache).read_bytes()
        )
        self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._info = DetectorInfo(
            engine=f"onnxruntime {metadata.version('onnxruntime')}",
            weights=network.weights,
            weights_sha256=network.sha256,
            random_weights=network.random,
            names=network.names,
            stride=int(network.model.stride.max()),  # type: ignore[operator]
            device=f"CPU ({platform.machine()})",
            precision="float32",
            threads=threads,
        )

    @property
    def info(self) -> DetectorInfo:
        """What it is and what it runs on."""
        return self._info

    def infer(self, batch: NDArray[np.uint8]) -> RawDetections:
        """Look at a batch, ``(B, H, W, 3) uint8`` BGR; see `RawDetections` for what comes back."""
        return RawDetections(*self._session.run(list(OUTPUTS), {INPUT: np.ascontiguousarray(batch)}))
