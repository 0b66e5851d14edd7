"""The model's files within a bundle: written from a network, and opened again without it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from wreckognize.detectors.port import Calibration, Detector, VehicleReading
from wreckognize.errors import UsageError
from wreckognize.exporting.manifest import MODEL_FILES, Manifest, Target
from wreckognize.weightfiles import require_whole

if TYPE_CHECKING:
    from wreckognize.detectors.ultralytics import Network


def write_model(
    target: Target,
    network: Network,
    reading: VehicleReading,
    folder: Path,
    *,
    weights: str,
    imgsz: int,
    calibration: Calibration | None = None,
) -> None:
    """Write the model's files into a folder.

    Args:
        target: what to export to.
        network: the original.
        reading: how its classes become one vehicle confidence.
        folder: of the bundle.
        weights: the file that the network was read from.
        imgsz: that it is used at.
        calibration: photos for int8; None: float32. Only for OpenVINO.

    Raises:
        UsageError: int8 is asked of another target than OpenVINO, or TensorRT is not here.
        MissingExtraError: a package of the extra ``[export]`` is not installed.
        WeightsError: the network cannot be turned into a graph.
    """
    if calibration is not None and target != "openvino":
        raise UsageError(f"{target} offers no int8", remedy="choose `--to openvino`, or leave out `--int8`")
    if target == "tensorrt":
        from wreckognize.detectors.onnx import require_tensorrt

        require_tensorrt()
    if target == "safetensors":
        _write_safetensors(network, weights, folder / "model.safetensors", imgsz)
        return
    from wreckognize.detectors.graph import onnx_bytes

    if target != "openvino":
        (folder / "model.onnx").write_bytes(onnx_bytes(network, reading))
        return
    from wreckognize.detectors.graph import cached_onnx
    from wreckognize.detectors.openvino import cached_int8, save_as_openvino

    with tempfile.TemporaryDirectory(prefix="wreckognize-") as name:
        onnx = cached_onnx(network, reading, Path(name))
        if calibration is None:
            save_as_openvino(onnx, folder / "model.xml")
            return
        made = cached_int8(network, reading, onnx, calibration)
        for suffix in (".xml", ".bin"):
            shutil.copyfile(made.with_suffix(suffix), folder / f"model{suffix}")


def _write_safetensors(network: Network, weights: str, target: Path, imgsz: int) -> None:
    """The very bytes of a system's own weights; other weights are written anew, with nothing rounded."""
    from wreckognize.detectors.ultralytics import save_network
    from wreckognize.detectors.weights import card_path

    if weights.endswith(".safetensors"):
        shutil.copyfile(weights, target)
        shutil.copyfile(card_path(Path(weights)), target.with_name("model.json"))
        return
    save_network(network.model, target, imgsz=imgsz, exact=True)


def open_model(
    folder: Path, manifest: Manifest, *, threads: int | None = None, requests: int | None = None
) -> Detector:
    """Open the model of a bundle whose files were checked.

    Args:
        folder: of the bundle.
        manifest: of the bundle.
        threads: cores it may use; default: all that this process may. For torch it holds for the whole process.
        requests: OpenVINO: batches looked at at the same time; default: what serves throughput.

    Raises:
        MissingExtraError: what runs it is not installed.
        UsageError: this machine cannot run it.
        EngineError: the engine cannot load it.
    """
    if manifest.engine == "torch":
        return _open_torch(folder, manifest, threads)
    from wreckognize.detectors.graph import GraphSource

    source = GraphSource(
        weights=f"{manifest.name} {manifest.version}",
        weights_sha256=manifest.weights_sha256,
        random_weights=manifest.random_weights,
        names=manifest.names,
        stride=manifest.stride,
    )
    file = folder / MODEL_FILES[manifest.engine][0]
    if manifest.engine == "openvino":
        from wreckognize.detectors.openvino import OpenVinoDetector

        return OpenVinoDetector(file, source, precision=manifest.precision, requests=requests, threads=threads)
    from wreckognize.detectors.onnx import OnnxDetector

    graph = file.read_bytes()
    require_whole(graph, file)
    return OnnxDetector(graph, source, threads=threads, gpu=manifest.engine == "tensorrt")


def _open_torch(folder: Path, manifest: Manifest, threads: int | None) -> Detector:
    from wreckognize.detectors.ultralytics import open_detector

    return open_detector(
        str(folder / "model.safetensors"), classes=manifest.classes, merge=manifest.merge, threads=threads
    )
