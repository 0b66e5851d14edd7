"""Sources are only read: not a byte, name, size or time of theirs changes, whatever command is given.

The list of commands comes from the command line itself, so that a new one without a case here fails. The mount of the
sources is read-only in `test_disk_full.py`.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from chaos.room import call
from chaos.subject import ready_made, seal, sealed, stages

from wreckognize.cli.app import app
from wreckognize.training import fine_tune as training


@dataclass
class Desk:
    """A study with its sources, a copy of its finished run, and a way to give commands that are watched."""

    study: Path
    run: Path
    before: dict[str, dict[str, tuple]]
    steps: Path

    def give(self, *arguments: str | Path, codes: tuple[int, ...] = (0,)) -> str:
        """Give a command, and make sure that it did its work and left the sources as they were."""
        code, said = call([str(one) for one in arguments])
        assert code in codes, said
        self.require_untouched()
        return said

    def require_untouched(self) -> None:
        now = sealed(self.study)
        assert now.keys() == self.before.keys()
        for name, before in self.before.items():
            assert now[name] == before

    @property
    def system(self) -> Path:
        return self.run / "systems" / "ver6"

    @property
    def photos(self) -> Path:
        return self.study.parent / "normal"


@pytest.fixture(scope="module")
def desk(subject, tmp_path_factory):
    root = tmp_path_factory.mktemp("desk")
    run = shutil.copytree(subject.calm, root / "run", symlinks=True)
    return Desk(subject.study, run, subject.sources, root / "steps")


@pytest.fixture
def trained_at_once(desk, monkeypatch):
    """Trainings after the first one lay out their photos as always, and then take the weights that are there."""
    monkeypatch.setattr(training, "fine_tune", ready_made(desk.system))


def run(desk: Desk, folder: Path) -> None:
    """The undisturbed run, a real training among it, was watched from before its start."""
    assert stages(desk.run)
    desk.require_untouched()


def step(name: str, *further: str) -> Callable[[Desk, Path], None]:
    """A step on the way of another run; what comes before it is done where it is not yet."""

    def taken(desk: Desk, folder: Path) -> None:
        desk.give(name, desk.study, "--out", desk.steps, *further)

    return taken


def init(desk: Desk, folder: Path) -> None:
    desk.give("init", folder / "new.yaml")


def doctor(desk: Desk, folder: Path) -> None:
    desk.give("doctor", desk.study)


def verify(desk: Desk, folder: Path) -> None:
    desk.give("verify", desk.run, codes=(0, 1))  # 1: other cases have worked in the folder


def predict(desk: Desk, folder: Path) -> None:
    desk.give("predict", desk.system, desk.photos, "--out", folder / "found.csv")
    desk.give("predict", desk.system, desk.photos, "--engine", "onnxruntime", "--out", folder / "found.jsonl")


def export(desk: Desk, folder: Path) -> None:
    desk.give("export", desk.system, "--to", "onnx", "--force", "--out", folder / "bundle")


def review_export(desk: Desk, folder: Path) -> None:
    for tool in ("label-studio", "coco", "yolo"):
        desk.give("review", "export", desk.study, "--to", tool, "--out", desk.run, "--into", folder / tool)


def review_import(desk: Desk, folder: Path) -> None:
    desk.give("review", "export", desk.study, "--to", "coco", "--out", desk.run, "--into", folder / "out")
    answers = folder / "out" / "instances.json"
    desk.give("review", "import", desk.study, answers, "--reviewer", "anna", "--looked-at", "2", "--out", desk.run)
    for file in desk.study.parent.glob("reviews*"):
        file.unlink()  # the next case has none


def audit(desk: Desk, folder: Path) -> None:
    desk.give("audit", desk.study, "--folds", "2", "--epochs", "1", "--out", desk.run)


def search(desk: Desk, folder: Path) -> None:
    space = "search={system: ver6, space: {train.lr0: {low: 1.0e-5, high: 1.0e-2}}}"
    desk.give("search", desk.study, "--trials", "1", "--out", desk.run, "--set", space)


def demo(desk: Desk, folder: Path) -> None:
    """Its photos go beside its run: where somebody's photos lie there, it refuses."""
    mine = shutil.copytree(desk.photos, folder / "mine-photos")
    kept = seal(mine)
    assert "files that the demo did not make" in desk.give("demo", "--out", folder / "mine", codes=(2,))
    assert seal(mine) == kept


def serve(desk: Desk, folder: Path) -> None:
    export(desk, folder)
    photo = next(desk.photos.iterdir())
    command = [sys.executable, "-m", "wreckognize", "serve", str(folder / "bundle"), "--port", "0", "--drain", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as service:
        try:
            request = urllib.request.Request(
                f"{_url_of(service)}/v1/inspect", data=photo.read_bytes(), headers={"Content-Type": "image/jpeg"}
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert answer.status == 200
        finally:
            service.send_signal(signal.SIGTERM)
            try:
                service.wait(60)
            except subprocess.TimeoutExpired:
                service.kill()
    desk.require_untouched()


def _url_of(service: subprocess.Popen[bytes]) -> str:
    """Where a service listens, once it answers."""
    os.set_blocking(service.stdout.fileno(), False)
    said, until = b"", time.monotonic() + 90
    while time.monotonic() < until and service.poll() is None:
        said += service.stdout.read() or b""
        found = re.search(rb'"url":"(http://[^"]+)"', said)
        if found is not None:
            url = found[1].decode()
            with suppress(OSError), urllib.request.urlopen(f"{url}/healthz", timeout=5):  # else it is not up yet
                return url
        time.sleep(0.1)
    raise AssertionError(f"the service did not come up: {said.decode()}")


def serve_key(desk: Desk, folder: Path) -> None:
    desk.give("serve-key", "portal", "--file", folder / "keys.txt")


def fetch_weights(desk: Desk, folder: Path) -> None:
    """Bytes that are not the published ones are refused, and leave nothing even in a folder of photos."""
    desk.give("fetch", "weights", "yolov8n", "--from", folder / "missing.pt", "--to", desk.photos, codes=(1, 2))
    desk.give(
        "fetch", "weights", "yolov8n", "--from", next(desk.photos.iterdir()), "--to", desk.photos, codes=(1, 2)
    )


CASES: dict[str, Callable[[Desk, Path], None]] = {
    "run": run,
    "collect": step("collect"),
    "split": step("split"),
    "label": step("label"),
    "train": step("train"),
    "evaluate": step("evaluate", "--only", "baseline"),
    "report": step("report", "--only", "baseline"),
    "init": init,
    "doctor": doctor,
    "predict": predict,
    "export": export,
    "verify": verify,
    "review export": review_export,
    "review import": review_import,
    "audit": audit,
    "search": search,
    "demo": demo,
    "serve": serve,
    "serve-key": serve_key,
    "fetch weights": fetch_weights,
}


def commands() -> list[str]:
    """Every command, from the command line itself."""

    def walk(command: object, name: tuple[str, ...]) -> list[str]:
        below = getattr(command, "commands", None)
        if not below:
            return [" ".join(name)]
        return [leaf for key, one in below.items() for leaf in walk(one, (*name, key))]

    return walk(typer.main.get_command(app), ())


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_a_command_only_reads_the_sources(command, desk, trained_at_once, tmp_path, monkeypatch):
    assert command in CASES, "a new command: give it a case here"
    monkeypatch.chdir(tmp_path)
    CASES[command](desk, tmp_path)
