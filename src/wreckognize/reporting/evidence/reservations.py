"""What a reader must know before relying on the verdicts: the first screen's list, short."""

from __future__ import annotations

from collections.abc import Iterator

from wreckognize.evidence.findings import Findings
from wreckognize.reporting.evidence.slices import NO_HARD
from wreckognize.reporting.evidence.small import small_roles
from wreckognize.reporting.evidence.thresholds import broken_promises, weakened
from wreckognize.reporting.evidence.truth import change_in_words
from wreckognize.reporting.evidence.verdicts import caveats
from wreckognize.reporting.wording import count, listed, plural, visible

_CHANGES_SHOWN = 3


def reservations(findings: Findings) -> tuple[str, ...]:
    """One sentence or two each, the gravest first."""
    return (
        *small_roles(findings.judged),
        *broken_promises(findings),
        *_changes(findings),
        *_truth(findings),
        *_shortcuts(findings),
        *_looks(findings),
        *caveats(findings.judged),
        *_thresholds(findings),
        *(() if findings.hard_backgrounds else (NO_HARD,)),
    )


def _changes(findings: Findings) -> Iterator[str]:
    changes = [change_in_words(change) for change in findings.test.unlocked]
    for change in changes[-_CHANGES_SHOWN:]:
        yield f"The locked test set was changed on {change.when}: “{change.reason}” ({change.what})."
    if len(changes) > _CHANGES_SHOWN:
        before = plural(len(changes) - _CHANGES_SHOWN, "time")
        yield f"It was changed {before} before that (section Truth and test set)."


def _truth(findings: Findings) -> Iterator[str]:
    test, groups = findings.test, findings.groups
    if test.corrected:
        yield (
            f"Reviewers gave {plural(len(test.corrected), 'locked test photo')} another role than the source: all "
            "systems are judged by that (section Truth and test set)."
        )
    if groups.contrary:
        first = groups.contrary_pairs[0]
        yield (
            f"{plural(groups.contrary, 'pair')} of photos look the same, though one is given with a vehicle and the "
            f"other without, {visible(first.left)} and {visible(first.right)} for one: a role is probably wrong, and "
            "figures with it."
        )


def _shortcuts(findings: Findings) -> Iterator[str]:
    """Moves beyond chance only: among a dozen figures some move by 2 points by luck, and one photo of 27 is 3.7."""
    checks = [system.shortcuts for system in findings.systems if system.shortcuts]
    moved = [
        check
        for check in checks
        if any(result.warning and result.moved_beyond_chance(check.move) for result in check.alterations)
    ]
    warned = [check.system for check in moved if check.trained]
    if warned:
        others = [check.system for check in moved if not check.trained]
        yardstick = (
            f" So did those of {listed(others)}, not trained here: alterations alone do some of that."
            if others
            else ""
        )
        yield (
            f"Figures of {listed(warned)} moved by more than 2 points, beyond chance, when only the shape or the "
            f"compression of photos was changed: photo shape, not vehicles, may have been learnt (section Shortcuts)."
            f"{yardstick}"
        )
    elif not any(system.shortcuts for system in findings.systems):
        yield "The check for shortcuts was switched off: whether photo shape was learnt is not known."


def _looks(findings: Findings) -> Iterator[str]:
    trainings = sum(len(system.frozen) for system in findings.systems)
    if findings.test.looks > trainings:
        yield (
            f"{count(findings.test.looks)} sets of predictions have been judged on the test set, of which this report "
            f"shows {count(trainings)}. What was changed after a look may "
            "fit these photos better than others."
        )


def _thresholds(findings: Findings) -> Iterator[str]:
    failed = [system.name for system in findings.systems if not all(own.chosen.reached for own in system.frozen)]
    if failed:
        yield f"The threshold rule of {listed(failed)} could not be kept (section Thresholds)."
    promised = any(own.chosen.guarantee for system in findings.systems for own in system.frozen)
    if promised and (weaker := weakened(findings)):
        yield weaker
