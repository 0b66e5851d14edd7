"""Which labels are doubtful, how much, and why.

The measures are those of ObjectLab (Tkachenko, Thyagarajan, Mueller 2023, *ObjectLab: Automated Diagnosis of
Mislabeled Images in Object Detection Data*, arXiv:2309.00832) brought down to one class and stripped of its
thresholds. ObjectLab compares labels only with predictions of confidence 0.5 or more, and asks for 0.95 before a box
counts as overlooked; a student of a few epochs seldom gets there. Here

* a label is doubted by 1 - IoU with the prediction that overlaps it most, however unsure that prediction is: that a
  student sees anything in just this place confirms the label (badly located, or false);
* a prediction doubts the labels by its confidence times 1 - IoU with the label that overlaps it most (overlooked, or
  badly located); in a background this is weighed by the mean of 1 and what the other detector sees there;
* a photo with a vehicle is doubted by 1 - the confidence of its best prediction.

A photo's score is 1 - the product of (1 - the worst of each): several witnesses against a photo weigh more than one.
Scores put photos in order; they are not probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize import boxes as bx
from wreckognize.audit.agreement import Agreement, agree, boxes_by_photo, share_inside
from wreckognize.boxes import Boxes
from wreckognize.errors import UsageError

MIN_CONFIDENCE = 0.02
"""Predictions below it are not looked at: far down, a detector has a box for every place."""

MIN_SCORE = 0.2
"""Doubts below it are not listed: two people who draw the same vehicle can differ as much."""

NOWHERE_IOU = 0.1
"""A label and a prediction that overlap by less are not of the same thing."""

DOUBLE_IOU = 0.6
"""Two labels that overlap by as much may be on one vehicle."""

PART_INSIDE, PART_LARGER = 0.8, 1.5
"""A damage box is only a part if this share of it lies in a prediction that is so many times as large."""

OUTSIDE_PIXELS = 1.0
"""Labels may reach so far out of the photo: rounding."""

KINDS = {
    "vehicle_in_background": "no vehicle by its role, and one is seen",
    "no_vehicle": "a vehicle by its role, and none is seen",
    "unconfirmed": "a label where no vehicle is seen",
    "misplaced": "a label of another place or size than the vehicle that is seen",
    "part": "a damage box on a part of the vehicle that is seen",
    "double": "two labels on one vehicle",
    "overlooked": "a vehicle that is seen and has no label",
    "outside": "a label that is not within the photo",
}
"""What a doubt can be, in words."""

_DOUBT_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "photo": pl.String,
    "box": pl.Int32,  # the label in question, counted from 0 in the order of the photo's labels; null: none
    "kind": pl.String,  # one of KINDS
    "score": pl.Float64,  # 0 to 1
    "reason": pl.String,
    "x1": pl.Float32,  # the box in question; null: the whole photo
    "y1": pl.Float32,
    "x2": pl.Float32,
    "y2": pl.Float32,
}
DOUBT_SCHEMA = pl.Schema(_DOUBT_COLUMNS)
RANK_SCHEMA = pl.Schema({"photo": pl.String, "rank": pl.UInt32, "score": pl.Float64})
"""``rank`` counts from 1, the most doubtful first; photos of equal score are in the order of their names."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """What an audit found.

    Attributes:
        table: ``DOUBT_SCHEMA``, by photo, the greatest doubt first; doubts below ``MIN_SCORE`` are left out.
        photos: ``RANK_SCHEMA``, every photo once, by rank.
    """

    table: pl.DataFrame
    photos: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one detector saw in one photo."""

    who: str
    boxes: Boxes
    confidence: NDArray[np.float32]

    @property
    def best(self) -> float:
        return float(self.confidence.max(initial=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubt:
    """A doubt; ``witness`` says what it rests on."""

    witness: Literal["label", "prediction", "role"]
    kind: str
    score: float
    reason: str
    label: int | None = None
    box: NDArray[np.float32] | None = None


def find_doubts(
    photos: pl.DataFrame,
    labels: pl.DataFrame,
    predictions: pl.DataFrame,
    teacher_predictions: pl.DataFrame | None = None,
    *,
    student: str = "the student",
) -> Doubts:
    """Doubt labels and roles by what detectors see that were not trained on them.

    Args:
        photos: ``photo, role, has_vehicle, width, height``, and ``labelled``: whether ``labels`` hold all its vehicles.
            Of a photo that is not labelled only the role is doubted.
        labels: ``LABEL_SCHEMA``; labels of other photos are not looked at.
        predictions: ``PREDICTION_SCHEMA``, of a detector that has not seen these labels.
        teacher_predictions: ``PREDICTION_SCHEMA``: a second witness for what is overlooked. It cannot doubt labels
            that it drew itself.
        student: what the first detector is called in the reasons.

    Raises:
        UsageError: a prediction is of an unknown photo, or its confidence is not a number from 0 to 1 (NaN included).
    """
    tables = {student: predictions}
    if teacher_predictions is not None:
        tables["the teacher"] = teacher_predictions
    seen = {who: _checked(table, photos, who) for who, table in tables.items()}
    drawn = boxes_by_photo(labels.join(photos, on="photo", how="semi"))
    rows: list[tuple[Any, ...]] = []
    scores: list[tuple[str, float]] = []
    for photo in photos.sort("photo").iter_rows(named=True):
        name = photo["photo"]
        witnesses = [_seen(who, found.get(name)) for who, found in seen.items()]
        found = list(_doubts_of(photo, drawn.get(name), witnesses))
        scores.append((name, _together(found)))
        rows += [_row(name, doubt) for doubt in _listed(found)]
    return _sorted(
        pl.DataFrame(rows, schema=DOUBT_SCHEMA, orient="row"),
        pl.DataFrame(scores, schema={"photo": pl.String, "score": pl.Float64}, orient="row"),
    )


def merged(parts: Sequence[Doubts]) -> Doubts:
    """Doubts of different photos in one table and one order."""
    table = pl.concat([part.table for part in parts])
    scores = pl.concat([part.photos.select("photo", "score") for part in parts])
    return _sorted(table, scores)


def _sorted(table: pl.DataFrame, scores: pl.DataFrame) -> Doubts:
    ranked = scores.sort("score", "photo", descending=[True, False]).with_row_index("rank", offset=1)
    return Doubts(
        table.sort("photo", "score", "kind", "box", descending=[False, True, False, False]),
        ranked.select(RANK_SCHEMA.names()),
    )


def _checked(table: pl.DataFrame, photos: pl.DataFrame, who: str) -> dict[str, tuple[Boxes, pl.DataFrame]]:
    """Predictions worth looking at, by photo, the most confident first."""
    wrong = table.filter(~pl.col("confidence").is_between(0, 1).fill_null(False))
    strange = table.join(photos, on="photo", how="anti")
    for rows, what in (
        (wrong, "have a confidence that is not a number from 0 to 1"),
        (strange, "are of photos that are not audited"),
    ):
        if not rows.is_empty():
            raise UsageError(
                f"{rows.height} predictions of {who} {what}, the first of {rows['photo'][0]!r}",
                where="predictions",
                remedy="predict these photos again",
            )
    looked_at = table.filter(pl.col("confidence") >= pl.lit(MIN_CONFIDENCE, dtype=pl.Float32))
    return boxes_by_photo(looked_at.sort("confidence", descending=True, maintain_order=True))


def _seen(who: str, found: tuple[Boxes, pl.DataFrame] | None) -> _Seen:
    if found is None:
        return _Seen(who, bx.as_boxes([]), np.zeros(0, np.float32))
    boxes, rows = found
    return _Seen(who, boxes, rows["confidence"].to_numpy())


def _doubts_of(
    photo: Mapping[str, Any], drawn: tuple[Boxes, pl.DataFrame] | None, witnesses: Sequence[_Seen]
) -> Iterator[_Doubt]:
    """Every doubt of one photo, however small; the first witness is the student."""
    student = witnesses[0]
    if photo["has_vehicle"]:
        yield _Doubt(
            witness="role",
            kind="no_vehicle",
            score=1 - student.best,
            reason=f"given as {photo['role']}, with a vehicle; {_at_most(student)}",
        )
    if not photo["labelled"]:
        return
    labels, origins = bx.as_boxes([]), []
    if drawn is not None:
        labels, origins = drawn[0], drawn[1]["origin"].to_list()
        agreement = agree(labels, student.boxes, student.confidence)
        yield from _outside(labels, photo)
        yield from _unmet(labels, origins, student, agreement)
        yield from _doubles(labels, student, agreement)
    for witness in witnesses:
        others = [other for other in witnesses if other is not witness]
        yield from _unlabelled(photo, labels, origins, witness, others)


def _outside(labels: Boxes, photo: Mapping[str, Any]) -> Iterator[_Doubt]:
    """Labels without area, or that reach out of the photo."""
    inside = bx.clip(labels, photo["width"], photo["height"])
    reach = np.abs(labels - inside).max(axis=1)
    whole, kept = bx.area(labels), bx.area(inside)
    for number in np.flatnonzero((whole <= 0) | (reach > OUTSIDE_PIXELS)):
        lost = 1.0 if kept[number] <= 0 else 1 - float(kept[number] / whole[number])
        reason = (
            "the label has no area"
            if whole[number] <= 0
            else f"the label reaches {reach[number]:.0f} pixels out of the photo"
        )
        yield _Doubt(
            witness="label",
            kind="outside",
            score=max(lost, 0.5),
            reason=reason,
            label=int(number),
            box=labels[number],
        )


def _unmet(labels: Boxes, origins: Sequence[str], student: _Seen, agreement: Agreement) -> Iterator[_Doubt]:
    """Labels that no prediction meets, or meets elsewhere."""
    for number, (origin, nearest) in enumerate(zip(origins, agreement.nearest_prediction, strict=True)):
        overlap = float(agreement.overlap[number, nearest]) if nearest >= 0 else 0.0
        if nearest >= 0 and (times := _times_as_large(labels[number], origin, student.boxes[nearest])):
            kind, reason = "part", _part(student, times)
        elif overlap < NOWHERE_IOU:
            kind, reason = "unconfirmed", f"labelled as a vehicle; {student.who} sees none there"
        else:
            kind, reason = "misplaced", f"{student.who} sees a vehicle of another place or size: IoU {overlap:.2f}"
        yield _Doubt(
            witness="label", kind=kind, score=1 - overlap, reason=reason, label=number, box=labels[number]
        )


def _times_as_large(label: NDArray[np.float32], origin: str, whole: NDArray[np.float32]) -> float | None:
    """How much larger a prediction is than a damage box that is a part of it; None where it is no such part."""
    part = bx.as_boxes(label[None])
    own = float(bx.area(part)[0])
    if origin != "damage" or own <= 0 or share_inside(part, bx.as_boxes(whole[None]))[0, 0] < PART_INSIDE:
        return None
    times = float(bx.area(bx.as_boxes(whole[None]))[0]) / own
    return times if times >= PART_LARGER else None


def _at_most(witness: _Seen) -> str:
    sees = f"sees one with confidence {witness.best:.2f} at most" if witness.best else "sees none"
    return f"{witness.who} {sees}"


def _part(witness: _Seen, times: float) -> str:
    return f"a damage box; the vehicle that {witness.who} sees is {times:.1f} times as large"


def _doubles(labels: Boxes, student: _Seen, agreement: Agreement) -> Iterator[_Doubt]:
    """Of two labels on what may be one vehicle, the one that the student confirms less."""
    overlap = np.triu(bx.iou(labels, labels), 1)
    for one, other in np.argwhere(overlap >= DOUBLE_IOU):
        doubted = int(other if agreement.support[other] <= agreement.support[one] else one)
        yield _Doubt(
            witness="label",
            kind="double",
            score=float(overlap[one, other]) * (1 - float(agreement.support[doubted])),
            reason=f"two labels on what may be one vehicle: IoU {overlap[one, other]:.2f}",
            label=doubted,
            box=labels[doubted],
        )


def _unlabelled(
    photo: Mapping[str, Any], labels: Boxes, origins: Sequence[str], witness: _Seen, others: Sequence[_Seen]
) -> Iterator[_Doubt]:
    """Predictions that no label meets, or meets elsewhere.

    What one detector sees in a background counts half where the other sees none at all: the labels of backgrounds are
    not the teacher's, so here it can gainsay the student.
    """
    agreement = agree(labels, witness.boxes, witness.confidence)
    for number, (confidence, nearest) in enumerate(zip(witness.confidence, agreement.nearest_label, strict=True)):
        overlap = float(agreement.overlap[nearest, number]) if nearest >= 0 else 0.0
        sees = f"{witness.who} sees a vehicle with confidence {confidence:.2f}"
        box, label, weight = witness.boxes[number], None, 1.0
        if nearest >= 0 and (times := _times_as_large(labels[nearest], origins[nearest], box)):
            kind, reason, label = "part", _part(witness, times), int(nearest)
        elif overlap >= NOWHERE_IOU:
            kind, reason, label = "misplaced", f"{sees} of another place or size: IoU {overlap:.2f}", int(nearest)
        elif photo["has_vehicle"]:
            kind, reason = "overlooked", f"{sees} where there is no label"
        else:
            kind = "vehicle_in_background"
            reason = ", ".join([f"given as {photo['role']}, without a vehicle; {sees}", *map(_at_most, others)])
            weight = float(np.mean([1.0, *(other.best for other in others)]))
        yield _Doubt(
            witness="prediction",
            kind=kind,
            score=float(confidence * weight) * (1 - overlap),
            reason=reason,
            label=label,
            box=box if label is None else labels[label],
        )


def _together(doubts: Sequence[_Doubt]) -> float:
    """One score of a photo: worst label, worst prediction and role as independent witnesses."""
    left = 1.0
    for witness in ("label", "prediction", "role"):
        left *= 1 - max((doubt.score for doubt in doubts if doubt.witness == witness), default=0.0)
    return 1 - left


def _listed(doubts: Sequence[_Doubt]) -> list[_Doubt]:
    """Doubts worth a line: of each label the greatest, and those of no label."""
    greatest: dict[int, _Doubt] = {}
    others = []
    for doubt in doubts:
        if doubt.score < MIN_SCORE:
            continue
        if doubt.label is None:
            others.append(doubt)
        elif doubt.label not in greatest or doubt.score > greatest[doubt.label].score:
            greatest[doubt.label] = doubt
    return [*greatest.values(), *others]


def _row(photo: str, doubt: _Doubt) -> tuple[Any, ...]:
    corners = (None,) * 4 if doubt.box is None else tuple(doubt.box.tolist())
    return photo, doubt.label, doubt.kind, doubt.score, doubt.reason, *corners
