"""``wreckognize serve --on ray`` as a command, on a real Ray that it starts on this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from bundles import draw_photos, make_bundle

from wreckognize import __version__, images
from wreckognize.errors import BundleError, UsageError
from wreckognize.inference.stream import PhotoFile, look_at
from wreckognize.serving.order import Order
from wreckognize.serving.replica import build_copy
from wreckognize.serving.settings import ServiceSettings

PATIENCE = 180.0


@dataclass
class OnRay:
    process: subprocess.Popen
    url: str
    log: Path
    key: str

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == name]

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, headers={"X-API-Key": self.key}, timeout=60, **more)

    def copies(self) -> list[psutil.Process]:
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [one for one in family if one.name().startswith("ray::ServeReplica")]


def until(holds, patience: float = PATIENCE) -> None:
    ends = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < ends, "waited too long"
        time.sleep(0.2)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "wreckognize", *map(str, words)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("ray-served") / "bundle", imgsz=96)


@pytest.fixture(scope="module")
def served(bundle, tmp_path_factory):
    pytest.importorskip("ray.serve", reason="needs the extra [ray]: make cluster")
    folder = tmp_path_factory.mktemp("ray-service")
    keys = folder / "keys.txt"
    made = subprocess.run(
        command("serve-key", "tests", "--file", keys), capture_output=True, text=True, timeout=60, check=True
    )
    log, port = folder / "service.log", free_port()
    options = [
        "--on",
        "ray",
        "--replicas",
        "2-3",
        "--port",
        port,
        "--keys",
        keys,
        "--photos",
        "4",
        "--places",
        "8",
    ]
    with log.open("w") as written:
        process = subprocess.Popen(
            command("serve", bundle.folder, *options, "--drift", folder / "drift", "--drain", "0"),
            stdout=written,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    service = OnRay(process, f"http://127.0.0.1:{port}", log, made.stdout.strip())
    try:
        until(lambda: process.poll() is not None or service.events("replicas ready"))
        assert process.poll() is None, log.read_text()
        yield service
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            for one in psutil.wait_procs(family, timeout=20)[1]:
                one.kill()


def test_the_answers_are_those_of_the_model_here(served, bundle, tmp_path):
    photos = draw_photos(tmp_path / "photos", 4)
    answer = served.ask("POST", "/v1/inspect", files=[("photos", (f.name, f.read_bytes())) for f in photos])
    assert answer.status_code == 200
    headers = [images.read_header(f) for f in photos]
    files = [PhotoFile(str(f), f, one.width, one.height) for f, one in zip(photos, headers, strict=True)]
    looks = {look.photo: look for look in look_at(files, bundle.open(threads=1), bundle.stream_settings(batch=1))}
    for file, told in zip(photos, answer.json()["photos"], strict=True):
        here = bundle.answer(looks[str(file)])
        assert told["name"] == file.name
        assert told["verdict"] == here.verdict
        assert told["score"] == pytest.approx(here.score, abs=1e-4)
        assert len(told["boxes"]) == len(here.boxes)


def test_limits_keys_and_errors_are_the_same(served, tmp_path):
    (photo,) = draw_photos(tmp_path / "photos", 1)
    data = photo.read_bytes()
    assert httpx.post(f"{served.url}/v1/inspect", content=data, timeout=60).status_code == 401
    many = served.ask("POST", "/v1/inspect", files=[("photos", (str(n), data)) for n in range(5)])
    assert (many.status_code, many.json()["error"]["code"]) == (413, "too_many_photos")
    noise = served.ask("POST", "/v1/inspect", content=b"no photo at all")
    assert (noise.status_code, noise.json()["error"]["code"]) == (415, "not_a_photo")
    cut = served.ask("POST", "/v1/inspect", content=data[: len(data) // 2])
    assert cut.status_code == 400
    assert cut.headers["X-Request-Id"]
    assert served.ask("GET", "/v1/nothing").json()["error"]["code"] == "not_found"
    assert {served.ask("GET", path).status_code for path in ("/healthz", "/readyz", "/v1/model", "/metrics")} == {
        200
    }
    assert "Wreckognize" in served.ask("GET", "/").text


def test_a_copy_that_dies_is_replaced_while_the_other_answers(served, tmp_path):
    (photo,) = draw_photos(tmp_path / "photos", 1)
    until(lambda: len(served.copies()) == 2)
    before = {one.pid for one in served.copies()}
    one = served.copies()[0]
    one.kill()

    def answered() -> bool:
        return served.ask("POST", "/v1/inspect", content=photo.read_bytes()).status_code == 200

    until(answered, 20)
    until(lambda: len({one.pid for one in served.copies()} | before) == 3 and len(served.copies()) == 2)
    assert answered()


def test_drift_adds_the_copies_up_where_they_share_a_folder(served, tmp_path):
    (photo,) = draw_photos(tmp_path / "photos", 1)
    before = served.ask("GET", "/v1/drift").json()["photos"]
    for _ in range(6):
        assert served.ask("POST", "/v1/inspect", content=photo.read_bytes()).status_code == 200
    until(lambda: served.ask("GET", "/v1/drift").json()["photos"] >= before + 6, 30)


def test_another_bundle_at_its_place_is_refused(bundle):
    order = Order(bundle=bundle.folder, settings=ServiceSettings())
    with pytest.raises(BundleError, match="another bundle"):
        build_copy(order.to_json(), "0" * 64, __version__)
    with pytest.raises(UsageError, match="this machine has"):
        build_copy(order.to_json(), bundle.manifest.sha256, "0.0.0")


def test_it_stops_and_takes_its_ray_with_it(served):
    family = psutil.Process(served.process.pid).children(recursive=True)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(PATIENCE) == 0, served.log.read_text()
    assert served.events("stopped")
    _, left = psutil.wait_procs(family, timeout=30)
    assert not left


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--replicas", "2"], "--on ray"),
        (["--on", "ray", "--workers", "2"], "--replicas"),
        (["--on", "ray", "--replicas", "3-2"], "copies"),
        (["--on", "ray", "--port", "0"], "--port"),
    ],
)
def test_what_does_not_go_together_is_said(bundle, options, says):
    done = subprocess.run(
        command("serve", bundle.folder, *options), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert says in done.stderr
