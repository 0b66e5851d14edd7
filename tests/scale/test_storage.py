"""Object storage as it is met in practice: slow, flaky, shut, gone. A real S3 API (moto) on loopback."""

from __future__ import annotations

import pickle
import random
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest
from photographs import draw_photo

from wreckognize.errors import ClusterError, InputError, StorageError, UsageError
from wreckognize.files import sha256_of
from wreckognize.progress import Silent
from wreckognize.scale.mirror import mirror
from wreckognize.scale.storage import LONGEST_PAUSE, Storage
from wreckognize.scale.worker import fetch
from wreckognize.settings import StorageSettings

pytest.importorskip("pyarrow", reason="needs the extra [ray]: make cluster")
SUFFIXES = frozenset({".jpg"})


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for number in range(12):
        draw_photo(folder / f"a {number % 3}" / f"사진 {number:02}+x.jpg", number)
    (folder / "notes.txt").write_text("no photo")
    return folder


@contextmanager
def noted(said):
    class Noting(Silent):
        def say(self, text):
            said.append(text)

    yield Noting()


def test_photos_are_listed_and_read_as_they_are(s3, photos):
    url = s3.fill(photos, "plain")
    storage = pickle.loads(pickle.dumps(s3.storage()))
    listing = storage.listing(url)
    assert [one.name for one in listing] == sorted(
        path.relative_to(photos).as_posix() for path in photos.rglob("*.*")
    )
    assert all(one.size == (photos / one.name).stat().st_size for one in listing)
    assert all(storage.read(f"{url}/{one.name}") == (photos / one.name).read_bytes() for one in listing)
    with pytest.raises(InputError, match="not there any more"):
        storage.read(f"{url}/none.jpg")
    assert storage.listing(f"{url}/nothing") == []


def test_a_shared_disk_may_be_named_by_url(photos):
    storage = Storage()
    assert len(storage.listing(f"file://{photos}")) == 13
    assert storage.read(f"file://{photos}/notes.txt") == b"no photo"


def test_what_is_written_is_there_whole_and_what_is_removed_is_gone(s3, flaky, tmp_path):
    flaky.how = lambda number: "503" if number % 3 == 1 else "pass"
    storage = Storage(s3.settings(endpoint=flaky.endpoint), pause=lambda _: None)
    large = random.Random(2).randbytes(11 * 2**20)  # sent in several pieces
    for data in (b"", b"small", large):
        storage.write("s3://photos/written/one.bin", data)
        assert s3.client.get_object(Bucket="photos", Key="written/one.bin")["Body"].read() == data
    for _ in range(2):
        storage.remove("s3://photos/written/one.bin")
    assert storage.listing("s3://photos/written") == []
    storage.write(f"file://{tmp_path}/below/one.bin", b"small")
    assert (tmp_path / "below" / "one.bin").read_bytes() == b"small"


def test_a_flaky_storage_is_asked_again_after_growing_pauses(s3, flaky, photos):
    url = s3.fill(photos, "flaky")
    chance = random.Random(5)
    flaky.how = lambda _: chance.choice(["pass"] * 6 + ["503", "drop", "cut"])  # a third is spoiled
    pauses = []
    storage = Storage(s3.settings(endpoint=flaky.endpoint, attempts=15), pause=pauses.append)
    for one in storage.listing(url):
        assert storage.read(f"{url}/{one.name}") == (photos / one.name).read_bytes()
    assert flaky.spoiled >= 8
    assert len(set(pauses)) == len(pauses) >= 3, "pauses are drawn, so that workers do not come back together"
    assert max(pauses) <= LONGEST_PAUSE


def test_a_slow_storage_is_given_up_and_asked_again(s3, flaky, photos):
    url = s3.fill(photos, "slow")
    flaky.how = lambda number: "slow" if number == 1 else "pass"
    storage = Storage(s3.settings(endpoint=flaky.endpoint, timeout=1.0), pause=lambda _: None)
    assert len(storage.listing(url)) == 13
    assert flaky.requests == 2


def test_a_storage_that_keeps_failing_is_named_with_the_key(s3, flaky, photos):
    url = s3.fill(photos, "failing")
    flaky.how = lambda number: "503"
    pauses = []
    storage = Storage(s3.settings(endpoint=flaky.endpoint, attempts=4), pause=pauses.append)
    with pytest.raises(StorageError, match=r"failed 4 times.*503") as caught:
        storage.read(f"{url}/notes.txt")
    assert caught.value.where == f"{url}/notes.txt"
    assert "scale.storage.attempts" in caught.value.remedy
    assert len(pauses) == 3
    assert flaky.requests == 4


