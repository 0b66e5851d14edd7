"""Places without a vehicle: streets, car parks, fields, rooms, and surfaces that may be taken for sheet metal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from wreckognize.demo.paint import (
    Colour,
    Image,
    disc,
    mottle,
    pick_colour,
    polygon,
    rectangle,
    smooth_noise,
    stroke,
    tint,
    vertical_gradient,
)
from wreckognize.demo.things import THINGS, Brush, Thing

_SKY: tuple[Colour, ...] = ((226, 186, 130), (214, 206, 196), (180, 150, 120), (140, 150, 190), (200, 190, 180))
_ASPHALT: tuple[Colour, ...] = ((110, 108, 106), (86, 84, 84), (136, 134, 132))
_GRASS: tuple[Colour, ...] = ((60, 120, 90), (70, 140, 110), (80, 130, 150))
_PLASTER: tuple[Colour, ...] = ((190, 200, 206), (160, 170, 176), (200, 190, 180), (150, 170, 190))
_SHEET: tuple[Colour, ...] = (
    (150, 96, 50),
    (70, 80, 160),
    (150, 150, 148),
    (80, 120, 80),
    (210, 212, 214),
    (60, 60, 62),
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A thing in a drawing, and the box it fills, ``x1 y1 x2 y2`` in the drawing's pixels."""

    name: str
    box: tuple[float, float, float, float]


def paint_place(rng: np.random.Generator, drawing: Image) -> float:
    """Fill a drawing in place with somewhere a vehicle could stand.

    Returns:
        The row at which the ground begins.
    """
    places: tuple[Callable[[np.random.Generator, Image, float], None], ...] = (_street, _car_park, _field, _room)
    horizon = float(rng.uniform(0.32, 0.6) * drawing.shape[0])
    places[int(rng.integers(len(places)))](rng, drawing, horizon)
    return horizon


def paint_surface(rng: np.random.Generator, drawing: Image) -> None:
    """Fill a drawing in place with a surface seen from near: nothing of it is a vehicle."""
    surfaces: tuple[Callable[[np.random.Generator, Image], None], ...] = (
        _bricks,
        _corrugated,
        _cloth,
        _cupboard,
        _planks,
        _lockers,
        _pane,
    )
    surfaces[int(rng.integers(len(surfaces)))](rng, drawing)


def place_things(rng: np.random.Generator, drawing: Image, horizon: float, count: int) -> tuple[Placed, ...]:
    """Paint things that stand on the ground in place, the far ones first; none hides much of another."""
    height, width = drawing.shape[:2]
    feet = np.sort(rng.uniform(horizon + 0.05 * height, 1.04 * height, count))
    placed: list[Placed] = []
    for foot in feet:
        thing = THINGS[int(rng.integers(len(THINGS)))]
        box = _stand(rng, thing, float(foot), width, height)
        if all(_overlap(box, other.box) < 0.15 for other in placed):
            thing.paint(rng, Brush(drawing, box))
            placed.append(Placed(thing.name, box))
    return tuple(placed)


def _stand(
    rng: np.random.Generator, thing: Thing, foot: float, width: int, height: int
) -> tuple[float, float, float, float]:
    tall = rng.uniform(*thing.height) * height
    wide = min(tall * thing.aspect * rng.uniform(0.9, 1.1), float(width))
    left = rng.uniform(-0.15 * wide, width - 0.85 * wide)
    return (left, foot - tall, left + wide, foot)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """The area two boxes share, over that of the smaller."""
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(0.0, wide) * max(0.0, tall) / smaller


# --- places -----------------------------------------------------------------------------------------------------


def _sky(rng: np.random.Generator, drawing: Image, horizon: float) -> None:
    sky = pick_colour(rng, _SKY)
    vertical_gradient(drawing, 0, horizon, tint(sky, 0.85), tint(sky, 1.1, 12))
    if rng.random() < 0.7:
        mottle(rng, drawing, 0, horizon, (6, 4), rng.uniform(4, 16))


def _buildings(rng: np.random.Generator, drawing: Image, horizon: float) -> None:
    width, x = drawing.shape[1], float(-rng.uniform(0, 80))
    while x < width:
        wide, tall = rng.uniform(0.1, 0.35) * width, rng.uniform(0.35, 1.05) * horizon
        wall = pick_colour(rng, ((140, 150, 165), (110, 120, 140), (160, 165, 170), (90, 100, 130)))
        rectangle(drawing, (x, horizon - tall, x + wide, horizon), wall)
        window, step = tint(wall, 0.6), max(18.0, wide / rng.integers(3, 6))
        for wx in np.arange(x + 0.25 * step, x + wide - 0.6 * step, step):
            for wy in np.arange(horizon - tall + 0.3 * step, horizon - 0.7 * step, 1.2 * step):
                rectangle(drawing, (wx, wy, wx + 0.5 * step, wy + 0.65 * step), window)
        x += wide + rng.uniform(0, 0.06) * width


