"""``wreckognize serve`` as a process on loopback: real sockets, signals and workers."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlparse

import httpx
import pytest
from services import PATIENCE, is_ready, running, until

from wreckognize.cli.serving import bound
from wreckognize.errors import UsageError

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def service(served, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    options = ("--batch", "1", "--photo-mb", "0.2", "--drift", str(folder / "drift"), "--drain", "0.3")
    with running(served.folder, folder, *options) as one:
        yield one


def talk(url, *pieces, pause=0.0):
    """Send pieces on a connection of its own; what came back until the other end closed it."""
    at = urlparse(url)
    with socket.create_connection((at.hostname, at.port), timeout=PATIENCE) as sock:
        try:
            for piece in pieces:
                sock.sendall(piece)
                time.sleep(pause)
            received = b""
            while chunk := sock.recv(65536):
                received += chunk
        except ConnectionError:
            return received
        return received


def inspect(url, photo, **more):
    return httpx.post(f"{url}/v1/inspect", files=[("photos", ("car.jpg", photo))], timeout=PATIENCE, **more)


def test_photos_are_answered_over_a_socket(service, drawn):
    answer = inspect(service.url, drawn[0].read_bytes())
    assert answer.status_code == 200
    assert answer.json()["photos"][0]["verdict"] == "vehicle"
    assert answer.json()["photos"][0]["name"] == "car.jpg"


def test_bodies_in_chunks_of_no_stated_length_are_counted(service, drawn):
    photo = drawn[0].read_bytes()

    def pieces(data):
        yield from (data[start : start + 1000] for start in range(0, len(data), 1000))

    assert httpx.post(f"{service.url}/v1/inspect", content=pieces(photo), timeout=PATIENCE).status_code == 200
    response = httpx.post(f"{service.url}/v1/inspect", content=pieces(b"x" * 300_000), timeout=PATIENCE)
    assert response.status_code == 413


def test_a_length_that_is_too_large_is_refused_before_the_body(service):
    head = b"POST /v1/inspect HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nConnection: close\r\n\r\n"
    assert talk(service.url, head).startswith(b"HTTP/1.1 413")


def test_huge_headers_are_refused(service):
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 100_000
    assert talk(service.url, head)[:12] in (b"HTTP/1.1 400", b"")
    assert is_ready(service.url)


def test_two_lengths_and_other_tricks_of_smuggling_are_refused(service):
    for extra in (b"Content-Length: 1\r\nContent-Length: 2\r\n", b"Transfer-Encoding: gzip, chunked\r\n"):
        head = b"POST /v1/inspect HTTP/1.1\r\nHost: x\r\n" + extra + b"\r\n"
        assert talk(service.url, head)[:10] == b"HTTP/1.1 4" or b"HTTP/1.1 501" in talk(service.url, head)


@pytest.mark.slow
def test_no_request_spoiled_by_hand_is_a_5xx_but_503(service, drawn):
    """The benchmark's, in small."""
    file = REPOSITORY / "benchmarks" / "service_hostile.py"
    spec = importlib.util.spec_from_file_location("service_hostile", file)
    hostile = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hostile)
    statuses = hostile.by_hand(urlparse(service.url).port, 60, drawn[0].read_bytes())
    assert statuses.total() == 60
    assert len(statuses) > 3
    assert not [status for status in statuses if status >= 500 and status != 503]
    assert inspect(service.url, drawn[0].read_bytes()).status_code == 200


def test_counts_and_drift_are_told(service, drawn):
    before = httpx.get(f"{service.url}/v1/drift").json()["photos"]
    for photo in drawn[:3]:
        inspect(service.url, photo.read_bytes())
    assert httpx.get(f"{service.url}/v1/drift").json()["photos"] == before + 3
    page = httpx.get(f"{service.url}/metrics").text
    assert re.search(r'wreckognize_photos_total\{outcome="vehicle"\} [1-9]', page)
    assert "process_resident_memory_bytes" in page
    assert "wreckognize_drift_photos" in page


@pytest.mark.slow
def test_a_stop_says_so_first_and_finishes_what_was_taken(served, drawn, tmp_path):
    options = ("--batch", "1", "--drain", "1.5", "--drift", str(tmp_path / "drift"))
    with running(served.folder, tmp_path, *options) as service:
        statuses, going = [], threading.Event()

        def keep_asking():
            with httpx.Client(base_url=service.url, timeout=PATIENCE) as asking:
                while True:
                    try:
                        response = asking.post("/v1/inspect", content=drawn[0].read_bytes())
                    except httpx.TransportError:  # the port is shut
                        return
                    statuses.append(response.status_code)
                    going.set()

        askers = [threading.Thread(target=keep_asking) for _ in range(3)]
        for asker in askers:
            asker.start()
        assert going.wait(PATIENCE)
        service.process.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{service.url}/readyz").status_code == 503)
        assert inspect(service.url, drawn[0].read_bytes()).status_code == 200, "photos are still taken"
        assert service.process.wait(PATIENCE) == 0
        for asker in askers:
            asker.join(PATIENCE)
        assert set(statuses) == {200}
        taken = [line for line in service.events("request") if line["route"] == "/v1/inspect"]
        assert len(taken) == len(statuses) + 1, "what was taken was answered"
        assert [len(service.events(name)) for name in ("stopping", "stopped")] == [1, 1]
        assert list((tmp_path / "drift").rglob("*.json")), "what was counted is kept"


