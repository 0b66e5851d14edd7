"""Things that are no vehicles: furniture of streets and rooms, with wheels, lamps and panels that may confuse.

Each is painted into a box ``x1 y1 x2 y2`` of the drawing; its coordinates are shares of that box.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wreckognize.demo.paint import Colour, Image, Points, disc_points, pick_colour, polygon, stroke, tint

_WOOD: tuple[Colour, ...] = ((52, 90, 134), (70, 112, 150), (40, 62, 92))
_METAL: tuple[Colour, ...] = ((150, 150, 150), (90, 92, 96), (60, 60, 64))
_BRIGHT: tuple[Colour, ...] = ((60, 140, 60), (160, 90, 40), (50, 60, 190), (40, 170, 220), (130, 60, 120))
_FUR: tuple[Colour, ...] = ((60, 100, 150), (50, 52, 56), (200, 206, 210), (90, 130, 180))
_WALL: tuple[Colour, ...] = ((170, 190, 205), (130, 150, 190), (190, 195, 198), (110, 130, 160))


@dataclass(frozen=True, slots=True)
class Brush:
    """Paints in shares of a box on a drawing."""

    drawing: Image
    box: tuple[float, float, float, float]

    def _place(self, points: Points | list[tuple[float, float]]) -> Points:
        x1, y1, x2, y2 = self.box
        return np.asarray(points, dtype=np.float64) * (x2 - x1, y2 - y1) + (x1, y1)

    def polygon(self, points: Points | list[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon."""
        polygon(self.drawing, self._place(points), colour)

    def rectangle(self, x1: float, y1: float, x2: float, y2: float, colour: Colour) -> None:
        """Fill an upright rectangle."""
        self.polygon([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], colour)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse."""
        self.polygon(disc_points(cx, cy, rx, ry), colour)

    def line(self, points: list[tuple[float, float]], colour: Colour, width: float) -> None:
        """Draw a line, its width a share of the box's height."""
        stroke(self.drawing, self._place(points), colour, width * (self.box[3] - self.box[1]))

    def ring(self, cx: float, cy: float, radius: float, colour: Colour, width: float) -> None:
        """Draw a circle that is round on the drawing; radius and width are shares of the box's height."""
        x, y = self._place([(cx, cy)])[0]
        height = self.box[3] - self.box[1]
        points = disc_points(x, y, radius * height, radius * height)
        stroke(self.drawing, points, colour, width * height, closed=True)


Painter = Callable[[np.random.Generator, Brush], None]


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that can stand about: its COCO (or plain) name, width over height, and height over the scene's."""

    name: str
    aspect: float
    height: tuple[float, float]
    paint: Painter


def _bench(rng: np.random.Generator, brush: Brush) -> None:
    wood, metal = pick_colour(rng, _WOOD), pick_colour(rng, _METAL)
    for y in (0.02, 0.18, 0.34):
        brush.rectangle(0.0, y, 1.0, y + 0.11, wood)
    brush.polygon([(0.0, 0.5), (1.0, 0.5), (1.0, 0.62), (0.0, 0.62)], tint(wood, 0.8))
    for x in (0.08, 0.86):
        brush.rectangle(x, 0.1, x + 0.06, 1.0, metal)


def _traffic_light(rng: np.random.Generator, brush: Brush) -> None:
    brush.rectangle(0.42, 0.5, 0.58, 1.0, (70, 72, 74))
    brush.rectangle(0.08, 0.0, 0.92, 0.56, (34, 34, 34))
    lit = int(rng.integers(3))
    for index, colour in enumerate(((50, 50, 230), (40, 190, 240), (90, 220, 90))):
        brush.ellipse(0.5, 0.1 + 0.18 * index, 0.27, 0.075, colour if index == lit else tint(colour, 0.3))


def _four_legs(brush: Brush, fur: Colour, low: float) -> None:
    for x in (0.2, 0.3, 0.62, 0.71):
        brush.rectangle(x, low, x + 0.07, 1.0, tint(fur, 0.85))


