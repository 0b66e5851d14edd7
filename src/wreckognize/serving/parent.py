"""Several workers on one port: their parent binds it, starts them, and has one stand by for one that dies.

The listening socket is one that all workers share, and the parent keeps it open: a client that no worker has taken yet
loses nothing by the death of one. (With a socket for each worker, ``SO_REUSEPORT``, the clients queued at the dead
one's would be lost.) The parent loads no model and answers no request. The spare worker has loaded its model and only
waits for the word, so a place is empty for a tenth of a second, not for the seconds that loading takes.
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
_YOUNG = 5.0  # a worker that dies within so many seconds of being warm has the next one wait


@dataclass(slots=True)
class _Worker:
    """A process, and the ends of its pipes that are ours."""

    process: subprocess.Popen[bytes]
    ready: int  # readable once it is warm
    go: int  # written to when it is to take clients
    warm_since: float | None = None
    told: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell_to_go(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has died: seen at the next look
            os.write(self.go, b"1")
        self.told = True

    def close(self) -> None:
        os.close(self.ready)
        os.close(self.go)


class Parent:
    """Starts workers, and starts them again.

    Args:
        order: what each serves.
        sock: bound.
        log: of the service.
    """

    def __init__(self, order: Order, sock: socket.socket, log: JsonLog) -> None:
        self._order, self._sock, self._log = order, sock, log
        self._workers: list[_Worker] = []
        self._signals: list[int] = []
        self._ever_warm = False
        self._next_start, self._pause = 0.0, 0.0

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
                try:
                    self._stop()
                finally:
                    os.close(held)  # not before: a worker that is told to stop twice would not finish what it has

    def _watch(self, folder: Path, alive: int) -> None:
        wanted = self._order.workers + (1 if self._order.spare else 0)
        while True:
            for worker in list(self._workers):
                self._look_at(worker, folder)
            self._fill_places()
            # The spare comes when the others are warm: it would only take cores from them.
            needed = wanted if self._serving() == self._order.workers else self._order.workers
            while len(self._workers) < needed and time.monotonic() >= self._next_start:
                self._workers.append(self._start(folder, alive))
            while self._signals:
                number = self._signals.pop(0)
                if number != signal.SIGHUP:
                    return
                self._tell(number)
            time.sleep(_TICK)

    def _serving(self) -> int:
        return sum(worker.told for worker in self._workers)

    def _fill_places(self) -> None:
        for worker in self._workers:
            if worker.warm_since is not None and not worker.told and self._serving() < self._order.workers:
                worker.tell_to_go()
                self._log("worker ready", worker=worker.pid)

    def _start(self, folder: Path, alive: int) -> _Worker:
        ready, says_ready = os.pipe()
        hears_go, go = os.pipe()
        given = (self._sock.fileno(), says_ready, hears_go, alive)
        order = self._order if self._order.drift else replace(self._order, drift=folder / "drift")
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "wreckognize.serving.worker", *map(str, given)],
                stdin=subprocess.PIPE,
                pass_fds=given,
                env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder / _COUNTS)},
                start_new_session=True,  # Ctrl-C is for the parent, which tells them
            )
        finally:
            os.close(says_ready)
            os.close(hears_go)
        assert process.stdin is not None  # for the type checker
        with contextlib.suppress(BrokenPipeError), process.stdin as told:  # it has died: seen at the next look
            told.write(order.to_json())
        return _Worker(process, ready, go)

    def _look_at(self, worker: _Worker, folder: Path) -> None:
        now = time.monotonic()
        if worker.warm_since is None and select.select([worker.ready], [], [], 0)[0]:
            batch = os.read(worker.ready, 16)  # nothing where it has died
            if batch:
                worker.warm_since, self._ever_warm = now, True
                self._remember(int(batch))
                self._log("worker warm", worker=worker.pid, batch=int(batch))
        code = worker.process.poll()
        if code is None:
            return
        self._workers.remove(worker)
        worker.close()
        _forget_counts(worker.pid, folder / _COUNTS)
        if not self._ever_warm:
            raise EngineError(
                f"a worker ended with {code} before it answered anything",
                remedy="its last line in the log says why",
            )
        old = worker.warm_since is not None and now - worker.warm_since > _YOUNG
        self._pause = 0.0 if old else min(_LONGEST_PAUSE, 2 * self._pause or 0.5)
        self._next_start = now + self._pause
        self._log("worker died", level="error", worker=worker.pid, code=code, next_after_s=self._pause)

    def _remember(self, batch: int) -> None:
        """The next worker need not measure again what pays: it is warm the sooner."""
        self._order = replace(self._order, settings=replace(self._order.settings, batch=batch))

    def _tell(self, number: int) -> None:
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                worker.process.send_signal(number)

    def _stop(self) -> None:
        """Tell the workers to stop and wait for them; those who take too long are killed, at another signal all."""
        self._sock.close()  # or clients could still come when the workers have shut it, and nobody would take them
        for worker in self._workers:
            if worker.told:
                worker.process.terminate()
            else:  # it took no client; one that is loading would not listen for seconds
                worker.process.kill()
        ends = time.monotonic() + self._order.drain + self._order.patience + 10
        for worker in self._workers:
            worker.close()
        while any(worker.process.poll() is None for worker in self._workers):
            if time.monotonic() > ends or any(number != signal.SIGHUP for number in self._signals):
                self._kill()
            time.sleep(_TICK)
        self._log("all workers stopped")

    def _kill(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                self._log("worker killed", level="error", worker=worker.pid)
                worker.process.kill()
                worker.process.wait()

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
