from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from wreckognize.evaluation.image_level import photo_scores
from wreckognize.reporting.charts import comparison_plots, training_plots

NAMES = [
    "roc", "roc-low", "precision-recall", "confidence-precision", "confidence-recall", "confidence-f1",
    "box-precision-recall",
]  # fmt: skip


def plot(report, name: str):
    """The one plot of that name."""
    [found] = [plot for plot in comparison_plots(report) if plot.name == name]
    return found


def test_every_plot_shows_every_system_in_its_colour(full_report):
    plots = comparison_plots(full_report)
    assert [plot.name for plot in plots] == NAMES
    for shown in plots:
        assert [line.label.split(",")[0] for line in shown.lines] == [
            system.name for system in full_report.systems
        ]
        assert [line.colour for line in shown.lines] == [0, 1, 2, 3, 4]


def test_the_roc_passes_through_what_the_comparison_says(full_report):
    for line, system in zip(plot(full_report, "roc").lines, full_report.systems, strict=True):
        figures = system.figures
        damaged, background = figures.by_role["damaged"], figures.by_role["background"]
        assert line.mark == pytest.approx((background.found / background.photos, damaged.found / damaged.photos))
        assert line.label.endswith(f"AUC {figures.auc_damaged:.3f}")
        allowed = line.x <= 0.05
        assert line.y[allowed].max() == pytest.approx(figures.found_at_false_alarms["0.05"].damaged)


def test_the_zoom_starts_where_the_first_false_alarm_comes(full_report):
    whole, zoom = plot(full_report, "roc"), plot(full_report, "roc-low")
    for line, near in zip(whole.lines, zoom.lines, strict=True):
        assert near.x[0] == 0
        assert near.y[0] == line.y[line.x == 0].max()
        assert near.mark is None or near.mark[0] <= 0.1
    assert zoom.x_range == (0.0, 0.1)
    assert zoom.y_range[0] <= min(line.y[line.x <= 0.1].min() for line in zoom.lines)


def test_confidence_curves_agree_with_the_figures_at_the_reported_thresholds(full_report):
    for name, figure in (("precision", "precision"), ("recall", "recall"), ("f1", "f1")):
        for line, system in zip(plot(full_report, f"confidence-{name}").lines, full_report.systems, strict=True):
            for key in ("0.10", "0.25"):
                at = int(np.flatnonzero(np.isclose(line.x, float(key)))[0])
                assert line.y[at] == pytest.approx(getattr(system.figures.at[key], figure).vehicle)


def test_precision_recall_ends_with_every_vehicle_found(full_report):
    scores = photo_scores(full_report.test_photos(), full_report.systems[0].test_predictions)
    line = plot(full_report, "precision-recall").lines[0]
    assert line.x[-1] == 1
    assert line.y[-1] == pytest.approx(
        scores.filter(pl.col("score") >= scores["score"].min())["has_vehicle"].mean()
    )


def test_without_backgrounds_or_human_boxes_their_plots_are_left_out(make_report):
    plots = comparison_plots(make_report(["baseline"], (6, 6, 0), boxes=False, on_disk=False))
    # Without a background, precision and F1 would be a 100 % that says nothing.
    assert [plot.name for plot in plots] == ["confidence-recall"]


def test_a_curve_of_the_first_training_says_so(full_report):
    first, *others = full_report.systems
    thrice = replace(first, figures=replace(first.figures, seeds=3))
    report = replace(
        full_report,
        systems=(thrice, *others),
        comparison=replace(full_report.comparison, systems=(thrice.figures, *full_report.comparison.systems[1:])),
    )
    for own in comparison_plots(report):
        assert own.lines[0].label.startswith("baseline (1st of 3)")
        assert "the first training" in own.caption
    assert all("1st of" not in line.label for own in comparison_plots(full_report) for line in own.lines)


def test_training_is_shown_by_epoch(full_report):
    losses, figures = training_plots(full_report.systems[1], 1)
    curves = full_report.systems[1].training_curves
    assert losses.name == "training-1-losses"
    assert [line.label for line in losses.lines[:2]] == ["box loss, training", "box loss, validation"]
    assert [line.dash for line in losses.lines] == [0, 1] * 3
    assert figures.lines[3].label == "mAP50-95"
    assert figures.lines[3].x.tolist() == curves["epoch"].to_list()
    assert figures.lines[3].y.tolist() == curves["metrics/mAP50-95(B)"].to_list()


def test_padded_names_gaps_and_missing_columns_are_taken_as_they_come(full_report):
    curves = pl.DataFrame({"  epoch": [1, 2, 3], " train/box_loss": [1.0, None, 0.5]})
    [losses] = training_plots(replace(full_report.systems[1], training_curves=curves), 7)
    [line] = losses.lines
    assert np.isnan(line.y[1])
    assert line.y[[0, 2]].tolist() == [1.0, 0.5]
    assert training_plots(replace(full_report.systems[1], training_curves=curves.select("  epoch")), 7) == ()


@pytest.mark.parametrize("curves", [None, pl.DataFrame({"epoch": []})])
def test_without_curves_there_is_no_training_plot(full_report, curves):
    assert training_plots(replace(full_report.systems[1], training_curves=curves), 0) == ()


def test_curves_without_epochs_are_counted_from_one(full_report):
    curves = full_report.systems[1].training_curves.drop("epoch")
    losses, _ = training_plots(replace(full_report.systems[1], training_curves=curves), 0)
    assert losses.lines[0].x.tolist() == list(range(1, 31))
