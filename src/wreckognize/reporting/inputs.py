"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from wreckognize.catalog import (
    BOX_SCHEMA,
    LABEL_SCHEMA,
    PHOTO_SCHEMA,
    PREDICTION_SCHEMA,
    QUARANTINE_SCHEMA,
    SPLIT_SCHEMA,
    TALLY_SCHEMA,
    require_schema,
)
from wreckognize.evaluation.comparison import Comparison, SystemFigures
from wreckognize.evidence.findings import Findings

LABEL_PHOTO_SCHEMA = pl.Schema({"photo": pl.String, "split": pl.String, "outcome": pl.String, "reason": pl.String})
"""What labelling made of each photo: ``outcome`` is labelled, background or left_out (then with its reason)."""


@dataclass(frozen=True, slots=True)
class SystemReport:
    """One system: its figures and the tables behind them.

    Attributes:
        name: as in the study file.
        figures: its row of the comparison.
        test_predictions: ``PREDICTION_SCHEMA``, on the test photos.
        labels: ``LABEL_SCHEMA``, what it was trained on; None for a system that was never trained.
        label_photos: ``LABEL_PHOTO_SCHEMA``; None for a system that was never trained.
        training_curves: one row an epoch with the columns of Ultralytics' ``results.csv``; None without training.
    """

    name: str
    figures: SystemFigures
    test_predictions: pl.DataFrame
    labels: pl.DataFrame | None = None
    label_photos: pl.DataFrame | None = None
    training_curves: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        require_schema(self.test_predictions, PREDICTION_SCHEMA, f"test_predictions of {self.name}")
        if self.labels is not None:
            require_schema(self.labels, LABEL_SCHEMA, f"labels of {self.name}")
        if self.label_photos is not None:
            require_schema(self.label_photos, LABEL_PHOTO_SCHEMA, f"label_photos of {self.name}")


@dataclass(frozen=True, slots=True)
class ReportInput:
    """All that the page is made from.

    Attributes:
        study: the study's name.
        created: when the report was made, as text.
        notice: what every reader must know first ("The photos in this study are drawn."); may be empty.
        comparison: the figures of all systems on the test set.
        systems: the same systems in the same order, with their tables.
        photos: ``PHOTO_SCHEMA``, all splits.
        boxes: ``BOX_SCHEMA``, what people drew.
        split: ``SPLIT_SCHEMA``.
        quarantine: ``QUARANTINE_SCHEMA``.
        tally: ``TALLY_SCHEMA``.
        shortfalls: what the run could not do as asked, one sentence each.
        environment: pairs of name and value: versions, device.
        settings_yaml: the resolved study.
        search: that settings were searched in this run's folder, in a sentence; empty if not.
        findings: intervals, verdicts and all else that is said about the figures; None: the page shows counts only.
    """

    study: str
    created: str
    notice: str
    comparison: Comparison
    systems: tuple[SystemReport, ...]
    photos: pl.DataFrame
    boxes: pl.DataFrame
    split: pl.DataFrame
    quarantine: pl.DataFrame
    tally: pl.DataFrame
    shortfalls: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    settings_yaml: str = ""
    search: str = ""
    findings: Findings | None = None

    def __post_init__(self) -> None:
        if not self.systems:
            raise ValueError("there is no system to report; a report needs at least one")
        compared = [figures.name for figures in self.comparison.systems]
        reported = [system.name for system in self.systems]
        if compared != reported:
            raise ValueError(
                f"the comparison holds the systems {compared}, the report {reported}; expected the same"
            )
        if self.findings is not None:
            judged = [row.name for row in self.findings.judged.rows if not row.trivial]
            found = [system.name for system in self.findings.systems]
            if not judged == found == compared:
                raise ValueError(
                    f"the findings judge the systems {judged} and tell of {found}; the comparison holds {compared}"
                )
        require_schema(self.photos, PHOTO_SCHEMA, "photos")
        require_schema(self.boxes, BOX_SCHEMA, "boxes")
        require_schema(self.split, SPLIT_SCHEMA, "split")
        require_schema(self.quarantine, QUARANTINE_SCHEMA, "quarantine")
        require_schema(self.tally, TALLY_SCHEMA, "tally")

    def test_photos(self) -> pl.DataFrame:
        """The rows of ``photos`` in the test split."""
        return self.photos.join(self.split.filter(pl.col("split") == "test"), on="photo", how="semi")
