"""Which plots the page shows, and the numbers in them. Drawing is the business of `plots`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.evaluation.box_level import box_figures
from wreckognize.evaluation.curves import ConfidenceCurves, confidence_curves, precision_recall, roc
from wreckognize.evaluation.image_level import is_called_vehicle, photo_scores
from wreckognize.reporting.inputs import ReportInput, SystemReport
from wreckognize.reporting.plots import Line, Plot
from wreckognize.reporting.wording import decimal, first_of

Values = NDArray[np.float64]

_LOW_RATES = (0.0, 0.1)
_MARGIN = (0.0, 1.02)  # a curve along 100 % is not cut in half


def comparison_plots(report: ReportInput) -> tuple[Plot, ...]:
    """The plots that show all systems together; those that the test set cannot give are left out."""
    photos = report.test_photos()
    scores = [photo_scores(photos, system.test_predictions) for system in report.systems]
    found = (
        *_roc_plots(report, scores),
        *_precision_recall_plots(report, scores),
        *_confidence_plots(report, scores),
        *_box_plots(report, photos),
    )
    several = any(system.figures.seeds > 1 for system in report.systems)
    return tuple(_with_note(plot) if several else plot for plot in found if plot.lines)


def _short(system: SystemReport) -> str:
    """A system's name in a legend, which has little room."""
    seeds = system.figures.seeds
    return system.name if seeds == 1 else f"{system.name} (1st of {seeds})"


def _with_note(plot: Plot) -> Plot:
    return replace(
        plot, caption=f"{plot.caption} (1st of …): of a system trained several times, the first training."
    )


def training_plots(system: SystemReport, number: int) -> tuple[Plot, ...]:
    """Losses and validation figures of one system by epoch; none where it was not trained.

    Args:
        system: with ``training_curves`` as Ultralytics writes them; columns that are not there are left out.
        number: of the system, which gives the plots their names.
    """
    curves = system.training_curves
    if curves is None or curves.is_empty():
        return ()
    named = curves.rename(str.strip)  # older releases pad the names with blanks
    epochs = (
        named["epoch"].cast(pl.Float64).to_numpy() if "epoch" in named.columns else np.arange(1.0, len(named) + 1)
    )

    def lines(wanted: list[tuple[str, str, int, int]]) -> tuple[Line, ...]:
        return tuple(
            Line(label, epochs, named[column].cast(pl.Float64).fill_null(np.nan).to_numpy(), colour, dash)
            for column, label, colour, dash in wanted
            if column in named.columns
        )

    losses = lines(
        [
            (f"{part}/{kind}_loss", f"{kind} loss, {word}", colour, dash)
            for colour, kind in enumerate(("box", "cls", "dfl"))
            for dash, (part, word) in enumerate((("train", "training"), ("val", "validation")))
        ]
    )
    figures = lines(
        [
            ("metrics/precision(B)", "precision", 0, 0),
            ("metrics/recall(B)", "recall", 1, 0),
            ("metrics/mAP50(B)", "mAP50", 2, 0),
            ("metrics/mAP50-95(B)", "mAP50-95", 3, 0),
        ]
    )
    plots = (
        Plot(
            f"training-{number}-losses",
            f"{first_of(system.name, system.figures.seeds)}: losses",
            "Solid: training photos. Dashed: validation photos. Logarithmic.",
            "epoch",
            "loss",
            losses,
            y_log=True,
        ),
        Plot(
            f"training-{number}-figures",
            f"{first_of(system.name, system.figures.seeds)}: validation figures",
            "Measured against this system's own validation labels, so not comparable with another system's.",
            "epoch",
            "figure",
            figures,
            y_range=_MARGIN,
        ),
    )
    return tuple(plot for plot in plots if plot.lines)


