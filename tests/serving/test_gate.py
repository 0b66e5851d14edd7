from __future__ import annotations

import asyncio
import stat
from dataclasses import replace

import pytest
from services import Lines, application, client

from wreckognize.errors import UsageError
from wreckognize.serving.gate import Bucket
from wreckognize.serving.keys import add_line, find, new_key, read_keys
from wreckognize.serving.settings import ServiceSettings

SETTINGS = ServiceSettings(batch=1, decoders=1)


def ask(app, *requests):
    async def send():
        async with client(app) as asking:
            return [await asking.post("/v1/inspect", **request) for request in requests]

    return asyncio.run(send())


def test_a_key_is_kept_as_its_hash_only(tmp_path):
    file = tmp_path / "keys.txt"
    key, line = new_key("portal")
    add_line(file, line)
    assert key not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keys = read_keys(file)
    assert find(keys, key).name == "portal"
    assert find(keys, key[:-1]) is None
    assert find(keys, "") is None
    with pytest.raises(UsageError, match="called portal"):
        add_line(file, new_key("portal")[1])
    with pytest.raises(UsageError, match="no name"):
        new_key("two words")


@pytest.mark.parametrize("text", ["portal", "portal sha256:12", "a sha256:" + "0" * 64 + "\na sha256:" + "1" * 64])
def test_a_wrong_line_is_named_by_its_number(tmp_path, text):
    file = tmp_path / "keys.txt"
    file.write_text("# ours\n\n" + text + "\n")
    with pytest.raises(UsageError, match=r"keys.txt:[34]"):
        read_keys(file)


def test_requests_need_a_key_where_there_are_keys(served, detector, drawn, tmp_path):
    file, data = tmp_path / "keys.txt", drawn[0].read_bytes()
    (good, line), (late, late_line) = new_key("good"), new_key("late")
    file.write_text(line + "\n")
    log = Lines()
    with application(served, detector, replace(SETTINGS, keys=file), log) as app:

        def statuses(*headers):
            found = ask(app, *({"content": data, "headers": header} for header in headers))
            return [response.status_code for response in found]

        assert statuses({}, {"x-api-key": "wk_wrong"}) == [401, 403]
        assert statuses({"authorization": f"Bearer {good}"}, {"x-api-key": good}) == [200, 200]
        assert log.of("request")[-1]["key"] == "good"
        assert good not in repr(log.events)
        assert statuses({"x-api-key": late}) == [403]
        file.write_text(late_line + "\n")
        app.state.service.gate.reload()
        assert statuses({"x-api-key": late}, {"x-api-key": good}) == [200, 403]
        file.write_text("nonsense\n")
        app.state.service.gate.reload()
        assert statuses({"x-api-key": late}) == [200], "the old keys stay where the new file is wrong"
        assert log.of("keys not read")

        async def others():
            async with client(app) as asking:
                paths = ("/healthz", "/readyz", "/openapi.json", "/v1/model", "/metrics", "/v1/drift")
                return [(await asking.get(path)).status_code for path in paths]

        assert asyncio.run(others()) == [200, 200, 200, 401, 401, 401]


def test_a_bucket_gives_its_burst_and_then_its_rate():
    bucket = Bucket(tokens=4, at=0.0)
    assert bucket.take(4, rate=2, burst=4, now=0.0) == 0
    assert bucket.take(1, rate=2, burst=4, now=0.25) == pytest.approx(0.25)
    assert bucket.take(1, rate=2, burst=4, now=0.5) == 0
    assert bucket.take(0, rate=2, burst=4, now=0.5) == pytest.approx(0.5)
    assert bucket.take(8, rate=2, burst=4, now=100.0) == 0, "more than it holds where it is full"
    assert bucket.take(1, rate=2, burst=4, now=101.0) == pytest.approx(1.5)


def test_each_key_has_its_own_rate(served, detector, drawn, tmp_path):
    file, data = tmp_path / "keys.txt", drawn[0].read_bytes()
    (slow, slow_line), (fast, fast_line), (off, off_line) = new_key("slow"), new_key("fast"), new_key("off")
    file.write_text(f"{slow_line} rate=0.001 burst=3\n{fast_line}\n{off_line} rate=0\n")
    with application(served, detector, replace(SETTINGS, keys=file, photos=8)) as app:
        one = {"content": data, "headers": {"x-api-key": slow}}
        three = {"files": [("photos", ("p", data))] * 3, "headers": {"x-api-key": slow}}
        responses = ask(app, one, three, one, one, one, {**one, "headers": {"x-api-key": fast}})
        assert [response.status_code for response in responses] == [200, 429, 200, 200, 429, 200]
        assert int(responses[1].headers["retry-after"]) > 100
        assert ask(app, {**one, "headers": {"x-api-key": off}})[0].status_code == 403


def test_a_key_that_is_switched_off_opens_nothing(served, detector, tmp_path):
    file = tmp_path / "keys.txt"
    (off, off_line), (on, on_line) = new_key("off"), new_key("on")
    file.write_text(f"{off_line} rate=0\n{on_line}\n")

    async def get(app, path, key):
        async with client(app) as asking:
            return (await asking.get(path, headers={"x-api-key": key})).status_code

    with application(served, detector, replace(SETTINGS, keys=file)) as app:
        for path in ("/v1/model", "/v1/drift", "/metrics"):
            assert asyncio.run(get(app, path, off)) == 403
            assert asyncio.run(get(app, path, on)) == 200


def test_a_burst_smaller_than_a_request_is_wrong_use():
    with pytest.raises(UsageError, match="burst"):
        ServiceSettings(rate=1, burst=2, photos=8)
    with pytest.raises(UsageError, match="queue"):
        ServiceSettings(places=2, photos=8)
