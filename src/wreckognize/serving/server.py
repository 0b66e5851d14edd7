"""Running the application on uvicorn: limits on connections, and a stop that first says so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from wreckognize.serving.app import Service
from wreckognize.serving.envelope import HEADER_BYTES
from wreckognize.serving.logs import Forward, JsonLog

KEEP_ALIVE = 15.0  # seconds a connection may be idle
HEADER_SECONDS = 10.0  # that a request's first line and headers may take
LINGER = 3.0  # seconds in which the rest of a refused body is read and dropped
MOST_CONNECTIONS = 1000
FIRST_BYTES = 0.5  # seconds that a client who came just before the port was shut has for its request to arrive
_BACKLOG = 2048
_PAUSE = 0.001  # seconds before the next client is taken, for each that is there
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


@dataclass(frozen=True, slots=True)
class Leash:
    """How a parent leads a worker.

    Attributes:
        ready: a descriptor that is written to once the model is warm: how many photos a batch holds.
        go: a descriptor; clients are taken once there is a byte on it, and none if it ends.
    """

    ready: int
    go: int


class Server(uvicorn.Server):
    """uvicorn's server, with a stop in two steps, and clients shared out fairly among workers.

    On the first SIGTERM or SIGINT ``/readyz`` turns 503, and after ``drain`` seconds the port is shut; what was taken
    is finished. A second signal ends it at once: to whoever was sent the first, which is the parent where there is one.
    SIGHUP reads the API keys again.

    Workers share one listening socket. Each takes one client at a time and then pauses, the longer the more it has, so
    that others come first; asyncio's own server would take as many as are there.
    """

    def __init__(self, config: uvicorn.Config, service: Service, drain: float, leash: Leash | None) -> None:
        super().__init__(config)
        self._service, self._drain, self._leash = service, drain, leash
        self._shut_at: float | None = None
        self._said = False
        self._listening: list[socket.socket] = []
        self._resting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._greeting: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Warm up, wait for the word if there is a parent, and begin to take clients."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._service.gate.reload)
        await super().startup([])
        if self._leash is not None:
            with contextlib.suppress(BrokenPipeError):  # the parent is gone, and so is the other end of `go`
                os.write(self._leash.ready, b"%d" % self._service.inspector.batch)
            if not await loop.run_in_executor(None, os.read, self._leash.go, 1):
                self.should_exit = True
                return
        self._service.measures.opened(self._service.settings.places)
        for sock in sockets or []:
            sock.setblocking(False)
            sock.listen(_BACKLOG)
            self._listening.append(sock)
            self._listen(sock)

    def _protocol(self) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        made: asyncio.Protocol = kind(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )
        return made

    def _listen(self, sock: socket.socket) -> None:
        asyncio.get_running_loop().add_reader(sock, self._take, sock)

    def _take(self, sock: socket.socket) -> None:
        """Take a client who waits at the port; a callback, as a task that is cancelled may have one in its hands."""
        pause = _PAUSE * min(10, len(self.server_state.connections)) if self._leash is not None else 0.0
        try:
            client, _ = sock.accept()
        except (BlockingIOError, ConnectionError):  # another worker was faster, or the client has gone already
            return
        except OSError as error:  # too many open files, say
            self._service.measures.log("client not taken", level="error", text=str(error))
            pause = 1.0
        else:
            client.setblocking(False)
            greeting = asyncio.get_running_loop().create_task(self._greet(client))
            self._greeting.add(greeting)
            greeting.add_done_callback(self._greeting.discard)
        if pause > 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(sock)
            self._resting[sock] = loop.call_later(pause, self._listen, sock)

    async def _greet(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client has gone already
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, client)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more clients, and finish the requests that are there."""
        loop = asyncio.get_running_loop()
        for sock in self._listening:
            loop.remove_reader(sock)
        for resting in self._resting.values():
            resting.cancel()
        await asyncio.gather(*self._greeting)
        await self._take_the_last()
        await super().shutdown(sockets)
        if self.force_exit:  # what uvicorn leaves out then: the application would be torn down as if it had failed
            await self.lifespan.shutdown()

    async def _take_the_last(self) -> None:
        """Take those who wait at the port, and let requests arrive that are on their way.

        Workers stop at the same time, and each goes on taking clients until it shuts its copy of the port: so whoever
        came before the last copy was shut is taken.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + FIRST_BYTES
        for sock in self._listening:
            while loop.time() < ends:
                try:
                    client, _ = sock.accept()
                    client.setblocking(False)
                    await self._greet(client)
                except ConnectionError:
                    continue
                except OSError:  # nobody is left, or nothing can be opened any more
                    break
            sock.close()
        ends = loop.time() + FIRST_BYTES
        while (
            not self.force_exit
            and loop.time() < ends
            and any(one.cycle is None for one in self.server_state.connections)  # type: ignore[union-attr]
        ):
            await asyncio.sleep(0.01)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop."""
        if self._shut_at is not None:
            if self._leash is None:  # a worker hears it from its parent, from init and when its parent is gone
                super().handle_exit(sig, frame)
                self.force_exit = self._service.ending_now = True
            return
        self._service.stopping_soon = True
        self._shut_at = time.monotonic() + self._drain

    async def on_tick(self, counter: int) -> bool:
        """Whether to shut the port; asked ten times a second."""
        if self._shut_at is not None and not self._said:  # a signal handler may not wait for the log's lock
            self._said = True
            self._service.measures.log("stopping", drain_s=self._drain)
        over = self._shut_at is not None and time.monotonic() >= self._shut_at
        return await super().on_tick(counter) or over


def run(
    app: FastAPI, sock: socket.socket, log: JsonLog, *, drain: float, patience: float, leash: Leash | None = None
) -> None:
    """Serve until a signal.

    Args:
        app: the application.
        sock: bound.
        log: for uvicorn's warnings.
        drain: seconds in which requests are still taken after SIGTERM, so that a load balancer can look elsewhere.
        patience: seconds that open requests have after that.
        leash: of a parent, if there is one.
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
    )
    Server(config, service, drain, leash).run(sockets=[sock])
    log("stopped")
