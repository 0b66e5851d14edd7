"""YOLO networks on OpenVINO: the fastest way on a CPU.

The graph comes from `wreckognize.detectors.graph`, so any YOLOv8 weights that the torch engine reads can be run. It is
compiled once with open batch, height and width (measured as fast as a graph of one shape). OpenVINO and NNCF report
their use to their maker unless declined; they are imported so that they find no way to.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import logging
import platform
import queue
import sys
import tempfile
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wreckognize import processor
from wreckognize.detectors.graph import OUTPUTS, GraphSource, cached_onnx, graph_key
from wreckognize.detectors.port import Calibration, DetectorInfo, Precision, RawDetections, VehicleReading
from wreckognize.detectors.ultralytics import Network
from wreckognize.errors import EngineError, MissingExtraError, UsageError
from wreckognize.files import is_kept, write_kept

_TELEMETRY = "openvino_telemetry"
_INT8_REVISION = 1
_CORES: list[Any] = []  # none or one, see `_core`
_CORE_LOCK = threading.Lock()


class OpenVinoDetector:
    """A graph on OpenVINO, on the CPU.

    Args:
        file: an ONNX file that `wreckognize.detectors.graph` wrote, or the ``.xml`` that was made of one.
        source: the network that it was made from.
        precision: ``float32``; ``bfloat16`` where the CPU has it; ``int8`` where the file is.
        requests: batches looked at at the same time, each by its share of the cores; default: as many as OpenVINO
            thinks best for throughput. 1 gives a single photo all the cores.
        threads: cores it may use; default: all that this process may.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        UsageError: the CPU has no bfloat16.
        EngineError: the file cannot be loaded.
    """

    def __init__(
        self,
        file: Path,
        source: GraphSource,
        *,
        precision: Precision = "float32",
        requests: int | None = None,
        threads: int | None = None,
    ) -> None:
        core = _core()
        _require_precision(core, precision)
        threads = threads or processor.cpu_threads()
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
            "INFERENCE_NUM_THREADS": threads,
        }
        if requests is None:
            settings["PERFORMANCE_HINT"] = "THROUGHPUT"
        else:
            settings["NUM_STREAMS"] = min(requests, threads)
        try:
            self._compiled = core.compile_model(core.read_model(file), "CPU", settings)
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO cannot load the graph ({str(error).splitlines()[0]})",
                where=file.name,
                remedy="export it again",
            ) from error
        count = requests or int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(count):
            self._idle.put(self._compiled.create_infer_request())
        self._info = DetectorInfo(
            engine=f"openvino {metadata.version('openvino')}",
            weights=source.weights,
            weights_sha256=source.weights_sha256,
            random_weights=source.random_weights,
            names=source.names,
            stride=source.stride,
            device=f"CPU ({platform.machine()})",
            precision=precision,
            threads=threads,
            requests=count,
        )
        # Its binding sets itself up at the first call, and two first calls at once wait for each other for ever.
        self.infer(np.zeros((1, source.stride, source.stride, 3), np.uint8))

    @classmethod
    def of_network(
        cls,
        network: Network,
        reading: VehicleReading,
        *,
        precision: Precision = "float32",
        cache: Path | None = None,
        calibration: Calibration | None = None,
        requests: int | None = None,
    ) -> OpenVinoDetector:
        """A YOLO network on OpenVINO.

        Args:
            network: what to run.
            reading: how its classes become one vehicle confidence.
            precision: ``int8`` needs a ``calibration``.
            cache: a folder for the graph; default: a temporary one, for this call only.
            calibration: for ``int8``.
            requests: as above.

        Raises:
            MissingExtraError: OpenVINO (for ``int8``: or NNCF) is not installed.
            UsageError: the CPU has no bfloat16; there is no calibration.
            WeightsError: the network cannot be turned into a graph.
        """
        _require_precision(_core(), precision)
        with _folder(cache) as folder:
            file = cached_onnx(network, reading, folder)
            if precision == "int8":
                file = cached_int8(network, reading, file, calibration)
            return cls(file, GraphSource.of(network), precision=precision, requests=requests)

    @property
    def info(self) -> DetectorInfo:
        """What it is and what it runs on."""
        return self._info

    def infer(self, batch: NDArray[np.uint8]) -> RawDetections:
        """Look at a batch, ``(B, H, W, 3) uint8`` BGR; waits while ``info.requests`` others are under way."""
        request = self._idle.get()
        try:
            request.infer([np.ascontiguousarray(batch)], share_inputs=True)
            return RawDetections(*(request.get_tensor(name).data.copy() for name in OUTPUTS))
        finally:
            self._idle.put(request)


def _require_precision(core: Any, precision: Precision) -> None:
    if precision == "float16":
        raise UsageError("OpenVINO offers no float16 on a CPU", remedy="choose float32, bfloat16 or int8")
    if precision == "bfloat16" and not (
        processor.has_bfloat16() and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    ):
        raise UsageError("this processor has no bfloat16", remedy="choose `precision: float32`, or int8")


def save_as_openvino(onnx: Path, target: Path) -> None:
    """Write an ONNX file as OpenVINO's own pair of files: ``target``, an ``.xml``, and its ``.bin`` beside it."""
    openvino = import_openvino()
    openvino.save_model(_core().read_model(onnx), target, compress_to_fp16=False)


