"""Load on an HTTP service, from a process of its own: ``python service_load.py`` with a plan as JSON on standard input.

Prints what came of every request as JSON. Plain sockets instead of a client library, so that the load costs the machine
as little as possible: client and service share its cores.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """What is sent.

    Attributes:
        port: of the service, on this machine.
        path: of the requests.
        field: of the form.
        photos: files, sent in turn.
        clients: connections; each sends its next request when the last one is answered (closed loop), unless ``rate``.
        seconds: how long, unless ``requests``.
        requests: how many in all.
        rate: requests a second, whether or not those before are answered (open loop).
        even: that rate with the same pause between any two, as wrk2 sends; else at random moments (Poisson).
    """

    port: int
    path: str
    field: str
    photos: list[str]
    clients: int = 16
    seconds: float = 10.0
    requests: int | None = None
    rate: float | None = None
    even: bool = False


@dataclass(frozen=True)
class Outcome:
    """One request: when it was due (seconds from the start), how long until its answer, and the status; 0: lost."""

    at: float
    took: float
    status: int


def form(port: int, path: str, field: str, photo: bytes) -> bytes:
    """A whole request."""
    boundary = "b-o-u-n-d-a-r-y"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode()
    body += photo + f"\r\n--{boundary}--\r\n".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: multipart/form-data; boundary={boundary}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Client:
    """One connection, opened again when it is closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> int:
        """Send a request; the status of its answer, 0 if there is none."""
        fresh = self._streams is None
        try:
            status = await self._send(request)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            if fresh:
                return 0
            status = -1
        if status == -1:  # closed while it was idle, or with the answer still to come: those two look alike here
            return 0
        return status

    async def _send(self, request: bytes) -> int:
        if self._streams is not None and self._streams[0].at_eof():  # closed after it had been idle for long
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        await reader.readexactly(length)
        if "connection: close" in head:
            self.close()
        return int(head.split()[1])

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def load(plan: Plan) -> list[Outcome]:
    """Carry a plan out."""
    requests = [form(plan.port, plan.path, plan.field, Path(photo).read_bytes()) for photo in plan.photos]
    began = time.perf_counter()
    outcomes: list[Outcome] = []
    sent = 0

    async def one(client: Client, due: float) -> None:
        nonlocal sent
        number, sent = sent, sent + 1
        status = await client.send(requests[number % len(requests)])
        outcomes.append(Outcome(due - began, time.perf_counter() - due, status))

    async def closed() -> None:
        client = Client(plan.port)
        while sent < plan.requests if plan.requests else time.perf_counter() - began < plan.seconds:
            await one(client, time.perf_counter())
        client.close()

    async def opened(rate: float) -> None:
        dice, due, idle = random.Random(7), began, [Client(plan.port) for _ in range(plan.clients)]
        running = set()

        async def from_pool(due: float) -> None:
            client = idle.pop() if idle else Client(plan.port)
            await one(client, due)
            idle.append(client)

        while time.perf_counter() - began < plan.seconds:
            due += 1 / rate if plan.even else dice.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            running.add(asyncio.create_task(from_pool(due)))
        await asyncio.gather(*running)
        for client in idle:
            client.close()

    if plan.rate is None:
        await asyncio.gather(*(closed() for _ in range(plan.clients)))
    else:
        await opened(plan.rate)
    return outcomes


if __name__ == "__main__":
    found = asyncio.run(load(Plan(**json.load(sys.stdin))))
    json.dump([asdict(one) for one in found], sys.stdout)
