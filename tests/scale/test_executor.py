"""A real cluster of two nodes gives the tables that this process gives, also when one of them is killed."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
from photographs import draw_photo

from wreckognize.catalog import QUARANTINE_SCHEMA
from wreckognize.errors import ClusterError, WeightsError
from wreckognize.files import sha256_of
from wreckognize.inference.executor import Here, run_in_parts
from wreckognize.inference.passes import Looking, run_pass
from wreckognize.inference.stream import StreamSettings
from wreckognize.progress import Silent
from wreckognize.settings import ScaleSettings
from wreckognize.stages.looking import Looker

ray = pytest.importorskip("ray", reason="needs the extra [ray]: make cluster")
from wreckognize.scale.cluster import joined  # noqa: E402
from wreckognize.scale.executor import RayExecutor  # noqa: E402

pytestmark = pytest.mark.slow
PHOTOS, PART = 60, 4


@pytest.fixture(scope="module", autouse=True)
def _by_value():
    """The workers cannot import this module, so what it defines goes to them whole."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rows = []
    for number in range(PHOTOS):
        width, height = [(96, 64), (64, 96), (80, 80)][number % 3]
        path = draw_photo(folder / f"{number:03}.jpg", number, width=width, height=height)
        rows.append((f"s/{number:03}.jpg", str(path), "s", width, height, sha256_of(path)))
    (folder / "017.jpg").write_bytes(b"no photo")
    return pl.DataFrame(rows, schema=["photo", "path", "source", "width", "height", "sha256"], orient="row")


@pytest.fixture
def looker(tiny_weights):
    return Looker(str(tiny_weights), 64, ("vehicle",), "max", "cpu")


@dataclass(frozen=True)
class Watched:
    """A work that takes its time and writes down who does which part; none goes on before ``together`` have begun."""

    work: Looking
    log: Path
    seconds: float = 0.4
    together: int = 1

    @property
    def schemas(self):
        return self.work.schemas

    @property
    def files(self):
        return self.work.files

    def moved(self, folder):
        return replace(self, work=self.work.moved(folder))

    def start(self):
        do = self.work.start()

        def watched(rows, tick):
            with self.log.open("a") as log:
                log.write(f"{rows['photo'][0]} {os.getpid()}\n")
            latest = time.monotonic() + 60
            while len(workers_in(self.log)) < self.together and time.monotonic() < latest:
                time.sleep(0.1)
            time.sleep(self.seconds)
            return do(rows, tick)

        return watched


def workers_in(log):
    return {line.split()[1] for line in log.read_text().splitlines()}


class Said:
    """A progress that keeps what was said, counts, and calls back at every advance."""

    def __init__(self, at_advance=lambda: None):
        self.said, self.counted, self.at_advance = [], 0, at_advance

    @contextmanager
    def task(self, *_, **__):
        yield self

    def advance(self, count=1):
        self.counted += count
        self.at_advance()

    def say(self, text):
        self.said.append(text)


@contextmanager
def executor(nodes, say=lambda _: None, **changes):
    made = RayExecutor(ScaleSettings(on="ray", address=nodes.address, **changes), say=say)
    try:
        yield made
    finally:
        made.close()


def go(photos, work, executor, folder, progress=None):
    return run_in_parts(
        photos,
        work,
        executor,
        size=PART,
        folder=folder,
        key="k",
        progress=progress or Silent(),
        description="pass",
    )


def test_a_node_killed_half_way_costs_and_doubles_nothing(two_nodes, photos, looker, tmp_path):
    here = go(photos, Looking(looker, StreamSettings(64)), Here(), tmp_path / "here")
    assert here["predictions"].height > PHOTOS
    assert here["unread"]["file"].to_list() == ["s/017.jpg"]
    log = tmp_path / "log"
    log.touch()
    two_nodes.start_second()
    two_nodes.wait_for(2)
    workers_seen = []

    def kill_when_both_work():
        workers = workers_in(log)
        if len(workers) == 2 and two_nodes.second is not None:
            workers_seen.append(workers)
            two_nodes.kill_second()

    progress = Said(kill_when_both_work)
    with executor(two_nodes, progress.say) as cluster:
        work = Watched(Looking(looker, StreamSettings(64)), log, together=2)
        there = go(photos, work, cluster, tmp_path / "there", progress)
    assert workers_seen, "both nodes must have worked before one was killed"
    assert progress.counted == PHOTOS
    assert any("a worker was lost" in text for text in progress.said)
    done = [line.split()[0] for line in log.read_text().splitlines()]
    assert set(done) == set(photos["photo"].gather_every(PART))
    assert len(done) > len(set(done)), "a part that died with its node was done again"
    for kind, table in here.items():
        assert table.equals(there[kind]), kind
    assert not ray.is_initialized()


