"""What people corrected at the service becomes truth: the loop closes."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
import yaml
from photographs import draw_photo
from studies import tree, write_study
from typer.testing import CliRunner

from wreckognize import pipeline
from wreckognize.catalog import Catalog
from wreckognize.cli.reviewing import review
from wreckognize.errors import GuardError, LeakError, UsageError
from wreckognize.files import sha256_of
from wreckognize.review.apply import apply_reviews
from wreckognize.review.corrections import Mark, Said, Served
from wreckognize.review.places import FolderPlace
from wreckognize.review.records import read_reviews
from wreckognize.serving.feedback_store import FeedbackStore
from wreckognize.stages.reviewing import import_review
from wreckognize.study import Study

NOW = "2026-11-25T12:00:00+00:00"
SERVED = Served(model="m", version="0123456789ab", sha256="0" * 64, verdict="no vehicle", score=0.0, threshold=0.1)
NOTHING = Said("no vehicle")
BOX = Mark(24, 16, 72, 48)


class Desk:
    """A service's place, and people who correct it, a minute after one another."""

    def __init__(self, folder):
        self.folder = folder
        times = iter(datetime(2026, 11, 25, 10, tzinfo=UTC) + timedelta(minutes=n) for n in range(1000))
        self.store = FeedbackStore(FolderPlace(folder), now=lambda: next(times))
        self.store.prepare()

    def say(self, photo, verdict, *boxes, key="desk-1", **more):
        return self.store.keep(photo.read_bytes(), Said(verdict, list(boxes), **more), SERVED, key=key)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "kept")


@pytest.fixture
def photo(tmp_path):
    """A photo that no study has."""
    return draw_photo(tmp_path / "phone" / "new.jpg", 901)


def turned(path, source, orientation=3):
    """The same photo as a phone stores it: with EXIF, so that what is kept has other bytes than what was sent."""
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Secretcam"
    with Image.open(source) as image:
        image.save(path, quality=95, exif=exif)
    return path


def reviews_of(result):
    return [(one.photo, one.reviewer, one.verdict, one.boxes) for one in result.merged.reviews]


def test_a_correction_of_a_photo_of_the_study_is_a_review(a_run, desk):
    study, run, folder = a_run
    desk.say(folder / "photos" / "cars" / "1.jpg", "no vehicle")
    desk.say(folder / "photos" / "none" / "1.jpg", "vehicle", BOX, damaged=True, key="desk-2")
    desk.say(folder / "photos" / "none" / "2.jpg", "vehicle")
    desk.say(folder / "photos" / "cars" / "2.jpg", "vehicle")
    result = import_review(study, run, desk.folder, now=NOW)
    assert reviews_of(result) == [
        ("cars/1.jpg", "desk-1", "background", ()),
        ("none/1.jpg", "desk-2", "damaged", ((24, 16, 72, 48),)),
    ]
    assert [place.partition(", ")[2] for place in result.incomplete] == ["none/2.jpg"], "a vehicle wants a box"
    assert result.feedback.confirmed == 1
    assert (result.feedback.added, result.feedback.sources) == ({}, ())
    assert not result.feedback.folder.exists()
    reviewed = apply_reviews(Catalog.read(run / "catalog"), result.merged.reviews)
    roles = dict(reviewed.catalog.photos.select("photo", "role").iter_rows())
    assert (roles["cars/1.jpg"], roles["none/1.jpg"]) == ("background", "damaged")


def test_the_photo_is_known_by_what_was_sent_although_what_was_kept_has_other_bytes(a_run, desk):
    study, run, folder = a_run
    phone = turned(folder / "phone.jpg", folder / "photos" / "cars" / "1.jpg")
    catalog = Catalog.read(run / "catalog")
    sha256 = pl.when(pl.col("photo") == "cars/1.jpg").then(pl.lit(sha256_of(phone))).otherwise("sha256")
    Catalog(catalog.photos.with_columns(sha256=sha256), catalog.boxes).write(run / "catalog")
    kept = desk.say(phone, "no vehicle")
    assert kept.kept_sha256 != kept.sent_sha256
    assert b"Secretcam" not in (desk.folder / kept.photo).read_bytes()
    result = import_review(study, run, desk.folder, now=NOW)
    assert reviews_of(result) == [("cars/1.jpg", "desk-1", "background", ())]


