"""How a score becomes a verdict: by one threshold, or by two with "to a person" between them.

Everything that decides about new photos decides here: `predict`, the service, the gate of an export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wreckognize.boxes import Boxes
from wreckognize.evaluation.image_level import as_scores, is_called_vehicle
from wreckognize.inference.stream import Look

Verdict = Literal["vehicle", "no vehicle", "to a person"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

LEAST_SHOWN = 0.10
"""Boxes less sure than this are not shown, unless a threshold lies lower still."""
LEAST_KEPT = 0.01
"""Boxes less sure than this are not kept: no person is shown them, and no threshold but a lower one needs them."""


@dataclass(frozen=True, slots=True)
class Band:
    """Two thresholds between which a photo goes to a person.

    Attributes:
        low: below it the verdict is "no vehicle"; None: that verdict is never given.
        high: at or above it the verdict is "vehicle"; None: that verdict is never given.
    """

    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Rule:
    """What a score is compared with, as ``float32`` like everywhere.

    Attributes:
        threshold: without a band, the verdict is "vehicle" if score >= threshold.
        band: decides alone where there is one.
    """

    threshold: float
    band: Band | None = None

    @property
    def thresholds(self) -> tuple[float, ...]:
        """All scores at which a verdict changes, rising, each once."""
        if self.band is None:
            return (self.threshold,)
        return tuple(sorted({cut for cut in (self.band.low, self.band.high) if cut is not None}))

    @property
    def shown(self) -> float:
        """The confidence from which boxes are shown."""
        return min((LEAST_SHOWN, *self.thresholds))

    def verdicts(self, scores: ArrayLike) -> NDArray[np.str_]:
        """``(N,)`` of `Verdict`, one for each score.

        Raises:
            ValueError: a score is NaN.

        >>> Rule(0.1, Band(0.05, 0.5)).verdicts([0.01, 0.05, 0.49, 0.5]).tolist()
        ['no vehicle', 'to a person', 'to a person', 'vehicle']
        >>> Rule(0.1).verdicts([0.09, 0.1]).tolist()
        ['no vehicle', 'vehicle']
        """
        values = as_scores(scores)
        if self.band is None:
            return np.where(is_called_vehicle(values, self.threshold), "vehicle", "no vehicle")
        verdict = np.full(values.shape, "to a person")
        if self.band.low is not None:
            verdict[~is_called_vehicle(values, self.band.low)] = "no vehicle"
        if self.band.high is not None:
            verdict[is_called_vehicle(values, self.band.high)] = "vehicle"
        return verdict

    def verdict(self, score: float) -> Verdict:
        """The verdict on one photo."""
        found: Verdict = str(self.verdicts([score])[0])  # type: ignore[assignment]
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said about one photo that could be read.

    Attributes:
        verdict: on the photo.
        score: the highest confidence of its boxes, 0 where there is none.
        boxes: ``(N, 4)`` xyxy pixels of the photo as shown, best first: those sure enough to be shown.
        confidences: ``(N,) float32``.
    """

    verdict: Verdict
    score: float
    boxes: Boxes
    confidences: NDArray[np.float32]


def answer_of(look: Look, rule: Rule, shown: float | None = None) -> Answer:
    """The answer that a look at a photo gives.

    Args:
        look: without an error.
        rule: decides.
        shown: least confidence of the boxes in the answer; default: the rule's.
    """
    enough = look.confidences >= np.float32(rule.shown if shown is None else shown)
    return Answer(rule.verdict(look.score), look.score, look.boxes[enough], look.confidences[enough])
