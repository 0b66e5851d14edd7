"""Where two reviewers of a photo differ, and which entry counts where they do not.

Two entries differ if one sees a vehicle and the other none, if both say whether it is damaged and say differently, or
if their boxes do not match one to one with an IoU of at least 0.7. An entry that says nothing (the reviewer could not
tell) differs from none. Nobody's word is taken over another's: a photo with a conflict has no answer until a person
lets one entry decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from wreckognize.boxes import as_boxes, iou
from wreckognize.errors import UsageError
from wreckognize.review.records import Corners, Review, utc

SAME_BOX_IOU = 0.7
_WORDS = {
    "damaged": "a damaged vehicle",
    "normal": "an intact vehicle",
    "background": "no vehicle",
    None: "a vehicle",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A photo on which reviewers differ.

    Attributes:
        photo: its name.
        reviewers: all who said what it shows, sorted.
        why: in words.
    """

    photo: str
    reviewers: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a set of reviews comes to.

    Attributes:
        answers: one entry a photo that someone could judge and all judges agree on (or one decides), by photo.
        conflicts: photos without an answer, by photo.
    """

    answers: tuple[Review, ...]
    conflicts: tuple[Conflict, ...]


def one_to_one(allowed: NDArray[np.bool_]) -> bool:
    """Whether rows and columns of ``(N, M)`` can be paired off so that all pairs are allowed.

    >>> one_to_one(np.array([[True, True], [True, False]]))
    True
    """
    if allowed.shape[0] != allowed.shape[1]:
        return False
    rows, columns = linear_sum_assignment(allowed.astype(np.float64), maximize=True)
    return bool(allowed[rows, columns].all())


def same_boxes(left: Sequence[Corners], right: Sequence[Corners]) -> bool:
    """Whether two sets of boxes match one to one with an IoU of at least `SAME_BOX_IOU`."""
    if len(left) != len(right):
        return False
    return not left or one_to_one(iou(as_boxes(left), as_boxes(right)) >= SAME_BOX_IOU)


def difference(left: Review, right: Review) -> str | None:
    """How two entries about one photo differ, in words; None if they do not."""
    if not (left.telling and right.telling):
        return None
    verdicts_differ = left.verdict is not None and right.verdict is not None and left.verdict != right.verdict
    if bool(left.boxes) != bool(right.boxes) or verdicts_differ:
        return f"{left.reviewer}: {_WORDS[left.verdict]}; {right.reviewer}: {_WORDS[right.verdict]}"
    if same_boxes(left.boxes, right.boxes):
        return None
    if len(left.boxes) != len(right.boxes):
        return f"{left.reviewer}: {_boxes(left)}; {right.reviewer}: {_boxes(right)}"
    return f"{left.reviewer} and {right.reviewer}: boxes that do not match (IoU below {SAME_BOX_IOU})"


def _boxes(review: Review) -> str:
    return f"{len(review.boxes)} box{'es' if len(review.boxes) > 1 else ''}"


def settle(reviews: Iterable[Review]) -> Settled:
    """Find the answer to every photo, or that there is none.

    Of entries that agree, one with a verdict goes before one without, then the latest counts.
    """
    answers: list[Review] = []
    conflicts: list[Conflict] = []
    for photo, entries in sorted(_by_photo(reviews).items()):
        telling = [entry for entry in entries if entry.telling]
        deciding = [entry for entry in telling if entry.decides]
        if len(deciding) == 1:
            answers.append(deciding[0])
            continue
        differences = [why for pair in combinations(telling, 2) if (why := difference(*pair))]
        if differences:
            names = tuple(sorted({entry.reviewer for entry in telling}))
            conflicts.append(Conflict(photo=photo, reviewers=names, why="; ".join(dict.fromkeys(differences))))
        elif telling:
            answers.append(
                max(telling, key=lambda entry: (entry.verdict is not None, utc(entry.when), entry.reviewer))
            )
    return Settled(answers=tuple(answers), conflicts=tuple(conflicts))


def resolve(reviews: Sequence[Review], choices: Sequence[str]) -> tuple[Review, ...]:
    """Let entries decide.

    Args:
        reviews: all.
        choices: ``REVIEWER`` (decides every conflict that he or she has part in) or ``PHOTO=REVIEWER``.

    Raises:
        UsageError: a choice fits no conflict.
    """
    for choice in choices:
        photo, _, reviewer = choice.rpartition("=")
        fitting = {
            conflict.photo
            for conflict in settle(reviews).conflicts
            if reviewer in conflict.reviewers and photo in ("", conflict.photo)
        }
        if not fitting and not _decided(reviews, photo, reviewer):
            raise UsageError(
                f"no conflict fits {choice!r}",
                where="--resolve",
                remedy="name a reviewer of a photo in conflict, or PHOTO=REVIEWER",
            )
        reviews = [
            msgspec.structs.replace(review, decides=review.reviewer == reviewer)
            if review.photo in fitting
            else review
            for review in reviews
        ]
    return tuple(reviews)


def _decided(reviews: Sequence[Review], photo: str, reviewer: str) -> bool:
    """Whether this was resolved in this way before."""
    return any(
        review.decides and review.reviewer == reviewer and photo in ("", review.photo) for review in reviews
    )


def _by_photo(reviews: Iterable[Review]) -> dict[str, list[Review]]:
    grouped: dict[str, list[Review]] = defaultdict(list)
    for review in reviews:
        grouped[review.photo].append(review)
    return grouped
