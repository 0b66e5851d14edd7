from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from importlib.resources import files

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.reporting.plots import SERIES_COLOURS, Line, Plot, thinned, to_png, to_svg


@pytest.fixture
def plot() -> Plot:
    x = np.linspace(0, 0.1, 50)
    lines = (
        Line("baseline <b>$x$</b> & more", x, x * 10, 0, mark=(0.05, 0.5)),
        Line("ver6", x, np.sqrt(x * 10), len(SERIES_COLOURS)),
    )
    return Plot(
        "roc-low", "A title", "A caption.", "x", "y", lines, (0, 0.1), (0, 1), x_scale="low_rates", shares="xy"
    )


def test_the_svg_is_well_formed_and_takes_the_colours_of_the_page(plot: Plot):
    svg = to_svg(plot)
    root = ET.fromstring(svg)
    assert root.get("viewBox")
    assert root.get("width") is None  # the page decides
    assert "var(--series-0)" in svg
    assert "var(--ink)" in svg
    assert not any(colour in svg for colour in SERIES_COLOURS)
    texts = ["".join(text.itertext()) for text in root.iter("text")]
    assert {"baseline <b>$x$</b> & more", "2.5 %", "10 %", "100 %"} <= set(texts)


def test_ids_of_two_svgs_do_not_meet(plot: Plot):
    def ids(svg: str) -> set[str]:
        return {element.get("id", "") for element in ET.fromstring(svg).iter()} - {""}

    first, second = to_svg(plot), to_svg(replace(plot, name="other"))
    assert ids(first)
    assert not ids(first) & ids(second)
    used = {element.get("href", "#")[1:] for element in ET.fromstring(first).iter("use")}
    assert used
    assert used <= ids(first)


def test_drawing_twice_gives_the_same_bytes(plot: Plot):
    assert to_svg(plot) == to_svg(plot)
    assert to_png(plot) == to_png(plot)


def test_the_png_is_a_picture_on_white(plot: Plot):
    picture = cv2.imdecode(np.frombuffer(to_png(replace(plot, lines=plot.lines[1:])), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[1] == 880
    assert (picture[:5] == 255).all()
    assert picture.std() > 5


def test_a_single_point_is_drawn_as_a_point(plot: Plot):
    def pictures(x: list[float]) -> int:
        values = np.array(x)
        line = Line("one", values, values, 1)
        return to_svg(replace(plot, lines=(line,), x_scale="linear", shares="")).count("stroke: var(--series-1)")

    assert pictures([0.05]) > pictures([])


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=300), st.integers(2, 40))
def test_thinning_keeps_the_ends_the_order_and_the_limit(points: list[tuple[float, float]], at_most: int):
    x, y = np.array(points).T
    thin_x, thin_y = thinned(x, y, at_most)
    assert len(thin_x) == len(thin_y) <= max(at_most + 1, 2)
    assert (thin_x[0], thin_y[0], thin_x[-1], thin_y[-1]) == (x[0], y[0], x[-1], y[-1])
    kept = iter(zip(x.tolist(), y.tolist(), strict=True))
    assert all(point in kept for point in zip(thin_x.tolist(), thin_y.tolist(), strict=True))


def test_thinning_keeps_a_steep_rise_and_a_flat_stretch():
    x = np.concatenate([np.zeros(10_000), np.linspace(0, 1, 10_000)])
    y = np.concatenate([np.linspace(0, 1, 10_000), np.ones(10_000)])
    thin_x, thin_y = thinned(x, y, 100)
    assert np.abs(np.diff(thin_x)).max() < 0.03
    assert np.abs(np.diff(thin_y)).max() < 0.03


def test_the_style_sheet_knows_the_colour_of_every_series():
    sheet = (files("wreckognize.reporting") / "templates" / "report.css").read_text("utf-8")
    light, dark = sheet.split("prefers-color-scheme: dark")
    for number, colour in enumerate(SERIES_COLOURS):
        assert f"--series-{number}: {colour};" in light
        assert f"--series-{number}: " in dark


def test_a_logarithmic_axis_leaves_room_for_small_losses():
    values = np.array([60.0, 3.0, 1.0, 0.5])
    line = Line("loss", np.arange(4.0), values, 0)
    plot = Plot("loss", "Loss", "", "epoch", "loss", (line,))
    assert to_png(replace(plot, y_log=True)) != to_png(plot)
    assert {">50</text>", ">0.5</text>"} <= set(re.findall(r">[^<>]*</text>", to_svg(replace(plot, y_log=True))))
