"""The service against the usual way, and under bad luck: ``make bench-service``.

Both sides of a comparison run in one go, in processes of their own, with the load from another process
(`service_load.py`). Prints each row as soon as it is measured, and writes ``benchmarks/results/service.json`` and the
table in ``docs/service.md``. ``--only throughput`` measures one section, ``--scale 0.05`` sends that share of the
requests; neither writes files. Real weights and photos are used where WRECKOGNIZE_PHOTOS has them, else drawn ones.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import numpy as np
import psutil
from bundles import make_bundle

import material
import table
from service_load import Outcome, Plan
from table import Row, against, limit

HERE = Path(__file__).parent
CLIENTS = 16
EVENLY, AT_RANDOM = "evenly spaced", "at random moments"
START = 180.0  # seconds that a service may take to be ready
FLAT = 0.5  # MiB of resident memory for each 1,000 requests


@dataclass(frozen=True)
class Ground:
    """What the sections are given: a bundle, the weights it came from, photos, and the share of requests to send."""

    bundle: Path
    found: material.Material
    folder: Path
    scale: float

    def count(self, whole: int, least: int = 60) -> int:
        """So many of a full run's requests."""
        return max(least, round(whole * self.scale))

    def plan(self, side: Side, **more: object) -> list[Outcome]:
        """Send load to a side."""
        photos = [str(photo) for photo in self.found.photos[:80]]
        plan = Plan(side.port, side.path, side.field, photos, **more)  # type: ignore[arg-type]
        done = subprocess.run(
            [sys.executable, HERE / "service_load.py"],
            input=json.dumps(asdict(plan)),
            capture_output=True,
            text=True,
            check=True,
        )
        return [Outcome(**one) for one in json.loads(done.stdout)]


@dataclass(frozen=True)
class Side:
    """A running service."""

    process: psutil.Process
    port: int
    path: str
    field: str
    log: Path

    def events(self, name: str) -> list[dict[str, object]]:
        """Lines of our service's log."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == name]

    def get(self, path: str) -> str:
        """What it says."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return str(answer.read().decode())


@contextmanager
def side(ground: Ground, command: Sequence[str], port: int, path: str, field: str) -> Iterator[Side]:
    """Start a service and wait until it is ready; it is ended after the block."""
    log = ground.folder / f"{port}.log"
    with log.open("w") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT)
    try:
        one = Side(psutil.Process(process.pid), port, path, field, log)
        ends = time.monotonic() + START
        while True:
            try:
                one.get("/readyz")
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > ends:
                    raise RuntimeError(log.read_text()) from error
                time.sleep(0.1)
        yield one
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def ours(ground: Ground, *options: str) -> object:
    """Our service."""
    port = free_port()
    command = [sys.executable, "-m", "wreckognize", "serve", str(ground.bundle), "--port", str(port), *options]
    return side(ground, command, port, "/v1/inspect", "photos")


def usual(ground: Ground, *options: str) -> object:
    """FastAPI calling the library."""
    port = free_port()
    program = [sys.executable, str(HERE / "service_peer.py")]
    command = [*program, str(ground.found.weights), str(ground.found.imgsz), str(port), *options]
    return side(ground, command, port, "/inspect", "photo")


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def good(outcomes: Sequence[Outcome]) -> np.ndarray:
    """Seconds of the requests that were answered with 200, which must be all."""
    statuses = Counter(one.status for one in outcomes)
    if set(statuses) != {200}:
        raise RuntimeError(f"not all requests were answered: {statuses}")
    return np.array([one.took for one in outcomes])


