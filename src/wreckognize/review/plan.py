"""Which photos go out to reviewers, in which order, and with which boxes drawn.

The boxes of a photo come from the first of these that has any:

    human       what a person drew already
    labels      what the system is trained on (training and validation photos)
    predictions of the teacher (or of the system, where the study has no teacher pass), from a confidence on

A background has none. The order is: photos on which reviewers differ; then those an audit doubts, most doubtful
first; then vehicles without a box or with a fallback box only; then by the photo's least confident box; then those
whose boxes a person drew, and backgrounds.

A *blank* export tells the reviewer nothing that a model or the study holds: no boxes, no verdict, no reason, and the
order is drawn by lot, for the order of doubt alone would say which photos a model is unsure of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

from wreckognize.catalog import BOX_SCHEMA, VEHICLE, Catalog
from wreckognize.lots import lots
from wreckognize.review.compare import Conflict
from wreckognize.review.records import Corners, Verdict

_CORNERS = ("x1", "y1", "x2", "y2")
_FALLBACKS = ("damage", "frame")
_FIELDS = ("photo", "sha256", "path", "plain", "width", "height", "split")
_Row: TypeAlias = Mapping[str, Any]
_DRAWN_SCHEMA = pl.Schema(
    [(name, BOX_SCHEMA[name]) for name in ("photo", *_CORNERS, "origin", "confidence")] + [("drawn_by", pl.String)]
)
_ORDER_SCHEMA = pl.Schema({"photo": pl.String, "tier": pl.Int8, "doubt": pl.Float64, "why": pl.String})
_CONFLICT, _DOUBTED, _FALLBACK, _CONFIDENCE, _REST = range(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnBox:
    """A box that the reviewer is shown.

    Attributes:
        corners: ``x1 y1 x2 y2`` in pixels of the photo as shown.
        origin: ``human``, ``teacher``, ``damage``, ``frame`` or ``system``.
        confidence: of a model's box.
    """

    corners: Corners
    origin: str
    confidence: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One photo for a reviewer.

    Attributes:
        photo: its name in the catalog.
        sha256: of its bytes.
        path: where it lies.
        plain: whether any program opens its bytes alike.
        width: pixels, as shown.
        height: pixels, as shown.
        split: train, val, test or held_back.
        verdict: what the study takes it for; None: the reviewer is not told.
        boxes: shown to the reviewer.
        drawn_by: whose they are, e.g. ``labels of ver6``; empty without boxes.
        why: it is doubtful; may be empty.
    """

    photo: str
    sha256: str
    path: str
    plain: bool
    width: int
    height: int
    split: str
    verdict: Verdict | None
    boxes: tuple[DrawnBox, ...]
    drawn_by: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Predictions to draw where nothing better is at hand.

    Attributes:
        table: ``PREDICTION_SCHEMA``.
        confidence: boxes count from this on.
        origin: ``teacher`` or ``system``.
        drawn_by: in words.
    """

    table: pl.DataFrame
    confidence: float
    origin: str
    drawn_by: str


def plan(
    catalog: Catalog,
    split: pl.DataFrame,
    *,
    labels: Mapping[str, pl.DataFrame],
    predicted: Predicted | None,
    doubts: pl.DataFrame | None,
    conflicts: Iterable[Conflict] = (),
    leave_out: Iterable[str] = (),
    splits: Iterable[str],
    limit: int | None = None,
    blank: bool = False,
    seed: int = 0,
) -> tuple[Task, ...]:
    """Choose, order and draw.

    Args:
        catalog: the run's.
        split: ``SPLIT_SCHEMA``.
        labels: whose labels, in words -> ``LABEL_SCHEMA``; none or one.
        predicted: for photos without human boxes and labels.
        doubts: ``photo, score, reason`` (and more) of an audit, a higher score meaning more doubt; several rows a
            photo are allowed.
        conflicts: between reviewers.
        leave_out: photos that are not asked for again; conflicts are asked for all the same.
        splits: whose photos go out.
        limit: at most so many.
        blank: by lot, without boxes, verdict and reason.
        seed: of the lots.
    """
    differing = {conflict.photo: conflict.why for conflict in conflicts}
    photos = (
        catalog.photos.join(split.select("photo", "split"), on="photo")
        .filter(pl.col("split").is_in(list(splits)))
        .filter(~pl.col("photo").is_in(list(set(leave_out) - differing.keys())))
    )
    if blank:
        drawn_lots = photos.with_columns(lots(photos["photo"], seed, "blank review")).sort("lot")
        chosen = drawn_lots if limit is None else drawn_lots.head(limit)
        return tuple(_blank_task(row) for row in chosen.iter_rows(named=True))
    drawn = _drawn(photos, catalog.boxes, labels, predicted)
    ordered = order(photos, drawn, doubts, differing).join(photos, on="photo", how="left")
    if limit is not None:
        ordered = ordered.head(limit)
    boxes: dict[str, list[_Row]] = defaultdict(list)
    for box in drawn.sort("photo", *_CORNERS, "confidence").iter_rows(named=True):
        boxes[box["photo"]].append(box)
    return tuple(_task(row, boxes[row["photo"]]) for row in ordered.iter_rows(named=True))


def _blank_task(row: _Row) -> Task:
    return Task(**{name: row[name] for name in _FIELDS}, verdict=None, boxes=(), drawn_by="", why="")


def _task(row: _Row, drawn: Sequence[_Row]) -> Task:
    return Task(
        **{name: row[name] for name in _FIELDS},
        verdict=row["role"],
        boxes=tuple(
            DrawnBox(
                corners=(box["x1"], box["y1"], box["x2"], box["y2"]),
                origin=box["origin"],
                confidence=box["confidence"],
            )
            for box in drawn
        ),
        drawn_by=drawn[0]["drawn_by"] if drawn else "",
        why=row["why"],
    )


def _drawn(
    photos: pl.DataFrame, boxes: pl.DataFrame, labels: Mapping[str, pl.DataFrame], predicted: Predicted | None
) -> pl.DataFrame:
    """``_DRAWN_SCHEMA``: the boxes of every photo from the first table that has any; cut to the photo."""
    human = boxes.filter(pl.col("kind") == VEHICLE, pl.col("origin") == "human", ~pl.col("crowd"))
    tables = [human.with_columns(drawn_by=pl.lit("a person"))]
    tables += [table.with_columns(drawn_by=pl.lit(f"labels of {name}")) for name, table in labels.items()]
    if predicted is not None:
        sure = predicted.table.filter(pl.col("confidence") >= pl.lit(predicted.confidence, dtype=pl.Float32))
        tables.append(sure.with_columns(origin=pl.lit(predicted.origin), drawn_by=pl.lit(predicted.drawn_by)))
    found = _DRAWN_SCHEMA.to_frame()
    vehicles = photos.filter("has_vehicle").select("photo", "width", "height")
    for table in tables:
        cut = (
            table.join(vehicles, on="photo")
            .join(found, on="photo", how="anti")
            .with_columns(pl.col("x1", "x2").clip(0, pl.col("width").cast(pl.Float32)))
            .with_columns(pl.col("y1", "y2").clip(0, pl.col("height").cast(pl.Float32)))
            .filter(pl.col("x2") > pl.col("x1"), pl.col("y2") > pl.col("y1"))
        )
        found = pl.concat([found, cut.select(_DRAWN_SCHEMA.names())])
    return found


def order(
    photos: pl.DataFrame, drawn: pl.DataFrame, doubts: pl.DataFrame | None, conflicts: Mapping[str, str]
) -> pl.DataFrame:
    """Every photo once, most doubtful first.

    Args:
        photos: with ``photo`` and ``has_vehicle``.
        drawn: with ``photo, origin, confidence``: the boxes of these photos.
        doubts: ``photo, score, reason``.
        conflicts: photo -> why.

    Returns:
        ``photo``, ``tier``, ``doubt`` and ``why`` (in words; empty where nothing speaks for a doubt).
    """
    summary = drawn.group_by("photo").agg(
        least=pl.col("confidence").min(),
        fallback=pl.col("origin").is_in(_FALLBACKS).any(),
        human=(pl.col("origin") == "human").any(),
    )
    known = photos.select("photo", "has_vehicle").join(summary, on="photo", how="left")
    no_box = pl.col("has_vehicle") & pl.col("human").is_null()
    least = pl.col("least").cast(pl.Float64)
    plain = known.select(
        "photo",
        tier=pl.when(no_box | pl.col("fallback"))
        .then(_FALLBACK)
        .when(least.is_not_null())
        .then(_CONFIDENCE)
        .otherwise(_REST),
        doubt=pl.when(no_box).then(2.0).when("fallback").then(1.0).otherwise(-least.fill_null(0.0)),
        why=pl.when(no_box)
        .then(pl.lit("a vehicle, but no box was found"))
        .when("fallback")
        .then(pl.lit("no vehicle was found; the box is a fallback"))
        .when(least.is_not_null())
        .then(pl.format("least confident box: {}", least.round(2)))
        .otherwise(pl.lit("")),
    )
    tables = [
        pl.DataFrame([(p, _CONFLICT, 0.0, why) for p, why in conflicts.items()], _ORDER_SCHEMA, orient="row")
    ]
    if doubts is not None:
        worst = doubts.sort("score", "reason", descending=[True, False]).unique("photo", keep="first")
        tables.append(worst.select("photo", tier=pl.lit(_DOUBTED), doubt="score", why="reason"))
    tables.append(plain)
    return (
        pl.concat([table.cast(_ORDER_SCHEMA) for table in tables])
        .join(photos, on="photo", how="semi")
        .sort("tier", "doubt", "photo", descending=[False, True, False])
        .unique("photo", keep="first", maintain_order=True)
    )
