"""YOLO networks on TensorRT in float16, through an ONNX Runtime that was built with it."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wreckognize import processor
from wreckognize.detectors.graph import INPUT, OUTPUTS, cached_onnx, onnx_bytes
from wreckognize.detectors.onnx import CUDA, TENSORRT, require_tensorrt
from wreckognize.detectors.port import DetectorInfo, OutOfMemory, RawDetections, VehicleReading
from wreckognize.errors import UsageError
from wreckognize.home import import_onnxruntime

if TYPE_CHECKING:
    from wreckognize.detectors.ultralytics import Network

_QUIET = 3  # errors only


class TensorRtDetector:
    """A YOLO network on TensorRT in float16, through ONNX Runtime; what TensorRT does not take runs on CUDA.

    Boxes are worked out by TensorRT too, to half a pixel or so; parity and the second look judge what comes of it.

    Args:
        network: what to run.
        reading: how its classes become one vehicle confidence.
        device: as the study says; None takes the first GPU.
        cache: a folder for the graph and for what TensorRT builds of it; default: none is kept.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        UsageError: this ONNX Runtime has no TensorRT, or cannot use it here.
        WeightsError: the network cannot be turned into a graph.
    """

    def __init__(
        self,
        network: Network,
        reading: VehicleReading,
        *,
        device: str | int | None = None,
        cache: Path | None = None,
    ) -> None:
        import torch

        from wreckognize.detectors.ultralytics import describe_device, device_name

        require_tensorrt()
        name = device_name(device)
        if not name.startswith("cuda"):
            raise UsageError(
                f"TensorRT runs on a GPU of NVIDIA, and the device is {name}",
                where="the engine tensorrt",
                remedy="use a machine with one, or `engine: torch`",
            )
        threads, number = processor.cpu_threads(), int(name.partition(":")[2] or 0)
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = _QUIET
        graph = (
            onnx_bytes(network, reading) if cache is None else cached_onnx(network, reading, cache).read_bytes()
        )
        providers = tensorrt_providers(number, cache)
        self._session: Any = onnxruntime.InferenceSession(graph, options, providers=providers)
        if TENSORRT not in self._session.get_providers():  # it falls back without a word
            raise UsageError(
                "ONNX Runtime could not load TensorRT",
                where="the engine tensorrt",
                remedy="install the version of TensorRT that this onnxruntime-gpu was built with, or use "
                "`engine: torch`",
            )
        self._info = DetectorInfo(
            engine=f"tensorrt, onnxruntime-gpu {metadata.version('onnxruntime-gpu')}",
            weights=network.weights,
            weights_sha256=network.sha256,
            random_weights=network.random,
            names=network.names,
            stride=int(network.model.stride.max()),  # type: ignore[operator]
            device=describe_device(torch.device(name)),
            precision="float16",
            threads=threads,
        )

    @property
    def info(self) -> DetectorInfo:
        """What it is and what it runs on."""
        return self._info

    def infer(self, batch: NDArray[np.uint8]) -> RawDetections:
        """Look at a batch, ``(B, H, W, 3) uint8`` BGR; see `RawDetections` for what comes back.

        Raises:
            OutOfMemory: the batch is too large for the GPU.
        """
        try:
            answers = self._session.run(list(OUTPUTS), {INPUT: np.ascontiguousarray(batch)})
        except Exception as error:  # of ONNX Runtime's own, none of which says what kind it is
            if "memory" in str(error).lower():
                raise OutOfMemory(str(error).splitlines()[0][:200]) from None
            raise
        return RawDetections(*answers)


def tensorrt_providers(device: int, cache: Path | None) -> list[Any]:
    """Providers and their options, the first one first, as ONNX Runtime's page on TensorRT names them."""
    options: dict[str, Any] = {"device_id": device, "trt_fp16_enable": True}
    if cache is not None:
        kept = str(cache / "tensorrt")
        options |= {"trt_engine_cache_enable": True, "trt_engine_cache_path": kept}
        options |= {"trt_timing_cache_enable": True, "trt_timing_cache_path": kept}
    return [(TENSORRT, options), (CUDA, {"device_id": device}), "CPUExecutionProvider"]