def _hills(rng: np.random.Generator, drawing: Image, horizon: float) -> None:
    width = drawing.shape[1]
    for shade in (0.75, 0.95):
        xs = np.linspace(-10, width + 10, 9)
        ys = horizon - rng.uniform(0.02, 0.3, 9) * horizon * (1.5 - shade)
        polygon(
            drawing,
            [*zip(xs, ys, strict=True), (width + 10, horizon + 2), (-10, horizon + 2)],
            tint(pick_colour(rng, _GRASS), shade),
        )


def _ground(rng: np.random.Generator, drawing: Image, horizon: float, choices: tuple[Colour, ...]) -> None:
    height, colour = drawing.shape[0], pick_colour(rng, choices)
    vertical_gradient(drawing, horizon, height, tint(colour, 0.9), tint(colour, 1.08))
    mottle(rng, drawing, horizon, height, (60, 30), rng.uniform(2, 7))
    mottle(rng, drawing, horizon, height, (5, 4), rng.uniform(2, 7))


def _street(rng: np.random.Generator, drawing: Image, horizon: float) -> None:
    height, width = drawing.shape[:2]
    _sky(rng, drawing, horizon)
    _buildings(rng, drawing, horizon)
    _ground(rng, drawing, horizon, _ASPHALT)
    kerb = horizon + rng.uniform(0.05, 0.16) * height
    rectangle(drawing, (0, horizon, width, kerb), (150, 156, 160))
    rectangle(drawing, (0, kerb, width, kerb + 6), (105, 108, 110))
    mark, row = rng.uniform(0.1, 0.25) * width, rng.uniform(0.82, 0.95) * height
    for x in np.arange(-mark * rng.random(), width, 1.8 * mark):
        polygon(drawing, [(x, row), (x + mark, row), (x + mark - 12, row + 9), (x - 12, row + 9)], (215, 218, 218))


def _car_park(rng: np.random.Generator, drawing: Image, horizon: float) -> None:
    height, width = drawing.shape[:2]
    _sky(rng, drawing, horizon)
    if rng.random() < 0.5:
        _buildings(rng, drawing, horizon)
    else:
        wall = pick_colour(rng, _PLASTER)
        rectangle(drawing, (0, rng.uniform(0.2, 0.8) * horizon, width, horizon), wall)
    _ground(rng, drawing, horizon, _ASPHALT)
    vanish = rng.uniform(0.2, 0.8) * width
    for foot in np.linspace(-0.6 * width, 1.6 * width, int(rng.integers(6, 10))):
        top = foot + 0.55 * (vanish - foot)
        row = horizon + 0.45 * (height - horizon)
        polygon(drawing, [(top - 2, row), (top + 2, row), (foot + 7, height), (foot - 7, height)], (222, 224, 226))


def _field(rng: np.random.Generator, drawing: Image, horizon: float) -> None:
    height, width = drawing.shape[:2]
    _sky(rng, drawing, horizon)
    _hills(rng, drawing, horizon)
    _ground(rng, drawing, horizon, _GRASS)
    if rng.random() < 0.6:
        path, middle = rng.uniform(0.15, 0.4) * width, rng.uniform(0.3, 0.7) * width
        polygon(
            drawing,
            [(middle - 8, horizon), (middle + 8, horizon), (middle + path, height), (middle - path, height)],
            pick_colour(rng, ((130, 160, 180), (120, 120, 122))),
        )
    for x in np.arange(rng.uniform(0, 60), width, rng.uniform(60, 140)):
        if rng.random() < 0.35:
            rectangle(drawing, (x, horizon - 22, x + 6, horizon + 20), (60, 84, 110))


def _room(rng: np.random.Generator, drawing: Image, horizon: float) -> None:
    width = drawing.shape[1]
    wall = pick_colour(rng, _PLASTER)
    vertical_gradient(drawing, 0, horizon, tint(wall, 0.75), wall)
    mottle(rng, drawing, 0, horizon, (12, 8), 4)
    _ground(rng, drawing, horizon, ((150, 156, 160), (120, 130, 140), (100, 120, 150)))
    rectangle(drawing, (0, horizon - 8, width, horizon), tint(wall, 0.6))
    if rng.random() < 0.6:
        x, wide = rng.uniform(0, 0.6) * width, rng.uniform(0.25, 0.5) * width
        door = pick_colour(rng, _SHEET)
        rectangle(drawing, (x, 0.12 * horizon, x + wide, horizon), door)
        for y in np.arange(0.12 * horizon, horizon, 0.12 * horizon):
            rectangle(drawing, (x, y, x + wide, y + 3), tint(door, 0.7))
    for x in np.arange(0.05 * width, width, rng.uniform(0.2, 0.4) * width):
        rectangle(drawing, (x, 0, x + 0.12 * width, 8), (245, 248, 248))


# --- surfaces ---------------------------------------------------------------------------------------------------


def _bricks(rng: np.random.Generator, drawing: Image) -> None:
    height, width = drawing.shape[:2]
    brick = pick_colour(rng, ((70, 90, 160), (90, 110, 170), (150, 156, 160)))
    drawing[:] = tint(brick, 0.6, 60)
    tall = rng.uniform(18, 46)
    for row, y in enumerate(np.arange(0, height, tall)):
        for x in np.arange(-(row % 2) * 1.2 * tall, width, 2.4 * tall):
            rectangle(
                drawing, (x + 2, y + 2, x + 2.4 * tall - 2, y + tall - 2), tint(brick, rng.uniform(0.82, 1.15))
            )
    mottle(rng, drawing, 0, height, (90, 70), 5)


