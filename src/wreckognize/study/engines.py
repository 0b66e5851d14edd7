"""The engines that a study names, against what is installed and what the processor can do; no engine is started."""

from __future__ import annotations

from importlib.util import find_spec

from wreckognize import processor
from wreckognize.settings import EngineSettings, PredictSettings
from wreckognize.study.problems import Problems
from wreckognize.study.reader import Key

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
