"""`wreckognize serve` as a process of its own, for tests that speak to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

_PATIENCE = 60.0  # seconds for the start


class Running:
    """A service on loopback; ``url`` ends without a slash."""

    def __init__(self, bundle: Path, *options: str, port: int = 0) -> None:
        command = [sys.executable, "-m", "wreckognize", "serve", str(bundle), "--port", str(port), "--drain", "0"]
        self.process = subprocess.Popen(
            [*command, "--batch", "1", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        self.lines: list[dict[str, object]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = self._wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def _wait(self) -> str:
        ends = time.monotonic() + _PATIENCE
        while time.monotonic() < ends and self.process.poll() is None:
            for line in list(self.lines):
                if line["event"] == "serving":
                    url = str(line["url"])
                    try:
                        if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                            return url
                    except httpx.TransportError:
                        break
            time.sleep(0.05)
        self.process.kill()
        _, error = self.process.communicate()
        raise AssertionError(f"the service did not start: {error}")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        """End it and wait; a second call does nothing."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(5)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
