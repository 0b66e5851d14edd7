"""Roles with so few test photos that figures on them say next to nothing, and what a system cannot be said to do."""

from __future__ import annotations

from wreckognize.evidence.rows import ENOUGH_GROUPS
from wreckognize.evidence.verdicts import Evidence
from wreckognize.reporting.wording import plural

_ROLES = {
    "damaged_found": ("damaged car", "damaged cars"),
    "normal_found": ("intact car", "intact cars"),
    "false_alarms": ("background", "backgrounds"),
}


def small_roles(judged: Evidence) -> tuple[str, ...]:
    """A sentence for each role that has test photos, but of fewer groups than intervals need."""
    system = judged.rows[0]
    sentences = []
    for figure, (one, many) in _ROLES.items():
        found = system.figures.get(figure)
        if found is None or not 0 < found.groups < ENOUGH_GROUPS:
            continue
        groups = f" of {plural(found.groups, 'group')}" if found.groups < found.photos else ""
        sentences.append(
            f"The test set has only {plural(found.photos, one, many)}{groups}: figures on {many} say next to nothing."
        )
    return tuple(sentences)
