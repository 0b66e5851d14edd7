"""``POST /v1/inspect`` and its neighbours, asked through ASGI."""

from __future__ import annotations

import asyncio
import gc
import io
import threading
import tracemalloc
from dataclasses import replace

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services import PATIENCE, Engine, Lines, application, client
from wreckognize.serving.answers import ErrorAnswer, InspectAnswer
from wreckognize.serving.settings import ServiceSettings

SETTINGS = ServiceSettings(
    batch=1, decoders=1, photos=4, photo_bytes=100_000, request_bytes=300_000, pixels=1_000_000
)


@pytest.fixture(scope="module")
def log():
    return Lines()


@pytest.fixture(scope="module")
def engine(detector):
    return Engine(detector)


@pytest.fixture(scope="module")
def app(served, engine, log):
    with application(served, engine, SETTINGS, log) as made:
        yield made


def ask(app, method="POST", path="/v1/inspect", **request):
    async def send():
        async with client(app) as asking:
            return await asking.request(method, path, **request)

    return asyncio.run(send())


def code_of(response):
    return msgspec.json.decode(response.content, type=ErrorAnswer).error.code


def forms(*files):
    return {"files": [("photos", file) for file in files]}


def test_many_photos_have_a_verdict_or_an_error_each(app, served, drawn):
    files = [(file.name, file.read_bytes()) for file in drawn[:2]]
    response = ask(app, **forms(*files, ("../../etc/notes.txt", b"no photo"), ("large.jpg", b"x" * 100_001)))
    assert response.status_code == 200
    answer = msgspec.json.decode(response.content, type=InspectAnswer)
    assert answer.model.sha256 == served.manifest.sha256
    assert answer.threshold == 0.1
    assert answer.to_a_person is None
    first, second, third, fourth = answer.photos
    assert [first.name, second.name, third.name] == [drawn[0].name, drawn[1].name, "notes.txt"]
    height, width = cv2.imread(str(drawn[0])).shape[:2]
    assert (first.verdict, first.width, first.height) == ("vehicle", width, height)
    assert first.score == first.boxes[0].confidence
    assert first.score > 0.1
    assert second.verdict == "no vehicle"
    assert third.verdict is None
    assert (third.error.code, fourth.error.code) == ("not_a_photo", "too_many_bytes")
    assert 0 < answer.timings_ms.inference <= answer.timings_ms.total


def test_raw_bytes_are_one_photo(app, drawn):
    by_form = ask(app, **forms(("photo", drawn[0].read_bytes()))).json()
    by_body = ask(app, content=drawn[0].read_bytes(), headers={"content-type": "image/jpeg"}).json()
    assert by_form["photos"] == by_body["photos"]


def pixels(width, height):
    return cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))[1].tobytes()


def bomb():
    """A PNG of a few bytes whose header says 30,000 by 30,000."""
    data = bytearray(pixels(20, 20))
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "no_photos"),
        (b"random bytes", 415, "not_a_photo"),
        (pixels(40, 40)[:60], 400, "unreadable"),
        (pixels(9, 40), 422, "too_small"),
        (pixels(1001, 1000), 422, "too_many_pixels"),
        (bomb(), 422, "too_many_pixels"),
        (b"x" * 100_001, 413, "too_many_bytes"),
    ],
)
def test_a_single_photo_that_cannot_be_used_is_a_4xx_with_a_reason(app, content, status, code):
    for request in ({"content": content}, forms(("p.jpg", content))):
        response = ask(app, **request)
        wanted = ("unreadable", 400) if code == "no_photos" and "files" in request else (code, status)
        assert (code_of(response), response.status_code) == wanted
        assert response.json()["error"]["remedy"]


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"json": {"photos": []}}, 415, "content_type"),
        ({"content": b"x", "headers": {"content-encoding": "gzip"}}, 415, "content_encoding"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "form"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 400, "form"),
        ({"content": b"x", "headers": {"content-type": "multipart/mixed; boundary=b"}}, 415, "content_type"),
        (
            {"content": b"--b--\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}},
            400,
            "no_photos",
        ),
        ({"files": [("other", ("a", b"1"))]}, 400, "form"),
        (forms(*[("p", b"1")] * 5), 413, "too_many_photos"),
        (forms(*[("p", b"1" * 90_000)] * 4), 413, "too_many_bytes"),
    ],
)
def test_a_body_that_is_none_is_a_4xx(app, request_, status, code):
    response = ask(app, **request_)
    assert (response.status_code, code_of(response)) == (status, code)