def _cat(rng: np.random.Generator, brush: Brush) -> None:
    fur = pick_colour(rng, _FUR)
    brush.line([(0.18, 0.6), (0.05, 0.4), (0.08, 0.12), (0.02, 0.02)], fur, 0.07)
    _four_legs(brush, fur, 0.68)
    brush.ellipse(0.46, 0.6, 0.32, 0.2, fur)
    brush.polygon([(0.68, 0.36), (0.7, 0.08), (0.8, 0.26)], fur)
    brush.polygon([(0.86, 0.26), (0.97, 0.08), (0.97, 0.36)], fur)
    brush.ellipse(0.83, 0.4, 0.16, 0.18, fur)
    for x in (0.78, 0.9):
        brush.ellipse(x, 0.38, 0.02, 0.035, (60, 200, 150))


def _dog(rng: np.random.Generator, brush: Brush) -> None:
    fur = pick_colour(rng, _FUR)
    brush.line([(0.16, 0.42), (0.03, 0.2)], fur, 0.07)
    _four_legs(brush, fur, 0.6)
    brush.ellipse(0.45, 0.52, 0.33, 0.2, fur)
    brush.polygon([(0.6, 0.5), (0.72, 0.14), (0.86, 0.22), (0.76, 0.6)], fur)
    brush.ellipse(0.82, 0.24, 0.16, 0.15, fur)
    brush.rectangle(0.84, 0.22, 1.0, 0.36, tint(fur, 0.9))
    brush.ellipse(0.98, 0.25, 0.025, 0.035, (20, 20, 20))
    brush.ellipse(0.72, 0.26, 0.06, 0.14, tint(fur, 0.65))
    brush.ellipse(0.85, 0.2, 0.015, 0.025, (20, 20, 20))


def _bicycle(rng: np.random.Generator, brush: Brush) -> None:
    frame = pick_colour(rng, _BRIGHT)
    for cx in (0.2, 0.8):
        brush.ring(cx, 0.68, 0.29, (34, 34, 34), 0.05)
        brush.ring(cx, 0.68, 0.04, (150, 150, 150), 0.04)
    brush.line([(0.2, 0.68), (0.38, 0.3), (0.68, 0.3), (0.46, 0.68), (0.2, 0.68)], frame, 0.05)
    brush.line([(0.46, 0.68), (0.36, 0.18)], frame, 0.05)
    brush.line([(0.8, 0.68), (0.66, 0.12), (0.76, 0.06)], frame, 0.05)
    brush.rectangle(0.29, 0.13, 0.43, 0.2, (40, 40, 40))


def _potted_plant(rng: np.random.Generator, brush: Brush) -> None:
    for _ in range(9):
        x, y = rng.uniform(0.15, 0.85), rng.uniform(0.05, 0.45)
        brush.ellipse(x, y, 0.2, 0.14, pick_colour(rng, ((60, 130, 60), (50, 100, 40), (80, 160, 90))))
    brush.polygon([(0.22, 0.56), (0.78, 0.56), (0.68, 1.0), (0.32, 1.0)], (70, 100, 170))


def _wheelie_bin(rng: np.random.Generator, brush: Brush) -> None:
    colour = pick_colour(rng, _BRIGHT)
    brush.polygon([(0.06, 0.14), (0.94, 0.14), (0.84, 0.94), (0.16, 0.94)], colour)
    brush.polygon([(0.0, 0.06), (0.1, 0.0), (0.92, 0.0), (1.0, 0.16), (0.0, 0.16)], tint(colour, 0.75))
    brush.rectangle(0.3, 0.4, 0.7, 0.6, tint(colour, 1.3, 10))
    for x in (0.2, 0.8):
        brush.ellipse(x, 0.93, 0.13, 0.07, (28, 28, 28))
        brush.ellipse(x, 0.93, 0.05, 0.03, (120, 120, 120))


