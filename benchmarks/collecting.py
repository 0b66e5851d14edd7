"""Collecting at the size of a whole archive: AI-Hub label files, and near hashes, each against the usual way.

    python benchmarks/collecting.py                  # 500,000 of each; some minutes, and 5 GB of disk while it runs
    python benchmarks/collecting.py --labels 20000 --hashes 50000

The labels and photos are made by seed. Both sides of a row are measured in processes of their own, one after the other
and in turn, with their files in the system's cache, so that neither pays for the disk.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import peers
from table import Row, against, limit, not_measured

FOLDER_SIZE = 25_000
PER_DAMAGE = 3_000
SOURCE = Path(__file__).parents[1] / "src"
_TEMPLATES = 500
IMAGEDEDUP_DISTANCE = 6
QUERIES = (20, 120)


def make_labels(root: Path, count: int, seed: int = 0) -> None:
    """Parallel trees ``TS_*`` and ``TL_*`` of ``count`` photos (the same tiny one) and their labels.

    One to four damages a photo, polygons of 12 to 90 corners: 1 to 5 kB a label, as in AI-Hub 581.
    """
    rng = random.Random(seed)
    drawn = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    photo = cv2.imencode(".jpg", drawn)[1].tobytes()
    templates = [_label_text(rng) for _ in range(_TEMPLATES)]
    for number in range(count):
        part, place = divmod(number, FOLDER_SIZE)
        photos, labels = root / f"TS_damage_{part}", root / f"TL_damage_{part}"
        if place == 0:
            photos.mkdir(parents=True)
            labels.mkdir()
        claim = f"sc-{number // 3:06}"
        name = f"{number:07}_{claim}"
        text = templates[rng.randrange(_TEMPLATES)].replace("CLAIM", claim).replace("NAME", name)
        (labels / f"{name}.json").write_text(text)
        (photos / f"{name}.jpg").write_bytes(photo)


def _label_text(rng: random.Random) -> str:
    annotations = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        x, y = rng.randrange(8), rng.randrange(6)
        polygon = [[rng.randrange(960), rng.randrange(720)] for _ in range(rng.randrange(12, 90))]
        kind = rng.choice(["Scratched"] * 5 + ["Separated", "Breakage", "Crushed"])
        annotations.append(
            {"id": rng.randrange(10**6), "image_id": 1, "category_id": "CLAIM", "segmentation": [[polygon]],
             "area": 19507.0, "bbox": [x, y, rng.randrange(1, 8), rng.randrange(1, 6)], "damage": kind, "part": None,
             "year": 2018, "color": "White", "level": None, "repair": []}
        )  # fmt: skip
    return json.dumps(
        {"info": {"name": "socar", "date_created": "03/08/2022"},
         "images": {"id": 1, "width": 16, "height": 12, "file_name": "NAME.jpg"}, "annotations": annotations,
         "categories": {"id": "CLAIM", "supercategory_name": "Full-size car"}}
    )  # fmt: skip


USUAL = """
import json, os, random, sys
root, per_damage = sys.argv[1], int(sys.argv[2])
by_type = {}
for folder, _, names in os.walk(root):
    if "TL_" not in folder:
        continue
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            label = json.load(file)
        photo = os.path.join(folder.replace("TL_", "TS_"), name[:-5] + ".jpg")
        boxes = [one["bbox"] for one in label["annotations"]]
        by_type.setdefault(label["annotations"][0]["damage"], []).append((photo, boxes))
random.seed(0)
sample = [one for found in by_type.values() for one in random.sample(found, min(per_damage, len(found)))]
print(len(sample))
"""
"""A script as people write it: every label by ``json.load``, a dict by type, a random sample; no photo is opened."""

USUAL_OPENED = (
    USUAL
    + """
import hashlib
from PIL import Image
rows = []
for photo, boxes in sample:
    with open(photo, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        image = Image.open(file)
        image.load()
    rows.append((photo, digest, *image.size, boxes))
"""
)
"""The same script, which then hashes and decodes each photo of its sample, as ours does."""

STUDY = """
study: archive
sources:
  - {{name: aihub, type: aihub, role: damaged, images: '{root}/TS_*', labels: '{root}/TL_*', per_damage: {per_damage}}}
teacher: {{weights: yolov8n.yaml}}
systems: {{baseline: {{recipe: baseline, weights: yolov8n.yaml}}}}
"""


def label_rows(folder: Path, count: int) -> list[Row]:
    """From label files to a balanced sample: first time, again unchanged, and again with another sample."""
    root = folder / "aihub"
    make_labels(root, count)
    study = folder / "study.yaml"
    study.write_text(STUDY.format(root=root, per_damage=PER_DAMAGE))
    command = [sys.executable, "-m", "wreckognize", "collect", str(study), "--out", str(folder / "run")]
    time.sleep(2)  # so that the files count as settled
    ran([sys.executable, "-c", USUAL, str(root), str(PER_DAMAGE)])  # both sides find the files in the cache
    usual, _ = ran([sys.executable, "-c", USUAL, str(root), str(PER_DAMAGE)])
    ours, peak = ran(command)
    opened, _ = ran([sys.executable, "-c", USUAL_OPENED, str(root), str(PER_DAMAGE)])
    again, _ = ran(command)
    other, _ = ran([*command, "--set", "seed=1"])
    what = f"{count:,} AI-Hub label files to a balanced sample"
    return [
        against(f"{what}, photos opened too", ours, usual, "s", 4),
        against(f"{what}: against a script that opens the photos too", ours, opened, "s", None),
        limit(f"{what}: memory of all processes", peak, 1024, "MiB"),
        limit(f"{what}: second run, nothing changed", again, 3, "s"),
        against(f"{what}: another sample, labels unchanged", other, usual, "s", None),
    ]


def ran(command: Sequence[str]) -> tuple[float, float]:
    """Seconds that a command takes, and the most memory of it and its children together, in MiB.

    Memory is the sum of proportional set sizes, sampled ten times a second (Linux; 0 elsewhere).
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment())
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(resident, family(process.pid))))
        time.sleep(0.1)
    seconds = time.perf_counter() - began
    assert process.stderr is not None
    said = process.stderr.read().decode()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return seconds, peak


