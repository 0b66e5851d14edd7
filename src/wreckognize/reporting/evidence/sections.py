"""All parts of the page that the findings give, gathered for the templates."""

from __future__ import annotations

from dataclasses import dataclass

from wreckognize.evaluation.comparison import Comparison
from wreckognize.evidence.findings import Findings
from wreckognize.reporting.evidence.claims import ClaimPart, claim_part, prevalence_table
from wreckognize.reporting.evidence.figures import figures_table, reasons
from wreckognize.reporting.evidence.phrases import as_set
from wreckognize.reporting.evidence.shortcuts import ShortcutPart, shortcut_part
from wreckognize.reporting.evidence.slices import NO_HARD, SystemSlices, hard_table, system_slices
from wreckognize.reporting.evidence.thresholds import (
    FrozenCard,
    broken_promises,
    frozen_cards,
    third_answer_reasons,
    third_answer_table,
    weakened,
)
from wreckognize.reporting.evidence.truth import TRUTHS, TruthPart, truth_part
from wreckognize.reporting.evidence.verdicts import VerdictPart, verdict_part
from wreckognize.reporting.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceParts:
    """What the templates in ``templates/evidence`` show; ``trainings``: whether a system was trained several times."""

    level: str
    trainings: bool
    figures: Table
    verdicts: VerdictPart
    frozen: tuple[FrozenCard, ...]
    reasons: tuple[str, ...]
    weakened: str
    broken: tuple[str, ...]
    third_answer: Table
    third_reasons: tuple[tuple[str, str, str], ...]
    claims: ClaimPart
    prevalence: Table | None
    slices: tuple[SystemSlices, ...]
    hard: Table | None
    no_hard: str
    shortcuts: ShortcutPart | None
    truth: TruthPart
    truths: tuple[tuple[str, str], ...]


def evidence_parts(findings: Findings, comparison: Comparison) -> EvidenceParts:
    """Every section as texts.

    Args:
        findings: on the systems of ``comparison``, in the same order.
        comparison: holds the agreement with the teacher.
    """
    return EvidenceParts(
        level=as_set(findings.judged.level),
        trainings=any(row.seeds > 1 for row in findings.judged.rows),
        figures=figures_table(findings.judged),
        verdicts=verdict_part(findings.judged),
        frozen=frozen_cards(findings),
        reasons=reasons(findings.judged),
        weakened=weakened(findings),
        broken=broken_promises(findings),
        third_answer=third_answer_table(findings),
        third_reasons=third_answer_reasons(findings),
        claims=claim_part(findings),
        prevalence=prevalence_table(findings),
        slices=tuple(system_slices(system) for system in findings.systems),
        hard=hard_table(findings),
        no_hard=NO_HARD,
        shortcuts=shortcut_part(findings),
        truth=truth_part(findings, comparison),
        truths=TRUTHS,
    )
