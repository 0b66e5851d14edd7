"""What a bundle is made from: a system as it decides, the photos it is tried on, and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from wreckognize.detectors.port import Merge
from wreckognize.evidence.findings import Findings
from wreckognize.evidence.person import ThirdAnswer
from wreckognize.evidence.thresholds import FrozenThreshold
from wreckognize.exporting.card import DataRow
from wreckognize.exporting.verdicts import Band, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What the model card tells besides what the bundle decides by.

    Attributes:
        trained: whether the study trained it.
        weights: name of what it was trained from, or of what it is.
        data: photos of the study by source, role and split.
        notice: what the study's reports must say first; may be empty.
        findings: of the run's report; None where there is none.
    """

    trained: bool
    weights: str
    data: tuple[DataRow, ...]
    notice: str
    findings: Findings | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A system of a run.

    Attributes:
        study: name.
        system: name.
        number: of its training, from 0; None if it is not trained.
        weights: absolute path, or the name of an architecture.
        imgsz: longest side in pixels that photos are scaled to.
        classes: read as vehicle where the weights know several classes.
        merge: how their scores become one.
        frozen: its thresholds.
        photos: the validation photos, ``PHOTO_SCHEMA``.
        groups: ``photo`` and ``group`` of them.
        boxes: ``BOX_SCHEMA``, what people drew in the study.
        learn_from: photos for int8, ``PHOTO_SCHEMA``: training photos.
        seed: of the study.
        background: for the card.
    """

    study: str
    system: str
    number: int | None
    weights: str
    imgsz: int
    classes: tuple[str, ...]
    merge: Merge
    frozen: FrozenThreshold
    photos: pl.DataFrame
    groups: pl.DataFrame
    boxes: pl.DataFrame
    learn_from: pl.DataFrame
    seed: int
    background: Background

    @property
    def name(self) -> str:
        """The study's and the system's, and the training's where it is not the first."""
        further = f"-training-{self.number + 1}" if self.number else ""
        return f"{self.study}-{self.system}{further}"


def rule_of(frozen: FrozenThreshold, *, to_a_person: bool | None) -> Rule:
    """The rule that a bundle decides by.

    Args:
        frozen: thresholds of the system.
        to_a_person: whether it gives the third answer; None: where the study could keep both of its promises.
    """
    third = frozen.third_answer
    wanted = complete(third) if to_a_person is None else to_a_person
    return Rule(frozen.chosen.threshold, Band(third.low, third.high) if wanted else None)


def complete(third: ThirdAnswer) -> bool:
    """Whether both thresholds were found, so that all three verdicts can be given."""
    return third.low is not None and third.high is not None


def compared_at(frozen: FrozenThreshold) -> dict[str, float]:
    """Every threshold at which original and bundle are compared, whichever of them the bundle decides by."""
    cuts = {
        "threshold": frozen.chosen.threshold,
        "low": frozen.third_answer.low,
        "high": frozen.third_answer.high,
    }
    return {name: cut for name, cut in cuts.items() if cut is not None}
