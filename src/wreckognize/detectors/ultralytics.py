"""Networks of the YOLOv8 family, built and run by Ultralytics on torch.

This module and `wreckognize.training` are the only ones that import Ultralytics. Left alone it writes settings into
the home folder, sends telemetry, installs packages and downloads weights; `import_library` fences it before its
first import.
"""

from __future__ import annotations

import atexit
import copy
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from wreckognize.detectors.architecture import check_architecture, check_size
from wreckognize.detectors.checkpoint import read_description
from wreckognize.detectors.port import DetectorInfo, Merge, OutOfMemory, Precision, RawDetections, VehicleReading
from wreckognize.detectors.weights import ModelCard, file_sha256, read_card
from wreckognize.errors import MissingExtraError, UsageError, WeightsError
from wreckognize.files import atomic_write
from wreckognize.home import NO_REPORTS
from wreckognize.processor import cpu_threads as cpu_threads
from wreckognize.processor import has_bfloat16, let_cores_go
from wreckognize.weightfiles import is_graph

if TYPE_CHECKING:
    import torch
    from torch import nn

ARCHITECTURE_NAME = re.compile(r"yolov8[nsmlx]\.yaml")
"""Names that stand for an architecture with random weights."""

_FENCED = "WRECKOGNIZE_FENCED"
"""Names the folder that the fence stands round, so that a child can tell it from settings of its user's own."""

_INTEGRATIONS = (
    "clearml",
    "comet",
    "dvc",
    "mlflow",
    "raytune",
    "tensorboard",
    "wandb",
    "vscode_msg",
    "openvino_msg",
)


def fence(config: Path) -> dict[str, str]:
    """Environment variables that keep the library to itself. They must be set before its first import.

    Args:
        config: a folder of ours for the files it insists on writing.
    """
    return {
        _FENCED: str(config),
        "YOLO_CONFIG_DIR": str(config),
        "YOLO_AUTOINSTALL": "False",
        "YOLO_OFFLINE": "True",
        "YOLO_VERBOSE": "False",
        "ULTRALYTICS_SAFE_LOAD": "1",  # read once, at import
        "NO_ALBUMENTATIONS_UPDATE": "1",
        **NO_REPORTS,
        "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", str(config)),  # it imports matplotlib, which writes too
        "TORCHINDUCTOR_CACHE_DIR": os.environ.get("TORCHINDUCTOR_CACHE_DIR", str(config)),  # and so does torch
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(cpu_threads())),  # else it sets 1
        **let_cores_go(),
    }


def import_library() -> None:
    """Import Ultralytics fenced; later calls do nothing.

    Raises:
        MissingExtraError: it is not installed.
    """
    fenced = os.environ.get(_FENCED, "")
    if not fenced or os.environ.get("YOLO_CONFIG_DIR") != fenced or not Path(fenced).is_dir():
        folder = tempfile.TemporaryDirectory(prefix="wreckognize-")
        atexit.register(folder.cleanup)
        os.environ.update(fence(Path(folder.name)))
    open_image = PIL.Image.open
    try:
        import torch
        from ultralytics.utils import SETTINGS, USER_CONFIG_DIR
    except ImportError as error:
        raise MissingExtraError("yolo", "running a YOLO detector") from error
    finally:
        PIL.Image.open = (
            open_image  # it puts its own in place, which installs packages when it meets a broken photo
        )
    torch.set_num_threads(cpu_threads())
    _put_font(Path(USER_CONFIG_DIR) / "Arial.ttf")
    if SETTINGS["sync"]:
        SETTINGS.update({"sync": False, **dict.fromkeys(_INTEGRATIONS, False)})


