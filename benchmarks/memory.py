"""Memory while predicting: the slope over many photos, through the stream and the parts that `predict` and passes use.

The same few photos are named again and again; what is measured is what stays in memory, not what photos show. Memory is
the resident set after each part; the slope is that of the line through the later three quarters of the parts, since
libraries fill their pools in the first.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from material import Material
from table import NO_GPU, Row, gpu, limit, not_measured

SIDE = 64  # pixels: a leak does not ask how large photos are
MOST = 1.0  # KiB a photo: 20 MB over 20,000
LEAST = 0.01  # KiB a photo: less than that, or memory that shrinks, counts as so much
PART = 256


def rows(material: Material, photos: int) -> Iterator[Row]:
    """The slope in KiB a photo, on the CPU and on a GPU where there is one."""
    device = gpu()
    yield _row(material, photos, "cpu", "cpu")
    if device is None:
        yield not_measured("memory while predicting", "gpu", "KiB/photo", 1, NO_GPU)
    else:
        yield _row(material, photos, device, "gpu")


def _row(material: Material, photos: int, device: str, kind: str) -> Row:
    job = {
        "weights": str(material.weights),
        "files": [str(file) for file in material.photos[:64]],
        "photos": photos,
        "device": device,
    }
    done = subprocess.run([sys.executable, __file__, json.dumps(job)], check=True, capture_output=True, text=True)
    slope, first, last = map(float, done.stdout.split())
    return limit(
        f"memory while predicting: slope over {photos:,} photos (torch, {SIDE} px)", slope, MOST, "KiB/photo",
        device=kind, note=f"resident: {first:.0f} MiB after a quarter, {last:.0f} at the end",
    )  # fmt: skip


def _resident() -> float:
    """MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def main() -> None:
    """Look at all photos as a pass does; prints the slope in KiB a photo, and MiB after a quarter and at the end."""
    import polars as pl

    from wreckognize import images
    from wreckognize.inference.executor import Here
    from wreckognize.inference.passes import Looking
    from wreckognize.inference.stream import StreamSettings
    from wreckognize.stages.looking import Looker

    job = json.loads(sys.argv[1])
    known = []
    for file in job["files"]:
        header = images.read_header(Path(file))
        known.append((file, header.width, header.height))
    work = Looking(
        Looker(job["weights"], SIDE, ("car", "bus", "truck"), "max", job["device"]), StreamSettings(SIDE)
    )
    parts = {}
    for number in range(-(-job["photos"] // PART)):
        rows = [known[(number * PART + place) % len(known)] for place in range(PART)]
        parts[number] = pl.DataFrame(rows, schema=["path", "width", "height"], orient="row").with_columns(
            pl.Series("photo", [f"s/{number:05}-{place:03}" for place in range(PART)]), source=pl.lit("s")
        )
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        for number, tables in Here().run(parts, work, lambda _: None):
            for name, table in tables.items():
                table.write_parquet(Path(folder) / f"{name}-{number}.parquet")
            taken.append(_resident())
    later = np.array(taken[len(taken) // 4 :])
    slope = np.polyfit(np.arange(len(later)) * PART, later * 1024, 1)[0] if len(later) > 1 else 0.0
    print(max(LEAST, float(slope)), later[0], later[-1])


if __name__ == "__main__":
    main()