def _stop_sign(rng: np.random.Generator, brush: Brush) -> None:
    brush.rectangle(0.46, 0.35, 0.54, 1.0, (150, 152, 154))
    angles = np.arange(8) * np.pi / 4 + np.pi / 8
    octagon = np.stack([0.5 + 0.5 * np.cos(angles), 0.21 + 0.21 * np.sin(angles)], axis=1)
    brush.polygon(octagon, pick_colour(rng, ((40, 40, 190), (180, 90, 40), (40, 170, 220))))
    brush.rectangle(0.2, 0.17, 0.8, 0.25, (235, 235, 235))


def _fire_hydrant(rng: np.random.Generator, brush: Brush) -> None:
    colour = pick_colour(rng, ((40, 40, 200), (40, 180, 220)))
    brush.rectangle(0.25, 0.2, 0.75, 0.92, colour)
    brush.ellipse(0.5, 0.2, 0.27, 0.16, tint(colour, 1.1))
    brush.rectangle(0.05, 0.4, 0.95, 0.56, tint(colour, 0.8))
    brush.ellipse(0.5, 0.48, 0.16, 0.1, tint(colour, 0.6))
    brush.rectangle(0.12, 0.9, 0.88, 1.0, tint(colour, 0.7))


def _chair(rng: np.random.Generator, brush: Brush) -> None:
    wood = pick_colour(rng, (*_WOOD, *_BRIGHT))
    brush.rectangle(0.12, 0.0, 0.22, 1.0, tint(wood, 0.8))
    brush.rectangle(0.12, 0.02, 0.3, 0.46, wood)
    brush.polygon([(0.12, 0.46), (0.9, 0.46), (0.96, 0.56), (0.12, 0.56)], wood)
    brush.rectangle(0.82, 0.52, 0.92, 1.0, tint(wood, 0.8))


def _container(rng: np.random.Generator, brush: Brush) -> None:
    colour = pick_colour(rng, (*_BRIGHT, *_METAL))
    brush.rectangle(0, 0, 1, 1, colour)
    for x in np.linspace(0.02, 0.94, 22):
        brush.rectangle(float(x), 0.06, float(x) + 0.018, 0.94, tint(colour, 0.72))
    brush.rectangle(0, 0, 1, 0.06, tint(colour, 0.6))
    brush.rectangle(0, 0.94, 1, 1, tint(colour, 0.5))
    brush.rectangle(0.12, 0.3, 0.5, 0.48, tint(colour, 1.2, 50))


def _house(rng: np.random.Generator, brush: Brush) -> None:
    wall, roof = pick_colour(rng, _WALL), pick_colour(rng, ((50, 60, 140), (70, 70, 76), (60, 90, 130)))
    brush.rectangle(0.06, 0.36, 0.94, 1.0, wall)
    brush.polygon([(0.0, 0.38), (0.5, 0.0), (1.0, 0.38)], roof)
    brush.ellipse(0.5, 0.24, 0.07, 0.07, (86, 74, 60))
    for x in (0.24, 0.76):
        if rng.random() < 0.6:
            brush.ellipse(x, 0.62, 0.11, 0.12, (235, 235, 235))
            brush.ellipse(x, 0.62, 0.09, 0.1, (86, 74, 60))
        else:
            brush.rectangle(x - 0.1, 0.5, x + 0.1, 0.74, (86, 74, 60))
            brush.rectangle(x - 0.01, 0.5, x + 0.01, 0.74, (235, 235, 235))
    brush.rectangle(0.43, 0.66, 0.57, 1.0, tint(roof, 0.8))


def _washing_machine(rng: np.random.Generator, brush: Brush) -> None:
    body = pick_colour(rng, ((228, 228, 228), (150, 150, 152)))
    brush.rectangle(0, 0, 1, 1, body)
    brush.rectangle(0, 0, 1, 0.16, tint(body, 0.85))
    brush.ellipse(0.5, 0.58, 0.34, 0.3, tint(body, 0.6))
    brush.ellipse(0.5, 0.58, 0.26, 0.23, (70, 60, 52))
    brush.ellipse(0.43, 0.5, 0.08, 0.06, (150, 138, 122))
    brush.ellipse(0.85, 0.08, 0.05, 0.04, (60, 60, 60))


