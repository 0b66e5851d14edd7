"""A whole study with its photos in object storage and a cluster that looks at them, against the same study here."""

from __future__ import annotations

import random
from contextlib import contextmanager

import polars as pl
import pytest
import yaml
from studies import DAMAGED, NORMAL, write_study

from wreckognize import doctor, pipeline
from wreckognize.errors import StorageError, StudyError
from wreckognize.study import Study

TABLES = ("catalog/boxes", "catalog/hashes", "teacher/predictions", "teacher/embeddings", "split")
PREDICTED = ("systems/baseline/predictions/val", "systems/baseline/predictions/test")


def changed(file, **sections):
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["systems"]["baseline"]["predict"] = {"imgsz": 96}  # its own pass, not the teacher's
    file.write_text(yaml.safe_dump({**content, **sections}, sort_keys=False), encoding="utf-8")
    return file


def in_storage(file, s3, prefix):
    """The same study with the photos of two sources in object storage."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for source in content["sources"]:
        if source["name"] in ("aihub", "normal"):
            folder = file.parent / source["images"]
            source["images"] = s3.fill(folder, f"{prefix}/{source['name']}")
            folder.rename(folder.with_name("gone"))
    return content["sources"]


class Killing:
    """A progress that kills the second node in the middle of the teacher pass."""

    def __init__(self, nodes):
        self.nodes, self.description, self.killed = nodes, "", False

    @contextmanager
    def task(self, description, *_, **__):
        self.description, self.done = description, 0
        yield self

    def advance(self, count=1):
        self.done += count
        if self.description == "teacher pass" and self.done >= 12 and not self.killed:
            self.killed = True
            self.nodes.kill_second()

    def note(self, text):
        """Nothing."""

    def say(self, text):
        """Nothing."""


@pytest.mark.slow
def test_object_storage_and_a_cluster_that_loses_a_node_give_the_same_tables(
    s3, flaky, two_nodes, tiny_weights, tmp_path, monkeypatch
):
    monkeypatch.setattr("wreckognize.inference.passes.PART_PHOTOS", 4)
    here = changed(write_study(tmp_path / "here", tiny_weights))
    there = changed(write_study(tmp_path / "there", tiny_weights))
    chance = random.Random(1)
    flaky.how = lambda _: chance.choice(["pass", "pass", "pass", "503"])
    storage = s3.settings(endpoint=flaky.endpoint, attempts=15).model_dump()
    changed(
        there, sources=in_storage(there, s3, "study"), scale={"address": two_nodes.address, "storage": storage}
    )
    two_nodes.start_second()
    two_nodes.wait_for(2)
    progress = Killing(two_nodes)
    runs = {"here": tmp_path / "run-here", "there": tmp_path / "run-there"}
    pipeline.run(Study.load(here), out=runs["here"], until="evaluate", only=["baseline"])
    pipeline.run(Study.load(there), out=runs["there"], until="evaluate", only=["baseline"], progress=progress)
    assert progress.killed
    by_url = DAMAGED + NORMAL
    assert flaky.requests > 3 * by_url, "fetched here, and for the hashes and the teacher pass by the workers"
    assert flaky.spoiled > by_url // 2
    photos = {name: pl.read_parquet(run / "catalog" / "photos.parquet") for name, run in runs.items()}
    assert photos["here"].drop("path").equals(photos["there"].drop("path"))
    for table in (*TABLES, *PREDICTED):
        one, other = (pl.read_parquet(run / f"{table}.parquet") for run in runs.values())
        assert one.height > 0
        assert one.equals(other), table
    resolved = (runs["there"] / "study.yaml").read_text(encoding="utf-8")
    assert "s3://photos/study/normal" in resolved
    (runs["there"] / "again.yaml").write_text(resolved, encoding="utf-8")
    assert Study.load(runs["there"] / "again.yaml") == Study.load(there)


def test_photos_by_url_need_no_cluster(s3, tiny_weights, tmp_path):
    file = write_study(tmp_path / "study", tiny_weights)
    before = pipeline.run(Study.load(file), out=tmp_path / "before", until="collect").folder
    changed(file, sources=in_storage(file, s3, "alone"), scale={"storage": s3.settings().model_dump()})
    after = pipeline.run(Study.load(file), out=tmp_path / "after", until="collect").folder
    tables = [pl.read_parquet(folder / "catalog" / "photos.parquet").drop("path") for folder in (before, after)]
    assert tables[0].equals(tables[1])
    times = {path: path.stat().st_mtime_ns for path in (after / "catalog").iterdir()}
    pipeline.run(Study.load(file), out=tmp_path / "after", until="collect")
    assert {path: path.stat().st_mtime_ns for path in (after / "catalog").iterdir()} == times, "nothing was redone"


def test_doctor_asks_the_storage(s3, tiny_weights, tmp_path):
    file = write_study(tmp_path / "study", tiny_weights)
    sources = in_storage(file, s3, "doctored")
    sources[1]["images"] = "s3://photos/nothing/here"
    changed(file, sources=sources, scale={"storage": s3.settings().model_dump()})
    said = {check.name: check for check in doctor.diagnose(file)}
    assert said["source aihub"].ok
    assert not said["source normal"].ok
    assert "nothing lies there" in said["source normal"].found


def test_a_bucket_that_is_not_there_ends_the_run_at_once(s3, tiny_weights, tmp_path):
    file = write_study(tmp_path / "study", tiny_weights)
    sources = [{"name": "normal", "type": "folder", "role": "normal", "images": "s3://elsewhere/photos"}]
    changed(file, sources=sources, scale={"storage": s3.settings().model_dump()})
    with pytest.raises(StorageError, match="no such bucket: 'elsewhere'"):
        pipeline.run(Study.load(file), out=tmp_path / "run", until="collect")


def problems_of(file):
    with pytest.raises(StudyError) as caught:
        Study.load(file)
    return {problem.key: problem for problem in caught.value.problems}


def test_all_that_is_wrong_with_urls_and_addresses_is_listed(tiny_weights, tmp_path):
    file = write_study(tmp_path / "study", tiny_weights)
    sources = [
        {"name": "a", "type": "folder", "role": "normal", "images": "ftp://host/photos"},
        {"name": "b", "type": "folder", "role": "normal", "images": "s3://"},
        {"name": "c", "type": "aihub", "role": "damaged", "images": "normal", "labels": "s3://bucket/labels"},
        {"name": "d", "type": "yolo", "role": "damaged", "images": "s3://bucket/images"},
    ]
    changed(file, sources=sources, scale={"address": "ray://head:10001", "storage": {"attempts": 0}})
    found = problems_of(file)
    assert "kind of storage 'ftp'" in found["sources[0].images"].found
    assert "without a bucket" in found["sources[1].images"].found
    assert "only photos are read by URL" in found["sources[2].labels"].remedy
    assert "photos by URL" in found["sources[3].labels"].found
    assert "scale.storage.attempts" in found
    changed(file, scale={"address": "ray://head:10001"})
    assert "HOST:PORT" in problems_of(file)["scale.address"].expected


def test_without_the_extra_a_cluster_is_a_problem_of_the_study(tiny_weights, tmp_path, monkeypatch):
    monkeypatch.setattr("wreckognize.study.checks.find_spec", lambda name: None)
    file = write_study(tmp_path / "study", tiny_weights)
    source = {"name": "a", "type": "folder", "role": "normal", "images": "s3://bucket/photos"}
    changed(file, sources=[source], scale={"address": "head:6379"})
    found = problems_of(file)
    assert "[ray]" in found["scale.on"].expected
    assert "[ray]" in found["sources[0].images"].expected
