"""The starter: a small detector trained on drawn, intact vehicles only, from random weights.

    python -m wreckognize.demo.starter --out DIR

writes ``starter.safetensors`` and its card ``starter.json``, as they ship with the package. It is to the drawn
wrecks what a COCO detector is to real ones: sure of whole, intact vehicles, and often blind to a crumpled or close
one.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from wreckognize.boxes import Boxes, as_boxes
from wreckognize.catalog import LABEL_SCHEMA, VEHICLE
from wreckognize.demo.collection import random_size, write_jpeg
from wreckognize.demo.draw import random_case, render_background, render_vehicle_photo
from wreckognize.demo.paint import Image
from wreckognize.progress import Progress, Silent, Task
from wreckognize.settings import TrainSettings

WIDTH = 0.125
IMGSZ = 192
EPOCHS = 12
VEHICLE_PHOTOS = 1400
PLACE_PHOTOS = 800

_SEED_SPACE = 17  # keeps its drawings apart from those of any collection
_VAL_SHARE = 0.1

_BACKBONE: list[list[Any]] = [
    [-1, 1, "Conv", [64, 3, 2]],
    [-1, 1, "Conv", [128, 3, 2]],
    [-1, 3, "C2f", [128, True]],
    [-1, 1, "Conv", [256, 3, 2]],
    [-1, 6, "C2f", [256, True]],
    [-1, 1, "Conv", [512, 3, 2]],
    [-1, 6, "C2f", [512, True]],
    [-1, 1, "Conv", [1024, 3, 2]],
    [-1, 3, "C2f", [1024, True]],
    [-1, 1, "SPPF", [1024, 5]],
]
_HEAD: list[list[Any]] = [
    [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
    [[-1, 6], 1, "Concat", [1]],
    [-1, 3, "C2f", [512]],
    [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
    [[-1, 4], 1, "Concat", [1]],
    [-1, 3, "C2f", [256]],
    [-1, 1, "Conv", [256, 3, 2]],
    [[-1, 12], 1, "Concat", [1]],
    [-1, 3, "C2f", [512]],
    [-1, 1, "Conv", [512, 3, 2]],
    [[-1, 9], 1, "Concat", [1]],
    [-1, 3, "C2f", [1024]],
    [[15, 18, 21], 1, "Detect", ["nc"]],
]


def architecture() -> dict[str, Any]:
    """YOLOv8 with an eighth of its channels and one class: 0.91 million parameters."""
    return {
        "nc": 1,
        "depth_multiple": 0.33,
        "width_multiple": WIDTH,
        "max_channels": 1024,
        "backbone": _BACKBONE,
        "head": _HEAD,
    }


@dataclass(frozen=True, slots=True)
class _Photo:
    name: str
    split: str
    image: Image
    vehicles: Boxes


def build(
    out: Path,
    *,
    epochs: int = EPOCHS,
    vehicles: int = VEHICLE_PHOTOS,
    places: int = PLACE_PHOTOS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Draw photos, train the starter on them and write it with its card.

    Args:
        out: folder for ``starter.safetensors`` and ``starter.json``.
        epochs: of training.
        vehicles: photos of intact vehicles.
        places: photos without a vehicle.
        seed: of drawings, first weights and training.
        progress: where to report.

    Returns:
        The weights' path.

    Raises:
        MissingExtraError: Ultralytics is not installed.
        TrainingError: the training ended without a result.
    """
    from wreckognize.detectors.ultralytics import build_model, import_library, save_network
    from wreckognize.training.fine_tune import fine_tune
    from wreckognize.training.layout import write_layout

    progress = progress or Silent()
    import_library()
    with tempfile.TemporaryDirectory(prefix="wreckognize-starter-") as name:
        work = Path(name)
        photos, labels = _draw(work / "photos", vehicles, places, seed, progress)
        layout = write_layout(photos, labels, work / "layout", progress=progress)
        first = work / "first" / "weights.safetensors"
        network = build_model(architecture(), 1)
        _seed_weights(network, seed)
        save_network(network, first, imgsz=IMGSZ)
        training = work / "starter" / "training"
        training.mkdir(parents=True)
        fine_tune(
            str(first),
            layout,
            _settings(epochs),
            training,
            seed=seed,
            name="the starter",
            progress=progress,
            trained_on=f"{vehicles:,} drawn photos of intact vehicles, {places:,} without a vehicle (seed {seed})",
        )
        out.mkdir(parents=True, exist_ok=True)
        made = work / "starter" / "weights"
        shutil.copyfile(made / "best.safetensors", out / "starter.safetensors")
        shutil.copyfile(made / "model.json", out / "starter.json")
    return out / "starter.safetensors"


