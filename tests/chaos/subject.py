"""A study to be disturbed: how it is run as a user runs it, and what must be the same at its end."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from studies import write_study

from wreckognize.files import atomic_write

HOOK = Path(__file__).with_name("hook")
EPOCHS = 3
RUN_SECONDS = 300.0
"""A run that takes longer than this hangs."""
ORPHAN_SECONDS = 20.0

_SAME = (
    "catalog/*.parquet",
    "catalog/*.json",
    "quarantine.csv",
    "split.parquet",
    "validation.parquet",
    "teacher/*.parquet",
    "systems/*/labels.parquet",
    "systems/*/photos.parquet",
    "systems/*/weights/best.safetensors",
    "systems/*/predictions/*.parquet",
    "systems/*/shortcuts/*.parquet",
    "report/decisions.csv",
)
"""What a run that was disturbed leaves byte for byte as an undisturbed one does."""


@dataclass(frozen=True)
class Stage:
    """A finished stage as ``state.json`` has it."""

    name: str
    finished: str
    seconds: float
    fingerprint: str


@dataclass(frozen=True)
class Subject:
    """A study on disk, the folder of its undisturbed run, and its sources as they were before that run."""

    study: Path
    calm: Path
    sources: dict[str, dict[str, tuple]]

    @property
    def digests(self) -> dict[str, str]:
        """What the undisturbed run left."""
        return digests(self.calm)

    @property
    def order(self) -> list[Stage]:
        """Its stages in the order in which they were done."""
        return stages(self.calm)


def tiny_network(file: Path) -> Path:
    """The weights that the tests use: a real architecture of an eighth of the smallest one's width, drawn at random."""
    from wreckognize.detectors.ultralytics import build_model, import_library, save_network

    import_library()
    import torch
    from ultralytics.nn.tasks import yaml_model_load

    architecture = yaml_model_load("yolov8n.yaml")
    architecture["scales"] = {"t": [0.33, 0.0625, 1024]}
    architecture["scale"] = "t"
    architecture["nc"] = 1
    torch.manual_seed(3)
    model = build_model(architecture, 1)
    model.names = {0: "vehicle"}
    save_network(model, file, imgsz=64, trained_on="nothing: random weights")
    return file


def write_subject(folder: Path, weights: Path, *, epochs: int = EPOCHS) -> Path:
    """The tiny study, with a training of several epochs; its file."""
    file = write_study(folder, weights)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("epochs: 1\n", f"epochs: {epochs}\n"), encoding="utf-8")
    return file


def make_subject(folder: Path, weights: Path, *, epochs: int = EPOCHS) -> Subject:
    """Write the study and run it once, undisturbed."""
    study = write_subject(folder / "study", weights, epochs=epochs)
    sources = sealed(study)
    done = finish(study, folder / "calm")
    assert done.returncode == 0, done.stderr
    return Subject(study, folder / "calm", sources)


def command(study: Path, out: Path) -> list[str]:
    """The run as a user starts it."""
    return [sys.executable, "-m", "wreckognize", "run", str(study), "--out", str(out)]


def start(
    study: Path, out: Path, *, log: Path, hooked: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a run in a process group of its own; what it says goes to ``log``."""
    environment = dict(os.environ)
    if hooked is not None:
        paths = [str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "CHAOS_ROOT": str(out), **hooked}
    with log.open("ab") as said:
        return subprocess.Popen(
            command(study, out), stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
            env=environment,
        )  # fmt: skip


def finish(study: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(command(study, out), capture_output=True, text=True, timeout=RUN_SECONDS)


def ready_made(system: Path) -> Callable[..., None]:
    """Stands in for `fine_tune`, once photos are laid out: takes the weights of a system that was trained."""

    def fine_tune(weights: str, layout: object, settings: object, folder: Path, **_: object) -> None:
        for name in ("weights/best.safetensors", "weights/model.json", "training/work/results.csv"):
            atomic_write(folder.parent / name, (system / name).read_bytes())
        atomic_write(folder / "result.json", (system / "training" / "result.json").read_bytes())

    return fine_tune


def digests(run: Path) -> dict[str, str]:
    """sha256 of every file that must be the same, by its name in the run's folder."""
    files = (file for pattern in _SAME for file in run.glob(pattern))
    return {file.relative_to(run).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def sealed(study: Path) -> dict[str, dict[str, tuple]]:
    """The sources, annotations and weights of a study; not its own folder, where reviews may come to lie."""
    folders = {name: seal(study.parent / name) for name in ("aihub", "normal", "coco")}
    weights = {path.name: seal(path) for path in study.parent.glob("*.safetensors")}
    return folders | weights


def seal(folder: Path) -> dict[str, tuple]:
    """All that can be said of what lies below a folder: bytes, size, mode, links, times of change of files and folders.

    The time of change of an inode (ctime) shows even what was put back afterwards.
    """
    found = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        status = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        times = (status.st_mtime_ns, status.st_ctime_ns)
        found[str(path.relative_to(folder))] = (digest, status.st_size, status.st_mode, status.st_nlink, *times)
    return found


def stages(run: Path) -> list[Stage]:
    """The stages that a run's folder has a record of; none while there is no record, or it is damaged."""
    try:
        found: dict[str, Any] = json.loads((run / "state.json").read_bytes())["stages"]
    except (FileNotFoundError, ValueError):
        return []
    return [Stage(name, one["finished"], one["seconds"], one["fingerprint"]) for name, one in found.items()]


def epochs_done(run: Path) -> int:
    """How many epochs of the training were done, as its child told."""
    events = run / "systems" / "ver6" / "training" / "events.jsonl"
    lines = events.read_bytes().splitlines() if events.exists() else []
    return len({line for line in (_epoch_of(line) for line in lines) if line})


def _epoch_of(line: bytes) -> int:
    try:
        event = json.loads(line)
    except ValueError:  # torn
        return 0
    return int(event["epoch"]) if event["event"] == "epoch" else 0


def leftovers(run: Path) -> list[str]:
    """Files that are still being written, as their names say."""
    return [path.relative_to(run).as_posix() for path in run.rglob("*.part")]


def workers(run: Path) -> Iterator[psutil.Process]:
    """Processes that hold a file of the run or work in its folder."""
    for process in psutil.process_iter():
        try:
            places = [process.cwd(), *process.cmdline(), *(file.path for file in process.open_files())]
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if process.pid != os.getpid() and any(str(run) in place for place in places):
            yield process


def orphans(run: Path, *, patience: float = ORPHAN_SECONDS) -> list[psutil.Process]:
    """Processes of a run that has ended which are still there after a while."""
    until = time.monotonic() + patience
    while left := list(workers(run)):
        if time.monotonic() > until:
            return left
        time.sleep(0.1)
    return []
