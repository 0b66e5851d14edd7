"""Drawn photos: a vehicle, intact or damaged, in some place; or a place without one.

Everything is drawn from a seeded generator (``numpy.random.Generator(PCG64(seed))``): the same state gives the
same pixels. The boxes are taken from the pixels that the vehicle covers, so they are as true as boxes can be.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from wreckognize.boxes import Boxes, as_boxes, clip
from wreckognize.demo.backgrounds import Placed, paint_place, paint_surface, place_things
from wreckognize.demo.damage import Injury, paint_injury, random_injuries
from wreckognize.demo.paint import SUPERSAMPLING, Image, Mask, Points, develop
from wreckognize.demo.parts import Kind, Panel, Vehicle
from wreckognize.demo.solids import Camera, Light
from wreckognize.demo.vehicles import paint_shadow, paint_vehicle, random_vehicle


@dataclass(frozen=True, slots=True)
class Case:
    """A vehicle and what happened to it; every photo drawn of it shows the same."""

    vehicle: Vehicle
    injuries: tuple[Injury, ...]


@dataclass(frozen=True, slots=True)
class Damage:
    """Damage as it is seen in a photo."""

    type: str  # one of DAMAGE_TYPES
    box: Boxes  # (1, 4), within the frame and on the vehicle
    polygon: Points  # (K, 2)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawn photo and the truth about it."""

    image: Image
    vehicles: Boxes  # (N, 4), cut to the frame
    kinds: tuple[Kind, ...]  # one for each vehicle
    damages: tuple[Damage, ...]


@dataclass(frozen=True, slots=True)
class Background:
    """A drawn photo without a vehicle, and the things in it, in pixels of the photo."""

    image: Image
    things: tuple[Placed, ...]


def random_case(rng: np.random.Generator, *, damaged: bool, kind: Kind | None = None) -> Case:
    """Draw a vehicle and, if it is to be damaged, its injuries."""
    vehicle = random_vehicle(rng, kind)
    return Case(vehicle, random_injuries(rng, vehicle) if damaged else ())


def render_vehicle_photo(rng: np.random.Generator, case: Case, *, size: tuple[int, int], close_up: bool) -> Drawn:
    """Take a drawn photo of a vehicle.

    Args:
        rng: where the place, the view and the light come from.
        case: the vehicle and its injuries; the first injury is always turned to the camera.
        size: width and height of the photo in pixels.
        close_up: whether the vehicle exceeds the frame and only a part of it is seen.
    """
    width, height = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
    drawing = np.zeros((height, width, 3), dtype=np.uint8)
    horizon = paint_place(rng, drawing)
    if rng.random() < 0.4:
        place_things(rng, drawing, horizon, int(rng.integers(1, 4)))
    light, shadow = _random_light(rng), float(rng.uniform(0.45, 0.75))
    target = _random_panel(rng, case)
    view = _close_view if close_up else _whole_view
    camera = view(rng, case.vehicle, target, width, height)
    mask = np.zeros((height, width), dtype=np.uint8)
    paint_shadow(drawing, case.vehicle, camera, shadow)
    paint_vehicle(drawing, mask, case.vehicle, camera, light)
    outlines = [
        (injury.type, paint_injury(drawing, mask, injury, case.vehicle, camera))
        for injury in reversed(case.injuries)
    ]
    vehicle_box = _box_of(mask, size)
    damages = tuple(
        damage
        for kind, outline in outlines
        if outline is not None and (damage := _damage(kind, outline / SUPERSAMPLING, vehicle_box)) is not None
    )
    return Drawn(develop(rng, drawing), vehicle_box, (case.vehicle.kind,), damages)


