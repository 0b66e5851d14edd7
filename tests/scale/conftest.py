"""A real S3 API and a real Ray cluster, both on this machine's loopback."""

from __future__ import annotations

import http.client
import os
import shutil
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from clusters import CREDENTIALS, TwoNodes

from wreckognize.scale.storage import Storage
from wreckognize.settings import StorageSettings

BUCKET = "photos"
FRAMING = ("content-length", "transfer-encoding", "connection", "expect")
"""Headers about how a message is sent, not about what it says."""


class S3:
    """A moto server: buckets are filled through it, and it can be told to check who asks."""

    def __init__(self, port: int) -> None:
        import boto3

        self.endpoint = f"http://127.0.0.1:{port}"
        self.port = port
        self.client = boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1")

    def fill(self, folder: Path, prefix: str) -> str:
        """Put every file below a folder into the bucket; the URL of the prefix."""
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.put(f"{prefix}/{file.relative_to(folder).as_posix()}", file.read_bytes())
        return f"s3://{BUCKET}/{prefix}"

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=data)

    def check_who_asks(self, wanted: bool) -> None:
        body = b"0" if wanted else b"inf"
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset-auth", data=body, method="POST")
        request.add_header("Content-Type", "text/plain")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def settings(self, **changes: object) -> StorageSettings:
        return StorageSettings(**{"endpoint": self.endpoint, "region": "us-east-1", "timeout": 5.0, **changes})

    def storage(self, **changes: object) -> Storage:
        return Storage(self.settings(**changes))


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    pytest.importorskip("pyarrow", reason="needs the extra [ray]: make cluster")
    moto = pytest.importorskip("moto.moto_server.threaded_moto_server", reason="needs moto[server]: make cluster")
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        storage = S3(server.get_host_and_port()[1])
        storage.client.create_bucket(Bucket=BUCKET)
        yield storage
    finally:
        server.stop()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


class Flaky:
    """Stands before the S3 API and spoils some requests: ``how(number)`` says what is done to each."""

    def __init__(self, port: int) -> None:
        self.requests, self.spoiled = 0, 0
        self.how = lambda number: "pass"
        outer, counting = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                sent = self.received()
                with counting:
                    outer.requests += 1
                    doing = outer.how(outer.requests)
                    outer.spoiled += doing != "pass"
                if doing == "503":
                    self.answer(503, b"<Error><Code>SlowDown</Code><Message>slow down</Message></Error>", {})
                    return
                if doing == "slow":
                    time.sleep(2.5)
                if doing == "drop":
                    self.close_connection = True
                    self.connection.close()
                    return
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in FRAMING}
                connection.request(self.command, self.path, body=sent, headers=headers)
                response = connection.getresponse()
                body = response.read()
                self.answer(response.status, body, dict(response.getheaders()), cut=doing == "cut")
                connection.close()

            def received(self) -> bytes:
                """The body, in whichever of HTTP's ways it comes."""
                if self.headers.get("Transfer-Encoding", "") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    """Trailing headers."""
                return b"".join(parts)

            def answer(self, status: int, body: bytes, headers: dict[str, str], cut: bool = False) -> None:
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        if name.lower() not in FRAMING:
                            self.send_header(name, value)
                    length = headers.get("Content-Length", str(len(body)))
                    self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(body[: len(body) // 2] if cut else body)
                    self.close_connection = self.close_connection or cut
                except OSError:  # the client has given up waiting, as it was made to
                    self.close_connection = True

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def flaky(s3: S3) -> Iterator[Flaky]:
    proxy = Flaky(s3.port)
    yield proxy
    proxy.server.shutdown()
    proxy.server.server_close()


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[TwoNodes]:
    pytest.importorskip("ray", reason="needs the extra [ray]: make cluster")
    nodes = TwoNodes()
    try:
        nodes.wait_for(1)
        yield nodes
    finally:
        nodes.kill_second()
        nodes.first.kill()
        nodes.close()


@pytest.fixture
def short() -> Iterator[Path]:
    """For all that is temporary: Ray's sockets have no room for a longer path."""
    folder = Path(tempfile.mkdtemp(prefix="q-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)
