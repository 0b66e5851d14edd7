"""A small camera and the solids it sees: enough geometry to draw a vehicle from any side.

A vehicle stands on the ground plane ``z = 0`` and looks along ``+x``; ``+y`` is its left side; metres. Solids are
convex, so that hiding the faces turned away and painting from far to near is exact enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wreckognize.demo.paint import Colour, Points

Points3: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Detail:
    """Something on a face: a filled patch, or a line ``width`` metres thick."""

    points: Points3  # (K, 3)
    colour: Colour
    width: float | None = None


@dataclass(frozen=True, slots=True)
class Face:
    """A flat (or nearly flat) side of a solid."""

    points: Points3  # (K, 3)
    normal: Points3  # (3,), outwards, length 1
    colour: Colour
    details: tuple[Detail, ...] = ()


@dataclass(frozen=True, slots=True)
class Solid:
    """A convex body. Solids of a higher ``rank`` are painted later; within a rank, from far to near."""

    faces: tuple[Face, ...]
    centre: Points3  # (3,)
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera that looks at ``target`` from ``distance`` metres away.

    ``yaw`` 0 is straight in front of the vehicle, 90 degrees its left side; ``pitch`` is how steeply the camera
    looks down. A point on the optical axis lands on ``origin``; ``scale`` is the focal length in pixels.
    """

    yaw: float
    pitch: float
    distance: float
    target: Points3
    scale: float = 1.0
    origin: tuple[float, float] = (0.0, 0.0)

    @property
    def position(self) -> Points3:
        """Where the camera stands, ``(3,)``."""
        return np.asarray(self.target - self.distance * self._axes()[2], dtype=np.float64)

    def project(self, points: ArrayLike) -> Points:
        """Pixels of points in space: ``(K, 3)`` to ``(K, 2)``."""
        axes = self._axes()
        offsets = (np.asarray(points, dtype=np.float64) - self.target) @ axes.T
        factor = self.scale / np.maximum(offsets[:, 2] + self.distance, 0.2)
        return offsets[:, :2] * factor[:, None] * (1.0, -1.0) + self.origin

    def pixels_per_metre(self) -> float:
        """At the target's distance."""
        return self.scale / self.distance

    def sees(self, face: Face) -> bool:
        """Whether the outer side of a face is turned to the camera."""
        return bool((self.position - face.points.mean(axis=0)) @ face.normal > 0)

    def moved(self, *, scale: float, origin: tuple[float, float]) -> Camera:
        """The same view, enlarged and shifted in the picture."""
        return replace(self, scale=scale, origin=origin)

    def _axes(self) -> Points3:
        """Unit vectors to the right, up and forward, ``(3, 3)``."""
        sin_yaw, cos_yaw, sin_pitch, cos_pitch = (
            math.sin(self.yaw),
            math.cos(self.yaw),
            math.sin(self.pitch),
            math.cos(self.pitch),
        )
        return np.array(
            [
                [-sin_yaw, cos_yaw, 0.0],
                [-cos_yaw * sin_pitch, -sin_yaw * sin_pitch, cos_pitch],
                [-cos_yaw * cos_pitch, -sin_yaw * cos_pitch, -sin_pitch],
            ]
        )


@dataclass(frozen=True, slots=True)
class Light:
    """Daylight: a direction to the sun, and how much light comes from everywhere."""

    direction: Points3
    ambient: float

    def shade(self, colour: Colour, normal: Points3) -> Colour:
        """The colour of a matt face with a little sky in it when it looks up."""
        factor = self.ambient + (1.15 - self.ambient) * max(0.0, float(normal @ self.direction))
        sky = 26.0 * max(0.0, float(normal[2]))
        blue, green, red = (min(255.0, channel * factor + sky) for channel in colour)
        return blue, green, red


