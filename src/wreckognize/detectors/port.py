"""What a detector is to the rest of the package, and nothing of how one works."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Merge = Literal["max", "argmax"]
EngineName = Literal["torch", "compiled", "openvino", "onnxruntime", "tensorrt"]
"""What runs the network."""
Precision = Literal["float32", "bfloat16", "float16", "int8"]
"""Number format of the network's layers. Boxes and confidences are worked out in float32 from what they give."""

GREY = 114
"""Of the padding round a photo: what YOLO networks are trained with."""


@dataclass(frozen=True, slots=True)
class VehicleReading:
    """How the class scores of a detector become one vehicle confidence for each box.

    ``max``: the highest score among the vehicle classes. ``argmax``: the best of all classes, kept if it is a
    vehicle class (a box that looks more like a boat than a car counts nothing), as in the published study.
    """

    indices: tuple[int, ...]
    merge: Merge = "max"

    @classmethod
    def of(cls, names: Sequence[str], wanted: Sequence[str], merge: Merge = "max") -> VehicleReading:
        """Find the vehicle classes among a detector's class names.

        A detector that knows a single class is a vehicle detector whatever the class is called.

        Raises:
            ValueError: if none of ``wanted`` is among ``names``.
        """
        if len(names) == 1:
            return cls((0,), merge)
        indices = tuple(index for index, name in enumerate(names) if name in wanted)
        if not indices:
            raise ValueError(
                f"none of the classes {', '.join(wanted)} is known to the detector ({', '.join(names)})"
            )
        return cls(indices, merge)


@dataclass(frozen=True, slots=True)
class DetectorInfo:
    """What is recorded beside every figure that a detector gave."""

    engine: str  # "torch 2.15.0"
    weights: str  # file name
    weights_sha256: str  # of the file; of the tensors where there is no file
    random_weights: bool
    names: tuple[str, ...]
    stride: int  # pixels; input sides must be multiples of it
    device: str
    precision: str
    threads: int
    requests: int = 1  # batches it looks at at the same time: `infer` may be called from so many threads


@dataclass(frozen=True, slots=True)
class RawDetections:
    """A detector's answer for one batch, before non-maximum suppression.

    Attributes:
        boxes: ``(B, A, 4) float32`` xyxy pixels of the letterboxed input; A candidates a photo.
        confidences: ``(B, A) float32`` vehicle confidence after `VehicleReading`.
        features: ``(B, D) float32`` backbone features pooled over the photo, not normalised. D is 0 where a detector
            gives none.
    """

    boxes: NDArray[np.float32]
    confidences: NDArray[np.float32]
    features: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Photos on which int8 learns the range of each layer's values.

    Attributes:
        batches: gives ``(B, H, W, 3) uint8`` BGR batches, as a detector gets them; called once if at all.
        key: says which photos they are, so that a calibrated network that was kept is not taken for another.
    """

    batches: Callable[[], Iterable[NDArray[np.uint8]]]
    key: str


class OutOfMemory(Exception):
    """A batch does not fit into the memory of the engine's device; a smaller one may."""


class Detector(Protocol):
    """Anything that finds vehicles in a batch of equally large photos."""

    @property
    def info(self) -> DetectorInfo:
        """What it is and what it runs on."""
        ...

    def infer(self, batch: NDArray[np.uint8]) -> RawDetections:
        """Look at a batch, ``(B, H, W, 3) uint8`` BGR, H and W multiples of ``info.stride``.

        Raises:
            OutOfMemory: the batch is too large for the device's memory.
        """
        ...
