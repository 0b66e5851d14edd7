"""Files that hold boxes and nothing else (COCO, YOLO): what in them is an answer.

Such a file does not say which photos a person looked at. So a photo counts as answered if its boxes are others than
those that went out, or if the person says how far he or she got. A photo without a box then shows no vehicle; whether
a vehicle is damaged was not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from wreckognize.errors import UsageError
from wreckognize.review.answers import Answer, Incoming
from wreckognize.review.compare import one_to_one
from wreckognize.review.manifest import Exported, Manifest
from wreckognize.review.records import Corners

CLASS = "vehicle"
LookedAt: TypeAlias = int | Literal["all"] | None
"""How many photos of the export, from the first on, were looked at; None: those whose boxes changed."""

_MOVED = 0.5  # pixels: tools write a few digits only, so a box that nobody touched may come back a little off


def to_incoming(
    manifest: Manifest, found: Mapping[str, Sequence[Corners]], *, looked_at: LookedAt, incoming: Incoming
) -> Incoming:
    """Turn the boxes of each file into answers.

    Args:
        manifest: of the export.
        found: name of a photo's file in the export -> its boxes, in pixels; one that is not in it has no answer.
        looked_at: how far the person got.
        incoming: the problems found so far.

    Raises:
        UsageError: ``looked_at`` is more than went out.
    """
    count = len(manifest.photos)
    if isinstance(looked_at, int) and looked_at > count:
        raise UsageError(
            f"{looked_at} photos looked at, but only {count} were exported",
            where="--looked-at",
            remedy=f"give a number up to {count}, or `all`",
        )
    seen = count if looked_at == "all" else looked_at or 0
    incoming.studies.add(manifest.study)
    for rank, exported in enumerate(manifest.photos, 1):
        boxes = found.get(exported.file)
        if boxes is None or (rank > seen and not _changed(exported, boxes)):
            incoming.unanswered += 1
            continue
        incoming.answers.append(
            Answer(
                where=f"{exported.file}, {exported.photo}",
                photo=exported.photo,
                sha256=exported.sha256,
                reviewer=None,
                when=None,
                verdict=None if boxes else "background",
                boxes=tuple(boxes),
            )
        )
    return incoming


def _changed(exported: Exported, boxes: Sequence[Corners]) -> bool:
    if len(boxes) != len(exported.boxes):
        return True
    if not boxes:
        return False
    before, after = np.asarray(exported.boxes), np.asarray(boxes, dtype=np.float64)
    distance = np.abs(before[:, None] - after[None]).max(axis=2)
    return not one_to_one(distance <= _MOVED)
