"""The evidence's cost against a plain loop, and what its intervals cover.

``python benchmarks/evidence.py [cost] [coverage] [decisions] [trainings]``; results go to
``benchmarks/results/evidence.json``.

Cost: six systems on 14,000 photos with 2,000 bootstrap draws, at the image level and for mAP. The usual way, a loop
over draws that repeats photos and calls scikit-learn or pycocotools, is timed on a few draws and extrapolated, both in
one run. Processor seconds stand beside the clock's, which other work on the machine lengthens. Coverage: the share of
simulated 95 % intervals that hold the true share, over a grid of group sizes, correlations and shares, for the
clustered interval and for plain Wilson. Decisions: the same for balanced accuracy, F1 and MCC, by bootstrap percentiles
and by the limits recovered from Wilson's, which decides where each is used. Trainings: the same for a share that two
or three trainings came to, over all and where their counts tie, with the spread as it is and never below one photo's.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sklearn import metrics

from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, PREDICTION_SCHEMA
from wreckognize.evidence.box_bootstrap import average_precisions, match_boxes
from wreckognize.evidence.intervals import (
    proportion,
    proportion_of_groups,
    recovered,
    square_and_add,
    t_quantile,
    wilson,
)
from wreckognize.evidence.judge import SystemSample, judge
from wreckognize.evidence.resampling import draw_groups, percentile_interval
from wreckognize.evidence.trainings import least_variance
from wreckognize.evidence.weighted import DECISION_FIGURES, Table, from_rates

RESULTS = Path(__file__).parent / "results" / "evidence.json"
PHOTOS, SYSTEMS, DRAWS = 14_000, 6, 2000
BOXES_A_PHOTO = 20
SIDES = ("x1", "y1", "x2", "y2")

SIZES = ("1", "2", "3", "1-5", "to 12")
SHARES = (0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.97)
BEYOND = (0.98, 0.99)
CORRELATIONS = (0.0, 0.1, 0.3, 0.5)
GROUPS = (200, 500)
REPEATS = 4000


@dataclass(frozen=True)
class Seconds:
    """By the clock, and of all processors together."""

    clock: float
    processor: float


def main(parts: list[str]) -> None:
    """Run the parts asked for and keep the results of the others."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if "cost" in parts:
        known["cost"] = {"cores": os.cpu_count(), "image level": image_level(), "mAP": mean_average_precision()}
    if "coverage" in parts:
        known["coverage"] = coverage()
    if "decisions" in parts:
        known["decisions"] = decisions()
    if "trainings" in parts:
        known["trainings"] = trainings()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(known, indent=1) + "\n")


