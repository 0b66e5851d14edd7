"""A run whose folder is kept in object storage: brought back elsewhere, never mixed, mended where it was cut off."""

from __future__ import annotations

import json
import os
import random

import polars as pl
import pytest
import yaml
from studies import write_study

from wreckognize import pipeline
from wreckognize.errors import StorageError, UsageError
from wreckognize.progress import Silent
from wreckognize.scale.published import MANIFEST, REMEMBERED, Published
from wreckognize.stages.scaling import SELECTED
from wreckognize.stages.verifying import verify
from wreckognize.study import Study

pytest.importorskip("pyarrow", reason="needs the extra [ray]: make cluster")


class Saying(Silent):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


@pytest.fixture
def study(s3, tiny_weights, tmp_path):
    file = write_study(tmp_path / "study", tiny_weights)
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["scale"] = {"storage": s3.settings().model_dump()}
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return file


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Work as on the named machine: each has a current folder of its own, and sees the same photos."""

    def at(name):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        return folder / "runs" / "tiny"

    return at


def objects(s3, prefix):
    pages = s3.client.get_paginator("list_objects_v2").paginate(Bucket="photos", Prefix=f"{prefix}/")
    return {one["Key"].removeprefix(f"{prefix}/") for page in pages for one in page.get("Contents", [])}


def run(study, url, until="collect", *changes):
    progress = Saying()
    pipeline.run(Study.load(study, overrides=changes), out=url, until=until, progress=progress)
    return progress.said


def times(folder):
    return {
        name: (folder / name).stat().st_mtime_ns for name in ("catalog/photos.parquet", "catalog/boxes.parquet")
    }


def test_another_machine_goes_on_where_one_stopped(s3, study, machine):
    url = "s3://photos/runs/first"
    one = machine("one")
    run(study, url)
    assert {MANIFEST, "state.json", "study.yaml", "quarantine.csv", "catalog/photos.parquet"} <= objects(
        s3, "runs/first"
    )
    assert not any(name.startswith(("cache", ".")) for name in objects(s3, "runs/first") - {SELECTED})
    stored = s3.client.get_object(Bucket="photos", Key="runs/first/catalog/photos.parquet")["Body"].read()
    assert stored == (one / "catalog" / "photos.parquet").read_bytes()
    before = times(one)
    two = machine("two")
    said = run(study, url, "split")
    assert not any(text.startswith("collected") for text in said), "it was not done again"
    assert times(two) == before
    assert "split.parquet" in objects(s3, "runs/first")
    machine("one")
    assert run(study, url, "split") == [], "brought back, with nothing left to do"
    assert (one / "split.parquet").read_bytes() == (two / "split.parquet").read_bytes()
    machine("one")
    edition = json.loads(s3.client.get_object(Bucket="photos", Key=f"runs/first/{MANIFEST}")["Body"].read())
    assert run(study, url, "split") == []
    assert edition == json.loads(
        s3.client.get_object(Bucket="photos", Key=f"runs/first/{MANIFEST}")["Body"].read()
    ), "nothing changed, so nothing was written"
    assert verify(one).holds, "the note of what was copied is written after the seal"


def test_two_machines_that_both_went_on_are_not_mixed(s3, study, machine):
    url = "s3://photos/runs/both"
    machine("one")
    run(study, url)
    machine("two")
    run(study, url)
    run(study, url, "collect", "seed=2")
    machine("one")
    run(study, "runs/tiny", "collect", "seed=3")
    with pytest.raises(StorageError, match="this machine did too"):
        run(study, url)
    machine("three")
    run(study, "runs/tiny")
    with pytest.raises(StorageError, match="has one of its own"):
        run(study, url)


def test_a_writer_that_comes_in_between_is_noticed(s3, study, machine):
    url = "s3://photos/runs/between"
    folder = machine("one")
    run(study, url)
    late = Published(url, folder, s3.storage(), Silent())
    (folder / "quarantine.csv").write_text("other")
    machine("two")
    run(study, url, "collect", "seed=2")
    with pytest.raises(StorageError, match="another run has written there meanwhile"):
        late.put([])


def test_a_copy_that_was_cut_off_is_mended(s3, study, machine):
    url = "s3://photos/runs/cut"
    machine("one")
    run(study, url)
    whole = pl.read_parquet("runs/tiny/catalog/boxes.parquet")
    s3.put("runs/cut/catalog/boxes.parquet", b"of another edition")
    s3.client.delete_object(Bucket="photos", Key="runs/cut/catalog/tally.parquet")
    machine("two")
    said = run(study, url)
    assert any("2 files" in text and "cut off" in text for text in said)
    assert any(text.startswith("collected") for text in said), "done again"
    assert pl.read_parquet("runs/tiny/catalog/boxes.parquet").equals(whole)
    machine("three")
    assert run(study, url) == []


def test_a_run_killed_before_it_noted_what_it_wrote_goes_on(s3, study, machine):
    url = "s3://photos/runs/killed"
    folder = machine("one")
    run(study, url)
    older = (folder / REMEMBERED).read_text()
    run(study, url, "collect", "seed=2")
    (folder / REMEMBERED).write_text(older)
    assert run(study, url, "collect", "seed=2") == []
    (folder / REMEMBERED).unlink()
    assert run(study, url, "collect", "seed=2") == []


def test_a_flaky_storage_is_written_to_in_the_end(s3, flaky, study, machine, monkeypatch):
    monkeypatch.setattr("wreckognize.scale.storage.LONGEST_PAUSE", 0.1)
    chance = random.Random(3)
    flaky.how = lambda _: chance.choice(["pass", "pass", "503"])
    folder = machine("one")
    run(study, "s3://photos/runs/flaky", "collect", f"scale.storage.endpoint={flaky.endpoint}",
        "scale.storage.attempts=15")  # fmt: skip
    assert flaky.spoiled > 3
    for name in objects(s3, "runs/flaky") - {MANIFEST}:
        stored = s3.client.get_object(Bucket="photos", Key=f"runs/flaky/{name}")["Body"].read()
        assert stored == (folder / name).read_bytes(), name


def test_a_shared_disk_by_url(study, machine, tmp_path):
    url = f"file://{tmp_path}/kept"
    machine("one")
    run(study, url)
    assert (tmp_path / "kept" / "catalog" / "photos.parquet").exists()
    machine("two")
    assert not any(text.startswith("collected") for text in run(study, url))


def test_a_bucket_that_is_not_there_ends_the_run_before_any_work(study, machine):
    machine("one")
    with pytest.raises(StorageError, match="no such bucket: 'elsewhere'"):
        run(study, "s3://elsewhere/run")


def test_a_manifest_cannot_write_outside_the_run(s3, study, machine, tmp_path):
    entry = {"sha256": "0", "size": 1, "mtime_ns": 0}
    for number, name in enumerate(("../outside", "/outside", "a\\b")):
        manifest = {"edition": "x", "written": "now", "files": {name: entry}}
        s3.put(f"runs/bad{number}/{MANIFEST}", json.dumps(manifest).encode())
        machine(f"m{number}")
        with pytest.raises(StorageError, match="lies in no run"):
            run(study, f"s3://photos/runs/bad{number}")
    s3.put(f"runs/bad/{MANIFEST}", b"{}")
    machine("other")
    with pytest.raises(StorageError, match="not the manifest"):
        run(study, "s3://photos/runs/bad")
    assert not (tmp_path / "outside").exists()
    assert not os.path.lexists("/outside")


def test_a_search_wants_a_folder(study, machine):
    machine("one")
    with pytest.raises(UsageError, match="a search works in a folder"):
        pipeline.search(
            Study.load(study, overrides=["search.system=ver6", "search.space.train.lr0=[0.001, 0.01]"]),
            out="s3://photos/search",
        )
