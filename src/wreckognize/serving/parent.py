"""Several workers on one port: their parent binds it, starts them, and starts one again that has died.

The listening socket is one that all workers share, and the parent keeps it open: a client that no worker has taken yet
loses nothing by the death of one. (With a socket for each worker, ``SO_REUSEPORT``, the clients queued at the dead
one's would be lost.) The parent loads no model and answers no request.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from wreckognize.errors import EngineError
from wreckognize.serving.logs import JsonLog
from wreckognize.serving.order import Order

_COUNTS = "counts"
_TICK = 0.1  # seconds between looks at the workers
_LONGEST_PAUSE = 30.0
_YOUNG = 5.0  # a worker that dies within so many seconds of being ready has the next one wait


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    ready: int  # readable once it answers
    answers: float | None = None  # since when


@dataclass(slots=True)
class _Place:
    """One of the workers' places: who holds it, or when the next is started."""

    worker: _Worker | None = None
    next_start: float = 0.0
    pause: float = 0.0


class Parent:
    """Starts workers, and starts them again.

    Args:
        order: what each serves.
        sock: bound and listening.
        log: of the service.
    """

    def __init__(self, order: Order, sock: socket.socket, log: JsonLog) -> None:
        self._order, self._sock, self._log = order, sock, log
        self._places = [_Place() for _ in range(order.workers)]
        self._signals: list[int] = []
        self._ever_ready = False

    def run(self) -> None:
        """Serve until a signal.

        Raises:
            EngineError: no worker came to answer; the log says why.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda caught, _: self._signals.append(caught))
        self._sock.listen(2048)
        with self._shared_folder() as folder, _pipe() as (alive, held):
            try:
                self._watch(folder, alive)
            finally:
                os.close(held)  # workers still there see it and stop
                self._stop()

    def _watch(self, folder: Path, alive: int) -> None:
        while True:
            for place in self._places:
                if place.worker is None and time.monotonic() >= place.next_start:
                    place.worker = self._start(folder, alive)
                elif place.worker is not None:
                    self._look_at(place, place.worker, folder)
            while self._signals:
                number = self._signals.pop(0)
                if number != signal.SIGHUP:
                    return
                self._tell(number)
            time.sleep(_TICK)

    def _start(self, folder: Path, alive: int) -> _Worker:
        readable, writable = os.pipe()
        order = self._order if self._order.drift else replace(self._order, drift=folder / "drift")
        try:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "wreckognize.serving.worker",
                    str(self._sock.fileno()),
                    str(alive),
                    str(writable),
                ],
                stdin=subprocess.PIPE,
                pass_fds=(self._sock.fileno(), alive, writable),
                env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder / _COUNTS)},
                start_new_session=True,  # Ctrl-C is for the parent, which tells them
            )
        finally:
            os.close(writable)
        assert process.stdin is not None  # for the type checker
        with contextlib.suppress(BrokenPipeError), process.stdin as given:  # it has died: seen at the next look
            given.write(order.to_json())
        return _Worker(process, readable)

    def _look_at(self, place: _Place, worker: _Worker, folder: Path) -> None:
        now = time.monotonic()
        if worker.answers is None and select.select([worker.ready], [], [], 0)[0] and os.read(worker.ready, 1):
            worker.answers, self._ever_ready = now, True
            self._log("worker ready", worker=worker.process.pid)
        code = worker.process.poll()
        if code is None:
            return
        os.close(worker.ready)
        _forget_counts(worker.process.pid, folder / _COUNTS)
        place.worker = None
        if not self._ever_ready:
            raise EngineError(
                f"a worker ended with {code} before it answered anything",
                remedy="its last line in the log says why",
            )
        old = worker.answers is not None and now - worker.answers > _YOUNG
        place.pause = 0.0 if old else min(_LONGEST_PAUSE, 2 * place.pause or 0.5)
        place.next_start = now + place.pause
        self._log("worker died", level="error", worker=worker.process.pid, code=code, again_in_s=place.pause)

    def _tell(self, number: int) -> None:
        for place in self._places:
            if place.worker is not None:
                with contextlib.suppress(ProcessLookupError):
                    place.worker.process.send_signal(number)

    def _stop(self) -> None:
        self._tell(signal.SIGTERM)
        ends = time.monotonic() + self._order.drain + self._order.patience + 10
        for place in self._places:
            if place.worker is None:
                continue
            try:
                place.worker.process.wait(max(0.1, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._log("worker killed", level="error", worker=place.worker.process.pid)
                place.worker.process.kill()
                place.worker.process.wait()

    @contextlib.contextmanager
    def _shared_folder(self) -> Iterator[Path]:
        """Where workers keep what has to be added up over all of them."""
        with tempfile.TemporaryDirectory(prefix="wreckognize-serve-") as name:
            folder = Path(name)
            (folder / _COUNTS).mkdir()
            yield folder


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    readable, writable = os.pipe()
    try:
        yield readable, writable
    finally:
        os.close(readable)


def _forget_counts(pid: int, folder: Path) -> None:
    """A dead worker's counters stay in the sums; its gauges (its place in the queue) do not."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
