"""A Ray cluster of two nodes on this machine, whose second node can be killed as a machine dies."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import psutil

# Ray reads these once, when it is imported.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_agent_register_timeout_ms", "120000")  # on a busy machine a node dies of impatience
os.environ.setdefault("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
os.environ.setdefault("RAY_USAGE_STATS_REPORT_URL", "http://127.0.0.1:9")  # even to say that it reports nothing

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Of the storage that tests start on loopback; every machine of a cluster needs its own."""


class Node:
    """A node of a Ray cluster, as `ray start` makes one, with two logical CPUs."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        command += ["--num-cpus=2", f"--object-store-memory={100 * 2**20}", "--min-worker-port=0"]
        command += ["--max-worker-port=0", *arguments]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, stdin=quiet, stdout=quiet, stderr=quiet, env=os.environ | CREDENTIALS
        )

    def kill(self) -> None:
        """As a machine dies: everything of it at once, without a word to anybody."""
        parent = psutil.Process(self.process.pid)
        family = [parent, *parent.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(timeout=20)
        psutil.wait_procs(family, timeout=20)


class TwoNodes:
    """A Ray cluster of two nodes on this machine, two logical CPUs each; the second one comes and goes."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="wr-")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.second: Node | None = None
        # Where the dashboard's port is taken, Ray does without it; else it would ask which cloud it is in.
        self._taken = socket.create_server(("127.0.0.1", 0))
        dashboard = ("--include-dashboard=false", f"--dashboard-port={self._taken.getsockname()[1]}")
        self._head = ("--head", f"--port={port}", f"--temp-dir={self.folder}", *dashboard)
        self.first = Node("--node-ip-address=127.0.0.1", *self._head)

    def wait_for(self, nodes: int) -> None:
        """Until so many nodes are alive, two and a half minutes at most."""
        from wreckognize.scale.cluster import import_ray

        ray, until = import_ray(), time.monotonic() + 150
        here = ray.is_initialized()
        while time.monotonic() < until:
            self._start_again_what_ended()
            with contextlib.suppress(ConnectionError, ValueError, RuntimeError):
                if not ray.is_initialized():
                    ray.init(address=self.address, log_to_driver=False, logging_level="CRITICAL")
                if sum(node["Alive"] for node in ray.nodes()) == nodes:
                    break
            time.sleep(0.3)
        else:
            raise TimeoutError(f"{nodes} nodes did not come up")
        if not here:
            ray.shutdown()

    def _start_again_what_ended(self) -> None:
        """A node that did not come up on a busy machine."""
        if self.first.process.poll() is not None:
            self.first = Node("--node-ip-address=127.0.0.1", *self._head)
        if self.second is not None and self.second.process.poll() is not None:
            self.second = None
            self.start_second()

    def start_second(self) -> None:
        if self.second is None:
            self.second = Node("--node-ip-address=127.0.0.1", f"--address={self.address}")

    def close(self) -> None:
        """Take away what its nodes left; they are gone."""
        self._taken.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill_second(self) -> None:
        if self.second is not None:
            self.second.kill()
            self.second = None
