"""A system of a finished run, as the photos to come are decided with it: weights, reading, thresholds.

Read from the run's folder alone: the study's sources need not be there any more.
"""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from wreckognize.detectors.port import Merge
from wreckognize.errors import StudyError, UsageError
from wreckognize.evidence.person import ThirdAnswer
from wreckognize.evidence.thresholds import read_frozen
from wreckognize.recipes import load_recipe
from wreckognize.settings import PredictSettings
from wreckognize.study import resolve_weights
from wreckognize.study.reader import read_document
from wreckognize.study.weights import needs_trust


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What it takes to decide about photos as a system does.

    Attributes:
        weights: absolute path, or the name of an architecture.
        imgsz: longest side in pixels that photos are scaled to.
        classes: read as vehicle where the weights know several classes.
        merge: how their scores become one.
        threshold: vehicle if score >= threshold, as it was frozen.
        third_answer: the two thresholds between which a photo goes to a person; None where none were chosen.
    """

    weights: str
    imgsz: int
    classes: tuple[str, ...]
    merge: Merge
    threshold: float
    third_answer: ThirdAnswer | None


class _Train(BaseModel):
    imgsz: int = 640


class _System(BaseModel):
    """What the resolved study file says of a system, as far as it matters here."""

    recipe: str
    weights: str
    classes: tuple[str, ...]
    merge: Merge
    train: _Train = _Train()
    predict: PredictSettings


def finished_system(folder: Path, trust: Collection[str] = ()) -> Finished:
    """Read ``RUN/systems/NAME``, or ``RUN/systems/NAME/seeds/N`` for a further training of it.

    Args:
        folder: of the system.
        trust: ``sha256:...`` of checkpoints that may be opened whatever they hold.

    Raises:
        UsageError: it is no system of a run, or its threshold was not frozen yet.
        WeightsError: a system that was never trained has weights that are missing or refused.
    """
    own = own_folder(folder)
    study_file = own.parent.parent / "study.yaml"
    if own.parent.name != "systems" or not study_file.is_file():
        raise UsageError(
            "not a system of a run",
            where=str(folder),
            remedy="name one, e.g. runs/STUDY/systems/ver6, or a weights file",
        )
    frozen_file = folder / "threshold.json"
    if not frozen_file.is_file():
        there = sorted(file.parent.name for file in own.parent.glob("*/threshold.json"))
        raise UsageError(
            "the system has no threshold yet" if folder.is_dir() else "there is no such system in this run",
            where=str(folder),
            remedy=f"choose among {', '.join(there)}" if there else "finish the run: wreckognize run STUDY.yaml",
        )
    system = _settings(study_file, own.name)
    frozen = read_frozen(frozen_file)
    trained = load_recipe(system.recipe).trained
    weights = folder / "weights" / "best.safetensors"
    return Finished(
        weights=str(weights.absolute() if trained else usable_weights(system.weights, study_file.parent, trust)),
        imgsz=system.predict.imgsz or (system.train.imgsz if trained else 640),
        classes=system.classes,
        merge=system.merge,
        threshold=frozen.chosen.threshold,
        third_answer=frozen.third_answer,
    )


def own_folder(folder: Path) -> Path:
    """The folder of the system itself, of a further training of it too."""
    return folder.parent.parent if folder.parent.name == "seeds" else folder


def usable_weights(text: str, folder: Path, trust: Collection[str]) -> str:
    """As `wreckognize.study.resolve_weights`; a checkpoint that is trusted is turned into data for this process.

    Raises:
        WeightsError: the file is missing or refused.
    """
    found = resolve_weights(text, folder, trust)
    if not isinstance(found, Path) or not needs_trust(found):
        return str(found if isinstance(found, str) else found.absolute())
    from wreckognize.detectors.trusted import as_data

    kept = tempfile.TemporaryDirectory(prefix="wreckognize-")
    atexit.register(kept.cleanup)
    return str(as_data(found, Path(kept.name)))


def _settings(study_file: Path, name: str) -> _System:
    try:
        return _System.model_validate(read_document(study_file).content["systems"][name])
    except (StudyError, KeyError, TypeError, ValidationError) as error:
        raise UsageError(
            f"the run's study file does not say how {name} looks at photos",
            where=str(study_file),
            remedy="finish the run with this version: wreckognize run STUDY.yaml",
        ) from error
