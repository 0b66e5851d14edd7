"""The service as a container holds it: first process, another user, nothing writable but a small temporary folder.

No container engine is needed: Linux' own namespaces do it, where the tests run as root.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import psutil
import pytest
from bundles import draw_photos, make_bundle
from deployed import USER
from services import PATIENCE, is_ready, until

AS_NOBODY = [
    *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"),
    # It may read all, for the interpreter and these tests may lie in root's home; it may write nothing by it.
    *(
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=+dac_read_search",
        "--bounding-set=-all,+dac_read_search",
    ),
]
ROOM = """
set -e
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$1"
shift
mount -o remount,bind,ro /
exec "$@"
"""


def contained(temporary, *command):
    namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private"]
    return ["unshare", *namespaces, "sh", "-c", ROOM, "sh", str(temporary), *AS_NOBODY, *command]


@pytest.fixture
def place():
    """A folder that others may read, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def temporary(place):
    if (
        not hasattr(os, "geteuid")
        or os.geteuid() != 0
        or not shutil.which("unshare")
        or not shutil.which("setpriv")
    ):
        pytest.skip("needs root, unshare and setpriv")
    folder = place / "tmp"
    folder.mkdir()
    tried = subprocess.run(contained(folder, "true"), capture_output=True, text=True, timeout=60, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no namespaces here: {tried.stderr.strip()[:200]}")
    return folder


def test_the_room_is_shut(temporary, place):
    code = f"echo $$; touch {temporary}/x && ! touch /x 2>/dev/null && ! touch {place}/x 2>/dev/null && id -u"
    done = subprocess.run(
        contained(temporary, "sh", "-c", code), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["1", str(USER)], done.stderr


@pytest.mark.slow
def test_it_serves_and_stops(temporary, place, tmp_path):
    bundle = make_bundle(place / "bundle", imgsz=96).folder
    (photo,) = draw_photos(tmp_path / "photos", 1)
    log = tmp_path / "service.log"
    options = ["--port", "0", "--drift", str(temporary / "drift"), "--drain", "0", "--workers", "2"]
    command = [sys.executable, "-m", "wreckognize", "serve", str(bundle), *options, "--no-spare"]
    environment = os.environ | {"TMPDIR": str(temporary), "HOME": str(temporary), "OMP_NUM_THREADS": "1"}
    with log.open("w") as written:
        process = subprocess.Popen(
            contained(temporary, *command), stdout=written, stderr=subprocess.STDOUT, env=environment
        )

    def url():
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        return next((line["url"] for line in lines if line["event"] == "serving"), "")

    try:
        until(lambda: process.poll() is not None or (url() and is_ready(url())))
        assert process.poll() is None, log.read_text()
        answer = httpx.post(f"{url()}/v1/inspect", files={"photos": photo.read_bytes()}, timeout=PATIENCE)
        assert answer.status_code == 200
        assert answer.json()["photos"][0]["verdict"] == "vehicle"
        (first,) = psutil.Process(process.pid).children()
        first.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, log.read_text()
    finally:
        process.kill()
        process.wait(PATIENCE)
    assert not [line for line in log.read_text().splitlines() if '"level":"error"' in line]
