from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wreckognize.errors import UsageError
from wreckognize.predicting.unfinished import key_of, unfinished

DEPENDS = {"model": "m", "imgsz": 64}
CHUNK = 3


def keys(count):
    return [json.dumps([f"p {number}\t차", number, 1]).encode() for number in range(count)]


def work(out, count, depends=DEPENDS, stop_after=None):
    """Lines of ``count`` photos in chunks; stops as if killed. Returns the lines and what was looked at now."""
    looked, every = [], keys(count)
    try:
        with unfinished(out, depends) as lines:
            for number, start in enumerate(range(0, count, CHUNK)):
                chunk = every[start : start + CHUNK]
                if lines.take(number, chunk):
                    continue
                if stop_after is not None and len(looked) >= stop_after:
                    raise KeyboardInterrupt
                looked += chunk
                lines.add(number, chunk, [json.dumps({"n": key.decode()}, ensure_ascii=False) for key in chunk])
            return list(lines.lines()), looked
    except KeyboardInterrupt:
        return None, looked


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 20), st.integers(0, 20), st.floats(0, 1))
def test_whatever_was_cut_off_the_lines_are_the_same(tmp_path_factory, count, stop_after, kept):
    out = tmp_path_factory.mktemp("out") / "lines.jsonl"
    whole, _ = work(out, count)
    assert not out.with_name("lines.jsonl.unfinished").exists()
    first, looked = work(out, count, stop_after=stop_after)
    if first is not None:
        assert first == whole
        return
    part = out.with_name("lines.jsonl.unfinished")
    data = part.read_bytes()
    part.write_bytes(data[: round(kept * len(data))])
    again, redone = work(out, count)
    assert again == whole
    if kept == 1:
        assert len(looked) + len(redone) == count
    assert len(redone) % CHUNK in (0, count % CHUNK), "chunks are whole"


def test_lines_of_another_model_or_of_changed_photos_are_not_gone_on_with(tmp_path):
    out = tmp_path / "lines.jsonl"
    work(out, 9, stop_after=6)
    assert work(out, 9, depends={**DEPENDS, "model": "other"})[1] == keys(9)
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"1")
    before = key_of(str(photo))
    photo.write_bytes(b"22")
    assert key_of(str(photo)) != before
    assert key_of(str(tmp_path / "gone.jpg")) != before
    assert key_of("s3://bucket/a.jpg") is None
    assert key_of("nul\0.jpg").endswith(b"null, null]")


def test_a_second_process_is_refused(tmp_path):
    out = tmp_path / "lines.jsonl"
    with unfinished(out, DEPENDS) as lines:
        lines.add(0, keys(1), ["{}"])
        with pytest.raises(UsageError, match="another process"), unfinished(out, DEPENDS):
            pass
        assert list(lines.lines()) == ["{}"]
