"""A service for tests: a small real bundle behind the application, in this process or as a command of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from wreckognize.detectors.port import Detector, RawDetections
from wreckognize.exporting.bundle import Bundle
from wreckognize.serving.app import create_app
from wreckognize.serving.drift import Drift
from wreckognize.serving.inspector import Inspector
from wreckognize.serving.lanes import Lanes
from wreckognize.serving.measures import Measures
from wreckognize.serving.settings import ServiceSettings

PATIENCE = 60.0  # seconds that anything may take here before a test fails


class Engine:
    """A real detector whose answers a test may hold back or spoil."""

    def __init__(self, detector: Detector) -> None:
        self._detector, self.info = detector, detector.info
        self.before: Callable[[np.ndarray], None] = lambda batch: None
        self.spoil: Callable[[RawDetections], RawDetections] = lambda raw: raw
        self.batches: list[tuple[int, ...]] = []

    def infer(self, batch: np.ndarray) -> RawDetections:
        self.batches.append(batch.shape)
        self.before(batch)
        return self.spoil(self._detector.infer(batch))


@dataclass
class Lines:
    """A log that a test reads."""

    events: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, event: str, **fields: Any) -> None:
        self.events.append({"event": event, **fields})

    def of(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]


@contextmanager
def inspecting(bundle: Bundle, detector: Detector, settings: ServiceSettings) -> Iterator[Inspector]:
    """A started inspector; it is stopped at the end."""
    inspector = Inspector(bundle, Lanes(detector), settings, Measures())
    inspector.start()
    try:
        yield inspector
    finally:
        assert inspector.stop(PATIENCE)


@contextmanager
def application(
    bundle: Bundle, detector: Detector, settings: ServiceSettings, log: Lines | None = None, **more: Any
) -> Iterator[Any]:
    """The application with a started inspector, to be asked through `httpx.ASGITransport`."""
    log = log or Lines()
    measures = Measures(log)
    inspector = Inspector(bundle, Lanes(detector), settings, measures)
    drift = more.pop("drift", None) or Drift(bundle.manifest, log)
    app = create_app(inspector, settings, measures, drift, **more)
    inspector.start()
    try:
        yield app
    finally:
        assert inspector.stop(PATIENCE)


def client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service", timeout=PATIENCE)


@dataclass
class Running:
    """``wreckognize serve`` as a process."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["event"] == name]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def running(bundle: Path, folder: Path, *options: str) -> Iterator[Running]:
    """The command on a free port, ready; killed at the end if it is still there."""
    log = folder / "service.log"
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "wreckognize", "serve", str(bundle), "--port", "0", *options],
            stdout=written,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    service = Running(process, "", log)
    try:
        until(lambda: process.poll() is not None or service.events("serving"))
        assert process.poll() is None, log.read_text()
        service.url = service.events("serving")[0]["url"]
        until(lambda: process.poll() is not None or is_ready(service.url))
        assert process.poll() is None, log.read_text()
        yield service
    finally:
        process.kill()
        process.wait(PATIENCE)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def until(holds: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < ends, "waited too long"
        time.sleep(0.02)