def _crate(rng: np.random.Generator, brush: Brush) -> None:
    wood = pick_colour(rng, _WOOD)
    brush.rectangle(0, 0, 1, 1, wood)
    for y in (0.0, 0.26, 0.52, 0.78):
        brush.rectangle(0, y + 0.2, 1, y + 0.24, tint(wood, 0.5))
    brush.polygon([(0, 0.9), (0.1, 1.0), (1, 0.1), (0.9, 0)], tint(wood, 1.2))


def _tree(rng: np.random.Generator, brush: Brush) -> None:
    brush.polygon([(0.44, 0.45), (0.56, 0.45), (0.6, 1.0), (0.4, 1.0)], (44, 66, 92))
    green = pick_colour(rng, ((50, 110, 50), (60, 130, 90), (40, 90, 120)))
    for _ in range(12):
        shade = tint(green, rng.uniform(0.75, 1.25))
        brush.ellipse(rng.uniform(0.22, 0.78), rng.uniform(0.13, 0.48), 0.22, 0.13, shade)


def _wheel(rng: np.random.Generator, brush: Brush) -> None:
    """A loose wheel: a part, not a vehicle."""
    brush.ellipse(0.5, 0.5, 0.5, 0.5, (30, 29, 28))
    brush.ellipse(0.5, 0.5, 0.34, 0.34, (176, 174, 172))
    brush.ellipse(0.5, 0.5, 0.3, 0.3, (70, 68, 66))
    count = int(rng.integers(5, 9))
    for angle in np.arange(count) * 2 * np.pi / count:
        brush.line([(0.5, 0.5), (0.5 + 0.32 * np.cos(angle), 0.5 + 0.32 * np.sin(angle))], (176, 174, 172), 0.06)
    brush.ellipse(0.5, 0.5, 0.09, 0.09, (120, 118, 116))


def _tyres(rng: np.random.Generator, brush: Brush) -> None:
    """A stack of tyres."""
    count = int(rng.integers(2, 5))
    for index in range(count):
        top, tall = index / count, 1 / count
        brush.ellipse(0.5, top + 0.5 * tall, 0.5, 0.5 * tall, (26, 25, 24))
        brush.rectangle(0.06, top + 0.15 * tall, 0.94, top + 0.85 * tall, (38, 37, 36))
        brush.rectangle(0.02, top + 0.46 * tall, 0.98, top + 0.54 * tall, (22, 21, 20))


THINGS: tuple[Thing, ...] = (
    Thing("bench", 1.9, (0.2, 0.42), _bench),
    Thing("traffic light", 0.32, (0.45, 0.75), _traffic_light),
    Thing("cat", 1.3, (0.18, 0.5), _cat),
    Thing("dog", 1.3, (0.25, 0.6), _dog),
    Thing("bicycle", 1.6, (0.25, 0.5), _bicycle),
    Thing("potted plant", 0.8, (0.2, 0.45), _potted_plant),
    Thing("wheelie bin", 0.62, (0.25, 0.6), _wheelie_bin),
    Thing("stop sign", 0.45, (0.4, 0.8), _stop_sign),
    Thing("fire hydrant", 0.7, (0.18, 0.4), _fire_hydrant),
    Thing("chair", 0.65, (0.25, 0.5), _chair),
    Thing("container", 2.3, (0.3, 0.6), _container),
    Thing("house", 1.3, (0.4, 0.75), _house),
    Thing("washing machine", 0.85, (0.3, 0.65), _washing_machine),
    Thing("crate", 1.0, (0.15, 0.4), _crate),
    Thing("tree", 0.8, (0.45, 0.9), _tree),
    Thing("loose wheel", 1.0, (0.2, 0.8), _wheel),
    Thing("tyre stack", 1.3, (0.2, 0.5), _tyres),
)
