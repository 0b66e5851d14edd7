"""Box trucks and buses: dimensions drawn at random, and the solids and panels made from them."""

from __future__ import annotations

import itertools

import numpy as np

from wreckognize.demo.paint import Colour, pick_colour, tint
from wreckognize.demo.parts import (
    BUS_PAINTS,
    CAR_PAINTS,
    CARGO_PAINTS,
    LAMP,
    SEAM,
    TAIL,
    TRIM,
    Vehicle,
    across,
    arches,
    inset,
    line,
    number_plate,
    pairs_of_wheels,
    pane,
    panel,
    strip_quad,
    wall,
)
from wreckognize.demo.solids import Detail, Points3, extrude, patch

SIDES = (1.0, -1.0)


def random_box_truck(rng: np.random.Generator) -> Vehicle:
    """A cab with a cargo box behind it, on a dark frame."""
    length, width, wheel = rng.uniform(5.8, 8.2), rng.uniform(2.1, 2.4), rng.uniform(0.42, 0.5)
    cab_top, box_top, cab = rng.uniform(2.2, 2.55), rng.uniform(2.8, 3.4), rng.uniform(1.7, 2.05)
    end, half, deck = length / 2, width / 2, 0.95
    cab_rear = end - cab
    paint, cargo = pick_colour(rng, CAR_PAINTS), pick_colour(rng, CARGO_PAINTS)
    wheels = pairs_of_wheels((end - 1.0, -end + 1.3), width - 0.1, wheel, 6)
    frame = extrude([(end - 0.3, 0.45), (end - 0.3, 0.9), (-end, 0.9), (-end, 0.5)], np.full(4, half - 0.2), TRIM)
    outline = np.array(
        [
            (end - 0.05, 0.4), (end, 0.6), (end - 0.02, 1.2), (end - 0.3, cab_top - 0.1),
            (end - 0.6, cab_top), (cab_rear, cab_top), (cab_rear, 0.55),
        ]
    )  # fmt: skip
    widths = np.full(len(outline), half - 0.08)
    front = strip_quad(outline, widths, 1)
    cab_solid = extrude(
        outline,
        widths,
        paint,
        rank=1,
        side_details=(
            _cab_side(cab_rear, end, cab_top, half - 0.08),
            _cab_side(cab_rear, end, cab_top, 0.08 - half),
        ),
        strip_details=(
            (0, (patch(strip_quad(outline, widths, 0), 0, 0, 1, 1, TRIM),)),
            (1, (*_lamps(front), patch(front, 0.3, 0.5, 0.7, 0.95, TRIM), *number_plate(front, 0.35, 0.1, 0.12))),
            (2, pane(inset(strip_quad(outline, widths, 2), 0.9))),
        ),
    )
    back = across(-end, deck, -end, box_top, half, rear=True)
    box = extrude(
        [(cab_rear - 0.12, deck), (cab_rear - 0.12, box_top), (-end, box_top), (-end, deck)],
        np.full(4, half),
        cargo,
        rank=1,
        side_details=(
            _cargo_side(rng, cab_rear, end, deck, box_top, half, cargo),
            _cargo_side(rng, cab_rear, end, deck, box_top, -half, cargo),
        ),
        strip_details=((2, _cargo_doors(back)),),
    )
    panels = (
        *(panel(wall(cab_rear + 0.1, 0.6, end - 0.1, 1.3, side * (half - 0.08)), (0, side, 0)) for side in SIDES),
        *(panel(wall(-end + 0.2, deck, -0.4, box_top - 0.6, side * half), (0, side, 0)) for side in SIDES),
        *(
            panel(
                wall(cab_rear + 0.4, 1.35, end - 0.35, cab_top - 0.25, side * (half - 0.08)), (0, side, 0), "glass"
            )
            for side in SIDES
        ),
        panel(across(end - 0.02, 1.2, end - 0.3, cab_top - 0.1, half - 0.15), (1, 0, 0), "glass"),
        panel(across(end, 0.6, end, 1.2, half - 0.1), (1, 0, 0)),
        panel(across(end, 0.8, end, 1.15, half - 0.15), (1, 0, 0), "lamp"),
        panel(back, (-1, 0, 0)),
    )
    return Vehicle("truck", paint, np.array([length, width, box_top]), (frame, cab_solid, box), wheels, panels)


