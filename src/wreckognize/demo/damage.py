"""Damage on a drawn vehicle, of the four types of AI-Hub 581.

What damage looks like is made once on its panel, as a small texture that depends only on the damage's seed, and is
then brought into the picture through the panel's projection: photos of one accident show one and the same damage.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wreckognize.catalog import DAMAGE_TYPES
from wreckognize.demo.paint import Image, Mask, Points, disc_points, polygon, smooth_noise, stroke
from wreckognize.demo.parts import Panel, Vehicle
from wreckognize.demo.solids import Camera, band

_TEXTURE = 160  # pixels along a side
_MARGIN = 0.4  # how far a texture reaches beyond its panel, in panel lengths
_SMALLEST = 6.0  # pixels; what is left of damage at the frame's edge counts only if it is larger


@dataclass(frozen=True, slots=True)
class Injury:
    """Damage to one panel of a vehicle, before any photo of it is taken."""

    type: str  # one of DAMAGE_TYPES
    panel: int
    seed: int
    reach: float  # its size, as a share of the panel


@dataclass(frozen=True, slots=True)
class _Sight:
    """A panel as the camera sees it: from its texture to the drawing."""

    matrix: NDArray[np.float64]  # (3, 3), texture pixels to drawing pixels
    window: tuple[int, int, int, int]  # the part of the drawing the texture can touch, x1 y1 x2 y2
    length: float  # of the panel's longer side, drawing pixels

    def project(self, uv: Points) -> Points:
        """Points in shares of the panel, ``(K, 2)``, to the drawing."""
        pixels = (uv + _MARGIN) / (1 + 2 * _MARGIN) * _TEXTURE
        return np.asarray(cv2.perspectiveTransform(pixels[None], self.matrix)[0], dtype=np.float64)

    def bring(self, texture: NDArray[np.float32]) -> NDArray[np.float32]:
        """A texture ``(T, T)`` or ``(T, T, C)`` as it falls into the window."""
        x1, y1, x2, y2 = self.window
        shift = np.array([[1.0, 0, -x1], [0, 1.0, -y1], [0, 0, 1.0]])
        return np.asarray(cv2.warpPerspective(texture, shift @ self.matrix, (x2 - x1, y2 - y1)), dtype=np.float32)


def random_injuries(rng: np.random.Generator, vehicle: Vehicle) -> tuple[Injury, ...]:
    """One to three injuries, the others beside the first; one vehicle in four is a wreck and has six."""
    kind = DAMAGE_TYPES[int(rng.integers(len(DAMAGE_TYPES)))]
    first = _random_injury(rng, vehicle, kind, range(len(vehicle.panels)))
    centre = vehicle.panels[first.panel].centre
    by_distance = sorted(
        (index for index in range(len(vehicle.panels)) if index != first.panel),
        key=lambda index: float(np.linalg.norm(vehicle.panels[index].centre - centre)),
    )
    wreck = rng.random() < 0.25
    count = 5 if wreck else int(rng.choice([0, 1, 2], p=[0.4, 0.35, 0.25]))
    # In a wreck the metal is crushed; elsewhere any damage comes with any other.
    types = ("Crushed", "Crushed", "Breakage", "Separated") if wreck else DAMAGE_TYPES
    others = [
        _random_injury(rng, vehicle, types[int(rng.integers(len(types)))], by_distance[:6]) for _ in range(count)
    ]
    return (first, *others)


def _random_injury(rng: np.random.Generator, vehicle: Vehicle, kind: str, candidates: range | list[int]) -> Injury:
    breaks = kind == "Breakage"
    fitting = [index for index in candidates if (vehicle.panels[index].material != "body") == breaks]
    # Where no panel beside the first fits, any panel that does will.
    fitting = fitting or [i for i, panel in enumerate(vehicle.panels) if (panel.material != "body") == breaks]
    return Injury(
        kind, fitting[int(rng.integers(len(fitting)))], int(rng.integers(2**31)), float(rng.uniform(0.55, 1.0))
    )


def paint_injury(drawing: Image, mask: Mask, injury: Injury, vehicle: Vehicle, camera: Camera) -> Points | None:
    """Paint damage in place where the camera sees it.

    Returns:
        The outline of what is damaged, ``(K, 2)`` pixels of the drawing, cut to its frame; None where the panel is
        turned away or (nearly) out of the frame.
    """
    panel = vehicle.panels[injury.panel]
    sight = _look_at(panel, camera, drawing.shape[1], drawing.shape[0]) if panel.faces(camera) else None
    if sight is None:
        return None
    rng = np.random.Generator(np.random.PCG64(injury.seed))
    if injury.type == "Crushed":
        region = _crush(rng, drawing, mask, sight, injury.reach)
    elif injury.type == "Separated":
        region = _separate(rng, drawing, mask, sight, injury.reach)
    elif injury.type == "Breakage":
        region = _break(rng, drawing, mask, sight, injury.reach, lamp=panel.material == "lamp")
    else:
        light_paint = sum(vehicle.colour) / 3 > 125
        region = _scratch(rng, drawing, mask, sight, injury.reach, dark=light_paint)
    return _cut_to_frame(sight.project(region), drawing.shape[1], drawing.shape[0])


def _look_at(panel: Panel, camera: Camera, width: int, height: int) -> _Sight | None:
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float64)
    start = ((corners + _MARGIN) / (1 + 2 * _MARGIN) * _TEXTURE).astype(np.float32)
    quad = camera.project(panel.quad).astype(np.float32)
    sides = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    if sides.min() < 4:
        return None
    matrix = cv2.getPerspectiveTransform(start, quad)
    whole = np.array([[(0, 0), (_TEXTURE, 0), (_TEXTURE, _TEXTURE), (0, _TEXTURE)]], dtype=np.float64)
    reach = cv2.perspectiveTransform(whole, matrix)[0]
    low, high = np.floor(reach.min(axis=0)), np.ceil(reach.max(axis=0))
    x1, y1 = max(0, int(low[0])), max(0, int(low[1]))
    x2, y2 = min(width, int(high[0])), min(height, int(high[1]))
    if x2 - x1 < 4 or y2 - y1 < 4:
        return None
    return _Sight(np.asarray(matrix, dtype=np.float64), (x1, y1, x2, y2), float(sides.max()))


def _cut_to_frame(outline: Points, width: int, height: int) -> Points | None:
    inside = band(band(outline, 0, height)[:, ::-1], 0, width)[:, ::-1]
    if len(inside) < 3 or bool((np.ptp(inside, axis=0) < _SMALLEST).any()):
        return None
    return inside


def _to_texture(uv: Points) -> Points:
    return (uv + _MARGIN) / (1 + 2 * _MARGIN) * _TEXTURE


def _falloff(region: tuple[float, float, float, float]) -> NDArray[np.float32]:
    """1 in the middle of an ellipse ``cx cy rx ry`` of panel shares, 0 from its rim on."""
    cx, cy, rx, ry = region
    grid = (np.arange(_TEXTURE, dtype=np.float32) + 0.5) / _TEXTURE * (1 + 2 * _MARGIN) - _MARGIN
    radius = ((grid[None, :] - cx) / rx) ** 2 + ((grid[:, None] - cy) / ry) ** 2
    return np.asarray(np.clip(1 - radius, 0, 1), dtype=np.float32)


def _facets(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Sheet metal folded at random: the brightness of each flat piece, dark along the folds, ``(T, T)``."""
    side = _TEXTURE // 2
    seeds = rng.uniform(0, side, (count, 2)).astype(np.float32)
    grid = np.arange(side, dtype=np.float32)
    squared = (grid[None, :, None] - seeds[:, 0]) ** 2 + (grid[:, None, None] - seeds[:, 1]) ** 2
    nearest = squared.argmin(axis=2)
    two = np.sqrt(np.partition(squared, 1, axis=2)[:, :, :2])
    fold = np.exp(-(two[:, :, 1] - two[:, :, 0]) / 1.2)
    brightness = rng.uniform(0.5, 1.45, count).astype(np.float32)[nearest] * (1 - 0.65 * fold)
    return np.asarray(
        cv2.resize(brightness, (_TEXTURE, _TEXTURE), interpolation=cv2.INTER_LINEAR), dtype=np.float32
    )


