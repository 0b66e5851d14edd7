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
from bundles import draw_photos, make_bundle
from studies import write_study

from watching import python, unwatched, watched

pytestmark = pytest.mark.usefixtures("whole_watch")

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
        pytest.skip(unwatched())
    assert seen.calls == ""
    assert any("connect" in line for line in seen.outside)


def test_a_command_that_never_ends_says_where_it_stood(tmp_path):
    with pytest.raises(AssertionError, match=r'(?s)no end within 3 s.*"<string>", line 2 in waits'):
        watched(tmp_path, *python("def waits():\n  __import__('time').sleep(60)\nwaits()"), timeout=3)


ELSEWHERE = ("192.0.2.1", 9)
"""Of the addresses that are nobody's (RFC 5737). A datagram socket that is connected to it sends nothing yet."""


@pytest.mark.parametrize(
    ("program", "sign"),
    [
        (f"import socket; socket.socket(2, 2).connect_ex({ELSEWHERE})", "socket.connect"),
        ("import socket\ntry: socket.getaddrinfo('example.org', 80)\nexcept OSError: pass", "socket.getaddrinfo"),
    ],
)
def test_where_loopback_is_allowed_all_else_is_still_seen(tmp_path, program, sign):
    talk = """
import http.client, socket, threading
server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=lambda: server.accept()[0].sendall(b"HTTP/1.0 204 none"), daemon=True).start()
connection = http.client.HTTPConnection("localhost", server.getsockname()[1])
connection.connect()
assert connection.sock.recv(4)
"""
    watched(tmp_path, *python(talk), loopback=True).require_quiet()
    assert watched(tmp_path, *python(talk)).calls
    seen = watched(tmp_path, *python(talk + program), loopback=True)
    assert sign in seen.calls
    with pytest.raises(AssertionError):
        seen.require_quiet()


@pytest.mark.parametrize(
    ("address", "seen"), [(ELSEWHERE, True), (("127.0.0.53", 53), True), (("127.0.0.53", 54), False)]
)
def test_a_resolver_on_loopback_is_no_loopback(tmp_path, address, seen):
    program = f"import socket; socket.socket(2, 2).connect_ex({address})"
    found = watched(tmp_path, sys.executable, "-I", "-S", "-c", program, loopback=True)
    if found.outside is None:
        pytest.skip(unwatched())
    assert bool(found.outside) is seen


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
    assert any(line.endswith("training/job.json") for line in seen.pythons), seen.pythons  # the training child
    comparison = json.loads((tmp_path / "run" / "report" / "comparison.json").read_text())
    assert len(comparison["systems"]) >= 2


def test_a_study_file_and_a_key_are_made_without_a_word(tmp_path):
    for words in (["init"], ["serve-key", "tests", "--file", "keys.txt"]):
        watched(tmp_path, sys.executable, "-m", "wreckognize", *words).require_quiet()
        tidy(tmp_path)
    assert (tmp_path / "study.yaml").exists()
    assert (tmp_path / "keys.txt").exists()


VISIT = """
import json, sys
from pathlib import Path

import httpx

sys.path.append(sys.argv[1])
from running import Running

key, photo = sys.argv[2], Path(sys.argv[3]).read_bytes()
options = ["--keys", "keys.txt", "--rate", "50", "--feedback", "kept", "--drift", "drift"]
with Running(Path("bundle"), *options) as service:
    with httpx.Client(base_url=service.url, headers={"X-API-Key": key}, timeout=60) as client:
        for page in ("/", "/v1/model", "/v1/drift", "/v1/feedback", "/healthz", "/metrics", "/openapi.json"):
            assert client.get(page).status_code == 200, page
        answer = client.post("/v1/inspect", files={"photos": ("a.jpg", photo, "image/jpeg")})
        assert answer.status_code == 200, answer.text
        parts = {"photo": ("a.jpg", photo, "image/jpeg"), "correction": (None, json.dumps({"verdict": "vehicle"}))}
        answer = client.post("/v1/feedback", files=parts | {"consent": (None, "yes")})
        assert answer.status_code == 201, answer.text
print(*service.lines, sep="\\n")
"""
"""A visitor of the service, within its network; leaves one correction."""


def key_in(output: str) -> str:
    """The key that `serve-key` printed."""
    return next(word for word in output.split() if word.startswith("wk_"))


def served(folder: Path, key: str, photo: str) -> None:
    """The service from its start to its end, asked for all that it has."""
    tests = str(Path(__file__).parents[1])
    seen = watched(folder, *python(VISIT), tests, key, photo, loopback=True)
    seen.require_quiet()
    tidy(folder)
    assert any(line.split()[1:4] == ["-m", "serve", "bundle"] for line in seen.pythons), seen.pythons
    assert "'stopped'" in seen.output


SERVE = EXPORT and find_spec("fastapi") is not None


@pytest.mark.slow
@pytest.mark.skipif(not SERVE, reason="needs the extras [serve] and [export]")
def test_the_service_answers_without_a_word_to_anybody_else(tmp_path):
    """Page, photo, correction, measures; with keys, a rate and a watch for drift."""
    make_bundle(tmp_path / "bundle", imgsz=96)
    photo = draw_photos(tmp_path / "photos", 1)[0]
    seen = watched(tmp_path, sys.executable, "-m", "wreckognize", "serve-key", "tests", "--file", "keys.txt")
    served(tmp_path, key_in(seen.output), str(photo))


STAGES = ("collect", "split", "label", "train", "evaluate", "report")


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
    for stage in STAGES:
        command(stage, str(file), "--out", "run")
    command("run", str(file), "--out", "run")
    command("predict", "run/systems/ver6", "study/normal", "--engine", "onnxruntime", "--out", "a.csv")
    command("verify", "run")
    command("audit", str(file), "--out", "run", "--folds", "2", "--epochs", "1")
    if EXPORT:
        command("export", "run/systems/baseline", "--to", "onnx", "--out", "bundle", "--force")
        command("predict", "bundle", "study/normal", "--out", "b.csv")
        command("export", "run/systems/ver6", "--to", "openvino", "--int8", "--out", "bundle-int8", "--force")
    command("review", "export", str(file), "--to", "coco", "--out", "run")
    answers = tmp_path / "run" / "review" / "coco" / "instances.json"
    command("review", "import", str(file), str(answers), "--reviewer", "a", "--looked-at", "3", "--out", "run")
    if SERVE:
        key = key_in(command("serve-key", "tests", "--file", "keys.txt"))
        served(tmp_path, key, "study/normal/n 00.jpg")
        command("review", "import", str(file), "kept", "--out", "run")
    if find_spec("optuna"):
        command("search", str(file), "--out", "run")
    command("demo", "--out", "demo", "--scale", "0.1")
