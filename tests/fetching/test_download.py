"""Fetching a pinned file from a real server on this machine that does all that servers do."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from wreckognize.errors import DownloadError, HashError
from wreckognize.fetching import FILES, PINS, Pin
from wreckognize.fetching.download import Patience, fetch
from wreckognize.progress import Silent

CONTENT = bytes(range(256)) * 2048  # half a megabyte
PIN = Pin("tiny.pt", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
PATIENCE = Patience(attempts=3, silence=0.5, pause=0.01, window=0.2)


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; ``behaviour`` says how the next requests are answered, ``asked`` keeps what was asked."""

    daemon_threads = True
    request_queue_size = 20

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour: list[str] = []
        self.asked: list[tuple[str, str | None]] = []
        self.content = CONTENT

    def handle_error(self, *_: object) -> None:
        """Clients that go away are part of the tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        begin = self.headers.get("Range")
        self.server.asked.append((self.path, begin))
        how = self.server.behaviour.pop(0) if self.server.behaviour else "well"
        content = self.server.content
        start = int(re.fullmatch(r"bytes=(\d+)-", begin)[1]) if begin and how != "from the beginning" else 0
        if how.startswith("status"):
            return self.send_error(int(how.split()[1]))
        if how.startswith("to "):
            self.send_response(302)
            self.send_header("Location", how[3:])
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            first = start + (how == "another part")
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        if how != "without a length":
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        match how:
            case "half":
                self.wfile.write(content[start : start + (len(content) - start) // 2])
            case "nothing":
                pass
            case "silent":
                time.sleep(2)
            case "a drop at a time":
                for byte in content[start:]:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.05)
            case _:
                self.wfile.write(content[start:])
        return None


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join(timeout=10)


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_address[1]}/"


def get(folder, url, pin=PIN):
    return fetch(pin, folder, source=url, progress=Silent(), patience=PATIENCE)


def only(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_is_not_fetched_twice(tmp_path, url, server):
    assert get(tmp_path, url) == (tmp_path / "tiny.pt", True)
    assert (tmp_path / "tiny.pt").read_bytes() == CONTENT
    assert get(tmp_path, url) == (tmp_path / "tiny.pt", False)
    assert server.asked == [("/tiny.pt", None)]
    assert only(tmp_path) == ["tiny.pt"]


def test_what_broke_off_goes_on_where_it_stood(tmp_path, url, server):
    server.behaviour = ["half", "nothing", "half", "status 503"]
    get(tmp_path, url + "named.bin")
    assert (tmp_path / "tiny.pt").read_bytes() == CONTENT
    half = len(CONTENT) // 2
    assert [asked for _, asked in server.asked] == [
        None, f"bytes={half}-", f"bytes={half}-", f"bytes={half + half // 2}-", f"bytes={half + half // 2}-",
    ]  # fmt: skip
    assert {path for path, _ in server.asked} == {"/named.bin"}


def test_the_next_call_goes_on_where_one_gave_up(tmp_path, url, server):
    server.behaviour = ["half", "nothing", "nothing", "nothing"]
    with pytest.raises(
        DownloadError, match=r"the connection ended early \(0\.3 of 0\.5 MB came; the same command"
    ):
        get(tmp_path, url)
    assert only(tmp_path) == [f".tiny.pt.{PIN.sha256[:12]}.download"]
    get(tmp_path, url)
    assert server.asked[-1][1] == f"bytes={len(CONTENT) // 2}-"
    assert only(tmp_path) == ["tiny.pt"]


@pytest.mark.parametrize("how", ["from the beginning", "without a length", "another part", "status 416", "silent"])
def test_servers_that_do_not_know_parts_well(tmp_path, url, server, how):
    server.behaviour = ["half", how]
    get(tmp_path, url)
    assert (tmp_path / "tiny.pt").read_bytes() == CONTENT


def test_a_server_that_hardly_sends_anything_is_given_up(tmp_path, url, server):
    server.behaviour = ["a drop at a time"] * 9
    with pytest.raises(DownloadError, match="hardly sends anything"):
        get(tmp_path, url)
    assert len(server.asked) == PATIENCE.attempts


@pytest.mark.parametrize("wrong", [b"x" * len(CONTENT), CONTENT[:-1] + b"x"])
def test_another_file_is_refused_and_removed(tmp_path, url, server, wrong):
    server.content = wrong
    with pytest.raises(HashError, match=r"what came is not tiny.pt: its sha256 is not"):
        get(tmp_path, url)
    assert only(tmp_path) == []


@pytest.mark.parametrize(("content", "how"), [(CONTENT + b"x", "well"), (CONTENT[:-1], "well"), (b"", "well")])
def test_a_file_of_another_size_is_not_even_fetched(tmp_path, url, server, content, how):
    server.content, server.behaviour = content, [how]
    with pytest.raises(HashError, match="bytes instead of 524,288"):
        get(tmp_path, url)
    assert only(tmp_path) == []


def test_a_stream_without_end_is_cut(tmp_path, url, server):
    server.content, server.behaviour = CONTENT * 3, ["without a length"]
    with pytest.raises(HashError, match="more bytes come than the file has"):
        get(tmp_path, url)
    assert (tmp_path / f".tiny.pt.{PIN.sha256[:12]}.download").stat().st_size <= len(CONTENT)


def test_a_server_may_send_us_on_but_not_out_of_the_web_nor_for_ever(tmp_path, url, server):
    server.behaviour = [f"to {url}moved", f"to {url}again"]
    get(tmp_path, url)
    assert [path for path, _ in server.asked] == ["/tiny.pt", "/moved", "/again"]
    (tmp_path / "tiny.pt").unlink()
    for place in (f"file://{tmp_path}/a", "ftp://127.0.0.1/a", "data:,a"):
        server.behaviour = [f"to {place}"]
        with pytest.raises((HashError, DownloadError), match=r"sends us on to|not allowed"):
            get(tmp_path, url)
    server.behaviour = [f"to {url}round"] * 50
    with pytest.raises(DownloadError, match="302"):
        get(tmp_path, url)


def test_from_https_nothing_leads_to_http():
    import urllib.request

    from wreckognize.fetching.download import _CarefulRedirects

    request = urllib.request.Request("https://example.org/a")
    with pytest.raises(HashError, match=r"sends us on to http://example.org/b"):
        _CarefulRedirects().redirect_request(request, None, 302, "", {}, "http://example.org/b")


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_is_not_there_is_said_at_once(tmp_path, url, server, status):
    server.behaviour = [f"status {status}"]
    with pytest.raises(DownloadError, match=f"the server says {status}(.|\n)*--to {tmp_path} --from FILE"):
        get(tmp_path, url)
    assert len(server.asked) == 1


def test_without_a_network_it_says_which_file_to_put_where(tmp_path):
    with pytest.raises(DownloadError, match=rf"refused(.|\n)*sha256 {PIN.sha256}(.|\n)*fetch weights tiny --to"):
        get(tmp_path, "http://127.0.0.1:9/")
    assert only(tmp_path) == []


def test_a_file_that_came_some_other_way_is_held_to_the_same_hash(tmp_path):
    other = tmp_path / "from-a-stick.pt"
    other.write_bytes(CONTENT)
    (tmp_path / "study").mkdir()
    assert get(tmp_path / "study", str(other)) == (tmp_path / "study" / "tiny.pt", True)
    other.write_bytes(CONTENT[::-1])
    (tmp_path / "more").mkdir()
    with pytest.raises(HashError, match=r"is not tiny.pt"):
        get(tmp_path / "more", str(other))
    assert other.exists()
    with pytest.raises(DownloadError, match="no such file"):
        get(tmp_path / "more", str(tmp_path / "gone"))
    assert only(tmp_path / "more") == []


def test_what_stands_there_is_checked_and_never_replaced(tmp_path, url, server):
    (tmp_path / "tiny.pt").write_bytes(b"mine")
    with pytest.raises(HashError, match=r"the file that stands there is not tiny.pt"):
        get(tmp_path, url)
    assert (tmp_path / "tiny.pt").read_bytes() == b"mine"
    assert server.asked == []


def test_places_that_will_not_do(tmp_path, url, monkeypatch):
    with pytest.raises(DownloadError, match="no such folder"):
        get(tmp_path / "gone", url)
    with pytest.raises(DownloadError, match="no download by ftp"):
        get(tmp_path, "ftp://127.0.0.1/")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DownloadError, match="1 MB are wanted, 0 MB are free"):
        get(tmp_path, url)


def test_a_folder_that_cannot_be_written_is_said(tmp_path, url):
    if os.geteuid() == 0:
        pytest.skip("root writes anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(DownloadError, match="cannot be written"):
        get(tmp_path, url)


def test_pins_are_whole_and_each_its_own():
    assert {f"{family}{size}.pt" for family in ("yolov8", "yolo11") for size in "nsmlx"} == FILES
    assert len({pin.sha256 for pin in PINS.values()}) == len({pin.size for pin in PINS.values()}) == 10
    for name, pin in PINS.items():
        assert pin.file == f"{name}.pt"
        assert re.fullmatch("[0-9a-f]{64}", pin.sha256)


def test_the_command_says_what_there_is_and_refuses_what_is_not_pinned(tmp_path, url, server):
    def command(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "wreckognize", "fetch", "weights", *arguments],
            capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        )  # fmt: skip

    unknown = command("yolov9z")
    assert unknown.returncode == 2
    assert "choose among yolov8n, yolov8s" in unknown.stderr
    wrong = command("yolov8x.pt", "--from", url)
    assert wrong.returncode == 1
    assert "524,288 bytes instead of 136,890,692" in wrong.stderr
    assert server.asked == [("/yolov8x.pt", None)]
    assert only(tmp_path) == []
