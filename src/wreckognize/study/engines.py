"""The engines that a study names, against what is installed and what the processor can do; no engine is started."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from wreckognize import processor
from wreckognize.errors import UsageError
from wreckognize.settings import EngineSettings, PredictSettings
from wreckognize.study.problems import Problems
from wreckognize.study.reader import Key
from wreckognize.weightfiles import exported_graph, is_graph

EXPORT_MODULES = ("onnx", "onnxruntime", "openvino", "nncf")
"""Modules that the extra ``[export]`` brings."""
INSTALL = 'pip install "wreckognize[export]"'


TENSORRT = 'pip uninstall onnxruntime; pip install "onnxruntime-gpu[cuda,cudnn]" tensorrt'


def check_engine(settings: EngineSettings, key: Key, problems: Problems) -> None:
    """The engine is installed, the processor has the number format, and the device is one that the engine can use."""
    wanted: list[str] = [settings.engine] if settings.engine in EXPORT_MODULES else []
    wanted += ["nncf"] if settings.precision == "int8" else []
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        problems.add((*key, "engine"), f"{' and '.join(missing)} not installed", "the extra [export]", INSTALL)
    if settings.engine == "tensorrt" and not processor.tensorrt_here():
        found = "ONNX Runtime with TensorRT not installed"
        problems.add(
            (*key, "engine"), found, "onnxruntime-gpu in the place of onnxruntime, and TensorRT", TENSORRT
        )
    device = settings.device if isinstance(settings, PredictSettings) else None
    on_cpu = settings.engine == "openvino" or device == "cpu" or not processor.sees_gpu()
    lacks = (settings.precision == "bfloat16" and not processor.has_bfloat16()) or settings.precision == "float16"
    if on_cpu and lacks:
        found = f"{settings.precision}, which this processor does not have"
        others = "float32 or int8" if settings.engine == "openvino" else "float32"
        problems.add((*key, "precision"), found, others, "delete `precision`, or use `engine: auto`")
    if wanted and device not in (None, "cpu"):
        found, remedy = f"{device} with the engine {settings.engine}", "delete `device`, or use `engine: torch`"
        problems.add((*key, "device"), found, "cpu: this engine runs on the CPU", remedy)


def check_graph(weights: str, settings: EngineSettings, imgsz: int, key: Key, problems: Problems) -> None:
    """Weights that are an ONNX file run on the one engine that can, at a size that they take.

    Args:
        weights: absolute path; a file that cannot be used is said elsewhere.
        settings: of the engine.
        imgsz: longest side in pixels that photos are scaled to.
        key: of the section that holds both.
        problems: where to say it.
    """
    if not is_graph(weights):
        return
    if settings.engine != "onnxruntime":
        found = f"{settings.engine}, with an ONNX file as weights"
        problems.add(
            (*key, "engine"), found, "onnxruntime", "delete `engine`, or give the .pt or .safetensors file"
        )
    elif settings.precision != "float32":
        found = f"{settings.precision}, with an ONNX file as weights"
        problems.add(
            (*key, "precision"), found, "float32: a graph is run as it was exported", "delete `precision`"
        )
    try:
        wanted = exported_graph(Path(weights)).misfit(imgsz)
    except (OSError, ValueError, UsageError):
        return
    if wanted:
        remedy = "change `imgsz`, or export the graph again with dynamic=True"
        problems.add((*key, "imgsz"), str(imgsz), wanted, remedy)