@pytest.mark.slow
def test_a_worker_that_is_killed_is_started_again(served, drawn, tmp_path):
    photo = drawn[0].read_bytes()
    with running(served.folder, tmp_path, "--workers", "2", "--batch", "1", "--drain", "0.1") as service:
        until(lambda: len(service.events("worker ready")) == 2)
        victim = service.events("worker ready")[0]["worker"]
        for _ in range(6):
            assert inspect(service.url, photo).status_code == 200
        until(lambda: len(service.events("worker warm")) == 3)  # one stands by
        os.kill(victim, signal.SIGKILL)
        assert inspect(service.url, photo).status_code == 200, "the other one answers"
        until(lambda: len(service.events("worker ready")) == 3)
        assert service.events("worker died")[0]["code"] == -signal.SIGKILL
        assert inspect(service.url, photo).status_code == 200
        page = httpx.get(f"{service.url}/metrics").text
        assert 'wreckognize_photos_total{outcome="vehicle"} 8.0' in page, "the dead one's counts are not lost"
        assert "wreckognize_queue_places 128.0" in page
        service.process.send_signal(signal.SIGHUP)
        until(lambda: len(service.events("worker warm")) == 4)
        workers = [event["worker"] for event in service.events("worker warm")]
        assert service.stop() == 0
        assert not any(is_there(worker) for worker in workers)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_clients_are_answered_or_find_the_port_shut(workers, served, drawn, tmp_path):
    photo = drawn[0].read_bytes()
    with running(served.folder, tmp_path, "--workers", workers, "--batch", "1", "--drain", "0.5") as service:
        met, over = [], threading.Event()

        def keep_coming():
            while not over.is_set():
                try:
                    met.append(
                        httpx.post(f"{service.url}/v1/inspect", content=photo, timeout=PATIENCE).status_code
                    )
                except httpx.TransportError as error:  # a new connection each time
                    met.append(type(error).__name__)
                    time.sleep(0.01)

        clients = [threading.Thread(target=keep_coming) for _ in range(4)]
        for one in clients:
            one.start()
        until(lambda: met)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)  # of two workers, one may be loading yet, and the spare is
        until(lambda: "ConnectError" in met)
        assert service.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < 10
        over.set()
        for one in clients:
            one.join(PATIENCE)
        assert set(met) == {200, "ConnectError"}
        assert not [line for line in service.lines() if line["level"] == "error"]
        assert "Traceback" not in service.log.read_text()


@pytest.mark.slow
def test_workers_that_are_told_to_stop_more_than_once_finish_what_they_have(served, drawn, tmp_path):
    with running(served.folder, tmp_path, "--workers", "2", "--batch", "1", "--drain", "2") as service:
        until(lambda: len(service.events("worker ready")) == 2)
        workers = [event["worker"] for event in service.events("worker ready")]
        service.process.send_signal(signal.SIGTERM)
        for _ in range(3):  # as a service manager does that tells every process
            until(lambda: service.events("stopping"))
            for worker in workers:
                os.kill(worker, signal.SIGTERM)
            time.sleep(0.1)
        assert inspect(service.url, drawn[0].read_bytes()).status_code == 200, "photos are still taken"
        assert service.process.wait(PATIENCE) == 0
        assert len(service.events("stopped")) >= 2
        assert not [line for line in service.lines() if line["level"] == "error"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_signal_ends_it_at_once(workers, served, tmp_path):
    drift = tmp_path / "drift"
    options = ("--workers", workers, "--batch", "1", "--drain", "50", "--drift", str(drift))
    with running(served.folder, tmp_path, *options) as service:
        service.process.send_signal(signal.SIGTERM)
        until(lambda: service.events("stopping"))
        began = time.monotonic()
        code = service.stop()
        assert time.monotonic() - began < 20
        assert code == (-signal.SIGTERM if workers == "1" else 0)
        errors = [line["event"] for line in service.lines() if line["level"] == "error"]
        assert set(errors) == (set() if workers == "1" else {"worker killed"})


@pytest.mark.slow
def test_workers_stop_when_their_parent_is_killed(served, tmp_path):
    with running(served.folder, tmp_path, "--workers", "2", "--batch", "1", "--drain", "0.1") as service:
        until(lambda: len(service.events("worker ready")) == 2)
        workers = [event["worker"] for event in service.events("worker ready")]
        service.process.kill()
        until(lambda: not any(is_there(worker) for worker in workers))


def is_there(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().split(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_port_that_is_taken_is_wrong_use(served):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot listen"):
            bound("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UsageError, match="cannot listen"):
        bound("no.such.host.invalid", 80)