def test_new_photos_lie_by_role_and_their_boxes_are_reviews(a_run, desk, tmp_path):
    study, run, folder = a_run
    new = [draw_photo(tmp_path / "phone" / f"{n}.jpg", 900 + n) for n in range(4)]
    desk.say(new[0], "vehicle", damaged=True)
    desk.say(new[1], "vehicle", BOX)
    desk.say(new[2], "no vehicle")
    desk.say(new[3], "vehicle", BOX, damaged=False)
    result = import_review(study, run, desk.folder, now=NOW)
    names = [sha256_of(path)[:16] + ".jpg" for path in new]
    laid = {
        path.relative_to(folder / "claims-feedback").as_posix() for path in result.feedback.folder.rglob("*.jpg")
    }
    assert laid == {f"damaged/{names[0]}", f"normal/{names[1]}", f"background/{names[2]}", f"normal/{names[3]}"}
    assert sorted(reviews_of(result)) == sorted(
        [
            (f"feedback-normal/{names[1]}", "desk-1", None, ((24, 16, 72, 48),)),
            (f"feedback-background/{names[2]}", "desk-1", "background", ()),
            (f"feedback-normal/{names[3]}", "desk-1", "normal", ((24, 16, 72, 48),)),
        ]
    )
    assert result.feedback.sources == tuple(
        f"- {{name: feedback-{role}, type: folder, role: {role}, images: claims-feedback/{role}, split: train}}"
        for role in ("damaged", "normal", "background")
    )
    before = tree(folder)
    again = import_review(study, run, desk.folder, now="2027-01-01T00:00:00+00:00")
    assert (again.feedback.added, again.feedback.present, again.merged.unchanged) == ({}, 4, 3)
    assert tree(folder) == before, "not a byte, not a time"


def test_the_last_word_of_one_person_counts_and_a_photo_keeps_its_place(a_run, desk, photo):
    study, run, _ = a_run
    desk.say(photo, "vehicle", BOX)
    first = import_review(study, run, desk.folder, now=NOW)
    assert first.feedback.added == {"normal": 1}
    desk.say(photo, "no vehicle")
    result = import_review(study, run, desk.folder, now=NOW)
    [entry] = reviews_of(result)
    assert entry[0].startswith("feedback-normal/")
    assert entry[2:] == ("background", ())
    assert (result.feedback.added, result.feedback.present) == ({}, 1)


def test_people_who_contradict_each_other_about_a_new_photo_are_named(a_run, desk, photo):
    study, run, folder = a_run
    desk.say(photo, "vehicle", key="desk-1")
    desk.say(photo, "no vehicle", key="desk-2")
    done = CliRunner().invoke(review, ["import", str(folder / "claims.yaml"), str(desk.folder), "--out", str(run)])
    assert isinstance(done.exception, GuardError)
    assert "desk-1: vehicle; desk-2: no vehicle" in str(done.exception)
    assert not (folder / "claims-feedback").exists()
    desk.say(photo, "no vehicle", key="desk-1")
    assert import_review(study, run, desk.folder, now=NOW).feedback.added == {"background": 1}


def test_boxes_that_differ_on_a_new_photo_are_a_conflict(a_run, desk, photo):
    study, run, _ = a_run
    desk.say(photo, "vehicle", BOX, key="desk-1")
    desk.say(photo, "vehicle", Mark(0, 0, 20, 20), key="desk-2")
    result = import_review(study, run, desk.folder, now=NOW)
    [conflict] = result.conflicts
    assert conflict.reviewers == ("desk-1", "desk-2")
    assert import_review(study, run, None, now=NOW, choices=["desk-2"]).conflicts == ()


def test_nothing_is_written_when_something_was_changed_by_hand(a_run, desk, photo):
    study, run, folder = a_run
    kept = desk.say(photo, "vehicle", BOX)
    other = desk.say(draw_photo(folder / "phone" / "b.jpg", 77), "no vehicle")
    before = tree(folder / "photos") | tree(run)
    (desk.folder / other.photo).write_bytes(photo.read_bytes())
    with pytest.raises(UsageError, match="its bytes are others"):
        import_review(study, run, desk.folder, now=NOW)
    (desk.folder / "corrections" / f"{kept.id}.json").write_text("{}")
    (desk.folder / "corrections" / "note.json").write_text("hello")
    with pytest.raises(UsageError, match=r"corrections that cannot be used \(nothing was written\): 2"):
        import_review(study, run, desk.folder, now=NOW)
    assert tree(folder / "photos") | tree(run) == before
    assert not (folder / "claims-feedback").exists()
    assert not (folder / "claims-reviews.json").exists()


