"""`predict` from object storage and on a cluster says what it says here."""

from __future__ import annotations

import json
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from photographs import draw_photo

from wreckognize.cli.predicting import predict_photos
from wreckognize.errors import StorageError, UsageError
from wreckognize.predicting.model import Wishes

pytest.importorskip("pyarrow", reason="needs the extra [ray]: make cluster")
PHOTOS, PART = 60, 4
LOW = Wishes(threshold=0.001, imgsz=64)  # random weights see little


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "new"
    for number in range(PHOTOS):
        width, height = [(96, 64), (64, 96), (80, 80)][number % 3]
        draw_photo(folder / f"{number % 4}" / f"{number:03}.jpg", number, width=width, height=height)
    (folder / "1" / "041.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture
def speaking(s3, monkeypatch):
    """The storage by the environment, as its own tools are told."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return s3


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def predicted(weights, patterns, out, **options):
    done = predict_photos(weights, [str(one) for one in patterns], LOW, out=out, **options)
    assert not done, "one photo could not be read"
    return lines(out.read_text()) if "://" not in str(out) else None


def nameless(rows):
    return [{key: value for key, value in row.items() if key != "photo"} for row in rows]


def test_photos_and_answers_in_object_storage(speaking, tiny_weights, photos, tmp_path):
    here = predicted(tiny_weights, [photos], tmp_path / "here.jsonl")
    assert len(here) == PHOTOS
    assert any(row["boxes"] for row in here)
    url = speaking.fill(photos, "new")
    there = predicted(tiny_weights, [url], tmp_path / "there.jsonl")
    assert nameless(here) == nameless(there)
    names = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.jpg"))]
    assert [row["photo"] for row in there] == [f"{url}/{name}" for name in names]
    one = f"{url}/2/002.jpg"
    alone = tmp_path / "one.jsonl"
    assert predict_photos(tiny_weights, [one, one], LOW, out=alone)
    assert [row["photo"] for row in lines(alone.read_text())] == [one]
    predict_photos(tiny_weights, [url], LOW, out=Path("s3://photos/answers/a.jsonl"))
    stored = speaking.client.get_object(Bucket="photos", Key="answers/a.jsonl")["Body"].read().decode()
    assert lines(stored) == there
    with pytest.raises(UsageError, match="no photo lies there"):
        predicted(tiny_weights, [f"{url}/none"], tmp_path / "none.jsonl")


def test_answers_are_kept_where_the_storage_takes_none(speaking, tiny_weights, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(StorageError, match="no such bucket") as refused:
        predict_photos(tiny_weights, [str(photos / "0")], LOW, out=Path("s3://nobody-has-this/a.jsonl"))
    (kept,) = tmp_path.glob("wreckognize-*/a.jsonl")
    assert str(kept.parent) in refused.value.remedy
    assert len(lines(kept.read_text())) == PHOTOS // 4


def test_an_address_without_a_cluster_is_refused(tiny_weights, photos):
    with pytest.raises(UsageError, match="not to be used"):
        predict_photos(tiny_weights, [str(photos)], LOW, address="head:6379")


@pytest.mark.slow
def test_a_cluster_that_loses_a_node_says_the_same(
    speaking, two_nodes, tiny_weights, photos, tmp_path, monkeypatch
):
    pytest.importorskip("ray", reason="needs the extra [ray]: make cluster")
    monkeypatch.setattr("wreckognize.stages.predicting.PART_PHOTOS", PART)
    url = speaking.fill(photos / "1", "far")
    rest = [photos / "0", photos / "2", photos / "3"]
    here = predicted(tiny_weights, [photos / "1", *rest], tmp_path / "here.jsonl")
    two_nodes.start_second()
    two_nodes.wait_for(2)
    done = 0

    class Task:
        def advance(self, count=1):
            nonlocal done
            done += count
            if done >= PHOTOS // 2:
                two_nodes.kill_second()

    class Watching:
        def task(self, *_, **__):
            return nullcontext(Task())

    monkeypatch.setattr("wreckognize.cli.predicting.Console", Watching)
    out = tmp_path / "there.jsonl"
    there = predicted(tiny_weights, [url, *rest], out, on="ray", address=two_nodes.address)
    assert two_nodes.second is None
    assert done == PHOTOS
    assert nameless(here) == nameless(there)
