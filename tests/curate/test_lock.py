"""The lock: it survives a round trip, and notices every change of the test set."""

from __future__ import annotations

import hashlib
import json

import polars as pl
import pytest

from wreckognize.curate import lock as locks
from wreckognize.curate.groups import assign_groups
from wreckognize.curate.near import HASH_SCHEMA
from wreckognize.errors import LockError

STEP = {"when": "now", "reason": "r", "digest": "0" * 64, "photos": 3, "added": 1, "removed": 0}
NAMES = ["a/차 1.jpg", 'a/2"quoted".jpg', "b/3.jpg", "b/4.jpg"]


@pytest.fixture
def photos(make_photos):
    return make_photos({"photo": name} for name in NAMES)


def table_of(photos, test=NAMES[:3]):
    is_test = pl.col("photo").is_in(list(test))
    return assign_groups(photos).select(
        "photo", pl.when(is_test).then(pl.lit("test")).otherwise(pl.lit("train")).alias("split"), "group"
    )


def hashes_of(photos):
    """Sixteen digits of each photo's name; the first photo shows nothing."""
    rows = [(name, hashlib.md5(name.encode()).hexdigest()[:16]) for name in photos["photo"].sort()]
    return pl.DataFrame([(rows[0][0], None), *rows[1:]] if rows else [], schema=HASH_SCHEMA, orient="row")


def lock_of(photos, test=NAMES[:3], **changes):
    fields = {"study": "claims", "seed": 3, "created": "2026-11-22T10:00:00+00:00"} | changes
    return locks.make_lock(table_of(photos, test), photos, hashes_of(photos), **fields)


def version_1(lock):
    """The lock as the first version wrote it."""
    rows = [{"group": item.group, "photo": item.photo, "sha256": item.sha256} for item in lock.photos]
    digest = hashlib.sha256(json.dumps(rows, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    head = {"version": 1, "study": lock.study, "seed": lock.seed, "created": lock.created}
    return head | {"digest": digest, "photos": rows}


def test_a_lock_names_the_test_photos_only(photos):
    lock = lock_of(photos)
    assert [item.photo for item in lock.photos] == sorted(NAMES[:3])
    assert lock.photos[-1].sha256 == hashlib.sha256(b"b/3.jpg").hexdigest()
    assert lock.photos[-1].group == "b/3.jpg"
    assert lock.photos[-1].hash == hashlib.md5(b"b/3.jpg").hexdigest()[:16]
    assert lock.photos[0].hash is None
    assert lock.unlocked == ()
    assert (lock.study, lock.seed, lock.created) == ("claims", 3, "2026-11-22T10:00:00+00:00")


def test_the_digest_is_over_the_canonical_json_of_photos_and_history(photos):
    lock = lock_of(photos)
    content = {key: json.loads(lock.to_json())[key] for key in ("photos", "unlocked")}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert lock.digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert lock_of(photos, study="other", seed=4, created="later").digest == lock.digest


def test_a_lock_is_read_as_it_was_written(photos, tmp_path):
    lock = lock_of(photos)
    path = tmp_path / "test.lock.json"
    path.write_text(lock.to_json(), encoding="utf-8")
    assert locks.read_lock(path) == lock
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert list(plain) == sorted(plain) == ["created", "digest", "photos", "seed", "study", "unlocked", "version"]
    locks.check_lock(locks.read_lock(path), table_of(photos), photos)


def test_an_empty_test_set_can_be_locked(photos):
    lock = lock_of(photos, test=[])
    assert lock.photos == ()
    locks.check_lock(lock, table_of(photos, test=[]), photos)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda lock: lock["photos"].pop(), "changed by hand"),
        (lambda lock: lock["photos"][0].update(group="z"), "changed by hand"),
        (lambda lock: lock["photos"][1].update(hash="0" * 16), "changed by hand"),
        (lambda lock: lock["photos"][1].update(hash="x"), r"not a lock of version 1 or 2: photos\.1\.hash"),
        (lambda lock: lock.update(unlocked=[STEP]), "changed by hand"),
        (lambda lock: lock.update(version=1), "changed by hand"),
        (lambda lock: lock.update(digest="0" * 64), "changed by hand"),
        (lambda lock: lock.update(version=3), "not a lock of version 1 or 2: version"),
        (lambda lock: lock.pop("photos"), "not a lock of version 1 or 2: photos"),
        (lambda lock: lock.update(extra=1), "not a lock of version 1 or 2: extra"),
        (lambda lock: lock["photos"][0].update(sha256=5), r"not a lock of version 1 or 2: photos\.0\.sha256"),
    ],
)
def test_a_lock_that_was_edited_is_refused(photos, tmp_path, edit, message):
    content = json.loads(lock_of(photos).to_json())
    edit(content)
    path = tmp_path / "test.lock.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(LockError, match=message) as caught:
        locks.read_lock(path)
    assert caught.value.where == str(path)
    assert "--out" in caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_what_is_not_a_lock_is_refused(tmp_path, content):
    path = tmp_path / "test.lock.json"
    path.write_bytes(content)
    with pytest.raises(LockError, match="not a lock"):
        locks.read_lock(path)