def test_what_was_deleted_on_request_stays_away(a_run, desk, photo):
    study, run, _ = a_run
    kept = desk.say(photo, "no vehicle")
    (desk.folder / kept.photo).unlink()
    result = import_review(study, run, desk.folder, now=NOW)
    assert result.feedback.gone == (kept.photo,)
    assert not result.feedback.folder.exists()
    assert reviews_of(result) == []


@pytest.mark.slow
def test_the_whole_loop(tiny_weights, tmp_path, desk):
    """A locked study; corrections of a test photo, of new ones, and of a copy of a test photo."""
    systems = {"ver6": {"recipe": "ver6", "weights": tiny_weights.name, "train": {"imgsz": 64, "device": "cpu"}}}
    file, run = write_study(tmp_path / "study", tiny_weights, systems=systems), tmp_path / "run"

    def go(until):
        pipeline.run(Study.load(file), out=run, until=until)

    go("split")
    lock = (run / "test.lock.json").read_bytes()
    locked = {one["photo"]: one for one in json.loads(lock)["photos"]}
    photos = pl.read_parquet(run / "catalog" / "photos.parquet")
    paths = dict(photos.select("photo", "path").iter_rows())
    tested = next(name for name in locked if name.startswith("normal/"))

    missed = draw_photo(tmp_path / "phone" / "missed.jpg", 501)
    alarm = draw_photo(tmp_path / "phone" / "alarm.jpg", 502, vehicle=False)
    desk.say(missed, "vehicle", BOX, damaged=True)
    desk.say(alarm, "no vehicle")
    desk.say(tmp_path / paths[tested], "no vehicle")
    done = CliRunner().invoke(review, ["import", str(file), str(desk.folder), "--out", str(run)])
    assert done.exit_code == 0, done.output
    assert "photos new to the study: 1 background, 1 damaged" in done.output
    assert f"counts as another look at it: {tested}" in done.output

    content = yaml.safe_load(file.read_text())
    added = [line.strip() for line in done.output.splitlines() if line.strip().startswith("- {name: feedback-")]
    content["sources"] += yaml.safe_load("\n".join(added))
    content["reviews"] = ["tiny-reviews.json"]
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    go("label")
    assert (run / "test.lock.json").read_bytes() == lock, "the test set is the same photos"
    after = pl.read_parquet(run / "catalog" / "photos.parquet")
    assert after.filter(photo=tested)["role"].to_list() == ["background"], "with another truth"
    new = after.filter(pl.col("source").str.starts_with("feedback-"))
    assert new.select("role", "has_vehicle", "box_truth").rows() == [
        ("background", False, True),
        ("damaged", True, True),
    ]
    splits = dict(pl.read_parquet(run / "split.parquet").select("photo", "split").iter_rows())
    assert {splits[photo] for photo in new["photo"]} == {"train"}
    labels = pl.read_parquet(run / "systems" / "ver6" / "labels.parquet").filter(
        pl.col("photo").str.starts_with("feedback-")
    )
    assert labels.select("x1", "y1", "x2", "y2", "origin").rows() == [(24, 16, 72, 48, "human")]
    [said] = [one for one in read_reviews(file.parent / "tiny-reviews.json", study="tiny") if one.photo == tested]
    assert (said.reviewer, said.verdict) == ("desk-1", "background")

    copy = turned(tmp_path / "phone" / "copy.jpg", tmp_path / paths[tested], orientation=1)
    desk.say(copy, "vehicle", BOX)
    done = CliRunner().invoke(review, ["import", str(file), str(desk.folder), "--out", str(run)])
    assert done.exit_code == 0, done.output
    content["sources"] += yaml.safe_load(
        "\n".join(line.strip() for line in done.output.splitlines() if "- {name: feedback-" in line)
    )
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(LeakError, match=f"matches test photo {tested}"):
        go("split")
