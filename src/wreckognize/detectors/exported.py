"""Detectors that Ultralytics exported to ONNX, on ONNX Runtime: networks of which only the graph is left.

They answer as `wreckognize.detectors.ultralytics.UltralyticsDetector` does for the checkpoint, but give no features:
nothing in a graph says where its backbone ends. A graph that was exported for one size gets every photo padded to that
square, as Ultralytics' own predictor does it; a checkpoint sees photos padded to the next multiple of the stride only,
so scores differ a little then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wreckognize import processor
from wreckognize.detectors.onnx import CPU, engine_name, open_session
from wreckognize.detectors.port import GREY, DetectorInfo, Merge, RawDetections, VehicleReading
from wreckognize.errors import EngineError, WeightsError
from wreckognize.weightfiles import read_exported


class ExportedDetector:
    """A detector's ONNX file on ONNX Runtime.

    Args:
        path: the file.
        classes: read as vehicle where the graph knows several classes.
        merge: how their scores become one.
        threads: cores it may use; default: all that this process may.

    Raises:
        WeightsError: the file is no such detector, see `wreckognize.weightfiles.read_exported`, or knows none of
            ``classes``.
        MissingExtraError: ``onnx`` or ``onnxruntime`` is not installed.
        EngineError: ONNX Runtime cannot load it.
    """

    def __init__(
        self, path: Path, classes: Sequence[str], merge: Merge = "max", *, threads: int | None = None
    ) -> None:
        data, self._graph = read_exported(path)
        try:
            self._reading = VehicleReading.of(self._graph.names, classes, merge)
        except ValueError as error:
            raise WeightsError(
                str(error), where=path.name, remedy="name the vehicle classes of these weights under `classes`"
            ) from error
        threads = threads or processor.cpu_threads()
        self._session = open_session(data, path.name, threads=threads)
        self._info = DetectorInfo(
            engine=engine_name(),
            weights=path.name,
            weights_sha256=hashlib.sha256(data).hexdigest(),
            random_weights=False,
            names=self._graph.names,
            stride=self._graph.stride,
            device=CPU,
            precision=self._graph.precision,
            threads=threads,
        )

    @property
    def info(self) -> DetectorInfo:
        """What it is and what it runs on."""
        return self._info

    def infer(self, batch: NDArray[np.uint8]) -> RawDetections:
        """Look at a batch, ``(B, H, W, 3) uint8`` BGR; see `RawDetections` for what comes back, without features.

        Raises:
            EngineError: a photo is larger than what the graph was exported for, or the graph fails or answers with
                something else than boxes and scores.
        """
        photos, left, top = self._padded(batch)
        kind = np.float16 if self._graph.half else np.float32
        planes: NDArray[Any] = np.ascontiguousarray(photos[..., ::-1].transpose(0, 3, 1, 2), dtype=kind)
        planes /= kind(255)
        most = self._graph.batch or len(planes)
        answers = [self._run(planes[start : start + most]) for start in range(0, len(planes), most)]
        answer = np.concatenate(answers).astype(np.float32, copy=False)
        return RawDetections(
            boxes=_corners(answer[:, :4], left, top),
            confidences=_vehicle(answer[:, 4:], self._reading),
            features=np.zeros((len(batch), 0), np.float32),
        )

    def _padded(self, batch: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int, int]:
        """The batch in the middle of the squares that the graph takes, and how far to the right and down."""
        side, (count, height, width, _) = self._graph.side, batch.shape
        if side is None or (height, width) == (side, side):
            return batch, 0, 0
        if max(height, width) > side:
            raise EngineError(
                f"photos scaled to {max(height, width)} pixels, where the graph takes {self._graph.misfit(0)}",
                where=self._info.weights,
                remedy=f"set `imgsz: {side}`, or export the graph again with dynamic=True",
            )
        left, top = (side - width) // 2, (side - height) // 2
        squares = np.full((count, side, side, 3), GREY, np.uint8)
        squares[:, top : top + height, left : left + width] = batch
        return squares, left, top

    def _run(self, planes: NDArray[Any]) -> NDArray[Any]:
        """The graph's answer for some photos, filled up to the number that it takes."""
        count, wanted = len(planes), self._graph.batch or len(planes)
        if count < wanted:
            planes = np.concatenate([planes, np.zeros((wanted - count, *planes.shape[1:]), planes.dtype)])
        try:
            (answer,) = self._session.run([self._graph.output], {self._graph.input: planes})
        except Exception as error:  # its errors have no base of their own
            raise EngineError(
                f"the graph fails on photos of {planes.shape[3]} x {planes.shape[2]} pixels "
                f"({str(error).splitlines()[0][:300]})",
                where=self._info.weights,
                remedy="export it again",
            ) from error
        values = 4 + len(self._graph.names)
        if not isinstance(answer, np.ndarray) or answer.ndim != 3 or answer.shape[:2] != (wanted, values):
            raise EngineError(
                f"the graph's answer is no ({wanted}, {values}, candidates): {getattr(answer, 'shape', '?')}",
                where=self._info.weights,
                remedy="export it again, as a detector without suppression built in",
            )
        return answer[:count]


def _corners(boxes: NDArray[np.float32], left: int, top: int) -> NDArray[np.float32]:
    """``(B, 4, A)`` centre, width, height in the graph's input to ``(B, A, 4)`` xyxy in what was padded."""
    centre, half = boxes[:, :2] - np.array([[left], [top]], np.float32), boxes[:, 2:] / 2
    corners = np.concatenate([centre - half, centre + half], axis=1).transpose(0, 2, 1)
    return np.ascontiguousarray(corners)


def _vehicle(scores: NDArray[np.float32], reading: VehicleReading) -> NDArray[np.float32]:
    """``(B, C, A)`` class scores to ``(B, A)`` vehicle confidences."""
    wanted = list(reading.indices)
    if reading.merge == "max":
        highest: NDArray[np.float32] = scores[:, wanted].max(axis=1)
        return highest
    best = scores.argmax(axis=1)
    confidences = np.take_along_axis(scores, best[:, None], axis=1)[:, 0]
    return np.where(np.isin(best, wanted), confidences, np.float32(0))