def rate(outcomes: Sequence[Outcome]) -> float:
    """Requests a second, without the first that find an idle service and the last that leave one."""
    ends = sorted(one.at + one.took for one in outcomes)
    cut = min(CLIENTS, len(ends) // 4)
    return (len(ends) - 2 * cut) / (ends[-cut - 1] - ends[cut - 1])


def none_of(name: str, found: int, unit: str, *, note: str) -> Row:
    """A row whose goal is that there is none."""
    return Row(name, "cpu", found, None, unit, float(found == 0), 1, found == 0, note)


def throughput_rows(ground: Ground) -> Iterator[Row]:
    """Throughput at 16 clients, and the answer times of half that load."""
    what, requests = ground.found.what, ground.count(1200)
    reached: dict[str, float] = {}
    for name, start in (
        ("ours", ours(ground)),
        ("peer", usual(ground)),
        ("loading", usual(ground, "--load-each-time")),
    ):
        with start as one:  # type: ignore[attr-defined]
            ground.plan(one, clients=CLIENTS, requests=ground.count(160, 32))  # warm
            outcomes = ground.plan(one, clients=CLIENTS, requests=requests if name != "loading" else requests // 4)
            good(outcomes)
            reached[name] = rate(outcomes)
            if name == "ours":
                single = good(ground.plan(one, clients=1, requests=ground.count(200, 20)))
                seconds, half = requests / reached[name], reached[name] / 2
                loaded = {
                    how: good(ground.plan(one, clients=CLIENTS, seconds=seconds, rate=half, even=how == EVENLY))
                    for how in (EVENLY, AT_RANDOM)
                }
    each = {name: 1000 / value for name, value in reached.items()}
    told = ", ".join(f"{name} {reached[key]:.1f}" for name, key in (("ours", "ours"), ("usual", "peer")))
    yield against(
        f"a photo at {CLIENTS} clients against FastAPI calling a loaded YOLO ({what})",
        each["ours"],
        each["peer"],
        "ms",
        3,
        note=f"requests/s: {told}",
    )
    yield against(
        f"a photo at {CLIENTS} clients against FastAPI calling YOLO(weights)(photo) ({what})",
        each["ours"],
        each["loading"],
        "ms",
        3,
        note=f"requests/s: usual {reached['loading']:.1f}",
    )
    alone = float(np.median(single)) * 1000
    for how, took in loaded.items():
        yield limit(
            f"p99 at half that load, {how}",
            float(np.percentile(took, 99)) * 1000,
            3 * alone,
            "ms",
            note=f"limit: 3 times a single photo's {alone:.0f} ms; median {np.median(took) * 1000:.0f} ms",
        )


def memory_rows(ground: Ground) -> Iterator[Row]:
    """Resident memory over 10,000 requests."""
    with ours(ground) as one:  # type: ignore[attr-defined]
        ground.plan(one, clients=CLIENTS, requests=ground.count(1000))
        sizes = [one.process.memory_info().rss]
        whole, parts = ground.count(10_000, 200), 20
        for _ in range(parts):
            good(ground.plan(one, clients=CLIENTS, requests=whole // parts))
            sizes.append(one.process.memory_info().rss)
    slope = float(np.polyfit(np.arange(len(sizes)) * whole / parts / 1000, np.array(sizes) / 2**20, 1)[0])
    yield limit(
        f"memory: slope over {whole:,} requests",
        max(slope, 0.01),
        FLAT,
        "MiB/1000",
        note=f"{sizes[0] / 2**20:.0f} MiB before, {sizes[-1] / 2**20:.0f} after; flat: at most {FLAT} for 1,000",
    )


def hostile_rows(ground: Ground) -> Iterator[Row]:
    """10,000 hostile requests, with an ordinary client beside them."""
    whole = ground.count(10_000, 300)
    with ours(ground) as one:  # type: ignore[attr-defined]
        calm = good(ground.plan(one, clients=1, requests=ground.count(300, 30)))
        hostile = subprocess.Popen(
            [sys.executable, HERE / "service_hostile.py", str(one.port), str(whole), str(ground.found.photos[0])],
            stdout=subprocess.PIPE,
            text=True,
        )
        beside: list[Outcome] = []
        while hostile.poll() is None:
            beside += ground.plan(one, clients=1, requests=20)
        told = json.loads(hostile.communicate()[0])
        one.get("/readyz")
        one.get("/healthz")
    statuses = {int(status): count for status, count in told["statuses"].items()}
    bad = sum(count for status, count in statuses.items() if status >= 500 and status != 503)
    beside_ms, calm_ms = (float(np.percentile(took, 99)) * 1000 for took in (good(beside), calm))
    yield none_of(
        f"{told['requests']:,} hostile requests: answers 5xx but 503",
        bad,
        "answers",
        note="statuses: "
        + ", ".join(f"{count:,} x {status or 'cut off'}" for status, count in sorted(statuses.items())),
    )
    yield limit(
        "p99 of good requests beside them",
        beside_ms,
        3 * calm_ms,
        "ms",
        note=f"limit: 3 times the {calm_ms:.0f} ms without them; {len(beside)} requests",
    )


def worker_rows(ground: Ground) -> Iterator[Row]:
    """A worker is killed under load."""
    with ours(ground, "--workers", "2") as one:  # type: ignore[attr-defined]
        while len(one.events("worker warm")) < 3:  # the spare one too
            time.sleep(0.1)
        ground.plan(one, clients=8, requests=80)
        time.sleep(5)  # a worker that dies young has the next one wait
        victim = one.events("worker ready")[0]["worker"]
        plan = [sys.executable, "-c", "import time; time.sleep(4)"]
        killer = subprocess.Popen(plan)
        killed: list[float] = []
        seconds = 25.0
        photos = [str(photo) for photo in ground.found.photos[:80]]
        load = subprocess.Popen(
            [sys.executable, HERE / "service_load.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert load.stdin is not None
        load.stdin.write(
            json.dumps(asdict(Plan(one.port, one.path, one.field, photos, clients=8, seconds=seconds)))
        )
        load.stdin.close()
        killer.wait()
        killed.append(time.time())
        os.kill(int(str(victim)), signal.SIGKILL)
        outcomes = [Outcome(**line) for line in json.loads(load.stdout.read())]  # type: ignore[union-attr]
        load.wait()
        back = one.events("worker ready")[2]["time"]
    from datetime import datetime

    taken = datetime.fromisoformat(str(back)).timestamp() - killed[0]
    statuses = Counter(line.status for line in outcomes)
    lost = sum(count for status, count in statuses.items() if status != 200)
    yield limit(
        "kill -9 of one of two workers under load: until two answer again",
        taken,
        5,
        "s",
        note=f"{len(outcomes)} requests in {seconds:.0f} s",
    )
    yield limit(
        "requests lost by it",
        max(lost, 1),
        8,
        "requests",
        note="limit: one for each of the 8 connections, those that were with the dead worker",
    )


SECTIONS: dict[str, Callable[[Ground], Iterator[Row]]] = {
    "throughput": throughput_rows,
    "hostile": hostile_rows,
    "worker": worker_rows,
    "memory": memory_rows,  # last: the one that does not ask for a quiet machine
}


def main() -> None:
    """Measure every row, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=SECTIONS, default=[], help="a section; may be repeated")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the requests to send")
    parser.add_argument("--bundle", type=Path, help="another bundle of the same weights, e.g. one in int8")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = material.find(folder)
        bundle = arguments.bundle or folder / "bundle"
        if arguments.bundle is None:
            make_bundle(bundle, to="openvino", weights=found.weights, imgsz=found.imgsz)
        ground = Ground(bundle, found, folder, arguments.scale)
        for section, measure in SECTIONS.items():
            if arguments.only and section not in arguments.only:
                continue
            for row in measure(ground):
                rows.append(row)
                print(table.line(row), row.note, flush=True)
    if not arguments.only and arguments.scale == 1 and arguments.bundle is None:
        table.write(rows, results=HERE / "results" / "service.json", page=HERE.parent / "docs" / "service.md")


if __name__ == "__main__":
    main()
