"""No surprise network: with no network the whole study runs, and nothing so much as looks up a name.

Every command here runs in a plain process (`watching`), because NNCF and others are quiet where they see pytest or CI.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from studies import write_study

from watching import python, watched, watchers

LONG = "WRECKOGNIZE_QUIET_LONG"


def tidy(folder: Path) -> None:
    """What the commands leave for a moment is gone."""
    assert [path.name for path in (folder / "tmp").iterdir()] == []


@pytest.mark.parametrize(
    ("program", "sign"),
    [
        ("import socket; socket.socket().connect_ex(('127.0.0.1', 9))", "socket.connect"),
        ("import socket\ntry: socket.getaddrinfo('example.org', 80)\nexcept OSError: pass", "socket.getaddrinfo"),
        ("import subprocess, sys; subprocess.run([sys.executable, '-m', 'pip', '--version'])", "subprocess.Popen"),
        ("import pathlib; pathlib.Path.home().joinpath('.settings').touch()", ".settings"),
        (
            "import subprocess, sys\n"
            "call = 'import socket; socket.socket(2, 2).sendto(bytes(1), (\"127.0.0.1\", 9))'\n"
            "subprocess.run([sys.executable, '-c', call])",
            "socket.sendto",
        ),
    ],
)
def test_the_watch_sees_what_it_is_for(tmp_path, program, sign):
    """Else silence would prove nothing; a child of a child is seen, too."""
    seen = watched(tmp_path, *python(program))
    assert sign in seen.calls + " ".join(seen.home)
    with pytest.raises(AssertionError):
        seen.require_quiet()


def test_the_watch_from_outside_sees_a_process_that_escapes_the_hook(tmp_path):
    program = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    seen = watched(tmp_path, sys.executable, "-I", "-S", "-c", program)
    if seen.outside is None:
        pytest.skip("strace is not there, or may not be used")
    assert seen.calls == ""
    assert any("connect" in line for line in seen.outside)


def test_a_plot_alone_writes_nothing_into_the_home_folder(tmp_path):
    """Where only the report is made anew, nothing else has fenced matplotlib."""
    program = """
import numpy as np
from wreckognize.reporting.plots import Line, Plot, to_svg
line = Line("a", np.arange(3.0), np.arange(3.0), 0)
assert "<svg" in to_svg(Plot("p", "title", "caption", "x", "y", (line,)))
"""
    seen = watched(tmp_path, *python(program))
    seen.require_quiet()
    tidy(tmp_path)


@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="ONNX Runtime is not installed")
def test_onnx_runtime_as_it_is_imported_here_keeps_to_itself(tmp_path):
    """It reports from compiled code, a moment after it was loaded, so only the watch from outside would see that."""
    program = "from wreckognize.home import import_onnxruntime\nimport time\n"
    seen = watched(tmp_path, *python(program + "import_onnxruntime().get_available_providers()\ntime.sleep(1)"))
    seen.require_quiet()
    tidy(tmp_path)


EXPORT = all(find_spec(name) for name in ("openvino", "onnxruntime", "nncf", "onnx"))


def study(folder: Path, weights: Path, *, every_engine: bool) -> Path:
    """Torch teaches and trains (with loader workers), ONNX Runtime and OpenVINO in int8 (NNCF) look."""
    common = {"recipe": "baseline", "weights": weights.name}
    systems = {
        "baseline": {**common, "predict": {"imgsz": 64, **({"engine": "onnxruntime"} if EXPORT else {})}},
        "ver6": {
            "recipe": "ver6",
            "weights": weights.name,
            "train": {"imgsz": 64, "epochs": 1, "batch": 4, "device": "cpu", "workers": 2},
            "predict": {"engine": "openvino", "precision": "int8"} if EXPORT else {},
        },
    }
    for engine in ("torch", "openvino") if EXPORT and every_engine else ():
        systems[engine] = {**common, "predict": {"imgsz": 64, "engine": engine}}
    return write_study(
        folder,
        weights,
        teacher={"weights": weights.name, "imgsz": 64},
        systems=systems,
        search={"system": "ver6", "trials": 1, "space": {"train.lr0": [1e-3, 1e-2]}},
        evidence={"shortcuts": False},
    )


@pytest.mark.slow
def test_a_whole_study_runs_without_a_network_and_without_a_word(tmp_path, tiny_weights):
    """Collect, teach, train in a child, predict with ONNX Runtime and in int8 with OpenVINO, report."""
    file = study(tmp_path / "study", tiny_weights, every_engine=False)
    seen = watched(tmp_path, sys.executable, "-m", "wreckognize", "run", str(file), "--out", "run")
    seen.require_quiet()
    tidy(tmp_path)
    assert any(line.endswith("training/job.json") for line in seen.pythons), (
        seen.pythons,
        watchers(),
    )  # the training child
    comparison = json.loads((tmp_path / "run" / "report" / "comparison.json").read_text())
    assert len(comparison["systems"]) >= 2


def served(folder: Path, bundle: str) -> None:
    """The service, from its start to its end a minute later. Nobody can ask it anything: it has no loopback."""
    words = ["serve", bundle, "--host", "0.0.0.0", "--port", "0", "--drain", "0"]
    seen = watched(
        folder, "timeout", "--preserve-status", "-s", "TERM", "60", sys.executable, "-m", "wreckognize", *words
    )
    seen.require_quiet()
    tidy(folder)
    assert '"event": "stopped"' in seen.output


@pytest.mark.slow
@pytest.mark.skipif(LONG not in os.environ, reason=f"the other commands: `make quiet`, or set {LONG}")
def test_the_other_commands_are_as_quiet(tmp_path, tiny_weights):
    file = study(tmp_path / "study", tiny_weights, every_engine=True)

    def command(*words: str) -> str:
        seen = watched(tmp_path, sys.executable, "-m", "wreckognize", *words)
        seen.require_quiet()
        tidy(tmp_path)
        return seen.output

    command("doctor", str(file))
    command("run", str(file), "--out", "run")
    command("predict", "run/systems/ver6", "study/normal", "--engine", "onnxruntime", "--out", "a.csv")
    command("verify", "run")
    command("audit", str(file), "--out", "run", "--folds", "2", "--epochs", "1")
    if EXPORT:
        command("export", "run/systems/baseline", "--to", "onnx", "--out", "bundle", "--force")
        command("predict", "bundle", "study/normal", "--out", "b.csv")
        command("export", "run/systems/ver6", "--to", "openvino", "--int8", "--out", "bundle-int8", "--force")
    if EXPORT and find_spec("fastapi"):
        served(tmp_path, "bundle")
    if find_spec("optuna"):
        command("search", str(file), "--out", "run")
    command("review", "export", str(file), "--to", "coco", "--out", "run")
    command("demo", "--out", "demo", "--scale", "0.1")
