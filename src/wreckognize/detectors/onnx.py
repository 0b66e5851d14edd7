"""Graphs on ONNX Runtime: on the CPU everywhere, in float32; on a GPU by TensorRT where it was built with it."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wreckognize import processor
from wreckognize.detectors.graph import INPUT, OUTPUTS, GraphSource, cached_onnx, onnx_bytes
from wreckognize.detectors.port import DetectorInfo, RawDetections, VehicleReading
from wreckognize.errors import EngineError, MissingExtraError, UsageError
from wreckognize.home import import_onnxruntime

if TYPE_CHECKING:
    from wreckognize.detectors.ultralytics import Network

TENSORRT, CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"
"""ONNX Runtime's names of them."""
CPU = f"CPU ({platform.machine()})"
"""The device, as it is recorded."""
_QUIET = 3  # errors only


class OnnxDetector:
    """A graph on ONNX Runtime.

    Args:
        graph: an ONNX file's bytes, as `wreckognize.detectors.graph.onnx_bytes` writes them.
        source: the network that it was made from.
        threads: cores it may use; default: all that this process may.
        gpu: run it by TensorRT on a GPU instead, see `missing_for_tensorrt`.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        UsageError: TensorRT is asked for, and is not to be had.
        EngineError: the graph cannot be loaded.
    """

    def __init__(
        self, graph: bytes, source: GraphSource, *, threads: int | None = None, gpu: bool = False
    ) -> None:
        threads = threads or processor.cpu_threads()
        self._session = open_session(graph, source.weights, threads=threads, gpu=gpu)
        if gpu and TENSORRT not in self._session.get_providers():  # it falls back to others without an error
            raise UsageError(
                "ONNX Runtime has TensorRT, but cannot start it here",
                remedy="check the GPU's driver and the TensorRT libraries, or export with `--to onnx`",
            )
        self._info = DetectorInfo(
            engine=engine_name() + (" (TensorRT)" if gpu else ""),
            weights=source.weights,
            weights_sha256=source.weights_sha256,
            random_weights=source.random_weights,
            names=source.names,
            stride=source.stride,
            device="GPU" if gpu else CPU,
            precision="float32",
            threads=threads,
        )

    @classmethod
    def of_network(cls, network: Network, reading: VehicleReading, *, cache: Path | None = None) -> OnnxDetector:
        """A YOLO network on ONNX Runtime.

        Args:
            network: what to run.
            reading: how its classes become one vehicle confidence.
            cache: a folder for the graph; default: none is kept.

        Raises:
            WeightsError: the network cannot be turned into a graph.
        """
        _import_onnxruntime()
        graph = (
            onnx_bytes(network, reading) if cache is None else cached_onnx(network, reading, cache).read_bytes()
        )
        return cls(graph, GraphSource.of(network))

    @property
    def info(self) -> DetectorInfo:
        """What it is and what it runs on."""
        return self._info

    def infer(self, batch: NDArray[np.uint8]) -> RawDetections:
        """Look at a batch, ``(B, H, W, 3) uint8`` BGR; see `RawDetections` for what comes back."""
        return RawDetections(*self._session.run(list(OUTPUTS), {INPUT: np.ascontiguousarray(batch)}))


def open_session(graph: bytes, where: str, *, threads: int, gpu: bool = False) -> Any:
    """An ``InferenceSession`` of ONNX Runtime.

    Args:
        graph: an ONNX file's bytes; it names no other file, see `wreckognize.weightfiles`.
        where: for the error.
        threads: cores it may use.
        gpu: by TensorRT or CUDA.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        UsageError: TensorRT is asked for, and is not to be had.
        EngineError: the graph cannot be loaded.
    """
    onnxruntime = _import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _QUIET
    if gpu:
        require_tensorrt()
    providers = [TENSORRT, CUDA] if gpu else ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(graph, options, providers=providers)
    except Exception as error:  # its errors have no base of their own
        raise EngineError(
            f"ONNX Runtime cannot load the graph ({str(error).splitlines()[0]})",
            where=where,
            remedy="export it again",
        ) from error


def engine_name() -> str:
    """ONNX Runtime and its version, as it is recorded."""
    return f"onnxruntime {metadata.version(_distribution())}"


def missing_for_tensorrt() -> str | None:
    """What TensorRT would need that is not here, in words; None where ONNX Runtime offers it."""
    providers = _import_onnxruntime().get_available_providers()
    if TENSORRT in providers:
        return None
    return f"an ONNX Runtime with TensorRT (onnxruntime-gpu); the one here offers {', '.join(providers)}"


def require_tensorrt() -> None:
    """Refuse where ONNX Runtime has no TensorRT.

    Raises:
        UsageError: it has none.
        MissingExtraError: ONNX Runtime is not installed.
    """
    missing = missing_for_tensorrt()
    if missing is not None:
        raise UsageError(
            f"TensorRT needs {missing}",
            remedy="install onnxruntime-gpu in the place of onnxruntime, and TensorRT, on a machine with a GPU of "
            "NVIDIA; or choose onnx or openvino",
        )


def _import_onnxruntime() -> Any:
    try:
        return import_onnxruntime()
    except ImportError as error:
        raise MissingExtraError("export", "the engine onnxruntime") from error


def _distribution() -> str:
    """The name that this ONNX Runtime was installed under; the one for GPUs has its own."""
    try:
        metadata.version("onnxruntime")
    except metadata.PackageNotFoundError:
        return "onnxruntime-gpu"
    return "onnxruntime"