def face(points: ArrayLike, colour: Colour, inside: Points3, details: tuple[Detail, ...] = ()) -> Face:
    """A face whose normal points away from ``inside``, a point within the solid."""
    corners = np.asarray(points, dtype=np.float64)
    # Newell's method: right for any flat polygon, and a fair mean for one that is bent a little.
    following = np.concatenate([corners[1:], corners[:1]])
    difference, total = corners - following, corners + following
    normal = (difference[:, [1, 2, 0]] * total[:, [2, 0, 1]]).sum(axis=0)
    normal /= max(float(np.linalg.norm(normal)), 1e-9)
    if normal @ (corners.mean(axis=0) - inside) < 0:
        normal = -normal
    return Face(corners, normal, colour, details)


def on_quad(quad: Points3, uv: ArrayLike) -> Points3:
    """Bilinear points on a quad ``(4, 3)`` of corners (0,0) (1,0) (1,1) (0,1): ``(K, 2)`` to ``(K, 3)``."""
    u, v = np.asarray(uv, dtype=np.float64).T[:, :, None]
    upper, lower = (1 - u) * quad[0] + u * quad[1], (1 - u) * quad[3] + u * quad[2]
    return np.asarray((1 - v) * upper + v * lower, dtype=np.float64)


def patch(quad: Points3, u1: float, v1: float, u2: float, v2: float, colour: Colour) -> Detail:
    """A filled rectangle on a quad, in the quad's own shares."""
    return Detail(on_quad(quad, [(u1, v1), (u2, v1), (u2, v2), (u1, v2)]), colour)


def extrude(
    profile: ArrayLike,
    half_widths: ArrayLike,
    colour: Colour,
    *,
    rank: int = 0,
    middle: float = 0.0,
    side_details: tuple[tuple[Detail, ...], tuple[Detail, ...]] = ((), ()),
    strip_details: tuple[tuple[int, tuple[Detail, ...]], ...] = (),
) -> Solid:
    """A solid from an outline in the ``x, z`` plane, ``(K, 2)``, stretched across ``y``.

    Args:
        profile: the outline, closed from the last point to the first.
        half_widths: ``(K,)`` half the width at each point.
        colour: of all faces.
        rank: see `Solid`.
        middle: the ``y`` it is stretched about.
        side_details: what is on the left and on the right side.
        strip_details: what is on the strip that starts at a given point of the outline.
    """
    outline, half = np.asarray(profile, dtype=np.float64), np.asarray(half_widths, dtype=np.float64)
    left = np.stack([outline[:, 0], middle + half, outline[:, 1]], axis=1)
    right = np.stack([outline[:, 0], middle - half, outline[:, 1]], axis=1)
    centre = np.concatenate([left, right]).mean(axis=0)
    details = [
        tuple(found for at, group in strip_details if at == index for found in group) for index in range(len(left))
    ]
    strips = [
        face([left[i], right[i], right[j], left[j]], colour, centre, details[i])
        for i, j in zip(range(len(left)), [*range(1, len(left)), 0], strict=True)
    ]
    sides = [face(left, colour, centre, side_details[0]), face(right, colour, centre, side_details[1])]
    return Solid((*strips, *sides), centre, rank)


def band(profile: ArrayLike, low: float, high: float) -> Points:
    """The part of an outline ``(K, 2)`` of ``x, z`` between two heights (Sutherland-Hodgman clipping)."""
    points = [(float(x), float(z)) for x, z in np.asarray(profile, dtype=np.float64)]
    for limit, sign in ((low, 1.0), (high, -1.0)):
        clipped: list[tuple[float, float]] = []
        for here, there in zip(points, [*points[1:], *points[:1]], strict=True):
            inside_here, inside_there = sign * (here[1] - limit) >= 0, sign * (there[1] - limit) >= 0
            if inside_here:
                clipped.append(here)
            if inside_here != inside_there:
                share = (limit - here[1]) / (there[1] - here[1])
                clipped.append((here[0] + share * (there[0] - here[0]), limit))
        points = clipped
    return np.asarray(points, dtype=np.float64).reshape(-1, 2)
