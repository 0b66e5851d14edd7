"""What validation photos look like to a bundle, as histograms: what the photos to come are compared with.

The bins are the same in every bundle, fine enough that the distance of two distribution functions read off them
(Kolmogorov-Smirnov) is off by at most what one bin holds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from wreckognize.exporting.manifest import Histogram, Reference
from wreckognize.exporting.verdicts import VERDICTS, Rule

SCORE_EDGES = tuple(round(0.01 * step, 2) for step in range(101))
BRIGHTNESS_EDGES = tuple(float(4 * step) for step in range(65))  # 0 to 256
SIDE_EDGES = (
    *(float(side) for side in range(0, 2000, 80)),
    *(float(side) for side in range(2000, 8000, 400)),
    *(8000.0, 12_000.0, 16_000.0, 100_000.0),
)
"""Pixels; what lies beyond the last edge counts into the last bin."""


def histogram(values: ArrayLike, edges: tuple[float, ...]) -> Histogram:
    """Count values into bins; those beyond the edges go into the first and the last.

    Raises:
        ValueError: a value is not a number.

    >>> histogram([0.0, 0.5, 0.5, 2.0], (0.0, 0.5, 1.0)).counts
    (1, 3)
    """
    given = np.asarray(values, dtype=np.float64)
    if np.isnan(given).any():
        raise ValueError("a value is not a number")
    counts, _ = np.histogram(np.clip(given, edges[0], edges[-1]), bins=np.asarray(edges))
    return Histogram(edges=edges, counts=tuple(int(count) for count in counts))


def reference_of(scores: ArrayLike, brightness: ArrayLike, longest_side: ArrayLike, rule: Rule) -> Reference:
    """The reference that photos give.

    Args:
        scores: ``(N,)`` as the bundle gives them.
        brightness: ``(N,)`` mean luma, 0 to 255, see `wreckognize.inference.traits.read_traits`.
        longest_side: ``(N,)`` pixels.
        rule: of the bundle.
    """
    verdicts = rule.verdicts(scores)
    return Reference(
        photos=int(verdicts.size),
        score=histogram(scores, SCORE_EDGES),
        brightness=histogram(brightness, BRIGHTNESS_EDGES),
        longest_side=histogram(longest_side, SIDE_EDGES),
        verdicts={verdict: int((verdicts == verdict).sum()) for verdict in VERDICTS},
    )
