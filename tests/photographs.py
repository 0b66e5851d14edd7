"""Small photos for tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def draw_photo(path: Path, seed: int, *, width: int = 96, height: int = 64, vehicle: bool = True) -> Path:
    """A small JPEG: noise, with a bright block where the vehicle is."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 120, (height, width, 3), dtype=np.uint8)
    if vehicle:
        pixels[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = rng.integers(180, 255, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path
