"""From a description of a line plot to a picture: SVG that follows the page's colours, or PNG to take along.

Knows matplotlib and colours; knows nothing of systems or figures.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from wreckognize.home import keep_matplotlib_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b5478a", "#a67600", "#6b7682", "#5d3a9b")
"""Told apart by colour-blind readers too (after Okabe and Ito 2008); beyond the last, they return dashed."""

_INK, _MUTED, _GRID, _PAPER = "#1d2731", "#5c6874", "#dfe4e9", "#fefffe"
_AS_VARIABLE: Mapping[str, str] = MappingProxyType(
    {_INK: "var(--ink)", _MUTED: "var(--muted)", _GRID: "var(--grid)", _PAPER: "var(--card)"}
    | {colour: f"var(--series-{number})" for number, colour in enumerate(SERIES_COLOURS)}
)
_DASHES: tuple[str | tuple[int, tuple[float, ...]], ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))
_WIDTH, _PLOT_HEIGHT, _LEGEND_ROW, _TITLE = 4.4, 3.2, 0.21, 0.25  # inches
_MOST_POINTS = 500

Scale = Literal["linear", "low_rates"]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One curve.

    Attributes:
        label: in the legend.
        x: ``(K,)``.
        y: ``(K,)``; NaN leaves a gap.
        colour: number of its colour, the same for one system in all plots.
        dash: 0 solid, 1 dashed, 2 dotted.
        mark: a point to stand out, or None.
    """

    label: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    colour: int
    dash: int = 0
    mark: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """A line plot and the words around it.

    Attributes:
        name: of its file and of the ids within its SVG; letters, digits, ``-`` and ``_``.
        title: what it shows.
        caption: how to read it, one sentence.
        x_range: of the axis; None fits the data.
        x_scale: ``low_rates`` gives the range of 0 to 10 % room at its low end.
        y_log: a logarithmic vertical axis, so that one wild epoch does not flatten the others.
        shares: the axes ("x", "y", "xy") that hold shares of 0 to 1, written in percent.
    """

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    x_scale: Scale = "linear"
    y_log: bool = False
    shares: str = ""


def to_svg(plot: Plot) -> str:
    """The plot as an ``<svg>`` element for the page: no background, text as text, colours as CSS variables."""
    drawn = _save(plot, "svg").decode("utf-8")
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    # Several SVGs share one page: without a prefix the ids of one would be found in another.
    drawn = re.sub(r'\bid="', f'id="{plot.name}-', drawn)
    drawn = re.sub(r'(href="|url\()#', rf"\1#{plot.name}-", drawn)
    drawn = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg \1 aria-hidden="true">', drawn, count=1)
    drawn = drawn.replace("xlink:href", "href")
    return re.sub(r"#[0-9a-f]{6}", lambda colour: _AS_VARIABLE.get(colour[0], colour[0]), drawn)


def to_png(plot: Plot) -> bytes:
    """The plot as a PNG file on white, with its title, at 200 dots an inch."""
    return _save(plot, "png")


def _save(plot: Plot, file_format: Literal["svg", "png"]) -> bytes:
    keep_matplotlib_out()
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": plot.name, "font.size": 10.5, "text.parse_math": False}
    ):
        figure = _draw(plot, titled=file_format == "png")
        if file_format == "svg":
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        else:
            figure.savefig(buffer, format="png", dpi=200, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _draw(plot: Plot, *, titled: bool) -> Figure:
    from matplotlib.figure import Figure

    columns = 2 if len(plot.lines) > 1 else 1
    legend = _LEGEND_ROW * -(-len(plot.lines) // columns)
    title = _TITLE if titled else 0.0
    height = _PLOT_HEIGHT + legend + title
    # Fixed margins: laying out by trial drawing takes three times as long.
    left, right, bottom, top = 0.75, 0.22, 0.62 + legend, 0.12 + title  # inches
    figure = Figure(figsize=(_WIDTH, height))
    axes = figure.add_axes(
        (left / _WIDTH, bottom / height, 1 - (left + right) / _WIDTH, 1 - (bottom + top) / height)
    )
    for line in plot.lines:
        _draw_line(axes, line)
    _dress(axes, plot)
    if titled:
        axes.set_title(plot.title, loc="left", color=_INK, fontsize=11)
    figure.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 0),
        borderaxespad=0.2,
        ncols=columns,
        frameon=False,
        labelcolor=_INK,
        fontsize=10,
        handlelength=2.2,
        columnspacing=1.6,
        labelspacing=0.35,
    )
    return figure


def _draw_line(axes: Axes, line: Line) -> None:
    colour = SERIES_COLOURS[line.colour % len(SERIES_COLOURS)]
    dash = _DASHES[(line.dash + line.colour // len(SERIES_COLOURS)) % len(_DASHES)]
    x, y = thinned(line.x, line.y)
    lone_point = "o" if len(x) == 1 else ""
    axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.8, label=line.label, marker=lone_point, markersize=4)
    if line.mark is not None:
        axes.plot(*line.mark, "o", color=colour, markersize=6.5, markeredgecolor=_PAPER, clip_on=False, zorder=5)


def _dress(axes: Axes, plot: Plot) -> None:
    from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, PercentFormatter

    if plot.x_scale == "low_rates":
        axes.set_xscale("symlog", linthresh=0.01, linscale=0.6)
        axes.xaxis.set_major_locator(FixedLocator([0, 0.01, 0.025, 0.05, 0.1]))
        axes.xaxis.set_minor_locator(NullLocator())
    if plot.y_log:
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    if plot.x_range is not None:
        axes.set_xlim(*plot.x_range)
    if plot.y_range is not None:
        axes.set_ylim(*plot.y_range)
    if "x" in plot.shares:
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
    if "y" in plot.shares:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
    if plot.x_scale == "low_rates":
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.set_xlabel(plot.x_label, color=_MUTED)
    axes.set_ylabel(plot.y_label, color=_MUTED)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_MUTED, length=0, pad=6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_GRID)


def thinned(
    x: NDArray[np.float64], y: NDArray[np.float64], at_most: int = _MOST_POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most so many of the points of a curve, spread evenly over its course, both ends kept.

    The course is measured along the curve, in shares of its extent in x and y, so that a steep rise of many points
    and a long flat stretch both keep their shape.
    """
    if len(x) <= at_most:
        return x, y
    steps = np.hypot(*(np.diff(np.nan_to_num(values)) / (np.ptp(np.nan_to_num(values)) or 1) for values in (x, y)))
    course = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, course[-1], at_most)
    kept = np.unique(np.append(np.searchsorted(course, wanted).clip(max=len(x) - 1), len(x) - 1))
    return x[kept], y[kept]