def environment() -> dict[str, str]:
    """This checkout first."""
    import os

    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))}


def family(process: int) -> Iterator[int]:
    """A process and all below it."""
    yield process
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = thread.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from family(int(child))


def resident(process: int) -> float:
    """Proportional set size in MiB; 0 for a process that has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def make_hashes(count: int, planted: int, most: int, seed: int = 0) -> NDArray[np.uint64]:
    """Random 64-bit hashes, ``planted`` of which are copies of others with up to ``most`` bits changed."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    copies = hashes[rng.integers(0, count - planted, planted)]
    for _ in range(most):
        change = np.uint64(1) << rng.integers(0, 64, planted, dtype=np.uint64)
        copies ^= np.where(rng.random(planted) < 0.7, change, np.uint64(0))
    hashes[count - planted :] = copies
    return hashes


def hash_rows(count: int) -> list[Row]:
    """Groups of near hashes, against brute force in NumPy on a part of the rows, times what the part is of all."""
    import polars as pl

    from wreckognize.curate.groups import connect
    from wreckognize.curate.hamming import near_pairs, popcount
    from wreckognize.curate.near import HASH_SCHEMA, near_hashes

    rows = []
    for distance in (6, 8):
        hashes = make_hashes(count, count // 10, distance)
        names = [f"{number:07}" for number in range(count)]
        table = pl.DataFrame(
            {"photo": names, "hash": [f"{one:016x}" for one in hashes.tolist()]}, schema=HASH_SCHEMA
        )
        began = time.perf_counter()
        near = near_hashes(table, distance)
        connect(table, near.links)
        ours = time.perf_counter() - began
        some = np.random.default_rng(1).choice(count, min(count, 300), replace=False)
        began = time.perf_counter()
        expected = {
            (min(row, other), max(row, other))
            for row in some.tolist()
            for other in np.flatnonzero(popcount(hashes ^ hashes[row]) <= distance).tolist()
            if other != row
        }
        usual = (time.perf_counter() - began) * count / len(some) / 2
        found = {
            pair
            for left, right, _ in near_pairs(hashes, distance)
            for pair in zip(left.tolist(), right.tolist(), strict=True)
        }
        if not expected <= found:
            raise SystemExit(f"{len(expected - found)} pairs were missed")
        what = f"near-duplicate groups of {count:,} hashes, distance <= {distance}"
        rows.append(limit(f"{what} ({near.pairs:,} pairs)", ours, 60, "s"))
        rows.append(against(f"{what}: against brute force (from {len(some)} rows)", ours, usual, "s", None))
        if distance == IMAGEDEDUP_DISTANCE:
            rows += [
                _against_imagededup(what, hashes, ours, method) for method in ("bktree", "brute_force_cython")
            ]
    return rows


def _against_imagededup(what: str, hashes: NDArray[np.uint64], ours: float, method: str) -> Row:
    """Asking imagededup for the neighbours of every hash, reckoned from two numbers of queries."""
    name = f"{what}: against imagededup's {method}"
    command = peers.python()
    if command is None:
        return not_measured(name, "cpu", "s", None, "imagededup could not be installed")
    fewer, more = QUERIES
    job = {
        "hashes": [f"{one:016x}" for one in hashes.tolist()],
        "queries": QUERIES,
        "distance": IMAGEDEDUP_DISTANCE,
        "method": method,
    }
    done = subprocess.run(
        [command, Path(__file__).with_name("peer_imagededup.py")],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=True,
    )
    (first, _), (second, _) = json.loads(done.stdout)
    each = max(second - first, 0.0) / (more - fewer)
    usual = first + each * (len(hashes) - fewer)
    return against(name, ours, usual, "s", None, note=f"reckoned from {fewer} and {more} queries")


def main() -> None:
    """Measure and print, as JSON lines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--labels", type=int, default=500_000)
    parser.add_argument("--hashes", type=int, default=500_000)
    parser.add_argument("--folder", type=Path, help="for the files, which are taken away afterwards")
    asked = parser.parse_args()
    if asked.hashes:
        for row in hash_rows(asked.hashes):
            print(json.dumps(asdict(row)))
    if asked.labels:
        with tempfile.TemporaryDirectory(dir=asked.folder) as name:
            for row in label_rows(Path(name), asked.labels):
                print(json.dumps(asdict(row)))


if __name__ == "__main__":
    main()