def _crush(rng: np.random.Generator, drawing: Image, mask: Mask, sight: _Sight, reach: float) -> Points:
    """Crumple: the outline is pushed about, the metal folded into facets."""
    cx, cy = rng.uniform(0.2, 0.8, 2)
    rx, ry = reach * rng.uniform(0.6, 0.8), reach * rng.uniform(0.65, 0.95)
    falloff = _falloff((cx, cy, rx, ry))
    push = rng.uniform(-0.2, 0.2, 2)
    noise = [smooth_noise(rng, _TEXTURE, _TEXTURE, (9, 9)) * 0.055 + push[axis] for axis in (0, 1)]
    facets = _facets(rng, int(rng.integers(22, 40)))
    shift = sight.bring(cv2.merge([noise[0] * falloff, noise[1] * falloff])) * np.float32(sight.length)
    x1, y1, x2, y2 = sight.window
    across, down = np.meshgrid(np.arange(x2 - x1, dtype=np.float32), np.arange(y2 - y1, dtype=np.float32))
    part, part_mask = drawing[y1:y2, x1:x2], mask[y1:y2, x1:x2]
    from_x, from_y = across + shift[..., 0], down + shift[..., 1]
    bent = cv2.remap(part, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    part_mask[...] = cv2.remap(part_mask, from_x, from_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    weight = np.clip(2.2 * falloff, 0, 1)
    light = sight.bring(1 + weight * (facets - 1))
    light[light == 0] = 1.0
    light[part_mask == 0] = 1.0
    part[...] = np.clip(bent * light[..., None], 0, 255).astype(np.uint8)
    return disc_points(cx, cy, 0.9 * rx, 0.9 * ry, 20)


def _scratch(
    rng: np.random.Generator, drawing: Image, mask: Mask, sight: _Sight, reach: float, *, dark: bool
) -> Points:
    """Strokes along the panel down to the primer, with a scuffed patch among them."""
    alpha = np.zeros((_TEXTURE, _TEXTURE), dtype=np.uint8)
    cx, cy = rng.uniform(0.3, 0.7, 2)
    rx, ry = 0.62 * reach, rng.uniform(0.25, 0.4) * reach
    slope = rng.uniform(-0.25, 0.25)
    for _ in range(int(rng.integers(12, 28))):
        start, end = np.sort(rng.uniform(-rx, rx, 2))
        offset = rng.uniform(-0.8, 0.8) * ry
        along = np.linspace(start, end, 6)
        uv = np.stack([cx + along, cy + offset + slope * along + rng.normal(0, 0.012, 6)], axis=1)
        stroke(alpha, _to_texture(uv), int(rng.integers(150, 255)), float(rng.choice([1, 1, 2, 3])))
    scuff = smooth_noise(rng, _TEXTURE, _TEXTURE, (7, 24)) * _falloff((cx, cy, rx, ry))
    opacity = np.maximum(alpha.astype(np.float32) / 255, np.clip(scuff - 0.25, 0, 0.75))
    _overlay(drawing, mask, sight, opacity, (72, 72, 76) if dark else (196, 198, 200))
    spread = ry + abs(slope) * rx
    return np.array(
        [(cx - rx, cy - spread), (cx + rx, cy - spread), (cx + rx, cy + spread), (cx - rx, cy + spread)]
    )


def _break(
    rng: np.random.Generator, drawing: Image, mask: Mask, sight: _Sight, reach: float, *, lamp: bool
) -> Points:
    """Glass or a lamp shattered: frosted, cracked in rays and rings, with a hole where it was hit."""
    cx, cy = rng.uniform(0.25, 0.75, 2)
    size = (1.1 if lamp else 0.75) * reach
    centre = np.array([cx, cy])
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(11, 19))))
    rays = [
        centre + np.outer(np.linspace(0, 1, 5) * size * rng.uniform(0.55, 1.0), [np.cos(a), np.sin(a)])
        + rng.normal(0, 0.02, (5, 2))
        for a in angles
    ]  # fmt: skip
    radii = size * rng.uniform(0.12, 0.42 if lamp else 0.34, len(angles))
    hole = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    _overlay(drawing, mask, sight, np.clip(1.3 * _falloff((cx, cy, size, size)), 0, 1) * 0.42, (226, 228, 226))
    broken = drawing.copy()
    for ray in rays:
        stroke(broken, sight.project(ray), (235, 236, 235), rng.uniform(0.002, 0.008) * sight.length)
    for step in (1, 2, 3):
        ring = np.array([ray[step] for ray in rays])
        stroke(broken, sight.project(ring), (214, 216, 214), 0.003 * sight.length, closed=True)
    polygon(broken, sight.project(hole), (20, 19, 18))
    cv2.copyTo(broken, mask, drawing)
    return np.clip(disc_points(cx, cy, 0.9 * size, 0.9 * size, 20), -0.05, 1.05)