def image_level() -> dict[str, float]:
    """Every figure, interval, test and verdict of six systems, against scikit-learn's figures in a loop."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, PHOTOS // 2, PHOTOS)
    kind = rng.random(PHOTOS // 2)[groups]
    role = np.where(kind < 0.6, "damaged", np.where(kind < 0.85, "normal", "background"))
    truth = role != "background"
    systems = []
    for number in range(SYSTEMS):
        score = np.clip(rng.normal(0.3 + (0.25 + 0.02 * number) * truth, 0.15), 0, 1).astype(np.float32)[None]
        systems.append(SystemSample(name=f"system {number}", score=score, called=score > 0.45))
    ours = timed(lambda: judge(truth, role, groups, systems, draws=DRAWS))
    photos_of = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    subset = role != "normal"
    few = 5

    def plain() -> None:
        for _ in range(few):
            drawn = np.concatenate([photos_of[group] for group in rng.integers(0, len(photos_of), len(photos_of))])
            ranked = drawn[subset[drawn]]
            for system in systems:
                called = system.called[0, drawn]
                metrics.balanced_accuracy_score(truth[drawn], called)
                metrics.f1_score(truth[drawn], called)
                metrics.matthews_corrcoef(truth[drawn], called)
                metrics.roc_auc_score(truth[ranked], system.score[0, ranked])

    return row("image level, 6 systems, 14,000 photos, 2,000 draws", 1, ours, DRAWS / few, timed(plain))


def mean_average_precision() -> dict[str, float]:
    """Matching and re-weighting six systems' boxes, against pycocotools on repeated photos."""
    photos, boxes, predictions = random_boxes()
    groups = np.arange(PHOTOS) // 2
    weights = draw_groups(np.ones(PHOTOS // 2, dtype=np.bool_), DRAWS, 0)

    def ours() -> None:
        matched = match_boxes(photos, boxes, predictions)
        assert matched is not None
        average_precisions(matched, groups, weights)

    one = timed(ours)
    truth, found = coco_of(boxes, predictions)

    def plain() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            judge_one = COCOeval(truth, truth.loadRes(found), "bbox")
            judge_one.evaluate()
            judge_one.accumulate()

    # One draw holds as many photos as the test set; evaluating the test set itself costs the same.
    return row("mAP50-95, 6 systems, 14,000 photos, 2,000 draws", SYSTEMS, one, SYSTEMS * DRAWS, timed(plain))


def random_boxes() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """One or two vehicles on most photos; 20 predictions a photo, most of them weak and wrong."""
    rng = np.random.default_rng(0)
    names = np.array([f"s/{number:05}" for number in range(PHOTOS)])

    def table(owner: np.ndarray[Any, Any], sides: np.ndarray[Any, Any]) -> dict[str, Any]:
        return {"photo": names[owner], **{side: sides[:, place] for place, side in enumerate(SIDES)}}

    corner, size = rng.uniform(0, 300, (PHOTOS, 2)), rng.uniform(40, 300, (PHOTOS, 2))
    drawn = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
    owner = rng.integers(0, PHOTOS * 4 // 5, PHOTOS)
    count = PHOTOS * BOXES_A_PHOTO
    near = rng.random(count) < 1.5 / BOXES_A_PHOTO
    source = rng.integers(0, PHOTOS, count)
    made = (drawn[source] + rng.normal(0, 1, (count, 4)) * rng.choice([3, 10, 30], count)[:, None]).astype(
        np.float32
    )
    made[:, 2:] = np.maximum(made[:, 2:], made[:, :2] + 1)
    confidence = np.where(near, rng.beta(3, 2, count), rng.beta(0.4, 4, count)).clip(0.001)
    boxes = pl.DataFrame(table(owner, drawn)).with_columns(
        kind=pl.lit("vehicle"), origin=pl.lit("human"), confidence=pl.lit(None), crowd=pl.lit(False)
    )
    at = np.where(near, owner[source], rng.integers(0, PHOTOS, count))
    predictions = pl.DataFrame(table(at, made)).with_columns(confidence=pl.Series(confidence))
    known = {"role": "normal", "has_vehicle": True, "box_truth": True, "damage_types": []}
    photos = pl.DataFrame([known | {"photo": name} for name in names], schema=PHOTO_SCHEMA)
    return photos, boxes.cast(dict(BOX_SCHEMA)), predictions.cast(dict(PREDICTION_SCHEMA))


def coco_of(boxes: pl.DataFrame, predictions: pl.DataFrame) -> tuple[COCO, list[dict[str, Any]]]:
    """The same tables for pycocotools."""

    def entries(rows: pl.DataFrame) -> list[dict[str, Any]]:
        return [
            {"id": place, "image_id": int(photo[2:]), "category_id": 1, "iscrowd": 0, "area": (x2 - x1) * (y2 - y1),
             "bbox": [x1, y1, x2 - x1, y2 - y1], "score": confidence}
            for place, (photo, x1, y1, x2, y2, confidence) in enumerate(
                rows.select("photo", *SIDES, "confidence").iter_rows(), 1
            )
        ]  # fmt: skip

    truth = COCO()
    images = [{"id": number} for number in range(PHOTOS)]
    truth.dataset = {"images": images, "categories": [{"id": 1}], "annotations": entries(boxes)}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
    return truth, entries(predictions)


def coverage() -> dict[str, Any]:
    """Coverage in every cell; the summary has the extremes within the stated grid and beyond it."""
    cells = []
    print(f"{'groups':>6} {'size':>6} {'corr.':>5} {'share':>5}  clustered  plain   (% of 95 % intervals)")
    for groups, sizes, correlation, share in itertools.product(GROUPS, SIZES, CORRELATIONS, SHARES + BEYOND):
        if sizes == "1" and correlation:
            continue
        clustered, plain = cell_coverage(groups, sizes, correlation, share)
        print(f"{groups:>6} {sizes:>6} {correlation:>5} {share:>5}  {clustered:>9.1f}  {plain:>5.1f}", flush=True)
        cells.append((groups, sizes, correlation, share, clustered, plain))
    summary = {}
    for name, shares in (("grid", SHARES), ("beyond", BEYOND)):
        for groups in GROUPS:
            inside = [cell[4] for cell in cells if cell[0] == groups and cell[3] in shares]
            summary[f"{name}, {groups} groups"] = [min(inside), max(inside)]
    strong = [cell[5] for cell in cells if cell[1] == "3" and cell[2] == 0.5 and cell[3] in SHARES]
    summary["plain Wilson, three a group, correlation 0.5"] = [min(strong), max(strong)]
    for name, extremes in summary.items():
        print(f"{name}: {extremes[0]:.1f} to {extremes[1]:.1f} %")
    columns = ("groups", "sizes", "correlation", "share", "clustered", "plain")
    return {
        "repeats": REPEATS,
        "summary": summary,
        "cells": [dict(zip(columns, cell, strict=True)) for cell in cells],
    }


def cell_coverage(groups: int, sizes: str, correlation: float, share: float) -> tuple[float, float]:
    """Percentages of clustered and of plain intervals that hold the true share; beta-binomial groups."""
    rng = np.random.default_rng([groups, SIZES.index(sizes), round(100 * correlation), round(100 * share)])
    clustered = plain = 0
    for _ in range(REPEATS):
        photos = group_sizes(rng, sizes, groups)
        chance: Any = share
        if correlation:
            scale = (1 - correlation) / correlation
            chance = rng.beta(share * scale, (1 - share) * scale, groups)
        hits = rng.binomial(photos, chance)
        found = proportion_of_groups(hits.astype(np.float64), photos).limits
        assert found is not None
        low, high = wilson(int(hits.sum()), int(photos.sum()))
        clustered += found[0] <= share <= found[1]
        plain += low <= share <= high
    return 100 * clustered / REPEATS, 100 * plain / REPEATS


def decisions() -> list[dict[str, Any]]:
    """Coverage of the two intervals for figures of both classes, by how many groups err."""
    found = []
    print("vehicle groups of 3, background groups of 1; erring groups; % by bootstrap / recovered")
    cells = itertools.product(
        ((200, 60), (400, 200)), ((0.8, 0.1), (0.95, 0.05), (0.98, 0.05), (0.98, 0.01)), (0.0, 0.5)
    )
    for (vehicles, others), (recall, alarms), correlation in cells:
        cell = decision_coverage(vehicles, others, recall, alarms, correlation)
        print(
            f"{vehicles}+{others}, recall {recall}, alarms {alarms}, correlation {correlation}: {cell}", flush=True
        )
        settings = {"groups": [vehicles, others], "recall": recall, "alarms": alarms, "correlation": correlation}
        found.append(settings | cell)
    return found


def decision_coverage(
    vehicles: int, others: int, recall: float, alarms: float, correlation: float
) -> dict[str, Any]:
    """One cell: mean numbers of erring groups, then for each figure the coverage of both intervals."""
    rng = np.random.default_rng([vehicles, round(100 * recall), round(100 * alarms), round(100 * correlation)])
    truth = np.arange(3 * vehicles + others) < 3 * vehicles
    groups = np.concatenate([np.arange(3 * vehicles) // 3, vehicles + np.arange(others)])
    weights = draw_groups(np.arange(vehicles + others) < vehicles, 999, 0).T
    mix = from_rates(3.0 * vehicles, float(others))
    figures = {name: DECISION_FIGURES[name] for name in ("balanced_accuracy", "f1", "mcc")}
    inside = {name: np.zeros(2) for name in figures}
    erring = np.zeros(2)
    repeats = 600
    for _ in range(repeats):
        chance: Any = recall
        if correlation:
            scale = (1 - correlation) / correlation
            chance = rng.beta(recall * scale, (1 - recall) * scale, vehicles)
        hits = rng.binomial(3, chance, vehicles)
        called = np.concatenate([(np.arange(3) < hits[:, None]).ravel(), rng.random(others) < alarms])
        counts = Table.of(truth, called, groups, vehicles + others).counts(weights)
        one, other = (proportion(called[part], groups[part]) for part in (truth, ~truth))
        erring += (hits < 3).sum(), called[~truth].sum()
        for name, make in figures.items():
            true = float(make(mix(recall, alarms)))
            drawn = make(counts)
            bootstrap = percentile_interval(drawn[np.isfinite(drawn)], 0.95)
            limits = recovered(lambda *rates, make=make: float(make(mix(*rates))), one, other, within=(-1.0, 1.0))
            assert limits is not None
            inside[name] += bootstrap[0] <= true <= bootstrap[1], limits[0] <= true <= limits[1]
    shares = {name: np.round(100 * both / repeats, 1).tolist() for name, both in inside.items()}
    return {"erring": np.round(erring / repeats, 1).tolist()} | shares


def trainings() -> list[dict[str, Any]]:
    """Coverage with the spread between trainings as it is, and with at least one photo's; all, and where counts tie."""
    found = []
    print(
        "photos, share, trainings, SD in photos: % of intervals, as is / at least a photo; the same where they tie"
    )
    cells = itertools.product((27, 100, 400), (0.8, 0.95), (2, 3), (0.0, 0.5, 1.0, 2.0, 4.0))
    for photos, share, times, deviation in cells:
        if share + 3 * deviation / photos > 1:
            continue
        cell = training_coverage(photos, share, times, deviation)
        print(f"{photos}, {share}, {times}, {deviation}: {cell}", flush=True)
        found.append({"photos": photos, "share": share, "trainings": times, "deviation": deviation} | cell)
    return found


def training_coverage(photos: int, share: float, times: int, deviation: float) -> dict[str, Any]:
    """One cell: each training has its own true share, and the same photos are hard for all."""
    rng = np.random.default_rng([photos, round(100 * share), times, round(10 * deviation)])
    inside, tied, ties = np.zeros(2), np.zeros(2), 0
    for _ in range(REPEATS // 2):
        own = share + rng.normal(0, deviation / photos, times)
        called = rng.random(photos)[None] < own[:, None]
        over = proportion(called.mean(axis=0), np.arange(photos))
        assert over.share is not None
        assert over.limits is not None
        seen = float(called.mean(axis=1).var(ddof=1))
        holds = []
        for least in (0.0, least_variance(1 / photos, times)):
            reach = t_quantile(0.95, times - 1) * math.sqrt(max(seen, least) / times)
            spread = (0.0, (-reach, reach))
            low, high = square_and_add(over.share, (over.share, over.limits), spread, within=(0.0, 1.0))
            holds.append(low <= share <= high)
        inside += holds
        if seen == 0:
            ties += 1
            tied += holds
    share_of = np.round(100 * inside / (REPEATS // 2), 1).tolist()
    return {"all": share_of, "ties": ties, "tied": np.round(100 * tied / max(ties, 1), 1).tolist()}


def group_sizes(rng: np.random.Generator, named: str, groups: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Photos of each group: one number, 1 to 5 alike, or mostly few and up to 12."""
    if named == "1-5":
        return rng.integers(1, 6, groups)
    if named == "to 12":
        return np.minimum(rng.geometric(0.45, groups), 12)
    return np.full(groups, int(named))


def row(name: str, times: float, ours: Seconds, plain_times: float, plain: Seconds) -> dict[str, float]:
    """One line of the table; both sides are multiplied up to the whole task."""
    clock, processor = times * ours.clock, times * ours.processor
    loop, loop_processor = plain_times * plain.clock, plain_times * plain.processor
    print(
        f"{name}: ours {clock:.1f} s (processor {processor:.1f} s), plain loop {loop:.0f} s (processor"
        f" {loop_processor:.0f} s), extrapolated: {loop_processor / processor:.0f}x",
        flush=True,
    )
    return {
        "ours_s": clock,
        "ours_processor_s": processor,
        "plain_loop_s": loop,
        "plain_loop_processor_s": loop_processor,
        "ratio": loop_processor / processor,
    }


def timed(work: Callable[[], object]) -> Seconds:
    """How long it takes."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - clock, time.process_time() - processor)


if __name__ == "__main__":
    main(sys.argv[1:] or ["cost", "coverage", "decisions", "trainings"])
