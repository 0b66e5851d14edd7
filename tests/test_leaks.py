"""Planted leaks are refused and named, the lock holds, and it opens only to a reason."""

import hashlib
import json
import shutil
import subprocess
import sys

import cv2
import polars as pl
import pytest
import yaml
from photographs import draw_photo
from studies import write_study

from wreckognize import pipeline
from wreckognize.errors import InputError, LeakError, LockError, UsageError
from wreckognize.progress import Silent
from wreckognize.reporting.evidence.reservations import reservations
from wreckognize.review.records import Review, write_reviews
from wreckognize.stages import alike, data
from wreckognize.stages.run import Run
from wreckognize.study import Study
from wreckognize.workspace import open_workspace


def reencode(source, target):
    assert cv2.imwrite(str(target), cv2.imread(str(source)), [cv2.IMWRITE_JPEG_QUALITY, 60])


def halve(source, target):
    small = cv2.resize(cv2.imread(str(source)), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert cv2.imwrite(str(target), small)


COPIES = pytest.mark.parametrize(
    ("copy", "reason"),
    [
        (lambda source, target: target.write_bytes(source.read_bytes()), "the same file"),
        (reencode, r"hash, \d of 64 bits"),
        (halve, r"hash, \d of 64 bits"),
    ],
    ids=["as it is", "quality 60", "half size"],
)


class Case:
    """A locked study that trains nothing, to which sources can be added."""

    def __init__(self, folder, weights):
        systems = {"baseline": {"recipe": "baseline", "weights": weights.name, "predict": {"imgsz": 64}}}
        self.folder, self.out = folder, folder / "run"
        self.file = write_study(folder / "study", weights, systems=systems)
        self.run()
        self.locked = self.lock

    def run(self, *overrides, **options):
        study = Study.load(self.file, overrides=overrides)
        return pipeline.run(study, out=self.out, **{"until": "split", **options})

    def add(self, name, **fields):
        """A further source of intact cars; gives its folder."""
        content = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        content["sources"].append({"name": name, "type": "folder", "role": "normal", "images": name, **fields})
        self.file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        (self.file.parent / name).mkdir()
        return self.file.parent / name

    @property
    def lock(self):
        return json.loads((self.out / "test.lock.json").read_text(encoding="utf-8"))

    @property
    def split(self):
        return dict(pl.read_parquet(self.out / "split.parquet").select("photo", "split").iter_rows())

    @property
    def notes(self):
        return json.loads((self.out / "catalog" / "split.json").read_text(encoding="utf-8"))

    def test_photo(self, source="normal"):
        """Name and file of a test photo."""
        photos = pl.read_parquet(self.out / "catalog" / "photos.parquet")
        name = next(photo["photo"] for photo in self.lock["photos"] if photo["photo"].startswith(f"{source}/"))
        [path] = photos.filter(photo=name)["path"]
        return name, self.file.parent / path


@pytest.fixture
def case(tiny_weights, tmp_path):
    return Case(tmp_path, tiny_weights)


def test_a_lock_knows_bytes_look_and_group_of_every_test_photo(case):
    hashes = dict(pl.read_parquet(case.out / "catalog" / "hashes.parquet").iter_rows())
    groups = dict(pl.read_parquet(case.out / "split.parquet").select("photo", "group").iter_rows())
    assert case.lock["version"] == 2
    assert {photo["photo"] for photo in case.lock["photos"]} == {
        p for p, where in case.split.items() if where == "test"
    }
    for photo in case.lock["photos"]:
        assert photo["hash"] == hashes[photo["photo"]]
        assert len(photo["hash"]) == 16
        assert photo["group"] == groups[photo["photo"]]
    assert case.notes["pairs"] == {"claim": 10, "file": 0, "hash": 0}
    assert any("embeddings" in sentence for sentence in case.notes["shortfalls"])


@COPIES
def test_a_test_photo_copied_into_an_added_source_is_refused_and_named(case, copy, reason):
    name, file = case.test_photo()
    before = case.split
    copy(file, case.add("more") / "copy.jpg")
    with pytest.raises(LeakError, match=rf"more/copy\.jpg matches test photo {name} \({reason}\)") as caught:
        case.run()
    assert caught.value.photos == ("more/copy.jpg", name)
    assert case.split == before
    assert case.lock == case.locked

    case.run("split.on_leak=exclude")
    assert case.split["more/copy.jpg"] == "held_back"
    assert case.notes["excluded"] == ["more/copy.jpg"]
    assert case.lock == case.locked


@COPIES
def test_a_copy_in_a_source_pinned_to_training_is_refused_and_named(case, copy, reason):
    name, file = case.test_photo()
    copy(file, case.add("more", split="train") / "copy.jpg")
    with pytest.raises(LeakError, match=rf"more/copy\.jpg matches test photo {name} \({reason}\)"):
        case.run()


@COPIES
def test_a_copy_between_pinned_sources_is_refused_and_named(case, copy, reason):
    name, file = case.test_photo("whole")
    copy(file, case.add("more", split="train") / "copy.jpg")
    with pytest.raises(LeakError, match=rf"more/copy\.jpg \(train\), {name} \(test\)"):
        case.run()


def test_in_a_first_run_copies_share_a_group(tiny_weights, tmp_path):
    file = write_study(tmp_path / "study", tiny_weights)
    folder = tmp_path / "study" / "normal"
    for number in range(0, 12, 3):
        reencode(folder / f"n {number:02}.jpg", folder / f"copy {number:02}.jpg")
        halve(folder / f"n {number:02}.jpg", folder / f"small {number:02}.jpg")
    pipeline.run(Study.load(file), out=tmp_path / "run", until="split")
    split = pl.read_parquet(tmp_path / "run" / "split.parquet")
    for number in range(0, 12, 3):
        own = split.filter(
            pl.col("photo").is_in([f"normal/{word} {number:02}.jpg" for word in ("n", "copy", "small")])
        )
        assert own["group"].n_unique() == own["split"].n_unique() == 1
    near = pl.read_parquet(tmp_path / "run" / "catalog" / "near.parquet")
    assert near.height == 8
    assert set(near["reason"]) == {"hash"}
    assert near["distance"].max() <= 8
    notes = json.loads((tmp_path / "run" / "catalog" / "split.json").read_text(encoding="utf-8"))
    assert notes["pairs"]["hash"] == 12
    # The tiny network has random weights and sees the same in every photo.
    assert any("does not tell these photos apart" in sentence for sentence in notes["shortfalls"])


def test_photos_added_later_train_or_validate(case):
    folder = case.add("more")
    for number in range(30):
        draw_photo(folder / f"{number}.jpg", 900 + number)
    case.run()
    assert case.lock == case.locked
    added = {where for photo, where in case.split.items() if photo.startswith("more/")}
    assert added == {"train", "val"}
    assert any("as it was locked" in sentence for sentence in case.notes["shortfalls"])


def test_changed_shares_leave_the_test_set_alone(case):
    case.run("split={train: 0.2, val: 0.7, test: 0.1}")
    assert case.lock == case.locked
    counts = list(case.split.values())
    assert counts.count("val") > counts.count("train")


def test_a_test_photo_that_is_gone_or_pinned_elsewhere_is_refused(case):
    with pytest.raises(LockError, match="removed: normal/"):
        case.run("sources.normal.split=train")
    name, file = case.test_photo()
    file.unlink()
    with pytest.raises(LockError, match=f"1 removed: {name}") as caught:
        case.run()
    assert "--unlock" in str(caught.value)


def test_an_added_source_of_test_photos_takes_a_reason(case):
    draw_photo(case.add("more", split="test") / "new.jpg", 900)
    with pytest.raises(LockError, match=r"1 added: more/new\.jpg"):
        case.run()
    with pytest.raises(UsageError, match="reason is empty"):
        case.run(unlock="  ")
    assert case.lock == case.locked
    case.run(unlock="photos of a new customer")
    [step] = case.lock["unlocked"]
    assert step["reason"] == "photos of a new customer"
    assert (step["digest"], step["photos"]) == (case.locked["digest"], len(case.locked["photos"]))
    assert (step["added"], step["removed"]) == (1, 0)
    assert case.split["more/new.jpg"] == "test"

    after = case.lock
    case.run()
    assert case.lock == after
    case.run("seed=5", unlock="another draw")
    assert [step["reason"] for step in case.lock["unlocked"]] == ["photos of a new customer", "another draw"]
    assert case.lock["seed"] == 5


def test_unlocking_for_nothing_changes_nothing(case):
    case.run(unlock="to see what happens")
    assert case.lock == case.locked


def test_a_lock_that_was_removed_is_not_made_anew(case):
    (case.out / "test.lock.json").unlink()
    with pytest.raises(LockError, match="the lock on the test set is gone"):
        case.run(unlock="a fresh start")
    assert not (case.out / "test.lock.json").exists()


def test_a_lock_of_the_first_version_is_filled_when_photos_are_split_again(case):
    old = case.lock
    old["version"] = 1
    del old["unlocked"]
    for photo in old["photos"]:
        del photo["hash"]
    canonical = json.dumps(old["photos"], sort_keys=True, separators=(",", ":"))
    old["digest"] = hashlib.sha256(canonical.encode()).hexdigest()
    (case.out / "test.lock.json").write_text(json.dumps(old), encoding="utf-8")
    case.run()
    assert case.lock == case.locked


def test_the_guard_names_test_photos_that_are_handed_to_training(case):
    with open_workspace(case.out) as workspace:
        run = Run(Study.load(case.file), workspace, Silent())
        data.refuse_test_photos(run, run.photos_of("train", "val"), "training of ver6")
        name, _ = case.test_photo()
        with pytest.raises(LeakError, match=f"training of ver6 .*: {name} is a test photo"):
            data.refuse_test_photos(run, run.catalog.photos.filter(photo=name), "training of ver6")


def test_a_photo_that_became_unreadable_is_named(case, monkeypatch):
    def refuse(path):
        raise InputError("truncated", remedy="fetch it again")

    draw_photo(case.add("more") / "new.jpg", 900)
    monkeypatch.setattr(alike.images, "decode", refuse)
    with pytest.raises(UsageError, match=r"can no longer be read(?s:.*)truncated"):
        case.run()


def test_the_command_line_refuses_with_exit_1_and_unlocks_with_a_reason(case):
    name, file = case.test_photo()
    reencode(file, case.add("more") / "copy.jpg")

    def wreckognize(*more):
        command = [sys.executable, "-m", "wreckognize", "split", str(case.file), "--out", str(case.out), *more]
        return subprocess.run(command, capture_output=True, text=True)

    done = wreckognize()
    assert done.returncode == 1
    assert f"more/copy.jpg matches test photo {name}" in done.stderr
    assert "Traceback" not in done.stderr
    assert wreckognize("--unlock", "").returncode == 2
    draw_photo(case.add("new", split="test") / "new.jpg", 900)
    done = wreckognize("--unlock", "photos of a new customer")
    assert done.returncode == 0, done.stderr
    assert case.lock["unlocked"][0]["reason"] == "photos of a new customer"
    assert wreckognize().returncode == 0


def with_a_contrary_copy(folder, weights, copy):
    """A study with a further source of backgrounds that holds a copy of a car."""
    systems = {"baseline": {"recipe": "baseline", "weights": weights.name, "predict": {"imgsz": 64}}}
    file = write_study(folder / "study", weights, systems=systems)
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["sources"].append({"name": "yard", "type": "folder", "role": "background", "images": "yard"})
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    (file.parent / "yard").mkdir()
    copy(file.parent / "normal" / "n 00.jpg", file.parent / "yard" / "car.jpg")
    return Study.load(file)


def test_one_file_given_with_and_without_a_vehicle_is_refused(tiny_weights, tmp_path):
    study = with_a_contrary_copy(tmp_path, tiny_weights, shutil.copyfile)
    with pytest.raises(UsageError, match=r"1 file stands.*\n    normal/n 00\.jpg and yard/car\.jpg"):
        pipeline.run(study, out=tmp_path / "run", until="split")
    assert not (tmp_path / "run" / "catalog" / "photos.parquet").exists()


@pytest.mark.parametrize("copy", [reencode, halve])
def test_a_copy_given_with_the_other_role_is_told_first(tiny_weights, tmp_path, copy):
    study = with_a_contrary_copy(tmp_path, tiny_weights, copy)
    result = pipeline.run(study, out=tmp_path / "run")
    notes = json.loads((tmp_path / "run" / "catalog" / "split.json").read_text(encoding="utf-8"))["shortfalls"]
    assert any("look the same" in note and "normal/n 00.jpg and yard/car.jpg" in note for note in notes)
    assert result.findings.groups.contrary == 1
    assert any("look the same" in sentence for sentence in reservations(result.findings))
    assert "look the same" in result.page.read_text(encoding="utf-8")


def test_a_review_of_a_test_photo_is_another_look_and_is_shown(case, tmp_path):
    case.run(until="report")
    looks = case.out / "test.looks.jsonl"
    before = looks.read_text().count("\n")
    name, _ = case.test_photo("aihub")
    photos = pl.read_parquet(case.out / "catalog" / "photos.parquet")
    [sha256] = photos.filter(photo=name)["sha256"]
    said = Review(photo=name, sha256=sha256, reviewer="Kim", when="2026-11-25T10:00:00+00:00", verdict="background",
                  boxes=())  # fmt: skip
    assert write_reviews(case.file.parent / "answers.json", [said], study="tiny")
    content = yaml.safe_load(case.file.read_text(encoding="utf-8"))
    case.file.write_text(
        yaml.safe_dump(content | {"reviews": ["answers.json"]}, sort_keys=False), encoding="utf-8"
    )
    result = case.run(until="report")
    assert case.lock["photos"] == case.locked["photos"]
    assert looks.read_text().count("\n") == before + 1
    assert [(one.photo, one.before, one.after) for one in result.findings.test.corrected] == [
        (name, "damaged", "background")
    ]
    assert "Reviewers gave 1 locked test photo another role" in " ".join(reservations(result.findings))
    case.run(until="report")
    assert looks.read_text().count("\n") == before + 1
