"""What the truth of each figure is, and the history of the test set."""

from __future__ import annotations

from dataclasses import dataclass

from wreckognize.evaluation.comparison import Comparison, SystemFigures
from wreckognize.evidence.findings import Findings, GroupNotes, TestSetRecord, Unlocking
from wreckognize.reporting.evidence.thresholds import moment
from wreckognize.reporting.tables import Cell, Group, Row, Table
from wreckognize.reporting.wording import count, decimal, first_of, percent, plural, visible

_ROLE_WORDS = {"damaged": "damaged cars", "normal": "intact cars", "background": "backgrounds"}
_REASONS = {
    "claim": "same claim number",
    "file": "same file, byte for byte",
    "hash": "look nearly the same (perceptual hash)",
    "embedding": "look nearly the same to the teacher (embedding)",
}
THE_TEACHER = "the teacher cannot be judged by itself"
_LONGEST_REASON = 1000

TRUTHS = (
    (
        "Vehicles found and missed, false alarms, accuracy, F1, ROC, claims, slices, verdicts",
        "The role of each photo: what its source says it shows, or what a person said in a review. Never a model.",
    ),
    ("mAP50, mAP50-95", "Boxes that people drew round whole vehicles. Photos without such boxes do not count."),
    (
        "Validation figures under Training",
        "Each system's own labels, which the teacher or a rule drew: no truth. They say how training went.",
    ),
    (
        "Agreement with the teacher",
        "The teacher's boxes, which are no truth either. It stands in a table of its own and decides nothing.",
    ),
)
"""What a figure is, and what its truth is."""


@dataclass(frozen=True, slots=True)
class ToReview:
    """Photos of one role that a person should draw boxes on first."""

    role: str
    photos: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the locked test set, with the reason somebody gave."""

    when: str
    reason: str
    what: str


@dataclass(frozen=True, slots=True)
class TruthPart:
    """The section on truth and the test set.

    Attributes:
        roles: photos with boxes that people drew, role by role.
        review: where a role has none, what to review first.
        agreement: with the teacher; None where no system can be compared with it.
        locked: since when, and what.
        changes: of the test set since, the first one first.
        reviewed: what people said about its photos since, in a sentence; empty where nothing.
        corrected: the photos whose role is another for it: photo, and from what to what.
        looks: how often figures were computed on it.
        looked: the same by system.
        joined: why photos belong together, and how many pairs.
        several: groups of more than one photo.
        closest: left photo, right photo, how near.
    """

    roles: Table
    review: tuple[ToReview, ...]
    agreement: Table | None
    locked: str
    changes: tuple[Change, ...]
    reviewed: str
    corrected: tuple[tuple[str, str], ...]
    looks: str
    looked: str
    joined: tuple[tuple[str, str], ...]
    several: str
    closest: tuple[tuple[str, str, str], ...]


def truth_part(findings: Findings, comparison: Comparison) -> TruthPart:
    """Everything on what the figures were judged by."""
    test, groups = findings.test, findings.groups
    return TruthPart(
        roles=_role_table(findings),
        review=tuple(
            ToReview(_ROLE_WORDS[truth.role], tuple(visible(photo) for photo in truth.review_first))
            for truth in findings.truth
            if truth.review_first
        ),
        agreement=agreement_table(comparison.systems),
        locked=(
            f"Locked on {moment(test.locked)}: {plural(test.photos, 'photo')} in {plural(test.groups, 'group')}."
        ),
        changes=tuple(change_in_words(change) for change in test.unlocked),
        reviewed=reviewed_in_words(test),
        corrected=tuple(
            (visible(one.photo), f"{one.before} before, {one.after} now ({visible(one.reviewer)})")
            for one in test.corrected
        ),
        looks=looks_in_words(test),
        looked=", ".join(f"{name} {times:,}" for name, times in test.looks_by_system.items()),
        joined=tuple((_REASONS.get(reason, reason), count(pairs)) for reason, pairs in groups.pairs.items()),
        several=plural(groups.groups_of_several, "group"),
        closest=_closest(groups),
    )


def agreement_table(systems: tuple[SystemFigures, ...]) -> Table | None:
    """Agreement with the teacher's boxes; None where no system has any to be compared with.

    The teacher sees the same test photos for all systems: where one can be compared, one that cannot is the teacher.
    """
    compared = [system.teacher_agreement for system in systems if system.teacher_agreement is not None]
    if not compared:
        return None
    first = compared[0]

    def cell(system: SystemFigures, of: str) -> Cell:
        found = system.teacher_agreement
        if found is None:
            return Cell("refused", small=THE_TEACHER)
        return Cell(decimal(found.map50 if of == "mAP50" else found.map50_95))

    return Table(
        "Agreement with the teacher",
        "Teacher's boxes in the place of truth",
        tuple(first_of(system.name, system.seeds) for system in systems),
        (
            Group(
                f"{plural(first.photos, 'photo')} without human boxes, "
                f"{plural(first.teacher_boxes, 'box', 'boxes')} of the teacher from confidence {first.confidence:g}",
                tuple(Row(of, tuple(cell(system, of) for system in systems)) for of in ("mAP50", "mAP50-95")),
            ),
        ),
    )


def change_in_words(change: Unlocking) -> Change:
    """One entry of the test set's history; its reason is free text of a person."""
    return Change(
        when=moment(change.when),
        reason=visible(change.reason, _LONGEST_REASON),
        what=(
            f"{plural(change.photos_before, 'photo')} before; {count(change.added)} added, "
            f"{count(change.removed)} removed"
        ),
    )


def reviewed_in_words(test: TestSetRecord) -> str:
    """What people said about locked test photos: it changes what all systems are judged by."""
    if not test.reviewed:
        return ""
    said = f"The truth of {plural(test.reviewed, 'test photo')} is what reviewers said, not the source"
    return f"{said}; {count(len(test.corrected))} of them changed between vehicle and none, damaged and intact."


def looks_in_words(test: TestSetRecord) -> str:
    """How often the test set has been looked at."""
    if not test.looks:
        return "No look at the test set is on record."
    sets = plural(test.looks, "set of predictions", "sets of predictions")
    return (
        f"{sets} {'was' if test.looks == 1 else 'were'} judged on it (each training of a system gives one), and each "
        "counts as a look. Judging another one after a change makes the test a little less of a test."
    )


def _role_table(findings: Findings) -> Table:
    return Table(
        "The truth of the test photos",
        "Test photos",
        tuple(_ROLE_WORDS[truth.role] for truth in findings.truth),
        (
            Group(
                "Vehicle or not: from the role",
                (Row("photos", tuple(Cell(count(truth.photos)) for truth in findings.truth)),),
            ),
            Group(
                "Boxes: drawn by people",
                (
                    Row(
                        "photos with every vehicle drawn",
                        tuple(
                            Cell(
                                count(truth.with_boxes),
                                small=percent(truth.with_boxes / truth.photos) if truth.photos else "",
                                tone="" if truth.with_boxes or truth.role == "background" else "bad",
                            )
                            for truth in findings.truth
                        ),
                    ),
                ),
            ),
        ),
    )


def _closest(groups: GroupNotes) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (
            visible(pair.left),
            visible(pair.right),
            f"{pair.distance:g} of 64 bits differ" if pair.reason == "hash" else f"cosine {1 - pair.distance:.3f}",
        )
        for pair in groups.closest
    )
