"""Hostile requests: ``python service_hostile.py PORT COUNT PHOTO``; prints what was answered, as JSON.

Half are made by Schemathesis from the service's own OpenAPI page, half by hand: photos cut short, with bytes changed,
of huge sizes by their headers, random bytes, broken forms, and what is no HTTP. The random numbers are fixed.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 30.0
NO_HTTP_PATIENCE = 0.3  # what never ends its headers is not waited for
HOST = "127.0.0.1"


def spoiled(photo: bytes, dice: random.Random) -> Iterator[tuple[bytes, float]]:
    """Requests, and how long to wait for their answers; without end."""
    while True:
        kind = dice.randrange(8)
        body = bytearray(photo)
        if kind == 0:
            body = body[: dice.randrange(1, len(body))]
        elif kind == 1:
            for _ in range(dice.randrange(1, 40)):
                body[dice.randrange(len(body))] = dice.randrange(256)
        elif kind == 2:
            body = bytearray(dice.randbytes(dice.randrange(0, 5000)))
        elif kind == 3:
            body = bytearray(png_of(dice.choice([1, 9, 10_000, 100_000]), dice.choice([1, 30_000, 100_000])))
        elif kind == 4:
            body = bytearray(photo[:2] + b"\xff\xda\x00\x02" * dice.randrange(50, 5000) + photo[2:])
        elif kind == 5:
            lead = dice.choice([b"", b"--b", b"--b\r\n"])
            yield form(dice.randbytes(dice.randrange(0, 300)), lead=lead), PATIENCE
            continue
        elif kind == 6:
            lead = b'--b\r\nContent-Disposition: form-data; name="photos"'
            yield form(bytes(body[: dice.randrange(len(body))]), lead=lead), PATIENCE
            continue
        else:
            chosen = dice.choice(
                [
                    dice.randbytes(dice.randrange(1, 2000)),
                    b"GET /" + b"a" * dice.randrange(1, 60_000) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"POST /v1/inspect HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                    b"POST /v1/inspect HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
                    b"POST /v1/inspect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                    b"POST /v1/inspect HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
                    b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
                ]
            )
            yield chosen, NO_HTTP_PATIENCE
            continue
        yield request(bytes(body), "image/jpeg"), PATIENCE


def request(body: bytes, kind: str) -> bytes:
    """A request with a body."""
    head = (
        f"POST /v1/inspect HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


def form(body: bytes, *, lead: bytes) -> bytes:
    """A request whose form is broken."""
    return request(lead + body, "multipart/form-data; boundary=b")


def png_of(width: int, height: int) -> bytes:
    """A PNG that says to be so large and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")
    )


def send(port: int, data: bytes, patience: float) -> int:
    """The status that a request is answered with; 0 where there is no answer."""
    with socket.create_connection((HOST, port), timeout=PATIENCE) as sock:
        try:
            sock.sendall(data)
            sock.settimeout(patience)
            answer = sock.recv(65536)
        except (ConnectionError, TimeoutError):
            return 0
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


def by_hand(port: int, count: int, photo: bytes) -> Counter[int]:
    """Send so many."""
    requests, found = spoiled(photo, random.Random(11)), Counter[int]()
    for _ in range(count):
        found[send(port, *next(requests))] += 1
    return found


def by_schemathesis(port: int, count: int) -> Counter[int]:
    """Send about so many, spread over the operations of the page."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, seed, settings

    schema = schemathesis.openapi.from_url(f"http://{HOST}:{port}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    found = Counter[int]()
    # Few of the operations can be asked in more than a handful of ways: those that can are asked the more.
    for operation in operations:
        share = count // 2 if operation.method.upper() == "POST" else max(1, count // 20)

        @seed(5)
        @settings(
            max_examples=share,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(
            case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
            | operation.as_strategy()
        )
        def ask(case: schemathesis.Case) -> None:
            found[case.call(timeout=PATIENCE).status_code] += 1

        ask()
    return found


if __name__ == "__main__":
    port, count = int(sys.argv[1]), int(sys.argv[2])
    statuses = by_hand(port, count - count // 2, Path(sys.argv[3]).read_bytes())
    statuses += by_schemathesis(port, count // 2)
    json.dump({"requests": statuses.total(), "statuses": statuses}, sys.stdout)