def test_no_such_bucket_and_no_permission_are_said_at_once(s3, photos):
    pauses = []
    storage = Storage(s3.settings(), pause=pauses.append)
    with pytest.raises(StorageError, match="no such bucket: 'elsewhere'"):
        storage.listing("s3://elsewhere/photos")
    with pytest.raises(StorageError, match="no such bucket: 'elsewhere'"):
        storage.write("s3://elsewhere/new.txt", b"new")
    url = s3.fill(photos, "shut")
    s3.check_who_asks(True)
    try:
        for asked in (
            lambda: storage.listing(url),
            lambda: storage.read(f"{url}/notes.txt"),
            lambda: storage.write(f"{url}/new.txt", b"new"),
        ):
            with pytest.raises(StorageError, match="no permission") as caught:
                asked()
            assert "AWS_ACCESS_KEY_ID" in caught.value.remedy
    finally:
        s3.check_who_asks(False)
    assert not pauses


def test_a_server_that_is_no_storage_is_said_at_once(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # which knows no method
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    pauses = []
    settings = StorageSettings(endpoint=f"http://127.0.0.1:{server.server_port}", region="us-east-1")
    storage = Storage(settings, pause=pauses.append)
    try:
        for ask in (storage.listing, lambda url: storage.write(url, b"x")):
            with pytest.raises(StorageError, match=r"no object storage.*\n.*AWS_ENDPOINT_URL"):
                ask("s3://photos/new")
        assert not pauses
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


def test_another_kind_of_storage_is_refused():
    with pytest.raises(StorageError, match="ftp://"):
        Storage().listing("ftp://host/photos")


def go(url, folder, storage, progress=None):
    mirror(url, folder, storage, progress or Silent(), suffixes=SUFFIXES, name="showroom")


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")}


def test_a_mirror_fetches_what_changed_and_nothing_else(s3, flaky, photos, tmp_path):
    url, folder = s3.fill(photos, "mirror"), tmp_path / "mirror"
    storage = s3.storage(endpoint=flaky.endpoint)
    go(url, folder, storage)
    assert contents(folder) == contents(photos)
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    flaky.requests = 0
    go(url, folder, storage)
    assert flaky.requests == 1, "one listing, no photo"
    names = sorted(contents(photos))
    s3.client.delete_object(Bucket="photos", Key=f"mirror/{names[0]}")
    s3.put(f"mirror/{names[1]}", b"other bytes")
    (folder / "stray.jpg").write_bytes(b"not from there")
    go(url, folder, storage)
    assert contents(folder) == {
        **{name: (photos / name).read_bytes() for name in names[2:]},
        names[1]: b"other bytes",
    }
    assert all((folder / name).stat().st_mtime_ns == times[folder / name] for name in names[2:])


def test_photos_that_vanish_while_others_are_fetched_are_counted(s3, photos, tmp_path, monkeypatch):
    url, said = s3.fill(photos, "shrinking"), []
    listing = Storage.listing

    def then_one_goes(self, url):
        found = listing(self, url)
        s3.client.delete_object(Bucket="photos", Key=f"shrinking/{found[0].name}")
        return found

    monkeypatch.setattr(Storage, "listing", then_one_goes)
    with noted(said) as progress:
        go(url, tmp_path / "mirror", s3.storage(), progress)
    assert len(contents(tmp_path / "mirror")) == 11
    assert said == ["  note: 1 photos of showroom were taken away while the others were fetched"]


@pytest.mark.parametrize("key", ["up/../../etc/x.jpg", "double//x.jpg"])
def test_a_key_that_no_file_can_have_is_refused(s3, tmp_path, key):
    s3.put(f"odd/{key}", b"x")
    try:
        with pytest.raises(StorageError, match="a name that no file can have"):
            go("s3://photos/odd", tmp_path / "mirror", s3.storage())
    finally:
        s3.client.delete_object(Bucket="photos", Key=f"odd/{key}")
    assert not (tmp_path / "etc").exists()


def test_a_prefix_without_photos_is_no_empty_source(s3, tmp_path):
    with pytest.raises(UsageError, match="no photo lies there"):
        go("s3://photos/nothing", tmp_path / "mirror", s3.storage())


def test_a_worker_reads_from_storage_what_lies_there(s3, photos, tmp_path):
    url = s3.fill(photos, "worker")
    names = sorted(contents(photos))
    rows = pl.DataFrame(
        {
            "photo": names,
            "path": [f"/driver/fetched/{name}" for name in names],
            "source": "s",
            "sha256": [sha256_of(photos / name) for name in names],
        }
    )
    s3.put(f"worker/{names[1]}", b"changed since it was collected")
    s3.client.delete_object(Bucket="photos", Key=f"worker/{names[2]}")
    target = tmp_path / "part"
    target.mkdir()
    there, lost = fetch(rows, target, {"/driver/fetched": url}, s3.storage())
    assert {photo: error.reason for photo, error in lost.items()} == {
        names[1]: "has other bytes than when it was collected",
        names[2]: "not there any more",
    }
    for name, path in there.select("photo", "path").iter_rows():
        if name not in lost:
            assert sha256_of(target / path) == sha256_of(photos / name)
    with pytest.raises(ClusterError, match="does not see the photos"):
        fetch(rows, target, {}, s3.storage())


def test_settings_hold_no_credentials():
    assert set(StorageSettings.model_fields) == {"endpoint", "region", "attempts", "timeout"}