def _seed_weights(network: Any, seed: int) -> None:
    """Draw all convolutions of a torch module anew, in place, from a seeded generator.

    Uniform within one over the root of the inputs to a neuron, which is torch's own default (He et al. 2015, with
    its ``a = sqrt(5)``). Biases and normalisations start from constants; the box decoder (``dfl``) is no weight.
    """
    rng = np.random.Generator(np.random.PCG64([seed, _SEED_SPACE]))
    for name, tensor in network.state_dict().items():
        values = tensor.numpy()  # the network's own memory
        if values.ndim == 4 and ".dfl." not in name:
            bound = 1 / np.sqrt(values[0].size)
            values[...] = rng.uniform(-bound, bound, values.shape)


def _settings(epochs: int) -> TrainSettings:
    """From random weights; without mosaic, shifting and strong scaling, which would show it parts of vehicles."""
    return TrainSettings.model_validate(
        {
            "epochs": epochs,
            "imgsz": IMGSZ,
            "batch": 16,
            "freeze": None,
            "lr0": 2e-3,
            "cos_lr": True,
            "warmup_epochs": 2,
            "patience": epochs,
            "close_mosaic": 0,
            "mosaic": 0.0,
            "scale": 0.1,
            "translate": 0.0,
            "device": "cpu",
        }
    )


def _draw(
    folder: Path, vehicles: int, places: int, seed: int, progress: Progress
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Write the photos; return what `write_layout` takes."""
    folder.mkdir(parents=True)
    photos: list[tuple[str, str, str, bool, int, int]] = []
    labels: list[tuple[object, ...]] = []
    with progress.task("drawing", vehicles + places) as task:
        for photo, rng in _photos(vehicles, places, seed):
            path = folder / photo.name
            write_jpeg(path, photo.image, rng)
            height, width = photo.image.shape[:2]
            photos.append((photo.name, photo.split, str(path), True, width, height))
            labels += [(photo.name, photo.split, *box, VEHICLE, "human", None) for box in photo.vehicles.tolist()]
            task.advance()
    columns = ["photo", "split", "path", "plain", "width", "height"]
    return pl.DataFrame(photos, schema=columns, orient="row"), pl.DataFrame(labels, LABEL_SCHEMA, orient="row")


def _photos(vehicles: int, places: int, seed: int) -> Iterator[tuple[_Photo, np.random.Generator]]:
    for number in range(vehicles + places):
        rng = np.random.Generator(np.random.PCG64([seed, _SEED_SPACE, number]))
        split, size = "val" if number % round(1 / _VAL_SHARE) == 0 else "train", random_size(rng)
        if number < vehicles:
            drawn = render_vehicle_photo(rng, random_case(rng, damaged=False), size=size, close_up=False)
            yield _Photo(f"{number:05d}.jpg", split, drawn.image, drawn.vehicles), rng
        else:
            place = render_background(rng, size=size, hard=number % 4 != 0)
            yield _Photo(f"{number:05d}.jpg", split, place.image, as_boxes([])), rng


class _Terminal:
    """Progress on a terminal, in lines."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)

    @contextmanager
    def task(self, description: str, total: int | None, unit: str = "photos") -> Iterator[Task]:
        self.say(f"{description}: {total} {unit}")
        yield _Notes(self)

    def say(self, text: str) -> None:
        self._console.print(text)


@dataclass(frozen=True, slots=True)
class _Notes:
    """Shows what a task notes, and no bar."""

    terminal: _Terminal

    def advance(self, count: int = 1) -> None:
        """Lines need no count."""

    def note(self, text: str) -> None:
        self.terminal.say(text)


def main() -> None:
    """Read the command line and build the starter."""
    parser = argparse.ArgumentParser(
        prog="python -m wreckognize.demo.starter", description="Build the demo's starter."
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for starter.safetensors and starter.json")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--vehicles", type=int, default=VEHICLE_PHOTOS, help="photos of intact vehicles")
    parser.add_argument("--places", type=int, default=PLACE_PHOTOS, help="photos without a vehicle")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    build(
        arguments.out,
        epochs=arguments.epochs,
        vehicles=arguments.vehicles,
        places=arguments.places,
        seed=arguments.seed,
        progress=_Terminal(),
    )


if __name__ == "__main__":
    main()
