"""What cars, buses and trucks share: colours, wheels, walls, panels, and the dataclasses they are handed on in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from wreckognize.demo.paint import Colour, Points, disc_points
from wreckognize.demo.solids import Camera, Detail, Points3, Solid, on_quad

Kind: TypeAlias = Literal["car", "truck", "bus"]
Material: TypeAlias = Literal["body", "glass", "lamp"]

GLASS: Colour = (78, 66, 56)
GLINT: Colour = (150, 138, 122)
TRIM: Colour = (42, 40, 40)
LAMP: Colour = (236, 242, 246)
TAIL: Colour = (44, 34, 188)
PLATE: Colour = (232, 236, 238)
SEAM: Colour = (34, 32, 32)
ARCH: Colour = (20, 20, 20)

CAR_PAINTS: tuple[Colour, ...] = (
    (236, 236, 236), (188, 186, 182), (120, 118, 116), (52, 50, 50), (122, 62, 34), (48, 40, 158), (70, 96, 60),
    (168, 190, 202), (150, 110, 70), (40, 110, 190), (90, 160, 200), (110, 60, 90),
)  # fmt: skip
BUS_PAINTS: tuple[Colour, ...] = ((44, 172, 226), (60, 130, 60), (170, 90, 40), (50, 50, 190), (225, 225, 225))
CARGO_PAINTS: tuple[Colour, ...] = (
    (228, 228, 226),
    (200, 206, 210),
    (150, 96, 50),
    (60, 90, 170),
    (120, 140, 120),
)


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel: the centre of its outer disc; ``side`` is +1 on the vehicle's left."""

    centre: Points3  # (3,)
    radius: float
    side: float
    spokes: int

    def ring(self, share: float = 1.0, depth: float = 0.0) -> Points3:
        """Points round the wheel at a share of its radius, ``depth`` metres inwards, ``(24, 3)``."""
        flat = disc_points(self.centre[0], self.centre[2], share * self.radius, share * self.radius, 24)
        return wall_points(flat, float(self.centre[1] - self.side * depth))


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the surface that damage can hit: a quad, its upper left corner (seen from outside) first."""

    quad: Points3  # (4, 3)
    normal: Points3  # (3,)
    material: Material

    @property
    def centre(self) -> Points3:
        """``(3,)``."""
        return np.asarray(self.quad.mean(axis=0), dtype=np.float64)

    def faces(self, camera: Camera) -> bool:
        """Whether the camera sees it from outside, and not too aslant to tell what is on it."""
        sight = camera.position - self.centre
        return bool(sight @ self.normal > 0.25 * np.linalg.norm(sight))


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle ready to be drawn."""

    kind: Kind
    colour: Colour
    size: Points3  # (3,) length, width, height in metres
    solids: tuple[Solid, ...]
    wheels: tuple[Wheel, ...]
    panels: tuple[Panel, ...]

    @property
    def corners(self) -> Points3:
        """Points whose projections enclose the vehicle's, ``(K, 3)``."""
        return np.concatenate(
            [face.points for solid in self.solids for face in solid.faces]
            + [wheel.ring() for wheel in self.wheels]
        )


def pairs_of_wheels(xs: tuple[float, ...], width: float, radius: float, spokes: int) -> tuple[Wheel, ...]:
    """A left and a right wheel at each ``x``."""
    return tuple(
        Wheel(np.array([x, side * (width / 2 - 0.01), radius]), radius, side, spokes)
        for x in xs
        for side in (1.0, -1.0)
    )


def wall_points(flat: Points, y: float) -> Points3:
    """Points ``(K, 2)`` of ``x, z`` set on the plane of a given ``y``."""
    return np.stack([flat[:, 0], np.full(len(flat), y), flat[:, 1]], axis=1)


def wall(x1: float, z1: float, x2: float, z2: float, y: float) -> Points3:
    """An upright quad on a side wall, its upper left corner as seen from outside first, ``(4, 3)``.

    Seen from the left side (``y > 0``) the vehicle's front is on the viewer's left.
    """
    first, last = (max(x1, x2), min(x1, x2)) if y > 0 else (min(x1, x2), max(x1, x2))
    return np.array([[first, y, z2], [last, y, z2], [last, y, z1], [first, y, z1]])


def across(
    x_low: float, z_low: float, x_high: float, z_high: float, half: float, *, rear: bool = False
) -> Points3:
    """A quad across the vehicle, its upper left corner as seen from the front (or the rear) first, ``(4, 3)``."""
    y = half if rear else -half
    return np.array([[x_high, y, z_high], [x_high, -y, z_high], [x_low, -y, z_low], [x_low, y, z_low]])


def panel(quad: Points3, outwards: tuple[float, float, float], material: Material = "body") -> Panel:
    """A panel whose normal lies on the side of ``outwards``."""
    normal = np.cross(quad[1] - quad[0], quad[3] - quad[0])
    normal /= np.linalg.norm(normal)
    return Panel(quad, normal if normal @ np.array(outwards) > 0 else -normal, material)


def line(points: list[tuple[float, float]], y: float, width: float, colour: Colour = SEAM) -> Detail:
    """A line on a side wall through points of ``x, z``."""
    return Detail(wall_points(np.array(points), y), colour, width)


def pane(quad: Points3) -> tuple[Detail, ...]:
    """Glass that fills a quad, with the sky's reflection across it."""
    return (
        Detail(quad, GLASS),
        Detail(on_quad(quad, [(0.18, 0), (0.42, 0), (0.26, 1), (0.02, 1)]), GLINT),
        Detail(on_quad(quad, [(0.52, 0), (0.60, 0), (0.44, 1), (0.36, 1)]), GLINT),
    )


def number_plate(quad: Points3, top: float, bottom: float, half: float = 0.13) -> tuple[Detail, ...]:
    """A plate with its characters in the middle of a fascia."""
    plate = on_quad(quad, [(0.5 - half, top), (0.5 + half, top), (0.5 + half, bottom), (0.5 - half, bottom)])
    marks = tuple(
        Detail(on_quad(plate, [(u, 0.3), (u + 0.08, 0.3), (u + 0.08, 0.72), (u, 0.72)]), SEAM)
        for u in (0.1, 0.23, 0.36, 0.56, 0.69, 0.82)
    )
    return (Detail(plate, PLATE), *marks)


def strip_quad(outline: Points3, half: Points3, index: int) -> Points3:
    """The quad between a point of an outline and the next, across the vehicle: left, right, right, left."""
    (x1, z1), (x2, z2) = outline[index], outline[index + 1]
    return np.array(
        [[x1, half[index], z1], [x1, -half[index], z1], [x2, -half[index + 1], z2], [x2, half[index + 1], z2]]
    )


def inset(quad: Points3, share: float = 0.9) -> Points3:
    """A quad shrunk about its middle, turned so that its upper edge comes first."""
    centre = quad.mean(axis=0)
    smaller: Points3 = centre + (quad - centre) * share
    return smaller if smaller[0, 2] > smaller[2, 2] else smaller[[3, 2, 1, 0]]


def arches(wheels: tuple[Wheel, ...], y: float) -> tuple[Detail, ...]:
    """Wheel arches on the wall of a given ``y``."""
    return tuple(
        Detail(
            wall_points(
                disc_points(wheel.centre[0], wheel.centre[2], 1.17 * wheel.radius, 1.17 * wheel.radius), y
            ),
            ARCH,
        )
        for wheel in wheels
        if wheel.side * y > 0
    )
