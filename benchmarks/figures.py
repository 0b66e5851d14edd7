"""All figures of six systems on 14,000 photos, against pycocotools, which gives the box figures only."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

from pycocotools.cocoeval import COCOeval

from evidence import PHOTOS, SYSTEMS, coco_of, random_boxes
from table import Row, against, seconds
from wreckognize.evaluation.box_level import box_figures
from wreckognize.evaluation.image_level import (
    auc_damaged,
    by_role,
    figures_at,
    found_at_false_alarms,
    photo_scores,
)


def rows() -> Iterator[Row]:
    """One system is measured on both sides; all six cost six times as much on both."""
    photos, boxes, predictions = random_boxes()
    truth, found = coco_of(boxes, predictions)

    def ours() -> None:
        scores = photo_scores(photos, predictions)
        truth_of, score = scores["has_vehicle"].to_numpy(), scores["score"].to_numpy()
        for threshold in (0.10, 0.25):
            figures_at(truth_of, score, threshold)
            by_role(scores, threshold)
        for rate in (0.01, 0.025, 0.05):
            found_at_false_alarms(scores, rate)
        auc_damaged(scores)
        box_figures(photos, boxes, predictions)

    def usual() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            judge = COCOeval(truth, truth.loadRes(found), "bbox")
            judge.evaluate()
            judge.accumulate()
            judge.summarize()

    own, peer = seconds(ours, usual, repeats=1, warm_up=False)
    name = f"all figures of {SYSTEMS} systems, {PHOTOS:,} photos, against pycocotools' mAP"
    yield against(name, SYSTEMS * own, SYSTEMS * peer, "s", 30, note="one system measured, times six")