def random_bus(rng: np.random.Generator) -> Vehicle:
    """One long box with a row of windows."""
    length, width, height = rng.uniform(8.0, 11.0), 2.5, rng.uniform(2.85, 3.25)
    end, half, paint = length / 2, 1.25, pick_colour(rng, BUS_PAINTS)
    wheels = pairs_of_wheels((end - 2.3, -end + 2.4), width, 0.48, 8)
    outline = np.array(
        [
            (end - 0.06, 0.32), (end, 0.6), (end - 0.02, 1.2), (end - 0.22, height - 0.4),
            (end - 0.3, height - 0.12), (end - 0.6, height), (-end + 0.3, height), (-end, height - 0.3),
            (-end, 1.4), (-end, 0.5), (-end + 0.06, 0.32),
        ]
    )  # fmt: skip
    widths = np.full(len(outline), half) - np.array(
        [0.06, 0.04, 0.04, 0.06, 0.08, 0.1, 0.06, 0.03, 0.0, 0.03, 0.05]
    )
    front, rear = strip_quad(outline, widths, 1), strip_quad(outline, widths, 8)
    stripe = pick_colour(rng, CARGO_PAINTS)
    body = extrude(
        outline,
        widths,
        paint,
        side_details=(
            (*_bus_side(end, height, half - 0.02, stripe), *arches(wheels, half - 0.02)),
            (*_bus_side(end, height, 0.02 - half, stripe), *arches(wheels, 0.02 - half)),
        ),
        strip_details=(
            (0, (patch(strip_quad(outline, widths, 0), 0, 0, 1, 1, TRIM),)),
            (1, (*_lamps(front), *number_plate(front, 0.4, 0.15, 0.1))),
            (2, pane(inset(strip_quad(outline, widths, 2), 0.94))),
            (3, (patch(strip_quad(outline, widths, 3), 0.25, 0.15, 0.75, 0.85, (30, 120, 220)),)),
            (7, pane(inset(strip_quad(outline, widths, 7), 0.8))),
            (
                8,
                (
                    patch(rear, 0.02, 0.2, 0.14, 0.55, TAIL),
                    patch(rear, 0.86, 0.2, 0.98, 0.55, TAIL),
                    *number_plate(rear, 0.4, 0.6, 0.1),
                ),
            ),
        ),
    )
    panels = (
        *(
            panel(wall(x1, 0.6, x2, 1.3, side * (half - 0.02)), (0, side, 0))
            for side in SIDES
            for x1, x2 in ((-end + 0.1, -end / 3), (-end / 3, end / 3), (end / 3, end - 0.1))
        ),
        *(
            panel(wall(-end / 2, 1.4, end / 2, height - 0.5, side * (half - 0.02)), (0, side, 0), "glass")
            for side in SIDES
        ),
        panel(across(end - 0.02, 1.2, end - 0.22, height - 0.4, half - 0.1), (1, 0, 0), "glass"),
        panel(across(end, 0.6, end, 1.2, half - 0.05), (1, 0, 0)),
        panel(across(end, 0.75, end, 1.1, half - 0.1), (1, 0, 0), "lamp"),
        panel(across(-end, 0.5, -end, 1.4, half - 0.05, rear=True), (-1, 0, 0)),
    )
    return Vehicle("bus", paint, np.array([length, width, height]), (body,), wheels, panels)


def _lamps(quad: Points3) -> tuple[Detail, ...]:
    """A pair of headlamps on a front whose ``v`` grows upwards."""
    return (patch(quad, 0.04, 0.45, 0.22, 0.85, LAMP), patch(quad, 0.78, 0.45, 0.96, 0.85, LAMP))


def _cab_side(rear: float, end: float, top: float, y: float) -> tuple[Detail, ...]:
    window = wall(rear + 0.45, 1.35, end - 0.4, top - 0.25, y)
    door = [
        (rear + 0.3, 0.6),
        (rear + 0.3, top - 0.15),
        (end - 0.3, top - 0.2),
        (end - 0.2, 1.3),
        (end - 0.2, 0.6),
    ]
    return (*pane(window), line(door, y, 0.025), Detail(wall(rear + 0.4, 1.2, rear + 0.6, 1.26, y), SEAM))


def _cargo_side(
    rng: np.random.Generator, cab_rear: float, end: float, low: float, top: float, y: float, colour: Colour
) -> tuple[Detail, ...]:
    ribs = np.linspace(cab_rear - 0.2, -end + 0.1, int(rng.integers(6, 12)))
    stripe = pick_colour(rng, BUS_PAINTS)
    height = rng.uniform(0.15, 0.5)
    middle = rng.uniform(low + 0.4, top - 0.6)
    return (
        Detail(wall(-end + 0.3, middle, cab_rear - 0.4, middle + height, y), stripe),
        *(line([(float(x), low), (float(x), top)], y, 0.03, tint(colour, 0.8)) for x in ribs),
        Detail(wall(-end, low, cab_rear - 0.12, low + 0.08, y), tint(colour, 0.6)),
        Detail(wall(-end, top - 0.08, cab_rear - 0.12, top, y), tint(colour, 0.7)),
    )


def _cargo_doors(quad: Points3) -> tuple[Detail, ...]:
    return (
        patch(quad, 0.04, 0.03, 0.49, 0.93, (205, 208, 208)),
        patch(quad, 0.51, 0.03, 0.96, 0.93, (205, 208, 208)),
        patch(quad, 0.44, 0.03, 0.455, 0.93, SEAM),
        patch(quad, 0.545, 0.03, 0.56, 0.93, SEAM),
        patch(quad, 0.05, 0.94, 0.18, 0.99, TAIL),
        patch(quad, 0.82, 0.94, 0.95, 0.99, TAIL),
    )


def _bus_side(end: float, height: float, y: float, stripe: Colour) -> tuple[Detail, ...]:
    low, high = 1.4, height - 0.5
    edges = np.linspace(-end + 0.25, end - 0.35, 8)
    windows = [wall(a + 0.04, low, b - 0.04, high, y) for a, b in itertools.pairwise(edges)]
    # Passengers get in on the right.
    doors = [wall(x, 0.45, x + 1.0, high, y) for x in (end - 1.55, -0.2)] if y < 0 else []
    return (
        Detail(wall(-end + 0.05, 0.35, end - 0.08, 0.55, y), TRIM),
        Detail(wall(-end + 0.05, 1.08, end - 0.05, 1.28, y), stripe),
        *(found for window in windows for found in pane(window)),
        *(found for door in doors for found in (Detail(door, SEAM), *pane(inset(door, 0.88)))),
    )
