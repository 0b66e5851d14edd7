"""Connections that send or read slowly, on real sockets; the clocks are set short."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest
import uvicorn
from services import PATIENCE, application, until

from wreckognize.serving import server
from wreckognize.serving.settings import ServiceSettings

SETTINGS = ServiceSettings(batch=1, decoders=1, silence=0.2, reading=1.0)


@contextmanager
def listening(app):
    class Short(server.Connection):
        request_seconds = 1.5

    config = uvicorn.Config(app, http=Short, lifespan="off", log_config=None, ws="none", timeout_keep_alive=1)
    running = uvicorn.Server(config)
    sock = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=running.run, args=([sock],))
    thread.start()
    try:
        until(lambda: running.started)
        yield sock.getsockname()
    finally:
        running.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def address(served, detector, monkeypatch):
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(server, "LINGER", 0.3)
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 4)
    with application(served, detector, SETTINGS) as app, listening(app) as where:
        yield where


def heard(sock):
    """All that comes until the other end closes, which it must."""
    sock.settimeout(PATIENCE)
    received = b""
    try:
        while chunk := sock.recv(65536):
            received += chunk
    except ConnectionError:
        pass
    return received


def test_a_client_that_says_nothing_or_never_ends_its_headers_is_cut_off(address):
    for beginning in (b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"):
        with socket.create_connection(address) as sock:
            sock.sendall(beginning)
            assert heard(sock) == b""


def test_headers_that_come_byte_by_byte_do_not_buy_time(address):
    with socket.create_connection(address) as sock:
        gone = threading.Event()

        def drip():
            sock.sendall(b"GET / HTTP/1.1\r\nX-A: ")
            while not gone.wait(0.05):
                try:
                    sock.sendall(b"a")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert heard(sock) == b""
        gone.set()
        dripping.join(PATIENCE)


def test_a_body_that_stops_is_answered_and_then_cut_off(address):
    with socket.create_connection(address) as sock:
        sock.sendall(b"POST /v1/inspect HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegun")
        assert heard(sock).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("length", ["99999999999999999999", "999999999"])
def test_a_length_beyond_all_limits_is_refused_at_once(address, length):
    with socket.create_connection(address) as sock:
        sock.sendall(f"POST /v1/inspect HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert heard(sock).startswith(b"HTTP/1.1 413")


def test_long_headers_are_refused_also_when_they_come_in_one_piece(address):
    with socket.create_connection(address) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n")
        answer = heard(sock)
    assert answer.startswith(b"HTTP/1.1 431")
    assert b"16 KiB" in answer


def test_the_rest_of_a_refused_body_is_not_read_for_ever(address):
    head = b"POST /v1/inspect HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"
    with socket.create_connection(address) as sock:
        sock.sendall(head)
        assert heard(sock).startswith(b"HTTP/1.1 415")


def test_more_connections_than_allowed_are_sent_away(address):
    taken = [socket.create_connection(address) for _ in range(4)]
    try:
        with socket.create_connection(address) as one_more:
            assert heard(one_more).startswith(b"HTTP/1.1 503")
    finally:
        for sock in taken:
            sock.close()


def test_an_ordinary_client_may_ask_again_and_again(address):
    with socket.create_connection(address) as sock:
        sock.settimeout(PATIENCE)
        for _ in range(3):
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while b"alive" not in received:
                received += sock.recv(65536)
            assert received.startswith(b"HTTP/1.1 200")
