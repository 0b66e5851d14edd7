"""The report: one HTML page that needs nothing beside it, and its plots as files.

The page holds no script, asks for nothing from a network (a content security policy says so to the browser), and
names no absolute path. Every text goes through Jinja's autoescape; only the style sheet and the SVGs that `plots`
draws are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from wreckognize.errors import UsageError
from wreckognize.progress import Progress, Silent
from wreckognize.reporting.charts import comparison_plots, training_plots
from wreckognize.reporting.dataset import (
    QUARANTINE_SHOWN,
    dataset_table,
    label_table,
    quarantine_counts,
    quarantined_files,
    tally,
)
from wreckognize.reporting.evidence.first_screen import with_evidence
from wreckognize.reporting.evidence.sections import evidence_parts
from wreckognize.reporting.gallery import MISTAKES_SHOWN, frame_size, system_galleries
from wreckognize.reporting.headline import headline
from wreckognize.reporting.inputs import ReportInput
from wreckognize.reporting.plots import SERIES_COLOURS, Plot, to_png, to_svg
from wreckognize.reporting.tables import comparison_table, confusions, found_table
from wreckognize.reporting.thumbnails import make_thumbnails
from wreckognize.reporting.wording import (
    count,
    first_of,
    hide_folders,
    hide_folders_in_yaml,
    plural,
    unbroken,
    visible,
)

MAX_BYTES = 15_000_000

_NO_FAILURES = ("People reviewed", "Reviewers corrected", "The test set is as it was locked")
"""How those of a run's notes begin that tell what was given, not what could not be done."""

_FEWER_CARDS = (MISTAKES_SHOWN, 16, 12, 8, 4, 2, 1, 0)


def render(report: ReportInput, progress: Progress | None = None, *, max_bytes: int = MAX_BYTES) -> str:
    """The whole page.

    Args:
        report: what it is made from; the photos its galleries show are read from their ``path``.
        progress: told of plots and thumbnails.
        max_bytes: the page stays below this (as UTF-8); galleries are shortened for it, and the page says so.

    Raises:
        UsageError: the page is too large even without a photo, or a prediction does not belong to the test photos.
        yaml.YAMLError: the settings are not YAML.
    """
    listener = progress or Silent()
    page = _environment().get_template("report.html.j2")
    plots = comparison_plots(report)
    training = [training_plots(system, number) for number, system in enumerate(report.systems)]
    drawn = _draw([*plots, *(plot for group in training for plot in group)], listener)
    galleries = [system_galleries(report, system) for system in report.systems]
    shown = report.photos.filter(pl.col("photo").is_in({photo for own in galleries for photo in own.photos()}))
    thumbnails = make_thumbnails(
        {photo: Path(path) for photo, path in shown.select("photo", "path").iter_rows()}, listener
    )
    head, findings = headline(report.comparison), report.findings
    if findings is not None:
        head = with_evidence(head, findings)
    context = {
        "report": report,
        "head": head,
        "evidence": evidence_parts(findings, report.comparison) if findings is not None else None,
        "opened": _opened(report, head.bars[0].system if head.bars else report.systems[0].name),
        "shortfalls": [text for text in report.shortfalls if not text.startswith(_NO_FAILURES)],
        "notes": [text for text in report.shortfalls if text.startswith(_NO_FAILURES)],
        "comparison": comparison_table(report.comparison),
        "confusions": confusions(report.comparison),
        "found": found_table(report.comparison),
        "dataset": dataset_table(report),
        "labels": label_table(report),
        "tally": tally(report),
        "quarantine_counts": quarantine_counts(report),
        "quarantined": quarantined_files(report),
        "quarantine_shown": QUARANTINE_SHOWN,
        "plots": plots,
        "training": [group for group in training if group],
        "drawn": drawn,
        "colours": len(SERIES_COLOURS),
        "thumbnails": thumbnails,
        "sizes": {
            photo: frame_size(width, height)
            for photo, width, height in shown.select("photo", "width", "height").iter_rows()
        },
        "settings": hide_folders_in_yaml(report.settings_yaml) if report.settings_yaml else "",
    }
    for cards in _FEWER_CARDS:
        fewer = [gallery.at_most(cards) for gallery in galleries]
        embedded = list(dict.fromkeys(photo for gallery in fewer for photo in gallery.photos()))
        html = page.render(
            context,
            galleries=fewer,
            embedded=[photo for photo in embedded if thumbnails[photo].jpeg],
            place={photo: number for number, photo in enumerate(embedded)},
            cards=cards,
            shortened=cards < MISTAKES_SHOWN,
            max_megabytes=f"{max_bytes / 1e6:g}",
        )
        html = unbroken(html)
        if len(html.encode("utf-8")) < max_bytes:
            return html
    raise UsageError(
        f"the report takes {len(html.encode('utf-8')) / 1e6:.1f} MB without a single photo; at most "
        f"{max_bytes / 1e6:g} MB are allowed",
        where="report",
        remedy=f"report fewer than {len(report.systems)} systems at once (--only SYSTEM)",
    )


def write_figures(report: ReportInput, progress: Progress | None = None) -> dict[str, bytes]:
    """Every plot of the page as a PNG on white: file name -> content, for ``report/figures/``.

    Raises:
        UsageError: a prediction does not belong to the test photos.
    """
    listener = progress or Silent()
    training = (plot for number, system in enumerate(report.systems) for plot in training_plots(system, number))
    plots = [*comparison_plots(report), *training]
    files = {}
    with listener.task("figures as files", len(plots), "figures") as task:
        for plot in plots:
            files[f"{plot.name}.png"] = to_png(plot)
            task.advance()
    return files


def _opened(report: ReportInput, name: str) -> str:
    """The system whose galleries stand open, as they are headed."""
    figures = next(system.figures for system in report.systems if system.name == name)
    return first_of(name, figures.seeds)


def _draw(plots: Sequence[Plot], progress: Progress) -> dict[str, Markup]:
    """Each plot's SVG by its name."""
    drawn = {}
    with progress.task("plots for the report", len(plots), "plots") as task:
        for plot in plots:
            drawn[plot.name] = Markup(to_svg(plot))  # drawn here, and matplotlib escapes the labels
            task.advance()
    return drawn


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("wreckognize.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": count,
        "plural": plural,
        "hide_folders": hide_folders,
        "visible": visible,
    }
    return environment