def test_what_is_finished_is_not_done_again_and_a_new_node_is_hired(two_nodes, photos, looker, tmp_path):
    log = tmp_path / "log"
    work = Watched(Looking(looker, StreamSettings(64)), log, 0.2)

    def stop():
        if progress.counted >= 5 * PART:
            raise KeyboardInterrupt

    progress = Said(stop)
    with executor(two_nodes) as cluster, pytest.raises(KeyboardInterrupt):
        go(photos, work, cluster, tmp_path / "parts", progress)
    finished = len(list((tmp_path / "parts").glob("unread-*.table")))
    assert finished >= 4
    log.unlink()
    second = Said(lambda: two_nodes.start_second())
    with executor(two_nodes) as cluster:
        there = go(photos, work, cluster, tmp_path / "parts", second)
    done = log.read_text().splitlines()
    assert len(done) == PHOTOS // PART - finished
    here = go(photos, Looking(looker, StreamSettings(64)), Here(), tmp_path / "here")
    assert all(here[kind].equals(there[kind]) for kind in here)


def test_a_pass_on_a_ray_of_our_own_is_the_same_and_leaves_nothing(photos, looker, tmp_path, short, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(short))
    monkeypatch.setattr(tempfile, "tempdir", str(short))

    def look(executor, name):
        return run_pass(
            photos,
            looker,
            StreamSettings(64),
            parts=tmp_path / name,
            key="k",
            progress=Silent(),
            description="pass",
            executor=executor,
        )

    own = RayExecutor(ScaleSettings(on="ray"), say=lambda _: None)
    try:
        there = look(own, "there")
    finally:
        own.close()
    here = look(Here(), "here")
    assert here.predictions.equals(there.predictions)
    assert here.embeddings.equals(there.embeddings)
    assert {path.name for path in tmp_path.iterdir()} == {"here", "there"}, "nothing in the home folder"
    assert list(short.iterdir()) == []


@dataclass(frozen=True)
class Deadly:
    """Ends the process that does it."""

    files: tuple = ()

    @property
    def schemas(self):
        return {"unread": QUARANTINE_SCHEMA}

    def moved(self, folder):
        return self

    def start(self):
        def die(rows, tick):
            if "s/008.jpg" in rows["photo"]:
                os._exit(1)
            return {"unread": QUARANTINE_SCHEMA.to_frame()}

        return die


def test_a_part_that_kills_every_worker_is_named(two_nodes, photos, tmp_path):
    with executor(two_nodes) as cluster, pytest.raises(ClusterError, match=r"died over the photos s/0\d\d.jpg"):
        go(photos, Deadly(), cluster, tmp_path / "parts")


def test_errors_come_from_workers_as_they_were_raised(two_nodes, photos, looker, tmp_path):
    broken = tmp_path / "weights" / "broken.safetensors"
    broken.parent.mkdir()
    broken.write_bytes(Path(looker.weights).read_bytes()[:-8])
    (broken.parent / "model.json").write_bytes(Path(looker.weights).with_name("model.json").read_bytes())
    work = Looking(replace(looker, weights=str(broken)), StreamSettings(64))
    with (
        executor(two_nodes) as cluster,
        pytest.raises(WeightsError, match="not those its card speaks of") as caught,
    ):
        go(photos, work, cluster, tmp_path / "parts")
    assert "copy both files again" in caught.value.remedy


@ray.remote(num_cpus=1)
class Sitting:
    """Somebody else's work."""

    def sit(self):
        return True


def test_without_a_free_place_the_run_ends_with_what_there_is(two_nodes, photos, looker, tmp_path):
    with executor(two_nodes, patience=2.0) as cluster, joined(two_nodes.address):
        sitting = [Sitting.remote() for _ in range(int(ray.cluster_resources()["CPU"]))]
        ray.get([one.sit.remote() for one in sitting])
        with pytest.raises(ClusterError, match=r"the cluster has \d+ CPUs and 0 GPUs, of which free: 0 CPUs"):
            go(photos, Looking(looker, StreamSettings(64)), cluster, tmp_path / "parts")


def test_another_ray_is_refused_in_words(two_nodes, photos, looker, tmp_path, monkeypatch):
    monkeypatch.setattr(ray, "__version__", "1.0.0")
    with executor(two_nodes) as cluster, pytest.raises(ClusterError, match=r"(?s)ersion mismatch.*1\.0\.0"):
        go(photos, Looking(looker, StreamSettings(64)), cluster, tmp_path / "parts")


def test_an_address_where_nobody_listens_is_refused_at_once(photos, looker, tmp_path):
    began = time.monotonic()
    nobody = RayExecutor(ScaleSettings(address="127.0.0.1:1"), say=lambda _: None)
    with pytest.raises(ClusterError, match="nothing answers"):
        go(photos, Looking(looker, StreamSettings(64)), nobody, tmp_path / "parts")
    assert time.monotonic() - began < 10
