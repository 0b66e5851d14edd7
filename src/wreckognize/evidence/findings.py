"""All that is said about the figures of a study, as `report/evidence.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wreckognize.evidence.claims import ClaimFigures
from wreckognize.evidence.judge import Evidence
from wreckognize.evidence.person import ThirdAnswerFigures
from wreckognize.evidence.prevalence import PredictiveValues
from wreckognize.evidence.record import Record
from wreckognize.evidence.shortcuts import ShortcutCheck
from wreckognize.evidence.slices import SliceTable
from wreckognize.evidence.thresholds import FrozenThreshold
from wreckognize.evidence.truth import RoleTruth


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocking:
    """A change of the locked test set that somebody asked for.

    Attributes:
        when: UTC, ISO 8601.
        reason: in that person's words.
        photos_before: in the test set until then.
        added: photos that came into it.
        removed: photos that left it.
    """

    when: str
    reason: str
    photos_before: int
    added: int
    removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedTruth:
    """A test photo that a reviewer gave another role than its source."""

    photo: str
    before: str
    after: str
    reviewer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSetRecord:
    """The test set's history.

    Attributes:
        locked: when, UTC, ISO 8601.
        photos: in it.
        groups: that they belong to.
        unlocked: every change of it, the first one first.
        reviewed: how many of its photos have the truth that a reviewer said, not the source.
        corrected: those of them whose role is another for it.
        looks: how many different sets of predictions were judged on it, or the same by another truth.
        looks_by_system: the same for each system.
    """

    locked: str
    photos: int
    groups: int
    unlocked: tuple[Unlocking, ...]
    reviewed: int
    corrected: tuple[CorrectedTruth, ...]
    looks: int
    looks_by_system: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPair:
    """Two photos of one group that are nearly the same; ``distance`` in bits of 64 (hash) or 1 - cosine."""

    left: str
    right: str
    reason: str
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupNotes:
    """What was found to belong together, over all photos of the study.

    Attributes:
        pairs: how many pairs of photos each reason joined (claim, file, hash, embedding).
        groups_of_several: groups with more than one photo.
        closest: some of the near-duplicates, the closest first.
        contrary: how many near-duplicates are given with a vehicle in one photo and without in the other, in pairs.
        contrary_pairs: some of them, the closest first.
    """

    pairs: Mapping[str, int]
    groups_of_several: int
    closest: tuple[NearPair, ...]
    contrary: int
    contrary_pairs: tuple[NearPair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFindings:
    """What is said about one system besides its figures; everything but ``frozen`` is of its first training.

    Attributes:
        name: the system's.
        frozen: the threshold of each training, chosen before the test set was opened.
        third_answer: what would go to a person.
        third_answer_free: the same on the test photos whose source is not pinned to the test set, for which alone a
            promise is made; None where all are or none is.
        claims: its figures per claim under each of the three rules.
        predictive: precision at the study's own prevalence; None where the study names none.
        slices: where it is worse than its average.
        shortcuts: whether its figures hang on photo shape; None where the study switched the check off.
    """

    name: str
    frozen: tuple[FrozenThreshold, ...]
    third_answer: ThirdAnswerFigures
    claims: tuple[ClaimFigures, ...]
    predictive: PredictiveValues | None
    slices: SliceTable
    shortcuts: ShortcutCheck | None
    third_answer_free: ThirdAnswerFigures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings(Record):
    """Everything.

    Attributes:
        judged: intervals of every figure, and the verdict on every pair of systems.
        systems: in the order of the comparison.
        truth: what the truth of each role is.
        test: the history of the test set.
        groups: what belongs together.
        claim_rule: how the study's user decides a claim.
        prevalence: the share of vehicle photos at the user's door; None where the study names none.
        hard_backgrounds: test photos of sources marked ``hard``.
        pinned_test: test photos whose source is pinned to the test set. They need not be like the calibration photos,
            which a promise about misses presumes.
    """

    CALLED = "the findings of a study"

    judged: Evidence
    systems: tuple[SystemFindings, ...]
    truth: tuple[RoleTruth, ...]
    test: TestSetRecord
    groups: GroupNotes
    claim_rule: str
    prevalence: float | None
    hard_backgrounds: int
    pinned_test: int
