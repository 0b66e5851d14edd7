"""Running the application on uvicorn: limits on connections, and a stop that first says so."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from types import FrameType
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from wreckognize.serving.app import Service
from wreckognize.serving.logs import Forward, JsonLog

KEEP_ALIVE = 15.0  # seconds a connection may be idle
HEADER_SECONDS = 10.0  # that a request's first line and headers may take
LINGER = 3.0  # seconds in which the rest of a refused body is read and dropped
HEADER_BYTES = 16 * 1024  # of first line and headers together
MOST_CONNECTIONS = 1000
_BACKLOG = 2048
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\n\r\n"
)


class Connection(H11Protocol):
    """uvicorn's connection with a clock: nobody holds one for ever by sending or reading slowly.

    uvicorn bounds the time between requests only. Here headers, the whole of a request, the rest of a body that was
    refused, and the flushing of a last answer have their time each; then the connection is cut.
    """

    _clock: asyncio.TimerHandle | None = None
    request_seconds = 60.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.write(_FULL)
            transport.close()
            return
        self._set_clock(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._clock is None:
            self._set_clock(HEADER_SECONDS)
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before and not self.cycle.response_complete:
            self._set_clock(self.request_seconds)

    def on_response_complete(self) -> None:
        """An answer was written."""
        self._stop_clock()
        before = self.cycle
        super().on_response_complete()
        if self.cycle is not before:  # the next request was there already
            self._set_clock(self.request_seconds)
        elif self.conn.their_state is h11.SEND_BODY:
            self._set_clock(LINGER)

    def timeout_keep_alive_handler(self) -> None:
        """Nothing has come for a while."""
        super().timeout_keep_alive_handler()
        self._set_clock(LINGER)  # a client that does not read keeps what was written to it in a buffer

    def _set_clock(self, seconds: float) -> None:
        self._stop_clock()
        self._clock = self.loop.call_later(seconds, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


class Server(uvicorn.Server):
    """uvicorn's server, with a stop in two steps.

    On the first SIGTERM or SIGINT ``/readyz`` turns 503, and after ``drain`` seconds the port is shut. What was taken
    is finished in any case. A second signal ends it at once. SIGHUP reads the API keys again.
    """

    def __init__(self, config: uvicorn.Config, service: Service, drain: float, ready: int | None) -> None:
        super().__init__(config)
        self._service, self._drain, self._ready = service, drain, ready
        self._shut_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._service.gate.reload)
        await super().startup(sockets)
        for sock in sockets or []:
            # The event loop takes as many clients at a time as it was told to queue: told one, workers that share
            # a socket share its clients too. The kernel's queue is then made long again.
            sock.listen(_BACKLOG)
        if self._ready is not None:
            os.write(self._ready, b"1")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop."""
        if self._shut_at is not None:
            super().handle_exit(sig, frame)
            self.force_exit = True
            return
        self._service.stopping_soon = True
        self._shut_at = time.monotonic() + self._drain

    async def on_tick(self, counter: int) -> bool:
        """Whether to shut the port; asked ten times a second."""
        over = self._shut_at is not None and time.monotonic() >= self._shut_at
        return await super().on_tick(counter) or over


def run(
    app: FastAPI, sock: socket.socket, log: JsonLog, *, drain: float, patience: float, ready: int | None = None
) -> None:
    """Serve until a signal.

    Args:
        app: the application.
        sock: bound.
        log: for uvicorn's warnings.
        drain: seconds in which requests are still taken after SIGTERM, so that a load balancer can look elsewhere.
        patience: seconds that open requests have after that.
        ready: a descriptor to write a byte to once requests are answered.
    """
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(name).handlers = [Forward(log)]
        logging.getLogger(name).propagate = False
    service: Service = app.state.service
    longest = service.settings.reading + service.settings.deadline + 10.0
    protocol: Any = type("Connection", (Connection,), {"request_seconds": longest})
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=int(KEEP_ALIVE),
        timeout_graceful_shutdown=int(patience),
        h11_max_incomplete_event_size=HEADER_BYTES,
        backlog=1,
    )
    Server(config, service, drain, ready).run(sockets=[sock])
