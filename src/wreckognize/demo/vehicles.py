"""A vehicle of any kind, and how it gets onto a drawing."""

from __future__ import annotations

import cv2
import numpy as np

from wreckognize.demo.cars import random_car, random_pickup
from wreckognize.demo.heavy import random_box_truck, random_bus
from wreckognize.demo.paint import Image, Mask, darken, disc_points, polygon, stroke
from wreckognize.demo.parts import Kind, Vehicle, Wheel
from wreckognize.demo.solids import Camera, Face, Light, Solid

_TYRE = (30, 29, 28)
_RIM = (176, 174, 172)


def random_vehicle(rng: np.random.Generator, kind: Kind | None = None) -> Vehicle:
    """Draw a vehicle; where ``kind`` is left open, three in four are cars."""
    number = rng.random()
    chosen: Kind = kind or ("car" if number < 0.76 else "truck" if number < 0.9 else "bus")
    if chosen == "car":
        return random_car(rng)
    if chosen == "bus":
        return random_bus(rng)
    return random_pickup(rng) if rng.random() < 0.35 else random_box_truck(rng)


def paint_shadow(drawing: Image, vehicle: Vehicle, camera: Camera, strength: float) -> None:
    """Darken the ground under a vehicle in place, softly."""
    length, width, _ = vehicle.size
    ground = disc_points(0, 0, 0.56 * length, 0.68 * width)
    corners = np.clip(ground, [-0.51 * length, -0.56 * width], [0.51 * length, 0.56 * width])
    outline = camera.project(np.column_stack([corners, np.zeros(len(corners))]))
    height, full_width = drawing.shape[:2]
    small = np.zeros((height // 8, full_width // 8), dtype=np.uint8)
    polygon(small, outline / 8, 255)
    soft = cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.2), (full_width, height), interpolation=cv2.INTER_LINEAR)
    darken(drawing, np.asarray(soft, dtype=np.uint8), strength)


def paint_vehicle(drawing: Image, mask: Mask, vehicle: Vehicle, camera: Camera, light: Light) -> None:
    """Paint a vehicle in place, from far to near, and set ``mask`` to 255 wherever it covers the drawing."""
    for wheel in vehicle.wheels:
        _paint_tyre(drawing, mask, wheel, camera)
    for solid in sorted(vehicle.solids, key=lambda solid: _order(solid, camera)):
        for side in solid.faces:
            if camera.sees(side):
                _paint_face(drawing, mask, side, camera, light)
    for wheel in vehicle.wheels:
        if wheel.side * (camera.position[1] - wheel.centre[1]) > 0:
            _paint_disc(drawing, mask, wheel, camera)


def _order(solid: Solid, camera: Camera) -> tuple[int, float]:
    distance = float(np.linalg.norm(camera.position - solid.centre))
    # A mirror on the far side stands behind the body.
    hidden = solid.rank == 2 and solid.centre[1] * camera.position[1] < solid.centre[1] ** 2
    return (-1 if hidden else solid.rank, -distance)


def _paint_face(drawing: Image, mask: Mask, side: Face, camera: Camera, light: Light) -> None:
    outline = camera.project(side.points)
    polygon(drawing, outline, light.shade(side.colour, side.normal))
    polygon(mask, outline, 255)
    for detail in side.details:
        points, colour = camera.project(detail.points), light.shade(detail.colour, side.normal)
        if detail.width is None:
            polygon(drawing, points, colour)
            polygon(mask, points, 255)  # an arch or a lamp may stand out from its face
        else:
            stroke(drawing, points, colour, detail.width * camera.pixels_per_metre())


def _paint_tyre(drawing: Image, mask: Mask, wheel: Wheel, camera: Camera) -> None:
    both = np.concatenate([camera.project(wheel.ring()), camera.project(wheel.ring(depth=0.22))])
    hull = cv2.convexHull(both.astype(np.float32))[:, 0]
    polygon(drawing, hull, _TYRE)
    polygon(mask, hull, 255)


def _paint_disc(drawing: Image, mask: Mask, wheel: Wheel, camera: Camera) -> None:
    tyre = camera.project(wheel.ring())
    polygon(drawing, tyre, _TYRE)
    polygon(mask, tyre, 255)
    polygon(drawing, camera.project(wheel.ring(0.68)), _RIM)
    polygon(drawing, camera.project(wheel.ring(0.6)), (70, 68, 66))
    centre = wheel.centre
    for angle in np.arange(wheel.spokes) * (2 * np.pi / wheel.spokes) + 0.3:
        along = np.array([np.cos(angle), 0.0, np.sin(angle)]) * 0.62 * wheel.radius
        across = np.array([-np.sin(angle), 0.0, np.cos(angle)]) * 0.09 * wheel.radius
        polygon(
            drawing,
            camera.project([centre + across, centre + along + across, centre + along - across, centre - across]),
            _RIM,
        )
    polygon(drawing, camera.project(wheel.ring(0.16)), (120, 118, 116))
