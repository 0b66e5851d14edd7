"""Which engines there are, what each offers, and opening one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from wreckognize import processor
from wreckognize.detectors.port import Calibration, Detector, EngineName, Merge, Precision
from wreckognize.detectors.second_look import MARGIN, SecondLook
from wreckognize.errors import UsageError
from wreckognize.processor import tensorrt_here
from wreckognize.settings import ENGINE_PRECISIONS
from wreckognize.weightfiles import is_graph

_PACKAGES: dict[EngineName, tuple[str, ...]] = {
    "torch": ("torch",),
    "compiled": ("torch",),
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime",),
    "tensorrt": ("onnxruntime-gpu", "tensorrt"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What runs a network, and how a coarse precision is kept honest.

    Attributes:
        engine: what runs it.
        precision: of its layers.
        thresholds: scores at which photos change sides; with a precision below float32, photos near one of them are
            looked at again in float32. Empty: none is.
        margin: how near that is.
    """

    engine: EngineName = "torch"
    precision: Precision = "float32"
    thresholds: tuple[float, ...] = ()
    margin: float = MARGIN

    @property
    def in_words(self) -> str:
        """Such as ``openvino bfloat16``."""
        return f"{self.engine} {self.precision}"


TORCH = Choice()
"""What is used unless something else is asked for."""


def packages_of(choice: Choice) -> tuple[str, ...]:
    """The packages whose versions decide what this choice gives."""
    return (*_PACKAGES[choice.engine], *(("nncf",) if choice.precision == "int8" else ()))


def versions_of(choice: Choice) -> dict[str, str]:
    """Their versions; a package that is not installed is left out."""
    found = {}
    for name in packages_of(choice):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def available(*, on_gpu: bool = False) -> list[Choice]:
    """What can be run on this machine as it is installed, torch in float32 first.

    Args:
        on_gpu: the network runs on a GPU. ``compiled`` is not among what is tried: compiling takes longer than trying.
    """
    choices = [TORCH]
    if on_gpu:
        fast = [Choice("tensorrt", "float16")] if tensorrt_here() else []
        return [*choices, Choice("torch", "bfloat16"), Choice("torch", "float16"), *fast]
    narrow: tuple[Precision, ...] = ("bfloat16",) if processor.has_bfloat16() else ()
    choices += [Choice("torch", precision) for precision in narrow]
    if find_spec("openvino") is not None:
        choices += [Choice("openvino", precision) for precision in ("float32", *narrow)]
        if find_spec("nncf") is not None and processor.has_int8():
            choices.append(Choice("openvino", "int8"))
    if find_spec("onnxruntime") is not None:
        choices.append(Choice("onnxruntime"))
    return choices


def open_engine(
    weights: str,
    choice: Choice,
    *,
    classes: Sequence[str],
    merge: Merge = "max",
    device: str | int | None = None,
    cache: Path | None = None,
    calibration: Calibration | None = None,
    requests: int | None = None,
) -> Detector:
    """Load weights and make them a vehicle detector on an engine.

    Args:
        weights: as `wreckognize.detectors.ultralytics.load_network` reads them; or an ONNX file as Ultralytics exports
            it, which runs on ONNX Runtime only.
        choice: the engine, its precision, and where to look twice.
        classes: read as vehicle where the weights know several classes.
        merge: how their scores become one.
        device: for torch, compiled or not, and TensorRT; the other engines run on the CPU.
        cache: a folder for graphs made from the weights; default: none is kept.
        calibration: for int8.
        requests: batches to look at at the same time; default: what serves throughput. 1: one photo has all cores.

    Raises:
        WeightsError: the weights cannot be read, know none of ``classes``, or cannot be run by this engine.
        MissingExtraError: the engine is not installed.
        UsageError: this engine, processor or device does not offer the precision.
    """
    offered = ENGINE_PRECISIONS[choice.engine]
    if choice.precision not in offered:
        raise UsageError(f"{choice.engine} offers no {choice.precision}", remedy=f"choose {' or '.join(offered)}")
    if is_graph(weights):
        return _open_graph(weights, choice, classes, merge, device)
    from wreckognize.detectors.ultralytics import UltralyticsDetector, load_as_vehicle_detector

    network, reading = load_as_vehicle_detector(weights, classes, merge)

    def opened(precision: Precision) -> Detector:
        if choice.engine == "torch":
            return UltralyticsDetector(network, reading, device, precision)
        if choice.engine == "compiled":
            from wreckognize.detectors.compiled import CompiledDetector

            return CompiledDetector(network, reading, device, precision)
        if choice.engine == "tensorrt":
            from wreckognize.detectors.tensorrt import TensorRtDetector

            if precision == "float32":  # the second look
                return UltralyticsDetector(network, reading, device)
            return TensorRtDetector(network, reading, device=device, cache=cache)
        _require_cpu(choice.engine, device)
        if choice.engine == "onnxruntime":
            from wreckognize.detectors.onnx import OnnxDetector

            return OnnxDetector.of_network(network, reading, cache=cache)
        from wreckognize.detectors.openvino import OpenVinoDetector

        return OpenVinoDetector.of_network(
            network, reading, precision=precision, cache=cache, calibration=calibration, requests=requests
        )

    detector = opened(choice.precision)
    if choice.precision == "float32" or not choice.thresholds:
        return detector
    return SecondLook(detector, opened("float32"), choice.thresholds, choice.margin)


def _open_graph(
    weights: str, choice: Choice, classes: Sequence[str], merge: Merge, device: str | int | None
) -> Detector:
    if choice.engine != "onnxruntime":
        raise UsageError(
            f"{choice.engine} cannot run an ONNX file",
            where=weights,
            remedy="choose onnxruntime, or give the .pt or .safetensors file",
        )
    _require_cpu(choice.engine, device)
    from wreckognize.detectors.exported import ExportedDetector

    return ExportedDetector(Path(weights), classes, merge)


def _require_cpu(engine: EngineName, device: str | int | None) -> None:
    if device not in (None, "cpu"):
        raise UsageError(
            f"the engine {engine} runs on the CPU, and the device is {device!r}",
            remedy="choose `engine: torch` for a GPU, or `device: cpu`",
        )