def _corrugated(rng: np.random.Generator, drawing: Image) -> None:
    height, width = drawing.shape[:2]
    period, tilt = rng.uniform(16, 60), rng.uniform(-0.15, 0.15)
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    wave = 0.86 + 0.2 * np.sin((across + tilt * down) * np.float32(2 * np.pi / period))
    drawing[:] = np.clip(wave[:, :, None] * np.array(pick_colour(rng, _SHEET), dtype=np.float32), 0, 255)
    if rng.random() < 0.6:  # rust
        rust = np.clip(smooth_noise(rng, width, height, (9, 7)) - 0.8, 0, 0.9)[:, :, None]
        drawing[:] = drawing * (1 - rust) + np.array([40, 70, 120], dtype=np.float32) * rust


def _cloth(rng: np.random.Generator, drawing: Image) -> None:
    """A crumpled tarpaulin or curtain."""
    height, width = drawing.shape[:2]
    folds = smooth_noise(rng, width, height, (int(rng.integers(5, 14)), int(rng.integers(3, 10))))
    slope = cv2.Sobel(folds, cv2.CV_32F, 1, 1, ksize=5)
    light = 0.85 + 0.22 * slope / max(float(np.abs(slope).max()), 1e-6) * 2 + 0.08 * folds
    colour = np.array(pick_colour(rng, _SHEET), dtype=np.float32)
    drawing[:] = np.clip(light[:, :, None] * colour, 0, 255).astype(np.uint8)


def _cupboard(rng: np.random.Generator, drawing: Image) -> None:
    """Doors with seams and handles, and now and then a round window."""
    height, width = drawing.shape[:2]
    colour = pick_colour(rng, _SHEET)
    vertical_gradient(drawing, 0, height, tint(colour, 1.08), tint(colour, 0.85))
    step, split = rng.uniform(0.25, 0.5) * width, rng.uniform(0.3, 0.7) * height
    for x in np.arange(rng.uniform(0, step), width, step):
        stroke(drawing, [(x, 0), (x, height)], tint(colour, 0.45), 5)
        rectangle(drawing, (x + 12, split - 60, x + 20, split + 10), tint(colour, 0.5))
        if rng.random() < 0.35:
            disc(drawing, x + 0.5 * step, 0.6 * split, 0.22 * step, 0.22 * step, tint(colour, 0.6))
            disc(drawing, x + 0.5 * step, 0.6 * split, 0.18 * step, 0.18 * step, (80, 70, 60))
    stroke(drawing, [(0, split + 20), (width, split + 20)], tint(colour, 0.45), 5)


def _lockers(rng: np.random.Generator, drawing: Image) -> None:
    """Painted steel doors that have been scratched."""
    _cupboard(rng, drawing)
    height, width = drawing.shape[:2]
    middle, bright = rng.uniform(0.2, 0.8, 2) * (width, height), float(rng.choice([60.0, 200.0]))
    for _ in range(int(rng.integers(6, 20))):
        start = middle + rng.normal(0, 0.15, 2) * (width, height)
        along = np.linspace(0, rng.uniform(0.1, 0.5) * width, 6)
        points = np.stack([start[0] + along, start[1] + rng.normal(0, 4, 6)], axis=1)
        stroke(drawing, points, (bright, bright, bright), float(rng.integers(1, 6)))


def _pane(rng: np.random.Generator, drawing: Image) -> None:
    """A shop window, cracked."""
    height, width = drawing.shape[:2]
    vertical_gradient(drawing, 0, height, (120, 104, 90), (70, 62, 54))
    middle = rng.uniform(0.25, 0.75, 2) * (width, height)
    for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(8, 18))):
        reach = np.linspace(0, rng.uniform(0.2, 0.6) * width, 5)[:, None] * (np.cos(angle), np.sin(angle))
        stroke(drawing, middle + reach + rng.normal(0, 6, (5, 2)), (226, 228, 226), float(rng.integers(1, 4)))
    frame = pick_colour(rng, _PLASTER)
    for x in (0.0, rng.uniform(0.3, 0.7) * width, width - 22.0):
        rectangle(drawing, (x, 0, x + 22, height), frame)
    rectangle(drawing, (0, height - 30, width, height), frame)


def _planks(rng: np.random.Generator, drawing: Image) -> None:
    height, width = drawing.shape[:2]
    wood = pick_colour(rng, ((60, 100, 140), (100, 130, 160), (110, 112, 116)))
    tall = rng.uniform(30, 90)
    for y in np.arange(0, height, tall):
        rectangle(drawing, (0, y, width, y + tall), tint(wood, rng.uniform(0.85, 1.15)))
        rectangle(drawing, (0, y, width, y + 3), tint(wood, 0.45))
    mottle(rng, drawing, 0, height, (4, 120), 8)
