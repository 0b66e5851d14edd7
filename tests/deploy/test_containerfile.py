"""The container file keeps its promises; whether an engine builds it is not tested here."""

from __future__ import annotations

import ast
import http.server
import io
import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib

import pytest
from deployed import DEPLOY, ROOT, USER, known_options, open_routes, options_of, value_of

dockerfile_parse = pytest.importorskip("dockerfile_parse")


@pytest.fixture(scope="module")
def steps():
    text = (DEPLOY / "Containerfile").read_bytes()
    return dockerfile_parse.DockerfileParser(fileobj=io.BytesIO(text)).structure


@pytest.fixture(scope="module")
def last_stage(steps):
    begins = [number for number, step in enumerate(steps) if step["instruction"] == "FROM"]
    assert len(begins) == 2
    return steps[begins[-1] :]


def one(steps, instruction):
    (found,) = [step["value"] for step in steps if step["instruction"] == instruction]
    return found


def test_nothing_runs_as_root(last_stage):
    assert one(last_stage, "USER") == f"{USER}:{USER}"
    after = last_stage[[step["instruction"] for step in last_stage].index("USER") + 1 :]
    assert not {step["instruction"] for step in after} & {"RUN", "COPY", "ADD"}


def test_only_the_state_folder_belongs_to_the_user(last_stage):
    runs = [step["value"] for step in last_stage if step["instruction"] == "RUN"]
    assert [shlex.split(text) for text in runs] == [
        ["install", "-d", "-o", str(USER), "-g", str(USER), "-m", "0700", "/var/lib/wreckognize"]
    ]
    assert not [step for step in last_stage if step["instruction"] == "COPY" and "--chown" in step["value"]]


def test_base_images_have_a_tag_and_it_is_a_python_that_the_package_supports(steps):
    version = next(step["value"] for step in steps if step["instruction"] == "ARG").partition("=")[2]
    bases = [step["value"].split()[0] for step in steps if step["instruction"] == "FROM"]
    assert all(re.fullmatch(r"[\w.]+/library/python:\$\{PYTHON\}-slim", base) for base in bases)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]


def test_the_extras_are_the_packages_own(steps):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = [
        step["value"].partition("=")[2]
        for step in steps
        if step["instruction"] == "ARG" and step["value"].startswith("EXTRAS=")
    ]
    assert set(extras.split(",")) == {"serve", "export"} <= set(project["optional-dependencies"])


def test_it_starts_the_service_itself_and_a_signal_reaches_it(last_stage):
    words = json.loads(one(last_stage, "ENTRYPOINT"))  # exec form: no shell is between
    assert words[:3] == ["wreckognize", "serve", "/bundle"]
    assert options_of(words) <= known_options()
    assert value_of(words, "--host") == "0.0.0.0"
    assert value_of(words, "--port") == one(last_stage, "EXPOSE")
    assert json.loads(one(last_stage, "CMD")) == []
    assert one(last_stage, "STOPSIGNAL") == "SIGTERM"


class Answers(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_asks_the_port_and_fails_where_it_should(last_stage, status, code):
    check = one(last_stage, "HEALTHCHECK")
    words = json.loads(check.partition("CMD")[2])
    assert words[:2] == ["python", "-c"]
    ast.parse(words[2])
    asked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", words[2])
    assert asked[1] == one(last_stage, "EXPOSE")
    assert asked[2] in open_routes()
    handler = type("Handler", (Answers,), {"status": status})
    with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        code_there = words[2].replace(f":{asked[1]}", f":{server.server_port}")
        done = subprocess.run([sys.executable, "-c", code_there], capture_output=True, timeout=60, check=False)
        server.shutdown()
    assert done.returncode == code


def test_what_is_copied_is_not_ignored(steps):
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    copied = [
        word
        for step in steps
        if step["instruction"] == "COPY" and "--from" not in step["value"]
        for word in step["value"].split()[:-1]
    ]
    assert {word.removeprefix("./") for word in copied} == kept
    assert all((ROOT / name).exists() for name in kept)
    assert (ROOT / ".containerignore").read_text().splitlines() == lines
