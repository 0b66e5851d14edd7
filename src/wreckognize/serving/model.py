"""The model that is served: a detector, how photos are looked at, how a score becomes a verdict, and its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from wreckognize.detectors.port import Detector
from wreckognize.inference.stream import StreamSettings

Verdict = Literal["vehicle", "no vehicle", "to a person"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How a score becomes a verdict.

    Attributes:
        value: vehicle if the score is at least this.
        band: where there is one, it decides instead: below the first "no vehicle", from the second on "vehicle",
            between them "to a person". None in a place: that answer is never given.
    """

    value: float
    band: tuple[float | None, float | None] | None = None

    def verdict(self, score: float) -> Verdict:
        """The verdict; scores and thresholds are compared as ``float32``, as everywhere in this package.

        >>> Thresholds(0.1).verdict(0.1), Thresholds(0.1, (0.05, 0.3)).verdict(0.1)
        ('vehicle', 'to a person')
        """
        if self.band is None:
            return "vehicle" if np.float32(score) >= np.float32(self.value) else "no vehicle"
        low, high = self.band
        if high is not None and np.float32(score) >= np.float32(high):
            return "vehicle"
        if low is not None and np.float32(score) < np.float32(low):
            return "no vehicle"
        return "to a person"


@dataclass(frozen=True, slots=True)
class Model:
    """All that a service needs of a bundle.

    Attributes:
        name: of the system.
        version: of the bundle.
        sha256: of the weights.
        detector: loaded.
        stream: how photos are looked at.
        thresholds: how a score becomes a verdict.
        public: what ``/v1/model`` says besides, as plain data: the manifest's public part and the card.
    """

    name: str
    version: str
    sha256: str
    detector: Detector
    stream: StreamSettings
    thresholds: Thresholds
    public: Mapping[str, Any] = field(default_factory=dict)
