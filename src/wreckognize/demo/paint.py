"""Brushes: the few primitives all drawings are made with.

Drawings are made at twice the size of the photo and shrunk at the end, which smooths every edge. Images are
``(H, W, 3) uint8`` in BGR; points are ``(K, 2)`` float pixels of the drawing.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Image: TypeAlias = NDArray[np.uint8]
"""``(H, W, 3) uint8`` BGR."""
Mask: TypeAlias = NDArray[np.uint8]
"""``(H, W) uint8``, 0 or 255."""
Points: TypeAlias = NDArray[np.float64]
Colour: TypeAlias = tuple[float, float, float]
"""Blue, green, red; 0 to 255."""

SUPERSAMPLING = 2
_FRACTION_BITS = 4
_FAR = 20_000.0  # OpenCV's fixed-point coordinates overflow far outside the drawing


def fixed_point(points: ArrayLike) -> NDArray[np.int32]:
    """Points as OpenCV's fixed-point integers (four fractional bits)."""
    values = np.clip(np.asarray(points, dtype=np.float64), -_FAR, _FAR)
    return np.round(values * (1 << _FRACTION_BITS)).astype(np.int32)


def polygon(image: NDArray[np.uint8], points: ArrayLike, colour: Colour | int) -> None:
    """Fill a polygon in place."""
    cv2.fillPoly(image, [fixed_point(points)], _scalar(colour), shift=_FRACTION_BITS)


def stroke(
    image: NDArray[np.uint8], points: ArrayLike, colour: Colour | int, width: float, *, closed: bool = False
) -> None:
    """Draw a line through points in place, ``width`` pixels thick (at least one)."""
    thickness = max(1, min(60, round(width)))
    cv2.polylines(
        image, [fixed_point(points)], closed, _scalar(colour), thickness, cv2.LINE_AA, shift=_FRACTION_BITS
    )


def rectangle(image: NDArray[np.uint8], box: ArrayLike, colour: Colour | int) -> None:
    """Fill an upright rectangle ``x1 y1 x2 y2`` in place."""
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64)
    polygon(image, [(x1, y1), (x2, y1), (x2, y2), (x1, y2)], colour)


def disc_points(cx: float, cy: float, rx: float, ry: float, count: int = 28) -> Points:
    """Points round an ellipse, ``(count, 2)``."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1)


def disc(image: NDArray[np.uint8], cx: float, cy: float, rx: float, ry: float, colour: Colour | int) -> None:
    """Fill an ellipse in place."""
    polygon(image, disc_points(cx, cy, rx, ry), colour)


def vertical_gradient(image: Image, top: float, bottom: float, upper: Colour, lower: Colour) -> None:
    """Fill the rows from ``top`` to ``bottom`` in place, going from one colour to the other."""
    first, last = max(0, round(top)), min(image.shape[0], round(bottom))
    if last > first:
        steps = np.linspace(0, 1, last - first)[:, None, None]
        image[first:last] = ((1 - steps) * np.array(upper) + steps * np.array(lower)).astype(np.uint8)


def smooth_noise(rng: np.random.Generator, width: int, height: int, cells: tuple[int, int]) -> NDArray[np.float32]:
    """Soft noise about 0 with deviation near 1, ``(height, width)``; ``cells`` counts blobs across and down."""
    coarse = rng.standard_normal((max(2, cells[1]), max(2, cells[0])), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def mottle(
    rng: np.random.Generator, image: Image, top: float, bottom: float, cells: tuple[int, int], strength: float
) -> None:
    """Lighten and darken the rows from ``top`` to ``bottom`` in place by soft noise of so many grey levels."""
    first, last = max(0, round(top)), min(image.shape[0], round(bottom))
    if last > first:
        noise = smooth_noise(rng, image.shape[1], last - first, cells) * np.float32(strength)
        part = image[first:last]
        cv2.add(part, cv2.merge([noise, noise, noise]), dst=part, dtype=cv2.CV_8U)


def darken(image: Image, shade: Mask, strength: float) -> None:
    """Darken in place: by ``strength`` (0 to 1) where ``shade`` is 255, not at all where it is 0."""
    factor = 255.0 - strength * shade.astype(np.float32)
    cv2.multiply(image, cv2.merge([factor, factor, factor]), dst=image, scale=1 / 255.0, dtype=cv2.CV_8U)


def pick_colour(rng: np.random.Generator, choices: tuple[Colour, ...], jitter: float = 12.0) -> Colour:
    """One of the colours, each channel moved a little."""
    base = np.array(choices[int(rng.integers(len(choices)))])
    blue, green, red = np.clip(base + rng.uniform(-jitter, jitter, 3), 0, 255)
    return float(blue), float(green), float(red)


def tint(colour: Colour, factor: float, lift: float = 0.0) -> Colour:
    """A colour made lighter or darker."""
    blue, green, red = (min(255.0, max(0.0, channel * factor + lift)) for channel in colour)
    return blue, green, red


def develop(rng: np.random.Generator, drawing: Image) -> Image:
    """Turn a drawing into a photo of half its size: light, colour cast, blur, sensor noise."""
    height, width = drawing.shape[0] // SUPERSAMPLING, drawing.shape[1] // SUPERSAMPLING
    photo = cv2.resize(drawing, (width, height), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        photo = cv2.GaussianBlur(photo, (0, 0), float(rng.uniform(0.3, 1.1)))
    gain = rng.uniform(0.72, 1.15) * rng.uniform(0.95, 1.05, 3)
    offset = rng.uniform(-12, 12)
    noise = rng.standard_normal((height, width), dtype=np.float32) * np.float32(rng.uniform(1.5, 7))
    lit = photo * gain.astype(np.float32) + (noise + np.float32(offset))[:, :, None]
    return np.asarray(np.clip(lit, 0, 255), dtype=np.uint8)


def _scalar(colour: Colour | int) -> tuple[float, ...]:
    return (float(colour),) if isinstance(colour, int) else colour