def render_background(rng: np.random.Generator, *, size: tuple[int, int], hard: bool) -> Background:
    """Take a drawn photo of a place without a vehicle.

    Args:
        rng: where everything comes from.
        size: width and height of the photo in pixels.
        hard: whether it is full of things with wheels, lamps and panels, or a surface like crumpled metal.
    """
    width, height = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
    drawing = np.zeros((height, width, 3), dtype=np.uint8)
    if hard and rng.random() < 0.35:
        paint_surface(rng, drawing)
        horizon = 0.4 * height
        count = int(rng.integers(0, 3))
    else:
        horizon = paint_place(rng, drawing)
        count = int(rng.integers(3, 8)) if hard else int(rng.integers(0, 3))
    placed = place_things(rng, drawing, horizon, count)
    boxes = clip(as_boxes(np.array([thing.box for thing in placed]) / SUPERSAMPLING), *size)
    things = tuple(
        Placed(thing.name, (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
        for thing, box in zip(placed, boxes, strict=True)
    )
    return Background(develop(rng, drawing), things)


def _random_light(rng: np.random.Generator) -> Light:
    direction = np.array([*rng.uniform(-0.7, 0.7, 2), rng.uniform(0.5, 1.0)])
    return Light(direction / np.linalg.norm(direction), float(rng.uniform(0.5, 0.75)))


def _random_panel(rng: np.random.Generator, case: Case) -> Panel:
    panels = case.vehicle.panels
    return panels[case.injuries[0].panel] if case.injuries else panels[int(rng.integers(len(panels)))]


def _facing(rng: np.random.Generator, vehicle: Vehicle, target: Panel, distance: float, spread: float) -> Camera:
    """A camera that sees a panel: ``distance`` in vehicle lengths, ``spread`` in radians to either side of it."""
    flat = np.hypot(target.normal[0], target.normal[1])
    # A bonnet looks up: it is seen from the front.
    towards = np.arctan2(target.normal[1], target.normal[0]) if flat > 0.3 else 0.0
    return Camera(
        yaw=float(towards + rng.uniform(-spread, spread)),
        pitch=float(np.deg2rad(rng.uniform(3, 17) if flat > 0.5 else rng.uniform(16, 28))),
        distance=distance * float(vehicle.size[0]),
        target=np.array([0.0, 0.0, vehicle.size[2] / 2]),
    )


def _whole_view(rng: np.random.Generator, vehicle: Vehicle, target: Panel, width: int, height: int) -> Camera:
    camera = _facing(rng, vehicle, target, float(rng.uniform(1.7, 3.0)), np.deg2rad(58))
    seen = camera.project(vehicle.corners)
    extent = np.ptp(seen, axis=0)
    scale = float(rng.uniform(0.38, 0.8)) * min(width / extent[0], 0.92 * height / extent[1])
    low, high = seen.min(axis=0) * scale, seen.max(axis=0) * scale
    x = rng.uniform(min(0.02 * width, 0.0), width - (high[0] - low[0])) - low[0]
    foot = rng.uniform(max(0.66 * height, high[1] - low[1]), 0.98 * height)
    return camera.moved(scale=scale, origin=(float(x), float(foot - high[1])))


def _close_view(rng: np.random.Generator, vehicle: Vehicle, target: Panel, width: int, height: int) -> Camera:
    """A camera so near that the panel, and little else, fills the frame."""
    camera = _facing(rng, vehicle, target, float(rng.uniform(1.1, 2.0)), np.deg2rad(40))
    seen = camera.project(target.quad)
    extent = np.maximum(np.ptp(seen, axis=0), 1e-3)
    scale = float(rng.uniform(0.75, 2.2)) * min(width / extent[0], height / extent[1])
    middle = seen.mean(axis=0) * scale
    at = rng.uniform(0.4, 0.6, 2) * (width, height)
    return camera.moved(scale=scale, origin=(float(at[0] - middle[0]), float(at[1] - middle[1])))


def _box_of(mask: Mask, size: tuple[int, int]) -> Boxes:
    x, y, width, height = cv2.boundingRect(mask)
    box = as_boxes([[x, y, x + width, y + height]]) / np.float32(SUPERSAMPLING)
    return clip(box, *size)


def _damage(kind: str, outline: Points, vehicle: Boxes) -> Damage | None:
    """The damage with its box cut to the vehicle's; None where nothing is left."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    box = as_boxes([[*np.maximum(low, vehicle[0, :2]), *np.minimum(high, vehicle[0, 2:])]])
    if bool((box[0, 2:] - box[0, :2] < 2).any()):
        return None
    return Damage(kind, box, outline)
