"""Do a system's figures hang on the shape and compression of photos rather than on vehicles?

If all damaged photos are squares and all backgrounds are not, "square" is a detector without a miss, and no figure on
such photos can tell it from one that knows vehicles. What can: give photos of one role the form of another, one
alteration at a time, and see whether the figures move. A detector of squares raises an alarm at every squared
background.

A figure that moves by more than ``MOVE`` gives a warning. It says *may*: alterations also make photos harder to read
(padding, for one, leaves fewer pixels to what the photo shows), and a detector that this study did not train shows by
how much. And figures that hold rule out the forms that were tried, not every shortcut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from wreckognize.evaluation.image_level import is_called_vehicle
from wreckognize.evidence.altering import PLURAL, Alteration, effective
from wreckognize.evidence.changes import Change, area_change, points, rate_change
from wreckognize.evidence.record import Record
from wreckognize.evidence.shapes import RoleShape, Separation, role_shapes, separations, size_sentences
from wreckognize.inference.alterations import Kind

MOVE = 0.02
"""A figure that moves by more is a warning: 2 points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterationResult:
    """What an alteration did to the figures.

    Attributes:
        role: of the photos that were altered.
        like: the role whose forms they took on.
        kind: what was done.
        photos: that were looked at again.
        changed: of them, photos that the alteration changed at all (the others were as the drawn form already).
        of: photos of the role in the test set; more than ``photos`` where some were left out to save time.
        rate: share called a vehicle (found; on backgrounds, false alarms) before and after.
        area: area under the ROC against the other side as it is, before and after.
        warning: a sentence where a figure moved by more than ``MOVE``; it says so where that may be chance.
    """

    role: str
    like: str
    kind: Kind
    photos: int
    changed: int
    of: int
    rate: Change
    area: Change
    warning: str | None

    def moved_beyond_chance(self, move: float) -> bool:
        """Whether a figure moved by more than ``move`` and its interval leaves out no change."""
        return any(_moved(change, move) and change.beyond_chance for change in (self.rate, self.area))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcutCheck(Record):
    """The shortcut check of one system.

    Attributes:
        system: its name.
        threshold: its own, frozen before.
        level: of the intervals.
        move: by how much a figure may move without a warning.
        shapes: the fact table, see `shapes.role_shapes`.
        separations: how well shape and compression alone tell roles apart.
        facts: the commonest sizes in words.
        alterations: what was tried, and what it did.
        warnings: of the alterations.
        notes: what was not tried and why.
        conclusion: one sentence.
        trained: whether this study trained the system; one that it did not is the yardstick for those it did.
    """

    CALLED = "a shortcut check"

    system: str
    threshold: float
    level: float
    move: float
    shapes: tuple[RoleShape, ...]
    separations: tuple[Separation, ...]
    facts: tuple[str, ...]
    alterations: tuple[AlterationResult, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    conclusion: str
    trained: bool = True


def check_shortcuts(
    system: str,
    scores: pl.DataFrame,
    groups: pl.DataFrame,
    forms: pl.DataFrame,
    altered: Sequence[tuple[Alteration, pl.DataFrame]],
    notes: Sequence[str],
    *,
    threshold: float,
    level: float,
    trained: bool = True,
) -> ShortcutCheck:
    """Compare figures on photos as they are and as altered, photo by photo.

    Args:
        system: its name.
        scores: of the test photos as they are, ``SCORE_SCHEMA``.
        groups: ``photo, group``.
        forms: see `altering.forms_of`.
        altered: each alteration with the ``photo, score`` that it gave.
        notes: see `altering.plan_alterations`.
        threshold: the system's own, frozen before.
        level: of the intervals, e.g. 0.95.
        trained: whether this study trained the system; it decides what a move may mean.

    Raises:
        ValueError: a score is NaN, or an alteration's scores are not those of its photos.
    """
    known = scores.select("photo", "role", "score").join(groups.select("photo", "group"), on="photo", how="left")
    numbered = known.with_columns(group=pl.col("group").fill_null(pl.col("photo")).rank("dense").cast(pl.Int64))
    results = tuple(
        _result(alteration, numbered, after, threshold, level, trained) for alteration, after in altered
    )
    warnings = tuple(result.warning for result in results if result.warning)
    return ShortcutCheck(
        system=system,
        threshold=threshold,
        level=level,
        move=MOVE,
        shapes=role_shapes(forms),
        separations=separations(forms),
        facts=size_sentences(forms),
        alterations=results,
        warnings=warnings,
        notes=tuple(notes),
        conclusion=_conclusion(results, trained),
        trained=trained,
    )


def _result(
    alteration: Alteration,
    known: pl.DataFrame,
    after: pl.DataFrame,
    threshold: float,
    level: float,
    trained: bool,
) -> AlterationResult:
    vehicles = alteration.role != "background"
    paired = known.join(after.select("photo", after="score"), on="photo").sort("photo")
    if paired.height != alteration.photos.height:
        raise ValueError(f"{alteration.name}: {paired.height} scores for {alteration.photos.height} photos")
    before_scores, after_scores = paired["score"].to_numpy(), paired["after"].to_numpy()
    others = known.filter(pl.col("role") == alteration.like)
    groups = paired["group"].to_numpy()
    rate = rate_change(
        is_called_vehicle(before_scores, threshold), is_called_vehicle(after_scores, threshold), groups, level
    )
    area = area_change(
        before_scores,
        after_scores,
        others["score"].to_numpy(),
        groups,
        others["group"].to_numpy(),
        level=level,
        altered_are_vehicles=vehicles,
    )
    return AlterationResult(
        role=alteration.role,
        like=alteration.like,
        kind=alteration.kind,
        photos=paired.height,
        changed=effective(alteration).height,
        of=int((known["role"] == alteration.role).sum()),
        rate=rate,
        area=area,
        warning=_warning(alteration, rate, area, trained),
    )


def _moved(change: Change, move: float = MOVE) -> bool:
    # A little above, since 0.52 - 0.5 is more than 0.02 in binary.
    return change.change is not None and abs(change.change) > move + 1e-9


def _warning(alteration: Alteration, rate: Change, area: Change, trained: bool) -> str | None:
    background = alteration.role == "background"
    # What a learnt shortcut would do: more alarms, fewer vehicles found; in both cases a smaller area.
    figures = (
        ("false alarms" if background else "vehicles found", rate, 1 if background else -1),
        ("ROC area", area, -1),
    )
    moved = [(name, change, sign) for name, change, sign in figures if _moved(change)]
    if not moved:
        return None
    what = "compression" if alteration.kind == "recompressed" else "photo shape"
    if not trained:
        meaning = (
            "this study did not train it, so it is the alteration itself that does this, or its given weights"
        )
    elif any(sign * (change.change or 0.0) > 0 for _, change, sign in moved):
        meaning = f"{what}, not vehicles, may have been learnt"
    else:
        meaning = f"the figures hang on {what}, though not in the direction that a learnt shortcut would give"
    chance = not any(change.beyond_chance for _, change, _ in moved)
    doubt = " (the interval includes no change, so it may also be chance)" if chance else ""
    head = f"{PLURAL[alteration.role].capitalize()} {alteration.kind} like {PLURAL[alteration.like]}"
    return f"{head}: {'; '.join(_in_words(name, change) for name, change, _ in moved)}: {meaning}{doubt}."


def _in_words(name: str, change: Change) -> str:
    if change.before is None or change.after is None or change.change is None:
        return f"{name} cannot be said ({change.why})"
    interval = (
        f", interval {points(change.low)} to {points(change.high)}"
        if change.low is not None and change.high is not None
        else ""
    )
    return (
        f"{name} {100 * change.before:.1f} % before, {100 * change.after:.1f} % after "
        f"({points(change.change)} points{interval})"
    )


def _conclusion(results: Sequence[AlterationResult], trained: bool) -> str:
    changes = [change for result in results for change in (result.rate, result.area)]
    said = [change for change in changes if change.change is not None]
    if not said:
        return "Whether figures hang on photo shape cannot be said: too few photos, or none to be alike."
    largest = max(abs(change.change or 0.0) for change in said)
    if any(_moved(change) for change in said):
        meaning = (
            "see how far a system moves that was not trained here before blaming what was learnt"
            if trained
            else "it was not trained here, so this is what the alterations themselves do: a yardstick for the others"
        )
        return (
            f"Figures moved by up to {100 * largest:.1f} points when only shape or compression changed; {meaning}."
        )
    reach = max(abs(end) for change in said for end in (change.low, change.high) if end is not None)
    return (
        f"No figure moved by more than {100 * MOVE:.0f} points when only shape or compression changed (the largest "
        f"move is {100 * largest:.1f}; the intervals reach up to {100 * reach:.1f})."
    )