def _core() -> Any:
    """OpenVINO's core, one for the process and for as long as that lives.

    A core gives the thread that makes it a stack for signals, and frees that stack with itself and its last model, in
    whatever thread that happens. The next signal to a main thread whose stack was freed elsewhere (SIGTERM to a
    service, Ctrl-C) ended the process with SIGSEGV.
    """
    openvino = import_openvino()
    with _CORE_LOCK:
        if not _CORES:
            _CORES.append(openvino.Core())
        return _CORES[0]


def import_openvino() -> Any:
    """OpenVINO, without its reports to its maker.

    Raises:
        MissingExtraError: it is not installed.
    """
    return _import_quietly("openvino", "the engine openvino")


def _import_quietly(name: str, needed_for: str) -> Any:
    """Import a package that reports its use where ``openvino_telemetry`` can be imported, so that it cannot be.

    On its import alone NNCF writes a file into the home folder and starts a session; both packages say nothing
    where the reporter is not installed, so it is hidden from them.
    """
    hidden = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # Python's own way to say "not to be imported"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("export", needed_for) from error
    finally:
        if hidden is None:
            del sys.modules[_TELEMETRY]
        else:
            sys.modules[_TELEMETRY] = hidden


@contextlib.contextmanager
def _folder(cache: Path | None) -> Iterator[Path]:
    if cache is not None:
        yield cache
        return
    with tempfile.TemporaryDirectory(prefix="wreckognize-") as folder:
        yield Path(folder)


def cached_int8(network: Network, reading: VehicleReading, onnx: Path, calibration: Calibration | None) -> Path:
    """The graph in int8 beside its float32 file, quantised now if it is not there."""
    if calibration is None:
        raise UsageError(
            "int8 learns from photos, and there are none here",
            remedy="use int8 in a study (`predict: {engine: openvino, precision: int8}`), or choose float32",
        )
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # NNCF asks for a CUDA compiler
    nncf = _import_quietly("nncf", "the precision int8")
    versions = {name: metadata.version(name) for name in ("openvino", "nncf")}
    facts = {
        "graph": graph_key(network, reading),
        "photos": calibration.key,
        "revision": _INT8_REVISION,
        **versions,
    }
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]
    file = onnx.with_name(f"{name}-int8.xml")
    if not (is_kept(file) and is_kept(file.with_suffix(".bin"))):
        _quantise(nncf, onnx, calibration, file)
    return file


def _quantise(nncf: Any, onnx: Path, calibration: Calibration, target: Path) -> None:
    """Post-training quantisation of weights and activations; what follows the last convolutions stays float32."""
    openvino = import_openvino()
    model = _core().read_model(onnx)
    photos = list(calibration.batches())
    if not photos:
        raise UsageError("int8 learns from photos, and there is none", remedy="choose float32 or bfloat16")
    nncf.set_log_level(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # its progress bars
        quantised = nncf.quantize(
            model,
            nncf.Dataset(photos),
            preset=nncf.QuantizationPreset.MIXED,  # SiLU is not symmetric about zero
            subset_size=len(photos),
            ignored_scope=nncf.IgnoredScope(names=_decoding(model)),
        )
    with tempfile.TemporaryDirectory(prefix="wreckognize-") as folder:
        written = Path(folder) / "model.xml"
        openvino.save_model(quantised, written, compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            write_kept(target.with_suffix(suffix), written.with_suffix(suffix).read_bytes())


def _decoding(model: Any) -> list[str]:
    """Names of the operations behind the last convolutions: boxes need more than 256 steps over the photo."""
    names: list[str] = []
    waiting = [result.input_value(0).get_node() for result in model.get_results()]
    while waiting:
        node = waiting.pop()
        sources = [value.get_node() for value in node.input_values()]
        kinds = {one.get_type_name() for one in (node, *sources)} & {"Convolution", "GroupConvolution"}
        if not sources or kinds or node.get_type_name() == "ShapeOf":  # a convolution, or the bias behind one
            continue
        if node.get_friendly_name() not in names:
            names.append(node.get_friendly_name())
            waiting += sources
    return names