def test_a_photo_added_and_one_removed_are_named(photos):
    lock = lock_of(photos)
    with pytest.raises(LockError) as caught:
        locks.check_lock(lock, table_of(photos, test=[*NAMES[:2], "b/4.jpg"]), photos)
    text = str(caught.value)
    assert "1 added: b/4.jpg; 1 removed: b/3.jpg" in text
    assert "changed" not in text
    assert "--out DIR" in text
    assert caught.value.exit_code == 1


def test_a_photo_with_other_bytes_is_named(photos):
    lock = lock_of(photos)
    other = photos.with_columns(
        sha256=pl.when(pl.col("photo") == "b/3.jpg").then(pl.lit("f" * 64)).otherwise("sha256")
    )
    with pytest.raises(LockError, match=r"1 changed: b/3\.jpg"):
        locks.check_lock(lock, table_of(photos), other)


def test_another_group_name_or_training_photo_changes_nothing(photos):
    lock = lock_of(photos)
    table = table_of(photos).with_columns(group=pl.lit("renamed")).filter(pl.col("photo") != "b/4.jpg")
    locks.check_lock(lock, table, photos)


def test_ten_are_named_and_the_rest_counted(make_photos):
    names = [f"a/{number:02}.jpg" for number in range(13)]
    photos = make_photos({"photo": name} for name in names)
    lock = lock_of(photos, test=names)
    with pytest.raises(LockError, match=r"13 removed: a/00\.jpg, .*a/09\.jpg and 3 more"):
        locks.check_lock(lock, table_of(photos, []), photos)


def test_a_lock_of_version_1_is_read(photos, tmp_path):
    lock = lock_of(photos)
    path = tmp_path / "test.lock.json"
    path.write_text(json.dumps(version_1(lock)), encoding="utf-8")
    old = locks.read_lock(path)
    assert (old.version, old.names, old.unlocked) == (1, lock.names, ())
    assert {item.hash for item in old.photos} == {None}
    locks.check_lock(old, table_of(photos), photos)
    content = version_1(lock)
    content["photos"][0]["group"] = "z"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(LockError, match="changed by hand"):
        locks.read_lock(path)


def test_the_history_of_changes_stays_in_the_lock(photos, tmp_path):
    first = lock_of(photos)
    second = locks.relock(
        first, lock_of(photos, test=[*NAMES[:2], "b/4.jpg"], created="later"), reason="더 좋은 사진"
    )
    assert [step.model_dump() for step in second.unlocked] == [
        {"when": "later", "reason": "더 좋은 사진", "digest": first.digest, "photos": 3, "added": 1, "removed": 1}
    ]
    third = locks.relock(second, lock_of(photos, test=NAMES, created="last"), reason="more")
    assert [step.reason for step in third.unlocked] == ["더 좋은 사진", "more"]
    assert third.unlocked[1].digest == second.digest
    path = tmp_path / "test.lock.json"
    path.write_text(third.to_json(), encoding="utf-8")
    assert locks.read_lock(path) == third


def test_a_photo_with_other_bytes_counts_as_removed_and_added(photos):
    other = photos.with_columns(
        sha256=pl.when(pl.col("photo") == "b/3.jpg").then(pl.lit("f" * 64)).otherwise("sha256")
    )
    step = locks.relock(lock_of(photos), lock_of(other), reason="cropped").unlocked[0]
    assert (step.added, step.removed) == (1, 1)


def test_unlocking_for_nothing_leaves_the_lock_as_it_was(photos):
    first = lock_of(photos)
    assert locks.relock(first, lock_of(photos, created="later"), reason="why not") is first
    assert locks.relock(first, lock_of(photos, seed=4), reason="another seed").unlocked[0].added == 0


@pytest.mark.parametrize(("study", "seed", "word"), [("other", 3, "study 'claims'"), ("claims", 4, "seed 3")])
def test_a_lock_of_another_study_or_seed_is_refused(photos, study, seed, word):
    lock = lock_of(photos)
    locks.check_origin(lock, study="claims", seed=3, where="here")
    with pytest.raises(LockError, match=word) as caught:
        locks.check_origin(lock, study=study, seed=seed, where="here")
    assert "--unlock" in caught.value.remedy


def test_a_lock_gives_its_photos_as_a_table(photos):
    table = lock_of(photos).table()
    assert table.columns == ["photo", "sha256", "hash", "group"]
    assert table["photo"].to_list() == sorted(NAMES[:3])
    assert lock_of(photos, test=[]).table().schema == table.schema
