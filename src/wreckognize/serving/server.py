"""Running the application on uvicorn: limits on connections, and a stop that first says so."""

from __future__ import annotations

import logging
import signal
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from wreckognize.serving.logs import Forward, JsonLog

_KEEP_ALIVE = 15  # seconds
_HEADER_BYTES = 16 * 1024


class Server(uvicorn.Server):
    """uvicorn's server, with a stop in two steps.

    On the first SIGTERM or SIGINT ``/readyz`` turns 503, and after ``drain`` seconds the port is shut. What was taken
    is finished in any case. A second signal ends it at once.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain: float) -> None:
        super().__init__(config)
        self._service, self._drain, self._asked = app, drain, False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop."""
        if self._asked:
            super().handle_exit(sig, frame)
            return
        self._asked = True
        self._service.state.service.stopping_soon = True
        signal.setitimer(signal.ITIMER_REAL, max(self._drain, 1e-3))

    def shut(self, sig: int, frame: FrameType | None) -> None:
        """The time to drain is over."""
        self.should_exit = True


def run(app: FastAPI, sock: socket.socket, log: JsonLog, *, drain: float, patience: float) -> None:
    """Serve until a signal.

    Args:
        app: the application.
        sock: bound.
        log: for uvicorn's warnings.
        drain: seconds in which requests are still taken after SIGTERM, so that a load balancer can look elsewhere.
        patience: seconds that open requests have after that.
    """
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers = [Forward(log)]
        logging.getLogger(name).propagate = False
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(patience),
        h11_max_incomplete_event_size=_HEADER_BYTES,
    )
    server = Server(config, app, drain)
    signal.signal(signal.SIGALRM, server.shut)
    server.run(sockets=[sock])
