"""What the thresholds for near-duplicates find, and what they join by mistake: planted copies of real photos.

    python benchmarks/near.py                # every photo by hash, every fifth by embedding; about ten minutes

Photos and weights are looked for as the tests do (WRECKOGNIZE_PHOTOS, else the folder ``shared`` beside the checkout).
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize import images
from wreckognize.curate.near import (
    HASH_BITS,
    HASH_SCHEMA,
    hash_bits,
    near_embeddings,
    near_hashes,
    perceptual_hash,
)
from wreckognize.detectors.ultralytics import open_detector
from wreckognize.inference.stream import PhotoFile, StreamSettings, look_at
from wreckognize.settings import GroupSettings

HERE = Path(__file__).parent
FOLDERS = ("damaged", "normal", "coco", "whole_vehicle")
DISTANCES = (2, 4, 6, 8, 10, 12)
COSINES = (0.96, 0.97, 0.975, 0.98, 0.985, 0.99)
EVERY = 5  # of the photos, so many apart, have embeddings of their copies taken
Pixels = NDArray[np.uint8]


def quality(pixels: Pixels, level: int) -> Pixels:
    """Encoded as JPEG and decoded."""
    encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, level])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)


def half(pixels: Pixels) -> Pixels:
    """At half its width and height."""
    return np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def cropped(pixels: Pixels, share: float, *, corner: bool = False) -> Pixels:
    """Without ``share`` of its width and height: all round, or off the left and the top."""
    height, width = pixels.shape[:2]
    down, right = round(height * share), round(width * share)
    if corner:
        return pixels[down:, right:]
    return pixels[down // 2 : height - down + down // 2, right // 2 : width - right + right // 2]


def brighter(pixels: Pixels, factor: float) -> Pixels:
    """With all values times ``factor``, up to white."""
    return np.asarray(cv2.convertScaleAbs(pixels, alpha=factor), dtype=np.uint8)


KINDS: dict[str, Callable[[Pixels], Pixels]] = {
    "re-encoded at quality 60": lambda pixels: quality(pixels, 60),
    "half size": half,
    "cropped 5 %, all round": lambda pixels: cropped(pixels, 0.05),
    "cropped 5 %, one corner": lambda pixels: cropped(pixels, 0.05, corner=True),
    "cropped 10 %, all round": lambda pixels: cropped(pixels, 0.10),
    "brightened by 20 %": lambda pixels: brighter(pixels, 1.2),
    "brightened by 50 %": lambda pixels: brighter(pixels, 1.5),
    "mirrored": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
}


def main() -> None:
    """Measure and print the tables."""
    cv2.setNumThreads(1)
    root = Path(os.environ.get("WRECKOGNIZE_PHOTOS") or HERE.parents[1] / "shared")
    if not (root / "data").is_dir():
        raise SystemExit(f"no photos below {root}; name their folder with WRECKOGNIZE_PHOTOS")
    photos = sorted(path for name in FOLDERS for path in (root / "data" / name / "images").iterdir())
    by_hash = measure_hashes(photos)
    by_cosine = measure_embeddings(photos, root / "weights" / "yolov8n-coco.pt")
    settings = GroupSettings()
    print(f"\nfound by either at the defaults ({settings.hash_distance} bits, cosine {settings.cosine:g})")
    for kind in KINDS:
        either = (by_hash[kind][::EVERY] <= settings.hash_distance) | (by_cosine[kind] >= settings.cosine)
        print(f"  {kind:<26} {100 * either.mean():6.1f} % of {len(either):,}")
    measure_speed()


def measure_hashes(photos: Sequence[Path]) -> dict[str, NDArray[np.float64]]:
    """Bits that each kind of copy differs in, ``(N,)``; prints what thresholds find and join."""
    own: list[str | None] = []
    copies: dict[str, list[str | None]] = {kind: [] for kind in KINDS}
    for path in photos:
        pixels = images.decode(path)
        own.append(perceptual_hash(pixels))
        for kind, change in KINDS.items():
            copies[kind].append(perceptual_hash(change(pixels)))
    apart = {
        kind: np.array([bits_apart(one, other) for one, other in zip(own, copies[kind], strict=True)])
        for kind in KINDS
    }
    print(f"\nby hash: copies found of {len(photos):,} photos, %  ({own.count(None)} photos have no hash)")
    print_recall({kind: [np.mean(bits <= most) for most in DISTANCES] for kind, bits in apart.items()}, DISTANCES)
    table = pl.DataFrame({"photo": [str(path) for path in photos], "hash": own}, schema=HASH_SCHEMA)
    joins = [near_hashes(table, most).pairs for most in DISTANCES]
    print(
        f"  {'pairs joined besides':<26} "
        + " ".join(f"{pairs:7,}" for pairs in joins)
        + f"  of {pairs_of(len(photos)):,}"
    )
    return apart


def bits_apart(one: str | None, other: str | None) -> float:
    """Bits in which two hashes differ; all of them where one is missing."""
    if one is None or other is None:
        return HASH_BITS
    left, right = hash_bits(pl.Series([one, other]))
    return float((HASH_BITS - left @ right) / 2)


def measure_embeddings(photos: Sequence[Path], weights: Path) -> dict[str, NDArray[np.float64]]:
    """Cosine of every fifth photo with each kind of copy; prints what thresholds find and join."""
    detector = open_detector(str(weights), classes=("car", "bus", "truck"), device="cpu")
    some = photos[::EVERY]

    def embeddings(files: Sequence[Path]) -> NDArray[np.float64]:
        headers = [images.read_header(path) for path in files]
        asked = [PhotoFile(str(path), path, h.width, h.height) for path, h in zip(files, headers, strict=True)]
        seen = {look.photo: look.feature for look in look_at(asked, detector, StreamSettings(640))}
        return np.stack([np.asarray(seen[str(path)], dtype=np.float64) for path in files])

    whole = embeddings(photos)
    cosines = {}
    with tempfile.TemporaryDirectory() as name:
        for kind, change in KINDS.items():
            files = []
            for number, path in enumerate(some):
                files.append(Path(name) / f"{number:05}.png")
                assert cv2.imwrite(str(files[-1]), change(images.decode(path)))
            cosines[kind] = (whole[::EVERY] * embeddings(files)).sum(axis=1)
    print(f"\nby embedding (YOLOv8n at 640): copies found of {len(some):,} photos, %")
    print_recall(
        {kind: [np.mean(cosine >= least) for least in COSINES] for kind, cosine in cosines.items()}, COSINES
    )
    table = pl.DataFrame(
        {"photo": [str(path) for path in photos], "embedding": whole.tolist()},
        schema={"photo": pl.String, "embedding": pl.List(pl.Float32)},
    )
    near = [near_embeddings(table, least, pl.Series("photo", [], dtype=pl.String)) for least in COSINES]
    joins = " ".join(f"{found.pairs:7,}" for found in near)
    print(f"  {'pairs joined besides':<26} {joins}  of {pairs_of(len(photos)):,}")
    for left, right, _, distance in near[2].links.sort("distance").iter_rows():
        print(f"    {1 - distance:.3f}  {Path(left).name}  {Path(right).name}")
    return cosines


def measure_speed() -> None:
    """Seconds of the search over 20,000 photos."""
    rng = np.random.default_rng(0)
    names = [f"{number:05}" for number in range(20_000)]
    print("\nsearch over 20,000 photos")
    for what, hashes in (
        ("all different", [rng.bytes(8).hex() for _ in names]),
        ("all alike", ["0f" * 8] * len(names)),
    ):
        table = pl.DataFrame({"photo": names, "hash": hashes}, schema=HASH_SCHEMA)
        began = time.perf_counter()
        found = near_hashes(table, 8)
        print(
            f"  hashes, {what}: {time.perf_counter() - began:.1f} s, {found.pairs:,} pairs, {len(found.links):,} links"
        )
    vectors = rng.normal(size=(len(names), 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = pl.DataFrame({"photo": names, "embedding": vectors}).with_columns(pl.col("embedding").arr.to_list())
    began = time.perf_counter()
    near_embeddings(table, 0.975, pl.Series("photo", [], dtype=pl.String))
    print(f"  embeddings of 256 numbers: {time.perf_counter() - began:.1f} s")


def print_recall(rows: dict[str, list[np.floating]], thresholds: Sequence[float]) -> None:
    """A line for each kind of copy, a column for each threshold."""
    print(f"  {'':<26} " + " ".join(f"{threshold:>7g}" for threshold in thresholds))
    for kind, found in rows.items():
        print(f"  {kind:<26} " + " ".join(f"{100 * share:7.1f}" for share in found))


def pairs_of(count: int) -> int:
    """Pairs of ``count`` things."""
    return count * (count - 1) // 2


if __name__ == "__main__":
    main()
