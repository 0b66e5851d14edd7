"""Cars and pickups: dimensions drawn at random, and the solids and panels made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from wreckognize.demo.paint import Colour, pick_colour, tint
from wreckognize.demo.parts import (
    CAR_PAINTS,
    LAMP,
    SEAM,
    TAIL,
    TRIM,
    Kind,
    Panel,
    Vehicle,
    Wheel,
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
    wall_points,
)
from wreckognize.demo.solids import Detail, Points3, Solid, band, extrude, on_quad, patch

Body: TypeAlias = Literal["sedan", "hatchback", "suv", "van", "pickup"]
SIDES = (1.0, -1.0)


def random_car(rng: np.random.Generator) -> Vehicle:
    """A sedan, hatchback, sport utility vehicle or van."""
    bodies: tuple[Body, ...] = ("sedan", "sedan", "hatchback", "suv", "van")
    return _car(rng, _random_dimensions(rng, bodies[int(rng.integers(len(bodies)))]))


def random_pickup(rng: np.random.Generator) -> Vehicle:
    """A pickup: a truck built like a car."""
    return _car(rng, _random_dimensions(rng, "pickup"))


@dataclass(frozen=True, slots=True)
class _Car:
    """Dimensions of a car or pickup, metres; ``x`` along the vehicle, ``z`` up."""

    body: Body
    length: float
    width: float
    height: float
    clearance: float
    belt: float  # where the windows begin
    windscreen: float  # x of its lower edge
    rear_window: float  # x of its lower edge
    roof_front: float
    roof_rear: float
    wheel: float  # radius
    front_axle: float
    rear_axle: float

    @property
    def half(self) -> float:
        return self.width / 2

    @property
    def nose(self) -> float:
        return 0.74 * self.belt

    @property
    def outline(self) -> Points3:
        """The lower body in the ``x, z`` plane, ``(11, 2)``."""
        end, low, tail = self.length / 2, self.clearance, self.belt - (0.03 if self.body == "sedan" else 0.0)
        return np.array(
            [
                (end - 0.12, low), (end, low + 0.14), (end, self.nose), (end - 0.16, self.nose + 0.09),
                (self.windscreen, self.belt - 0.01), (self.rear_window, self.belt), (-end + 0.1, tail),
                (-end, tail - 0.14), (-end, low + 0.34), (-end, low + 0.14), (-end + 0.12, low),
            ]
        )  # fmt: skip

    @property
    def half_widths(self) -> Points3:
        """Half the width at each point of the outline: narrower at both ends, ``(11,)``."""
        taper = np.array([0.12, 0.11, 0.11, 0.07, 0.0, 0.0, 0.05, 0.09, 0.09, 0.09, 0.1])
        return self.half - taper

    def half_at(self, z: float) -> float:
        """Half the width of the cabin at a height: it leans in towards the roof."""
        return self.half - 0.05 - 0.2 * (z - self.belt) / (self.height - self.belt)


def _random_dimensions(rng: np.random.Generator, body: Body) -> _Car:
    low, high, height_low, height_high, hood, boot, rake, slope = {
        "sedan": (4.3, 4.9, 1.40, 1.50, 0.27, 0.17, 1.5, 1.3),
        "hatchback": (3.6, 4.2, 1.44, 1.56, 0.24, 0.03, 1.3, 0.5),
        "suv": (4.2, 4.9, 1.62, 1.80, 0.25, 0.02, 1.0, 0.3),
        "van": (4.5, 5.2, 1.82, 2.02, 0.16, 0.01, 0.9, 0.12),
        "pickup": (5.0, 5.6, 1.74, 1.86, 0.25, 0.42, 1.0, 0.2),
    }[body]
    length, height = rng.uniform(low, high), rng.uniform(height_low, height_high)
    belt = height * rng.uniform(0.6, 0.655)
    windscreen = length / 2 - length * hood * rng.uniform(0.92, 1.08)
    rear_window = -length / 2 + length * boot + 0.1
    cabin = height - belt
    wheel = rng.uniform(0.3, 0.34) if height < 1.6 else rng.uniform(0.35, 0.4)
    return _Car(
        body=body,
        length=length,
        width=rng.uniform(1.7, 1.9),
        height=height,
        clearance=wheel * rng.uniform(0.62, 0.75),
        belt=belt,
        windscreen=windscreen,
        rear_window=rear_window,
        roof_front=windscreen - cabin * rake * rng.uniform(0.9, 1.1),
        roof_rear=rear_window + cabin * slope * rng.uniform(0.85, 1.1),
        wheel=wheel,
        front_axle=length / 2 - rng.uniform(0.78, 0.92),
        rear_axle=-length / 2 + rng.uniform(0.78, 0.98),
    )


def _car(rng: np.random.Generator, car: _Car) -> Vehicle:
    paint = pick_colour(rng, CAR_PAINTS)
    wheels = pairs_of_wheels((car.front_axle, car.rear_axle), car.width, car.wheel, int(rng.integers(5, 9)))
    doors = 2 if car.body == "pickup" or rng.random() < 0.2 else 4
    left, right = (_car_side(car, paint, wheels, side, doors) for side in SIDES)
    lower = extrude(
        car.outline,
        car.half_widths,
        paint,
        side_details=(left, right),
        strip_details=(
            (0, (_whole(car.outline, car.half_widths, 0, TRIM),)),
            (1, _car_front(rng, car, paint)),
            (3, _seams_along(car.outline, car.half_widths, 3)),
            *_car_rear(car, paint),
        ),
    )
    mirrors = tuple(_mirror(car, side, paint) for side in SIDES)
    size = np.array([car.length, car.width, car.height])
    kind: Kind = "truck" if car.body == "pickup" else "car"
    return Vehicle(kind, paint, size, (lower, _cabin(car, paint, doors), *mirrors), wheels, _car_panels(car))


def _whole(outline: Points3, half: Points3, index: int, colour: Colour) -> Detail:
    return Detail(strip_quad(outline, half, index), colour)


def _seams_along(outline: Points3, half: Points3, index: int) -> tuple[Detail, ...]:
    quad = strip_quad(outline, half, index)
    left, right = 0.9 * quad[0] + 0.1 * quad[1], 0.1 * quad[0] + 0.9 * quad[1]
    left_end, right_end = 0.9 * quad[3] + 0.1 * quad[2], 0.1 * quad[3] + 0.9 * quad[2]
    return (Detail(np.array([left, left_end]), SEAM, 0.015), Detail(np.array([right, right_end]), SEAM, 0.015))


def _car_front(rng: np.random.Generator, car: _Car, paint: Colour) -> tuple[Detail, ...]:
    quad = strip_quad(car.outline, car.half_widths, 1)  # v grows upwards
    lamp = rng.uniform(0.2, 0.27)
    grille = tint(TRIM, rng.uniform(0.7, 1.4))
    return (
        patch(quad, 0.0, 0.0, 1.0, 0.42, tint(paint, 0.86)),
        patch(quad, 0.16, 0.05, 0.84, 0.26, TRIM),
        patch(quad, 0.3, 0.55, 0.7, 0.92, grille),
        patch(quad, 0.02, 0.62, 0.02 + lamp, 0.95, LAMP),
        patch(quad, 0.98 - lamp, 0.62, 0.98, 0.95, LAMP),
        patch(quad, 0.06, 0.68, 0.06 + 0.4 * lamp, 0.88, (190, 190, 186)),
        patch(quad, 0.94 - 0.4 * lamp, 0.68, 0.94, 0.88, (190, 190, 186)),
        *number_plate(quad, 0.46, 0.28),
    )


def _car_rear(car: _Car, paint: Colour) -> tuple[tuple[int, tuple[Detail, ...]], ...]:
    upper = strip_quad(car.outline, car.half_widths, 7)  # v grows downwards
    bumper = strip_quad(car.outline, car.half_widths, 8)
    lights = (
        patch(upper, 0.02, 0.02, 0.2, 0.75, TAIL),
        patch(upper, 0.8, 0.02, 0.98, 0.75, TAIL),
        *number_plate(upper, 0.35, 0.8),
    )
    return (7, lights), (
        8,
        (patch(bumper, 0, 0, 1, 1, tint(paint, 0.84)), patch(bumper, 0.1, 0.5, 0.9, 0.95, TRIM)),
    )


def _car_side(car: _Car, paint: Colour, wheels: tuple[Wheel, ...], side: float, doors: int) -> tuple[Detail, ...]:
    y, low, belt = side * (car.half - 0.03), car.clearance, car.belt
    taper = np.array(
        [
            [-car.length / 2, 0.1],
            [-car.length / 2 + 0.5, 0.03],
            [car.length / 2 - 0.5, 0.03],
            [car.length / 2, 0.11],
        ]
    )

    def strip(bottom: float, top: float, colour: Colour) -> Detail:
        flat = band(car.outline, bottom, top)
        points = wall_points(flat, 0.0)
        points[:, 1] = side * (car.half - np.interp(flat[:, 0], taper[:, 0], taper[:, 1]))
        return Detail(points, colour)

    front_door, last_door = car.windscreen - 0.12, max(car.rear_axle + 1.15 * car.wheel, car.rear_window + 0.1)
    middle = (front_door + last_door) / 2 if doors == 4 else last_door
    seams = [front_door, middle, last_door] if doors == 4 else [front_door, last_door]
    sill = low + 0.16
    handles = [x + 0.12 for x in seams[1:]]
    return (
        strip(low, low + 0.13, TRIM),
        strip(low + 0.13, 0.55 * belt, tint(paint, 0.84)),
        strip(0.8 * belt, 0.87 * belt, tint(paint, 1.12, 8)),
        strip(0.87 * belt, belt, tint(paint, 0.95)),
        Detail(
            wall(
                car.length / 2 - 0.3,
                car.nose - 0.13,
                car.length / 2 - 0.04,
                car.nose + 0.02,
                side * (car.half - 0.09),
            ),
            LAMP,
        ),
        Detail(
            wall(
                -car.length / 2 + 0.03, belt - 0.3, -car.length / 2 + 0.24, belt - 0.12, side * (car.half - 0.07)
            ),
            TAIL,
        ),
        *(line([(x, sill), (x, belt)], y, 0.016) for x in seams),
        line([(front_door, sill), (last_door, sill)], y, 0.016),
        *(Detail(wall(x, 0.84 * belt, x + 0.2, 0.84 * belt + 0.045, y), tint(paint, 0.55)) for x in handles),
        *arches(wheels, y),
    )


def _cabin(car: _Car, paint: Colour, doors: int) -> Solid:
    top, eave = car.height, car.height - 0.06
    outline = np.array(
        [
            (car.windscreen, car.belt - 0.01), (car.roof_front, eave), (car.roof_front - 0.2, top),
            (car.roof_rear + 0.2, top), (car.roof_rear, eave), (car.rear_window, car.belt),
        ]
    )  # fmt: skip
    half = np.array([car.half_at(z) for _, z in outline])
    front, rear = strip_quad(outline, half, 0), strip_quad(outline, half, 4)
    return extrude(
        outline,
        half,
        paint,
        rank=1,
        side_details=(_side_windows(car, 1.0, doors), _side_windows(car, -1.0, doors)),
        strip_details=((0, pane(inset(front))), (4, pane(inset(rear)))),
    )


def _window(car: _Car, side: float) -> Points3:
    """The side glass, its upper left corner as seen from outside first."""
    low, high = car.belt + 0.03, car.height - 0.12
    flat = np.array(
        [
            (car.roof_front - 0.06, high),
            (car.roof_rear + 0.05, high),
            (car.rear_window + 0.16, low),
            (car.windscreen - 0.2, low),
        ]
    )
    points = wall_points(flat, 0.0)
    points[:, 1] = [side * car.half_at(z) for z in flat[:, 1]]
    return points if side > 0 else points[[1, 0, 3, 2]]


def _side_windows(car: _Car, side: float, doors: int) -> tuple[Detail, ...]:
    quad = _window(car, side)
    if car.body == "pickup":
        return pane(quad)
    from_front = (0.36, 0.72) if doors == 4 else (0.5,)
    shares = from_front if side > 0 else tuple(1 - share for share in from_front)
    pillars = (on_quad(quad, [(share, 0), (share, 1)]) for share in shares)
    return (*pane(quad), *(Detail(pillar, TRIM, 0.075) for pillar in pillars))


def _mirror(car: _Car, side: float, paint: Colour) -> Solid:
    x, z = car.windscreen - 0.32, car.belt + 0.08
    outline = np.array([(x - 0.06, z - 0.06), (x + 0.1, z - 0.04), (x + 0.1, z + 0.05), (x - 0.06, z + 0.08)])
    return extrude(outline, np.full(4, 0.1), tint(paint, 0.8), rank=2, middle=side * (car.half + 0.09))


def _car_panels(car: _Car) -> tuple[Panel, ...]:
    end, half, nose, belt, sill = car.length / 2, car.half, car.nose, car.belt, car.clearance + 0.16
    front_door, rear = car.windscreen - 0.12, max(car.rear_axle + 1.15 * car.wheel, car.rear_window + 0.1)
    middle = (front_door + rear) / 2
    sides = tuple(
        panel(wall(x1, z1, x2, z2, side * (half - 0.03)), (0, side, 0))
        for side in SIDES
        for x1, z1, x2, z2 in (
            (front_door, 0.45 * belt, end - 0.1, nose),
            (middle, sill, front_door, belt),
            (rear, sill, middle, belt),
            (-end + 0.1, 0.4 * belt, rear, 0.95 * belt),
        )
    )
    fascia = across(end, car.clearance + 0.14, end, nose, half - 0.12)
    return (
        *sides,
        *(panel(_window(car, side), (0, side, 0), "glass") for side in SIDES),
        panel(across(car.windscreen, belt, car.roof_front, car.height - 0.06, half - 0.2), (1, 0, 0), "glass"),
        panel(
            across(car.rear_window, belt, car.roof_rear, car.height - 0.06, half - 0.2, rear=True),
            (-1, 0, 0),
            "glass",
        ),
        panel(fascia, (1, 0, 0)),
        panel(on_quad(fascia, [(0, 0), (0.3, 0), (0.3, 0.45), (0, 0.45)]), (1, 0, 0), "lamp"),
        panel(on_quad(fascia, [(0.7, 0), (1, 0), (1, 0.45), (0.7, 0.45)]), (1, 0, 0), "lamp"),
        panel(across(end - 0.16, nose + 0.09, car.windscreen, belt, half - 0.1), (0.1, 0, 1)),
        panel(across(-end, car.clearance + 0.14, -end, belt - 0.14, half - 0.1, rear=True), (-1, 0, 0)),
    )
