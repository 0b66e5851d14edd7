"""What this machine, this installation and a study still lack, and what to do about it.

Looks only: nothing is written, and neither torch nor a GPU is woken.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from wreckognize.errors import Problem, StorageError, StudyError, WeightsError
from wreckognize.settings import ScaleSettings, SourceBase, SystemSettings, TeacherSettings
from wreckognize.study import STARTER, Study, is_random, resolve_weights
from wreckognize.study.engines import EXPORT_MODULES, INSTALL
from wreckognize.study.paths import count_files, matches
from wreckognize.study.weights import needs_trust, starter_path
from wreckognize.urls import url_of
from wreckognize.weightfiles import is_graph

_PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".heic", ".heif")
_COUNTED = 100_000  # files in a folder; what lies beyond is not worth the wait
_GIB = 2**30
_NETWORK_MB = {"n": 7, "s": 23, "m": 52, "l": 88, "x": 137}  # yolov8 checkpoints, half precision
_CHECKPOINTS = 6  # times a network's size: last and best with optimizer and averages, and the best exported
_TEACHER = "teacher"
_PHOTO_BYTES = 20_000  # a photo in the run's folder: features, boxes, links


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's report.

    Attributes:
        name: what was looked at.
        ok: ``True``, ``False`` (nothing will run before it is put right), ``None`` (works, but worth knowing).
        found: what is there.
        remedy: what to do; empty if nothing need be done.
    """

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


_ENGINES = {
    name: "not installed: `engine: torch` only, or without int8" for name in EXPORT_MODULES if name != "onnx"
}
"""Packages of the extra ``[export]`` that run networks, and what is not to be had without them."""


def diagnose(study: Path | None = None, trust: Sequence[str] = (), overrides: Sequence[str] = ()) -> list[Check]:
    """Look at the machine and the installation, and at a study if one is named."""
    checks = [
        python_check(tuple(sys.version_info[:3])),
        package_check("torch", ("torch",)),
        package_check("ultralytics", ("ultralytics-opencv-headless", "ultralytics")),
        *(optional_check(name, lacks, INSTALL) for name, lacks in _ENGINES.items()),
        optional_check("optuna", "not installed: no `wreckognize search`", 'pip install "wreckognize[search]"'),
        optional_check(
            "ray", "not installed: one machine only, no photos by URL", 'pip install "wreckognize[ray]"'
        ),
        optional_check("fastapi", "not installed: no `wreckognize serve`", 'pip install "wreckognize[serve]"'),
        starter_check(starter_path()),
        gpu_check(),
        Check("cores", True, str(_cores())),
        memory_check(_memory_bytes()),
    ]
    if study is None:
        return [*checks, disk_check(Path.cwd(), needed=_GIB)]
    return [*checks, *study_checks(study, trust, overrides)]


def python_check(version: tuple[int, ...]) -> Check:
    """Python is 3.11 or later."""
    found = ".".join(str(part) for part in version[:3])
    ok = version[:2] >= (3, 11)
    return Check("Python", ok, f"{found} on {platform.machine()}", "" if ok else "install Python 3.11 or later")


def package_check(name: str, distributions: Sequence[str]) -> Check:
    """A package of the extra ``[yolo]`` is installed, under any of the names it is distributed by."""
    for distribution in distributions:
        try:
            return Check(name, True, metadata.version(distribution))
        except metadata.PackageNotFoundError:
            continue
    return Check(name, False, "not installed", 'pip install "wreckognize[yolo]"')