def test_a_part_with_huge_headers_is_refused(app):
    name = b"n" * 100_000
    body = b'--b\r\nContent-Disposition: form-data; name="photos"; filename="' + name + b'"\r\n\r\nx\r\n--b--\r\n'
    response = ask(app, content=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert (response.status_code, code_of(response)) == (400, "form")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_spoiled_photo_is_an_answer_or_a_4xx(app, drawn, data):
    photo = bytearray(data.draw(st.sampled_from(drawn)).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(photo) - 1), max_size=20)):
        photo[place] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(1, len(photo)))
    response = ask(app, content=bytes(photo[:cut]))
    assert response.status_code == 200 or (400 <= response.status_code < 500 and code_of(response))


BEGINNINGS = (b"", b"--b\r\n", b'--b\r\nContent-Disposition: form-data; name="photos"\r\n\r\n')


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300), lead=st.sampled_from(BEGINNINGS))
def test_a_spoiled_form_is_a_4xx(app, body, lead):
    response = ask(app, content=lead + body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert 400 <= response.status_code < 500
    assert code_of(response)


def test_every_answer_has_an_id_and_headers_that_keep_it_safe(app, log, drawn):
    given_id = ask(app, content=drawn[0].read_bytes(), headers={"x-request-id": "abc-1"})
    assert given_id.headers["x-request-id"] == "abc-1"
    other = ask(app, content=b"junk", headers={"x-request-id": "no good\t id"})
    assert other.headers["x-request-id"] not in ("", "no good\t id")
    for response in (given_id, other, ask(app, "GET", "/nothing/here")):
        assert "default-src 'self'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
    assert "server" not in other.headers


def test_the_log_has_a_line_a_request_and_no_names(app, log, drawn):
    log.events.clear()
    ask(app, **forms(("secret.jpg", drawn[0].read_bytes())), headers={"x-request-id": "r1"})
    (line,) = log.of("request")
    assert (line["id"], line["route"], line["status"], line["photos"]) == ("r1", "/v1/inspect", 200, 1)
    assert "secret" not in repr(line)


def test_names_are_logged_where_that_is_asked_for(served, detector, drawn):
    log = Lines()
    with application(served, detector, replace(SETTINGS, log_names=True), log) as app:
        ask(app, **forms(("front.jpg", drawn[0].read_bytes())))
    assert log.of("request")[0]["names"] == ["front.jpg"]


def test_a_full_queue_and_a_missed_deadline_are_503_and_leave_no_place_taken(served, engine, drawn):
    data, go, reached = drawn[0].read_bytes(), threading.Event(), threading.Event()

    def wait(batch):
        reached.set()
        assert go.wait(PATIENCE)

    async def all_of_it(app):
        async with client(app) as asking:
            first = asyncio.create_task(asking.post("/v1/inspect", content=data))
            while not reached.is_set():
                await asyncio.sleep(0.01)
            second = await asking.post("/v1/inspect", **forms(*[("p", data)] * 4))
            late = await first
            return second, late

    limits = replace(SETTINGS, places=4, deadline=0.5)
    with application(served, engine, limits) as app:
        engine.before = wait
        try:
            full, late = asyncio.run(all_of_it(app))
            service = app.state.service
            assert (full.status_code, code_of(full)) == (503, "busy")
            assert (late.status_code, code_of(late)) == (503, "deadline")
            assert int(full.headers["retry-after"]) >= 1
            assert int(late.headers["retry-after"]) >= 1
            assert service.memory.held == 0
        finally:
            go.set()
            engine.before = lambda batch: None


def test_an_engine_that_fails_is_a_503_and_then_not_ready(served, engine, drawn):
    def fail(batch):
        raise RuntimeError("broken at /secret/path")

    with application(served, engine, replace(SETTINGS, failures=2)) as app:
        assert ask(app, "GET", "/readyz").status_code == 200
        engine.before = fail
        try:
            for _ in range(2):
                response = ask(app, content=drawn[0].read_bytes())
                assert (response.status_code, code_of(response)) == (503, "engine")
                assert "secret" not in response.text
            assert ask(app, "GET", "/readyz").status_code == 503
            assert ask(app, "GET", "/healthz").status_code == 200
            assert (
                'wreckognize_engine_failures_total{reason="RuntimeError"} 2.0' in ask(app, "GET", "/metrics").text
            )
        finally:
            engine.before = lambda batch: None


def test_uploads_that_together_hold_too_much_are_503(served, detector):
    with application(served, detector, replace(SETTINGS, held_bytes=1000)) as app:
        response = ask(app, content=b"x" * 2000)
        assert (response.status_code, code_of(response)) == (503, "busy")
        assert app.state.service.memory.held == 0


def test_a_mistake_of_ours_is_a_500_without_a_trace(served, detector, drawn, monkeypatch):
    log = Lines()
    with application(served, detector, SETTINGS, log) as app:
        monkeypatch.setattr("wreckognize.serving.inspecting.read_photos", lambda *_: 1 / 0)
        response = ask(app, content=drawn[0].read_bytes())
    assert (response.status_code, code_of(response)) == (500, "internal")
    assert "ZeroDivisionError" not in response.text
    assert "ZeroDivisionError" in log.of("error")[0]["text"]


def test_a_client_that_goes_frees_its_places(served, engine, drawn):
    """The application is spoken to by hand: it is told that the client has gone while its photo waits."""
    go, reached = threading.Event(), threading.Event()

    def wait(batch):
        reached.set()
        assert go.wait(PATIENCE)

    async def leave(app):
        messages = [{"type": "http.request", "body": drawn[0].read_bytes(), "more_body": False}]
        sent = []

        async def receive():
            if messages:
                return messages.pop(0)
            while len(sent) == 0 and not leaving.is_set():
                await asyncio.sleep(0.01)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        leaving = asyncio.Event()
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/inspect",
            "raw_path": b"/v1/inspect",
            "query_string": b"",
            "headers": [],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("service", 80),
            "client": ("there", 1),
            "root_path": "",
            "asgi": {"version": "3.0"},
        }
        inspector = app.state.service.inspector
        held = inspector.enter([("other", drawn[0].read_bytes())])  # the engine is busy with it
        while not reached.is_set():
            await asyncio.sleep(0.01)
        request = asyncio.create_task(app(scope, receive, send))
        while inspector.free_places > SETTINGS.places - 2:
            await asyncio.sleep(0.01)
        leaving.set()
        await asyncio.wait_for(request, PATIENCE)
        freed = inspector.free_places
        go.set()
        await asyncio.wrap_future(held[0])
        return freed

    with application(served, engine, SETTINGS) as app:
        engine.before = wait
        try:
            assert asyncio.run(leave(app)) == SETTINGS.places - 1
        finally:
            go.set()
            engine.before = lambda batch: None


