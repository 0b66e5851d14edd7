"""What this machine's processor can do that decides which engines and number formats are offered."""

from __future__ import annotations

import math
import os
import shutil
from functools import cache
from pathlib import Path

from wreckognize.home import import_onnxruntime

_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # x86 with AVX-512 or AMX; ARM
_INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})


SPINS = "10000"
"""How often a thread of torch's OpenMP (GNU's) looks whether the others are done before it lets go of its core.

The default, 300,000, is a millisecond. Where two processes share the cores, each then keeps waiting threads on cores
that the other one's work needs: two trainings side by side took three times as long as one after the other, with a tiny
network twenty times. A quarter of this makes two side by side a tenth faster still, and costs who is alone a tenth, as
waking a thread takes longer than many a wait; most who train are alone: ``docs/performance.md`` has the figures.
"""


def let_cores_go() -> dict[str, str]:
    """Environment variables that have waiting threads let go of their cores; to be set before torch is imported.

    None where the user chose how threads wait (``OMP_WAIT_POLICY``, ``GOMP_SPINCOUNT``).
    """
    chosen = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys()
    return {} if chosen else {"GOMP_SPINCOUNT": SPINS}


def cpu_threads() -> int:
    """Cores that this process may use; a container's limit counts, for more threads would only be made to wait."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([found, *_container_cores()])


def _container_cores(folder: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Cores, rounded up, that a container's cgroup (version 2, or 1 for cpu) allows; none where there is no limit."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = " ".join((folder / name).read_text(encoding="ascii") for name in names).split()
            quota, period = map(int, words)
        except (OSError, ValueError):  # no such file, or "max"
            continue
        return [max(1, math.ceil(quota / period))] if quota > 0 and period > 0 else []
    return []


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16; one that cannot would only imitate it, more slowly than float32."""
    return bool(_flags() & _BFLOAT16_FLAGS)


def sees_gpu() -> bool:
    """Whether a driver for GPUs of NVIDIA is loaded (Linux); torch itself is not asked, for that takes seconds."""
    return Path("/dev/nvidiactl").exists()


def tensorrt_here() -> bool:
    """Whether an ONNX Runtime is installed that was built with TensorRT; imports it."""
    try:
        runtime = import_onnxruntime()
    except ImportError:
        return False
    return "TensorrtExecutionProvider" in runtime.get_available_providers()


def has_int8() -> bool:
    """Whether the processor has dot products of int8; without them int8 gains little."""
    return bool(_flags() & _INT8_FLAGS)


@cache
def _flags(file: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Feature flags of the first processor as Linux lists them; none on other systems."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def memory_available() -> int:
    """Bytes of memory that may be taken without driving others out; a container's limit counts. 0 if not known."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return 0
    found = next(
        (int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:")), 0
    )
    return min([found, *_container_room()])


def _container_room(folder: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """What a container's limit leaves, as its cgroup (version 2, or 1 for memory) says; none where there is no limit.

    Pages of files that it holds are counted as free: they are given up when room is wanted.
    """
    for limit, used, stat, cached in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ):
        try:
            most, taken = (int((folder / name).read_text(encoding="ascii")) for name in (limit, used))
            lines = (folder / stat).read_text(encoding="ascii").splitlines()
        except (OSError, ValueError):  # no such file, or "max"
            continue
        pages = next((int(line.split()[1]) for line in lines if line.startswith(f"{cached} ")), 0)
        return [max(most - taken + pages, 0)]
    return []


def disk_free(folder: Path) -> int:
    """Bytes that may be written on the disk of ``folder``."""
    return shutil.disk_usage(folder).free