def optional_check(name: str, lacks: str, remedy: str) -> Check:
    """A package that nothing needs unless a study or a command asks for it."""
    try:
        return Check(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Check(name, None, lacks, remedy)


def starter_check(path: Path) -> Check:
    """The detector that ships with the package is there."""
    try:
        size = Path(resolve_weights(str(path), path.parent)).stat().st_size
    except WeightsError as error:
        return Check("starter", None, error.what, "the demo needs it: install the package again")
    return Check("starter", True, f"{size / 1e6:.1f} MB")


def gpu_check(command: str = "nvidia-smi") -> Check:
    """The GPUs that the driver shows."""
    program = shutil.which(command)
    cpu = "training will use the CPU: choose small weights (yolov8n), imgsz 320 and few epochs"
    if program is None:
        return Check("GPU", None, "none (no nvidia-smi)", cpu)
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Check("GPU", None, f"nvidia-smi failed ({error})", f"check the driver; {cpu}")
    found = [line.strip() for line in answer.splitlines() if line.strip()]
    return Check("GPU", True, "; ".join(found)) if found else Check("GPU", None, "none", cpu)


def memory_check(size: int | None) -> Check:
    """Enough memory to train; ``size`` in bytes, ``None`` if the system does not say."""
    if size is None:
        return Check("memory", None, "unknown")
    enough = size >= 4 * _GIB
    remedy = "" if enough else "training wants 4 GiB or more: choose small weights and a small batch"
    return Check("memory", True if enough else None, f"{size / _GIB:.1f} GiB", remedy)


def disk_check(folder: Path, needed: int) -> Check:
    """Free space in the folder that a run's folder is made in; ``needed`` in bytes, roughly."""
    free = shutil.disk_usage(folder).free
    found = f"{free / _GIB:.1f} GiB free, about {needed / _GIB:.1f} GiB wanted ({folder})"
    return Check("disk", True, found) if free >= needed else Check("disk", False, found, "free some, or use --out")


def study_checks(path: Path, trust: Sequence[str] = (), overrides: Sequence[str] = ()) -> list[Check]:
    """A study's problems one by one; or, if it has none, its sources, its weights and the disk it wants."""
    try:
        study = Study.load(path, overrides=overrides, trust=trust)
    except StudyError as error:
        return _problem_checks(error.problems)
    photos = {source.name: _photo_count(source) for source in study.sources}
    return [
        Check("study", True, f"{study.study}: {len(study.sources)} sources, {len(study.systems)} systems"),
        *(_source_check(source, photos[source.name]) for source in study.sources if not _urls(source)),
        *(storage_check(source, study.scale) for source in study.sources if _urls(source)),
        *(_weights_check(name, weights) for name, weights in _weights(study)),
        disk_check(Path.cwd(), needed=_disk_needed(study.systems, sum(photos.values()))),
    ]


def _problem_checks(problems: Sequence[Problem]) -> list[Check]:
    """One check for each thing at fault; what several keys lack alike is said once, with all who need it."""
    alike: dict[tuple[str, ...], list[Problem]] = {}
    for problem in problems:
        last = problem.key.rpartition(".")[2]
        alike.setdefault((last, problem.found, problem.expected, problem.remedy), []).append(problem)
    return [_problem_check(same) for same in alike.values()]


def _problem_check(same: Sequence[Problem]) -> Check:
    first, *others = same
    found = f"{first.found}; expected {first.expected}"
    if not others:
        return Check(first.key or "study", False, f"{first.file}: {found}", first.remedy)
    who = ", ".join(f"{problem.key.rpartition('.')[0]} ({problem.file})" for problem in same)
    return Check(first.key.rpartition(".")[2], False, f"{found}; needed by {who}", first.remedy)


def _source_check(source: SourceBase, photos: int) -> Check:
    name = f"source {source.name}"
    more = " or more" if photos >= _COUNTED else ""
    found = f"{photos:,}{more} photo files, {source.role}"
    return (
        Check(name, True, found) if photos else Check(name, False, found, "put photos there, or correct the path")
    )


def _urls(source: SourceBase) -> list[str]:
    return [url for path in source.images if (url := url_of(path)) is not None]


def storage_check(source: SourceBase, scale: ScaleSettings) -> Check:
    """Whether something lies below a source's URLs, and may be read; the storage is asked once for each."""
    from wreckognize.scale.storage import Storage

    name, storage = f"source {source.name}", Storage(scale.storage)
    try:
        empty = [url for url in _urls(source) if not storage.exists(url)]
    except StorageError as error:
        return Check(name, False, f"{error.where}: {error.what}", error.remedy)
    if empty:
        return Check(
            name, False, f"nothing lies there: {', '.join(empty)}", "correct the URL, or upload the photos"
        )
    return Check(name, True, f"{', '.join(_urls(source))}: answers, not counted; {source.role}")


def _photo_count(source: SourceBase) -> int:
    folders = [match for path in source.images for match in matches(path)]
    counts = (count_files(path, _PHOTO_SUFFIXES, _COUNTED) if path.is_dir() else 1 for path in folders)
    return min(sum(counts), _COUNTED)


def _weights(study: Study) -> list[tuple[str, str]]:
    """Who uses which weights: the teachers that are asked, then the systems."""
    asked = [system.teacher for system in study.systems if system.trained]
    teachers = dict.fromkeys(teacher.weights for teacher in asked if isinstance(teacher, TeacherSettings))
    users = [(_TEACHER, weights) for weights in teachers]
    return users + [(system.name, system.weights) for system in study.systems]


def _weights_check(name: str, weights: str) -> Check:
    label = f"weights of {name}"
    if is_random(weights):
        remedy = "it knows nothing before training; give a .pt file for figures that mean something"
        return Check(label, None, f"{weights}: random weights", remedy)
    if weights == STARTER:
        return Check(label, None, "starter", "a tiny detector trained on drawn cars: for a first try only")
    if needs_trust(Path(weights)):
        return Check(label, None, f"{weights}: more than data, opened because you trust it", "prefer .safetensors")
    found = f"{weights} ({_megabytes(weights):.1f} MB)"
    if is_graph(weights) and name == _TEACHER:
        return Check(label, None, found, "it gives no embeddings to compare photos by; see docs/weights.md")
    return Check(label, True, found)


def _megabytes(weights: str) -> float:
    """Of the weights of a study that was loaded, so that they are there."""
    if is_random(weights):
        return float(_NETWORK_MB[weights[len("yolov8")]])
    return (starter_path() if weights == STARTER else Path(weights)).stat().st_size / 1e6


def _disk_needed(systems: Sequence[SystemSettings], photos: int) -> int:
    """Bytes, roughly."""
    networks = sum(_megabytes(system.weights) for system in systems if system.trained)
    return int(networks * 1e6 * _CHECKPOINTS) + photos * _PHOTO_BYTES * len(systems)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # no such question on this system
        return None
