"""The tables of what a study is made of, and of what was left out of it, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

import polars as pl

from wreckognize.catalog import ROLES, SPLITS
from wreckognize.reporting.inputs import ReportInput
from wreckognize.reporting.tables import Cell, Group, Row, Table
from wreckognize.reporting.wording import count, hide_folders, visible

QUARANTINE_SHOWN = 50

_SPLIT_WORDS = {"held_back": "held back", "none": "in no split"}
_OUTCOME_WORDS = {"labelled": "with labels", "background": "background, empty label"}
_ORIGINS = ("human", "teacher", "damage", "frame")
_TALLY_WORDS = {
    "used": "used",
    "not_wanted": "not wanted",
    "quarantined": "quarantined",
    "noted": "used, noted",
    "box_clipped": "boxes clipped",
    "box_left_out": "boxes left out",
}


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """One row of the quarantine, fit to be shown."""

    source: str
    file: str
    reason: str
    what_to_do: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How often something happened to what a source held."""

    source: str
    outcome: str
    reason: str
    count: str


def dataset_table(report: ReportInput) -> Table:
    """Photos by role, source and split; the columns "held back" and "in no split" only where a photo is."""
    placed = report.photos.join(report.split.select("photo", "split"), on="photo", how="left").with_columns(
        pl.col("split").fill_null("none")
    )
    present = set(placed["split"])
    columns = [*SPLITS, *(name for name in _SPLIT_WORDS if name in present)]
    counted = {
        (role, source, split): number
        for role, source, split, number in placed.group_by("role", "source", "split").len().iter_rows()
    }

    def row(label: str, sources: Sequence[tuple[str, str]]) -> Row:
        numbers = [sum(counted.get((*source, split), 0) for source in sources) for split in columns]
        return Row(label, tuple(Cell(count(number)) for number in (*numbers, sum(numbers))))

    sources = sorted({(role, source) for role, source, _ in counted})
    groups = [
        Group(role, tuple(row(visible(source), [(of, source)]) for of, source in sources if of == role))
        for role in ROLES
    ]
    return Table(
        "Photos by role, source and split",
        "Source",
        (*(_SPLIT_WORDS.get(name, name) for name in columns), "all"),
        (*(group for group in groups if group.rows), Group("all roles", (row("all sources", sources),))),
    )


def label_table(report: ReportInput) -> Table | None:
    """What each trained system was trained on: photos by outcome, boxes by origin. None where none was trained."""
    trained = [system for system in report.systems if system.labels is not None]
    if not trained:
        return None
    origins = [_counts(system.labels, pl.col("origin")) for system in trained]
    outcomes = [_counts(system.label_photos, _outcome_in_words()) for system in trained]
    groups = (
        Group("Photos", _count_rows(outcomes, tuple(_OUTCOME_WORDS.values()))),
        Group("Boxes by origin", _count_rows(origins, _ORIGINS)),
    )
    return Table(
        "Labels of each trained system, training and validation photos together",
        "Labels",
        tuple(system.name for system in trained),
        tuple(group for group in groups if group.rows),
    )


def tally(report: ReportInput) -> tuple[Counted, ...]:
    """What became of all that the sources held: by source, then outcome, then reason."""
    place = {name: number for number, name in enumerate(_TALLY_WORDS)}
    rows = sorted(
        report.tally.iter_rows(), key=lambda row: (row[0], place.get(row[1], len(place)), row[2] or "")
    )  # fmt: skip
    return tuple(
        Counted(visible(source), _TALLY_WORDS.get(outcome, outcome), _free_text(reason), count(number))
        for source, outcome, reason, number in rows
    )


def quarantine_counts(report: ReportInput) -> tuple[Counted, ...]:
    """What was quarantined by source and reason, the most frequent first."""
    counted = report.quarantine.group_by("source", "reason").len("count")
    ordered = counted.sort("count", "source", "reason", descending=[True, False, False])
    return tuple(
        Counted(visible(source), "quarantined", _free_text(reason), count(number))
        for source, reason, number in ordered.iter_rows()
    )


def quarantined_files(report: ReportInput) -> tuple[QuarantinedFile, ...]:
    """The first files of the quarantine."""
    return tuple(
        QuarantinedFile(visible(source), visible(_without_folder(file)), _free_text(reason), _free_text(remedy))
        for source, file, reason, remedy in report.quarantine.head(QUARANTINE_SHOWN).iter_rows()
    )


def _counts(table: pl.DataFrame | None, key: pl.Expr) -> dict[str, int]:
    if table is None:
        return {}
    return {name: number for name, number in table.group_by(key.alias("key")).len().iter_rows()}


def _outcome_in_words() -> pl.Expr:
    left_out = pl.concat_str(pl.lit("left out: "), pl.col("reason").fill_null("no reason given"))
    return pl.col("outcome").replace_strict(_OUTCOME_WORDS, default=left_out, return_dtype=pl.String)


def _count_rows(counts: Sequence[dict[str, int]], first: tuple[str, ...]) -> tuple[Row, ...]:
    """A row for each name that was counted anywhere: those of ``first``, then the others by name."""
    names = {name for counted in counts for name in counted}
    ordered = [name for name in first if name in names] + sorted(names.difference(first))
    return tuple(Row(_free_text(name), tuple(Cell(count(of.get(name, 0))) for of in counts)) for name in ordered)


def _free_text(text: str | None) -> str:
    return visible(hide_folders(text or ""))


def _without_folder(file: str) -> str:
    """A file's name as it stands, or, where it is an absolute path, its last two parts."""
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind(file)
        if path.is_absolute():
            return "/".join(("…", *path.parts[1:][-2:]))
    return file