def _put_font(file: Path) -> None:
    """Lay matplotlib's font where the library looks for one of its own: else each training asks the network for it."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        fonts = Path(str(importlib.util.find_spec("matplotlib").origin)).parent / "mpl-data" / "fonts" / "ttf"  # type: ignore[union-attr]
        shutil.copyfile(fonts / "DejaVuSans.ttf", file)


@dataclass(frozen=True, slots=True)
class Network:
    """A YOLO network in float32 on the CPU, as it was stored: not fused, trainable."""

    model: nn.Module
    names: tuple[str, ...]
    weights: str  # file or architecture name
    sha256: str
    random: bool


def load_network(weights: str) -> Network:
    """Build a network from ``.safetensors`` with its card, a ``.pt`` checkpoint, or an architecture's name.

    A pickle checkpoint gives its description of the layers and its tensors, and the network is built anew from them:
    the library never unpickles it (`wreckognize.detectors.checkpoint`).

    Args:
        weights: absolute path, or ``yolov8{n,s,m,l,x}.yaml`` for random weights (the same ones each time).

    Raises:
        WeightsError: the weights are missing, damaged, or of a kind that cannot be read.
        MissingExtraError: Ultralytics is not installed.
    """
    import_library()
    if ARCHITECTURE_NAME.fullmatch(weights):
        return _random_network(weights)
    path = Path(weights)
    if path.suffix == ".safetensors":
        return _from_safetensors(path)
    if path.suffix == ".pt":
        return _from_checkpoint(path)
    if is_graph(weights):
        raise WeightsError(
            "an ONNX file runs as it is; it can be neither trained nor exported again",
            where=weights,
            remedy="give the .pt or .safetensors file that it was exported from",
        )
    raise WeightsError(
        f"weights of the kind {path.suffix or 'without an extension'!r} cannot be read",
        where=weights,
        remedy="give a .safetensors file with its card, an Ultralytics .pt file, or a name such as yolov8n.yaml",
    )


def _random_network(name: str) -> Network:
    import torch
    from ultralytics.nn.tasks import DetectionModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = DetectionModel(name, verbose=False)
    model.eval()
    model.names = _coco_names()
    return Network(model, _names(model), name, f"random:{name}", random=True)


def _coco_names() -> dict[int, str]:
    """The 80 classes that the published weights of these architectures know."""
    from ultralytics.utils import ROOT, YAML

    names: dict[int, str] = YAML.load(ROOT / "cfg" / "datasets" / "coco.yaml")["names"]
    return names


def _from_safetensors(path: Path) -> Network:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    card = read_card(path)
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"not a safetensors file ({error})",
            where=str(path),
            remedy="copy the file again from where it was made",
        ) from error
    architecture = check_architecture(card.architecture, path)
    return Network(
        filled_network(architecture, card.names, state, path), card.names, path.name, card.sha256, random=False
    )


def _from_checkpoint(path: Path) -> Network:
    digest = file_sha256(path)
    read = read_description(path)
    return Network(
        filled_network(read.architecture, read.names, read.state, path),
        read.names,
        path.name,
        digest,
        random=False,
    )


def filled_network(
    architecture: dict[str, Any], names: tuple[str, ...], state: Mapping[str, torch.Tensor], path: Path
) -> nn.Module:
    """A network of this architecture with these tensors, in float32.

    Raises:
        WeightsError: the tensors are not those of the layers, or are far fewer than these would need.
    """
    check_size(architecture, sum(value.numel() for value in state.values()), path)
    model = build_model(architecture, len(names))
    _match_class_branch(model, architecture, state)
    try:
        model.load_state_dict(_as_float32(state))
    except RuntimeError as error:
        raise WeightsError(
            f"the tensors do not fit the architecture in the card: {str(error).splitlines()[-1].strip()}"
            if path.suffix == ".safetensors"
            else f"the tensors are not those of the layers it describes: {str(error).splitlines()[-1].strip()}",
            where=str(path),
            remedy="use weights and card of one and the same model, not fused and not pruned",
        ) from error
    setattr(model, "names", dict(enumerate(names)))  # noqa: B010 (torch types every attribute as a tensor)
    return model.eval()


def _as_float32(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


def _names(model: nn.Module) -> tuple[str, ...]:
    names: Any = model.names
    return tuple(str(names[index]) for index in range(len(names)))


def build_model(architecture: dict[str, Any], classes: int) -> nn.Module:
    """A network of these layers with ``classes`` outputs and fresh weights."""
    from ultralytics.nn.tasks import DetectionModel

    model: nn.Module = DetectionModel(dict(architecture), nc=classes, verbose=False)
    return model


def _match_class_branch(model: nn.Module, architecture: dict[str, Any], state: Mapping[str, Any]) -> None:
    """Give the class branch of ``model`` the width that ``state`` has.

    Its width follows the number of classes a network was *first* built for; fine-tuning keeps it, so a one-class
    network made from a COCO one is wider than one built anew.
    """
    wanted, built = _class_branch_width(state), _class_branch_width(model.state_dict())
    if wanted is not None and wanted != built:
        model.load(build_model(architecture, wanted), verbose=False)  # type: ignore[operator]


def _class_branch_width(state: Mapping[str, Any]) -> int | None:
    """Channels within the class branch of a YOLOv8 head; None where a network has no such head."""
    widths = [int(value.shape[0]) for key, value in state.items() if key.endswith("cv3.0.0.conv.weight")]
    return widths[0] if widths else None


def save_network(
    model: nn.Module, weights: Path, *, imgsz: int, trained_on: str = "", exact: bool = False
) -> ModelCard:
    """Write ``weights`` and ``model.json`` beside it, whole or not at all; return the card.

    Args:
        model: whose weights.
        weights: a ``.safetensors`` file.
        imgsz: that it was trained at.
        trained_on: in words.
        exact: keep float32 where float16 would round a weight; else float16 in any case.
    """
    import torch
    from safetensors.torch import save

    full = {key: value.contiguous().cpu() for key, value in model.state_dict().items()}
    state = {key: value.half() if value.is_floating_point() else value for key, value in full.items()}
    rounded = any(not torch.equal(value.float(), full[key].float()) for key, value in state.items())
    if exact and rounded:
        state = full
    architecture = {key: value for key, value in dict(model.yaml).items() if key != "yaml_file"}  # type: ignore[arg-type]
    data = save(state)
    strides: torch.Tensor = model.stride  # type: ignore[assignment]
    card = ModelCard(
        architecture=architecture,
        names=_names(model),
        stride=int(strides.max()),
        imgsz=imgsz,
        dtype="float32" if exact and rounded else "float16",
        sha256=hashlib.sha256(data).hexdigest(),
        trained_on=trained_on,
    )
    atomic_write(weights, data)
    atomic_write(weights.with_name("model.json"), card.model_dump_json(indent=1))
    return card


class UltralyticsDetector:
    """A YOLO network on torch, fused, with backbone features beside the boxes.

    Args:
        network: what to run.
        reading: how its classes become one vehicle confidence.
        device: as the study says; None takes the first GPU where there is one.
        precision: of the layers up to the last convolutions; boxes and confidences are decoded in float32.
            ``float32``; ``bfloat16`` on a GPU, or on a CPU that has it; ``float16`` on a GPU.

    Raises:
        UsageError: the device does not offer the precision.
    """

    def __init__(
        self,
        network: Network,
        reading: VehicleReading,
        device: str | int | None = None,
        precision: Precision = "float32",
    ) -> None:
        import torch

        self._torch = torch
        self._device = torch.device(device_name(device))
        self._type = layer_type(precision, self._device.type)
        model: Any = copy.deepcopy(network.model)
        model.fuse(verbose=False)
        self._model = model.to(self._device).eval().float()
        self._reading = reading
        self._features: Any = None
        backbone_end = len(self._model.yaml["backbone"]) - 1
        self._model.model[backbone_end].register_forward_hook(self._keep_features)
        if precision != "float32":
            self._narrow()
        self._info = DetectorInfo(
            engine=f"torch {importlib.metadata.version('torch')}",
            weights=network.weights,
            weights_sha256=network.sha256,
            random_weights=network.random,
            names=network.names,
            stride=int(self._model.stride.max()),
            device=describe_device(self._device),
            precision=precision,
            threads=torch.get_num_threads(),
        )

    def _narrow(self) -> None:
        """Layers in the narrower type, channels last; what the head makes of their answers in float32."""
        self._model.to(dtype=self._type, memory_format=self._torch.channels_last)
        head = self._model.model[-1]
        head.dfl.float()
        decode = head._inference

        def in_float32(answers: dict[str, Any]) -> Any:
            maps = [one.float() for one in answers["feats"]]  # only their shape and type count
            return decode({"boxes": answers["boxes"].float(), "scores": answers["scores"].float(), "feats": maps})

        head._inference = in_float32

    @property
    def info(self) -> DetectorInfo:
        """What it is and what it runs on."""
        return self._info

    def _keep_features(self, _module: object, _inputs: object, output: Any) -> None:
        self._features = output.mean(dim=(2, 3))

    def infer(self, batch: NDArray[np.uint8]) -> RawDetections:
        """Look at a batch, ``(B, H, W, 3) uint8`` BGR; see `RawDetections` for what comes back.

        Raises:
            OutOfMemory: the batch is too large for the GPU.
        """
        torch = self._torch
        try:
            with torch.inference_mode():
                return self._infer(batch)
        except torch.cuda.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise OutOfMemory(str(error).splitlines()[0]) from None

    def _infer(self, batch: NDArray[np.uint8]) -> RawDetections:
        torch = self._torch
        rgb = torch.from_numpy(np.ascontiguousarray(batch[..., ::-1])).to(self._device)
        output = self._model(rgb.permute(0, 3, 1, 2).to(self._type) / 255)
        decoded = output[0] if isinstance(output, tuple) else output  # (B, 4 + classes, A): centre x, y, w, h
        centre, side = decoded[:, :2], decoded[:, 2:4]
        boxes = torch.cat([centre - side / 2, centre + side / 2], dim=1).transpose(1, 2)
        confidences = self._vehicle(decoded[:, 4:])
        return RawDetections(
            boxes=boxes.float().cpu().numpy(),
            confidences=confidences.float().cpu().numpy(),
            features=self._features.float().cpu().numpy(),
        )

    def _vehicle(self, scores: Any) -> Any:
        """``(B, C, A)`` class scores to ``(B, A)`` vehicle confidences."""
        wanted = list(self._reading.indices)
        if self._reading.merge == "max":
            return scores[:, wanted].amax(dim=1)
        best, index = scores.max(dim=1)
        known = self._torch.isin(index, self._torch.tensor(wanted, device=index.device))
        return best * known


def layer_type(precision: Precision, device: str) -> Any:
    """Torch's type of a precision, if a kind of device (``cpu``, ``cuda``) offers it.

    Raises:
        UsageError: it does not.
    """
    import torch

    offered = {"float32": torch.float32}
    if device != "cpu" or has_bfloat16():
        offered["bfloat16"] = torch.bfloat16
    if device == "cuda":
        offered["float16"] = torch.float16
    if precision not in offered:
        raise UsageError(
            f"torch offers no {precision} on this {device.upper() if device in ('cpu', 'cuda') else device}",
            remedy=f"choose {' or '.join(offered)}",
        )
    return offered[precision]


def device_name(device: str | int | Sequence[int] | None) -> str:
    """A torch device from what the study says: None takes the first GPU where there is one, else the CPU."""
    import torch

    if device is None:
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if isinstance(device, str) and not device.isdigit():
        return device
    first = int(device) if isinstance(device, str | int) else int(device[0])
    return f"cuda:{first}"


def describe_device(device: Any) -> str:
    """What a torch device is, in words."""
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU ({platform.machine()})" if device.type == "cpu" else str(device)


def load_as_vehicle_detector(
    weights: str, classes: Sequence[str], merge: Merge = "max"
) -> tuple[Network, VehicleReading]:
    """Load weights, and find the vehicle among their classes.

    Raises:
        WeightsError: the weights cannot be read, or know none of ``classes``.
    """
    network = load_network(weights)
    try:
        return network, VehicleReading.of(network.names, classes, merge)
    except ValueError as error:
        raise WeightsError(
            str(error), where=network.weights, remedy="name the vehicle classes of these weights under `classes`"
        ) from error


def open_detector(
    weights: str,
    *,
    classes: Sequence[str],
    merge: Merge = "max",
    device: str | int | None = None,
    precision: Precision = "float32",
    threads: int | None = None,
) -> UltralyticsDetector:
    """Load weights and make them a vehicle detector on torch.

    Args:
        weights: as `load_network` reads them.
        classes: read as vehicle where the weights know several classes.
        merge: how their scores become one.
        device: as the study says; None takes the first GPU where there is one.
        precision: of its layers.
        threads: cores that torch may use from now on in this process; default: as it is.

    Raises:
        WeightsError: the weights cannot be read, or know none of ``classes``.
        UsageError: the device does not offer the precision.
    """
    network, reading = load_as_vehicle_detector(weights, classes, merge)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return UltralyticsDetector(network, reading, device, precision)