def _separate(rng: np.random.Generator, drawing: Image, mask: Mask, sight: _Sight, reach: float) -> Points:
    """A panel torn from its place: it hangs aside, and a dark gap shows what was behind it."""
    u1, v1 = rng.uniform(0.0, 0.12, 2)
    frame = np.array([(u1, v1), (u1 + 0.87, v1), (u1 + 0.87, v1 + 0.87), (u1, v1 + 0.87)])
    turn = rng.uniform(0.1, 0.22) * reach * rng.choice([-1.0, 1.0])
    pivot = frame[int(rng.integers(4))]
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    drop = np.array([rng.uniform(-0.06, 0.06), rng.uniform(0.05, 0.16)]) * reach
    moved = (frame - pivot) @ rotation.T + pivot + drop
    here, there = sight.project(frame).astype(np.float32), sight.project(moved).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(here, there)
    size = (drawing.shape[1], drawing.shape[0])
    hanging = cv2.warpPerspective(drawing, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    shape = np.zeros_like(mask)
    polygon(shape, there, 255)
    on_vehicle = cv2.warpPerspective(mask, matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    shape &= np.asarray(on_vehicle, dtype=np.uint8)
    gap = np.zeros_like(mask)
    polygon(gap, sight.project((frame - frame.mean(axis=0)) * 1.06 + frame.mean(axis=0)), 255)
    gap &= mask
    drawing[gap > 0] = (22, 21, 21)
    behind = drawing.copy()
    for _ in range(4):  # brackets and wiring
        uv = frame.min(axis=0) + rng.uniform(0, 0.87, (3, 2))
        stroke(behind, sight.project(uv), (88, 90, 92), 0.025 * sight.length)
    cv2.copyTo(behind, gap, drawing)
    cv2.copyTo(np.asarray(hanging, dtype=np.uint8), shape, drawing)
    stroke(drawing, there, (16, 16, 16), 0.012 * sight.length, closed=True)
    mask |= shape
    both = np.concatenate([frame, moved]).astype(np.float32)
    return np.asarray(cv2.convexHull(both)[:, 0], dtype=np.float64)


def _overlay(
    drawing: Image,
    mask: Mask,
    sight: _Sight,
    opacity: NDArray[np.floating],
    colour: tuple[float, float, float],
) -> None:
    """Lay a colour over the vehicle, with the opacity ``(T, T)`` of a texture."""
    x1, y1, x2, y2 = sight.window
    part = drawing[y1:y2, x1:x2]
    weight = sight.bring(np.asarray(opacity, dtype=np.float32)) * (mask[y1:y2, x1:x2] > 0)
    flat = np.empty_like(part)
    flat[:] = np.round(colour)
    part[...] = cv2.blendLinear(flat, part, weight, 1 - weight)
