"""Rows of the benchmark table, and how they are timed.

A row is a ratio, usual way / ours, both sides measured in one run and in turn: an absolute time on a shared machine
says little. Where the goal is a limit there is no peer: the ratio is limit / ours and the goal 1.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "latest.json"
PAGE = HERE.parent / "docs" / "performance.md"
NO_GPU = "run it where there is a GPU"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
PACKAGES = (
    "torch",
    "ultralytics-opencv-headless",
    "openvino",
    "onnxruntime",
    "hotcoco",
    "pycocotools",
    "polars",
    "numpy",
    "fastapi",
    "uvicorn",
)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what was done, on what.
        device: it ran on.
        ours: in ``unit``; None where not measured.
        peer: the usual way, in ``unit``; None where the goal is a limit or nothing was measured.
        unit: of both.
        ratio: peer / ours, or limit / ours; None where not measured.
        goal: the least ratio wanted; None where the row is for information.
        met: whether it was reached; None where not measured, or for information.
        note: what to know before quoting it.
    """

    name: str
    device: str
    ours: float | None
    peer: float | None
    unit: str
    ratio: float | None
    goal: float | None
    met: bool | None
    note: str = ""


def against(
    name: str, ours: float, peer: float, unit: str, goal: float | None, *, device: str = "cpu", note: str = ""
) -> Row:
    """A row of two sides."""
    ratio = peer / ours
    return Row(name, device, ours, peer, unit, ratio, goal, None if goal is None else ratio >= goal, note)


def limit(name: str, ours: float, most: float, unit: str, *, device: str = "cpu", note: str = "") -> Row:
    """A row whose goal is a limit."""
    ratio = most / max(ours, 1e-9)
    return Row(name, device, ours, None, unit, ratio, 1, ratio >= 1, note)


def not_measured(name: str, device: str, unit: str, goal: float | None, why: str) -> Row:
    """A row that could not be measured here."""
    return Row(name, device, None, None, unit, None, goal, None, why)


def gpu() -> str | None:
    """The GPU that is measured; None where torch sees none."""
    import torch

    return "cuda:0" if torch.cuda.is_available() else None


def seconds(*works: Callable[[], object], repeats: int = 3, warm_up: bool = True) -> list[float]:
    """Median time of each, taken in turn so that a drifting machine meets all of them alike."""
    if warm_up:
        for work in works:
            work()
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for taken, work in zip(times, works, strict=True):
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in times]


def verdict(row: Row) -> str:
    """In a word."""
    if row.ratio is None:
        return "not measured"
    return {None: "", True: "met", False: "short"}[row.met]


def line(row: Row) -> str:
    """A row as text."""
    ours, peer, ratio = (_number(value) for value in (row.ours, row.peer, row.ratio))
    goal = "-" if row.goal is None else f"{row.goal:g}x"
    told = f"{row.name:<66} {row.device:<5} ours {ours:>8}  usual {peer:>8} {row.unit:<10} {ratio:>7}x  goal {goal:<6} "
    return told + verdict(row)


def machine() -> str:
    """Processor and cores, without names of hosts."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next(
        (text.split(":", 1)[1].strip() for text in lines if text.startswith("model name")), platform.machine()
    )
    flags = next((text.split(":", 1)[1].split() for text in lines if text.startswith("flags")), [])
    has = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16") if flag in flags]
    used = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    told = f"{model}, {used} of {os.cpu_count()} cores, {' '.join(has)}"
    if gpu():
        import torch

        told += f"; {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    return told


def write(rows: Sequence[Row], *, results: Path = RESULTS, page: Path = PAGE) -> None:
    """Write the results as JSON, and the table into its place on the page."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    found = {
        "commit": commit,
        "machine": machine(),
        "versions": _versions(),
        "rows": [asdict(row) for row in rows],
    }
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(found, indent=1) + "\n")
    text = page.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    versions = ", ".join(f"{name} {number}" for name, number in _versions().items())
    page.write_text(f"{before}{BEGIN}\n{machine()}; {versions}.\n\n{table(rows)}\n{END}{after}")


def table(rows: Iterable[Row]) -> str:
    """Rows in Markdown."""
    lines = [
        "| what | device | ours | usual way | unit | ratio | goal | |",
        "|---|---|---:|---:|---|---:|---:|---|",
    ]
    for row in rows:
        goal = "–" if row.goal is None else f"{row.goal:g}"
        numbers = [_number(value).replace("-", "–") for value in (row.ours, row.peer)]
        ratio = "–" if row.ratio is None else f"{_number(row.ratio)}×"
        said = verdict(row) + (f" ({row.note})" if row.note else "")
        lines.append(
            f"| {row.name} | {row.device} | {numbers[0]} | {numbers[1]} | {row.unit} | {ratio} | {goal} | {said} |"
        )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