def _roc_plots(report: ReportInput, scores: list[pl.DataFrame]) -> Iterator[Plot]:
    lines = []
    for number, (system, table) in enumerate(zip(report.systems, scores, strict=True)):
        judged = table.filter(pl.col("role").is_in(["damaged", "background"]))
        damaged = (judged["role"] == "damaged").to_numpy()
        score = judged["score"].to_numpy()
        curve = roc(damaged, score)
        if curve is None:
            continue
        called = is_called_vehicle(score, system.figures.threshold)
        label = f"{_short(system)}, AUC {decimal(system.figures.auc_damaged)}"
        mark = (float(called[~damaged].mean()), float(called[damaged].mean()))
        lines.append(Line(label, curve.false_alarm_rate, curve.found_rate, number, mark=mark))
    axes = ("false alarms (share of backgrounds)", "damaged cars found")
    yield Plot(
        "roc",
        "ROC: damaged cars against backgrounds",
        "The closer to the upper left corner, the better. The dot is the system's own threshold.",
        *axes,
        tuple(lines),
        (-0.01, 1.0),
        _MARGIN,
        shares="xy",
    )
    near = [_starting_at_zero(line) for line in lines]
    lowest = min((float(line.y[line.x <= _LOW_RATES[1]].min()) for line in near), default=0.0)
    floor = max(0.0, float(np.floor(lowest * 10)) / 10 - 0.02)
    yield Plot(
        "roc-low",
        "ROC: at most 10 % false alarms",
        "The part that matters for a gate, stretched at its low end.",
        *axes,
        tuple(near),
        _LOW_RATES,
        (floor, _MARGIN[1]),
        x_scale="low_rates",
        shares="xy",
    )


def _starting_at_zero(line: Line) -> Line:
    """The curve from its highest point without a false alarm on: the zoomed axis need not begin at 0 found."""
    start = int(np.flatnonzero(line.x == 0)[-1])
    inside = line.mark if line.mark is not None and line.mark[0] <= _LOW_RATES[1] else None
    return Line(line.label, line.x[start:], line.y[start:], line.colour, mark=inside)


def _both_classes(report: ReportInput) -> bool:
    """Without photos of either class precision and F1 mean nothing."""
    return report.comparison.test.vehicle > 0 and report.comparison.test.background > 0


def _precision_recall_plots(report: ReportInput, scores: list[pl.DataFrame]) -> Iterator[Plot]:
    if not _both_classes(report):
        return
    lines = []
    for number, (system, table) in enumerate(zip(report.systems, scores, strict=True)):
        curve = precision_recall(table["has_vehicle"].to_numpy(), table["score"].to_numpy())
        if curve is not None and len(curve.recall):
            lines.append(Line(_short(system), curve.recall, curve.precision, number))
    yield Plot(
        "precision-recall",
        "Precision and recall, photo by photo",
        "The closer to the upper right corner, the better. Precision depends on how many backgrounds are tested.",
        "recall (vehicles found)",
        "precision",
        tuple(lines),
        (0, 1.01),
        _MARGIN,
        shares="xy",
    )


def _confidence_plots(report: ReportInput, scores: list[pl.DataFrame]) -> Iterator[Plot]:
    curves = [
        confidence_curves(table["has_vehicle"].to_numpy(), table["score"].to_numpy(), np.linspace(0, 1, 201))
        for table in scores
    ]
    wanted: tuple[tuple[str, Callable[[ConfidenceCurves], Values]], ...] = (
        ("precision", lambda curve: curve.precision),
        ("recall", lambda curve: curve.recall),
        ("F1", lambda curve: curve.f1),
    )
    for figure, pick in wanted if _both_classes(report) else wanted[1:2]:
        lines = tuple(
            Line(_short(system), curve.thresholds, pick(curve), number)
            for number, (system, curve) in enumerate(zip(report.systems, curves, strict=True))
            if np.isfinite(pick(curve)).any()
        )
        yield Plot(
            f"confidence-{figure.lower()}",
            f"{figure.capitalize()} of Vehicle by confidence threshold",
            "A flat top means that it hardly matters where the threshold is set.",
            "confidence threshold",
            figure,
            lines,
            (0, 1),
            _MARGIN,
            shares="y",
        )


def _box_plots(report: ReportInput, photos: pl.DataFrame) -> Iterator[Plot]:
    lines = []
    for number, system in enumerate(report.systems):
        result = box_figures(photos, report.boxes, system.test_predictions)
        if result is not None and len(result.curve.recall):
            label = f"{_short(system)}, mAP50 {decimal(result.figures.map50)}"
            lines.append(Line(label, result.curve.recall, result.curve.precision, number))
    yield Plot(
        "box-precision-recall",
        "Precision and recall, box by box",
        "Predicted boxes against boxes that people drew round whole vehicles, at IoU 0.5.",
        "recall (boxes found)",
        "precision",
        tuple(lines),
        (0, 1.01),
        _MARGIN,
        shares="xy",
    )