def test_nothing_of_a_photo_is_kept(app, drawn):
    async def many(count):
        async with client(app) as asking:
            for number in range(count):
                data = drawn[number % len(drawn)].read_bytes() if number % 3 else b"junk" * 5000
                await asking.post("/v1/inspect", content=data)

    asyncio.run(many(30))  # caches are filled
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        asyncio.run(many(90))
        app.state.service.measures.log.events.clear()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100_000, "90 requests of 4 to 20 kB"
    assert app.state.service.memory.held == 0
    assert app.state.service.inspector.free_places == SETTINGS.places


def test_the_model_says_what_it_is(app, served):
    said = ask(app, "GET", "/v1/model").json()
    assert said["version"] == served.manifest.version
    assert said["card"]["limits"]
    assert "files" not in said
    assert str(served.folder) not in str(said)


def test_the_openapi_page_has_what_is_answered(app, drawn):
    page = ask(app, "GET", "/openapi.json").json()
    inspect = page["paths"]["/v1/inspect"]["post"]
    example = inspect["responses"]["200"]["content"]["application/json"]["example"]
    msgspec.convert(example, InspectAnswer)
    assert set(inspect["requestBody"]["content"]) >= {"multipart/form-data", "image/jpeg"}
    assert ask(app, "GET", "/docs").status_code == 404


def test_a_band_gives_the_third_answer(tmp_path_factory, drawn):
    from bundles import make_bundle

    bundle = make_bundle(tmp_path_factory.mktemp("band") / "b", imgsz=96, to_a_person=(0.0, 0.999))
    with application(bundle, bundle.open(threads=1), SETTINGS) as app:
        answer = ask(app, content=drawn[0].read_bytes()).json()
    assert answer["photos"][0]["verdict"] == "to a person"
    assert answer["to_a_person"] == {"low": 0.0, "high": 0.999}


def test_photos_other_than_jpeg_are_taken(app, drawn):
    from PIL import Image

    with Image.open(drawn[0]) as image:
        for form in ("PNG", "WEBP", "TIFF", "GIF"):
            file = io.BytesIO()
            image.save(file, form)
            assert ask(app, content=file.getvalue()).status_code == 200, form
