"""From a run to an annotation tool and back, on files."""

import json
import shutil

import cv2
import numpy as np
import polars as pl
import pytest
from PIL import Image
from studies import tree
from typer.testing import CliRunner

from reviews import come_back
from wreckognize.catalog import Catalog
from wreckognize.cli.reviewing import review
from wreckognize.collect.gather import collect
from wreckognize.errors import GuardError, UsageError
from wreckognize.files import sha256_of
from wreckognize.images import decode
from wreckognize.progress import Silent
from wreckognize.review.apply import apply_reviews
from wreckognize.review.manifest import read_manifest
from wreckognize.settings import CocoSource, YoloSource
from wreckognize.stages.reviewing import export_review, import_review, read_all, review_files
from wreckognize.study import Study

NOW = "2026-11-24T12:00:00+00:00"
TOOLS = ("label-studio", "coco", "yolo")


def answers(folder, *, move=0.0, user=1, photos=None):
    """The tasks of an export as Label Studio gives them back once all (or some) were submitted."""
    tasks = json.loads((folder / "tasks.json").read_text())
    for number, task in enumerate(tasks, 1):
        (prediction,) = task.pop("predictions")
        for result in prediction["result"]:
            if "x" in result["value"]:
                result["value"]["x"] += move
                result["value"]["width"] -= move
        submitted = {"completed_by": user, "result": prediction["result"], "updated_at": "2026-11-24T10:00:00Z"}
        wanted = photos is None or task["data"]["photo"] in photos
        task |= {"id": number, "annotations": [submitted] if wanted else []}
    file = folder.parent / f"answers-{user}-{move:g}.json"
    file.write_text(json.dumps(tasks))
    return file


@pytest.mark.parametrize("tool", TOOLS)
def test_an_export_has_the_photos_most_doubtful_first_and_touches_no_source(a_run, tool):
    study, run, folder = a_run
    before = tree(folder / "photos") | tree(run)
    result = export_review(study, run, tool=tool, folder=folder / "out")
    assert tree(folder / "photos") | tree(run) == before
    assert result.photos == 5
    assert result.drawn_by == {"labels of ver6": 2, "predictions of the teacher": 1, "": 2}
    manifest = read_manifest(folder / "out" / "export.json")
    assert [one.photo for one in manifest.photos] == [
        "cars/2.jpg",
        "cars/1.jpg",
        "cars/3.jpg",
        "none/1.jpg",
        "none/2.jpg",
    ]
    for one in manifest.photos:
        assert sha256_of(folder / "out" / "images" / one.file) == one.sha256, "a plain photo is copied as it is"
        assert one.file.split("-")[1].startswith(one.sha256[:12])
    lines = (folder / "out" / "order.csv").read_text().splitlines()
    assert lines[0].startswith("rank,file,photo,split")
    assert len(lines) == 6


def test_an_export_is_never_written_over(a_run):
    study, run, folder = a_run
    export_review(study, run, tool="yolo", folder=folder / "out")
    with pytest.raises(UsageError, match="not empty"):
        export_review(study, run, tool="yolo", folder=folder / "out")
    assert not list(folder.glob("*.part"))


def test_a_photo_that_is_turned_goes_out_upright(a_run):
    study, run, folder = a_run
    path = folder / "photos" / "cars" / "1.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(path) as image:
        image.load()
    image.save(path, exif=exif, quality=95)
    changed = {"sha256": sha256_of(path), "plain": False, "width": 64, "height": 96}
    catalog = Catalog.read(run / "catalog")
    rows = [row | changed if row["photo"] == "cars/1.jpg" else row for row in catalog.photos.iter_rows(named=True)]
    Catalog(pl.DataFrame(rows, schema=catalog.photos.schema), catalog.boxes).write(run / "catalog")
    export_review(study, run, tool="coco", folder=folder / "out")
    (file,) = (folder / "out" / "images").glob(f"*{changed['sha256'][:12]}.jpg")
    with Image.open(file) as copy:
        assert copy.size == (64, 96)
        assert copy.getexif().get(0x0112, 1) == 1
    shown = decode(path).astype(int)
    assert np.abs(cv2.imread(str(file)).astype(int) - shown).mean() < 8
    (entry,) = [
        one
        for one in json.loads((folder / "out" / "instances.json").read_text())["images"]
        if one["photo"] == "cars/1.jpg"
    ]
    assert (entry["width"], entry["height"]) == (64, 96)


def test_photos_that_are_gone_or_changed_stop_the_export_by_name(a_run):
    study, run, folder = a_run
    (folder / "photos" / "cars" / "1.jpg").unlink()
    (folder / "photos" / "none" / "1.jpg").write_bytes(b"other")
    with pytest.raises(UsageError) as caught:
        export_review(study, run, tool="coco", folder=folder / "out")
    assert "cars/1.jpg: the file cannot be read" in str(caught.value)
    assert "none/1.jpg: the file is another now" in str(caught.value)
    assert not (folder / "out").exists()


def test_the_order_of_an_audit_goes_before_ours(a_run):
    study, run, folder = a_run
    (run / "audit" / "ver6").mkdir(parents=True)
    doubts = pl.DataFrame({"photo": ["none/2.jpg"], "score": [0.9], "reason": ["a confident vehicle"]})
    doubts.write_parquet(run / "audit" / "ver6" / "doubts.parquet")
    result = export_review(study, run, tool="coco", folder=folder / "out", split="test", limit=1)
    assert result.audited
    (one,) = read_manifest(folder / "out" / "export.json").photos
    assert (one.photo, one.why) == ("none/2.jpg", "a confident vehicle")


def test_an_export_says_what_is_missing(a_run, tmp_path):
    study, run, folder = a_run
    with pytest.raises(UsageError, match="no system 'ver9'"):
        export_review(study, run, tool="coco", folder=folder / "out", system="ver9")
    (run / "systems" / "ver6" / "labels.parquet").unlink()
    with pytest.raises(UsageError, match="wreckognize label"):
        export_review(study, run, tool="coco", folder=folder / "out")
    with pytest.raises(UsageError, match="wreckognize collect"):
        export_review(study, folder / "nowhere", tool="coco", folder=folder / "out")
    with pytest.raises(UsageError, match="no photo to review"):
        export_review(study, labelled(run), tool="coco", folder=folder / "out", split="val")
    (run / "study.yaml").write_text("study: another\n")
    with pytest.raises(UsageError, match="run of the study 'another'"):
        export_review(study, run, tool="coco", folder=folder / "out")
    assert not (folder / "out").exists()


def labelled(run):
    from wreckognize.catalog import LABEL_SCHEMA

    LABEL_SCHEMA.to_frame().write_parquet(run / "systems" / "ver6" / "labels.parquet")
    return run


def test_without_a_teacher_pass_the_systems_own_predictions_are_drawn(a_run):
    study, run, folder = a_run
    (run / "systems" / "ver6" / "predictions").mkdir()
    shutil.move(run / "teacher" / "predictions.parquet", run / "systems" / "ver6" / "predictions" / "test.parquet")
    result = export_review(study, run, tool="coco", folder=folder / "out", split="test")
    assert result.drawn_by == {"predictions of ver6": 1, "": 1}


def test_our_own_readers_open_what_went_out(a_run):
    study, run, folder = a_run
    for tool in ("coco", "yolo"):
        export_review(study, run, tool=tool, folder=folder / tool, split="train", limit=2)
    coco = CocoSource(
        name="c",
        type="coco",
        role="damaged",
        images=folder / "coco",
        annotations=folder / "coco" / "instances.json",
        classes=("vehicle",),
    )
    yolo = YoloSource(name="y", type="yolo", role="damaged", images=folder / "yolo" / "images", names=("vehicle",))
    for source in (coco, yolo):
        boxes = collect([source], seed=0, progress=Silent()).catalog.boxes
        found = boxes.sort("x1").select("x1", "y1", "x2", "y2").rows()
        assert come_back(found, [(0, 0, 96, 64), (24, 16, 72, 48)])


def test_label_studios_answers_become_reviews_once(a_run):
    study, run, folder = a_run
    export_review(study, run, tool="label-studio", folder=folder / "out")
    file = answers(folder / "out", photos=["cars/1.jpg", "cars/2.jpg", "none/1.jpg"])
    result = import_review(study, run, file, now=NOW)
    assert (result.merged.added, result.unanswered, result.named) == (3, 2, False)
    assert result.file == folder / "claims-reviews.json"
    before = tree(folder)
    again = import_review(study, run, file, now="2027-01-01T00:00:00+00:00")
    assert again.merged.unchanged == 3
    assert tree(folder) == before, "not a byte, not a time"

    reviews = read_all(study, review_files(study))
    reviewed = apply_reviews(Catalog.read(run / "catalog"), reviews)
    assert len(reviewed.reviewed) == 3
    drawn = reviewed.catalog.boxes.filter(kind="vehicle").select("photo", "x1", "y1", "x2", "y2", "origin").rows()
    assert drawn == [("cars/1.jpg", 24, 16, 72, 48, "human"), ("cars/2.jpg", 0, 0, 96, 64, "human")]
    assert reviewed.catalog.photos.filter("box_truth")["photo"].to_list() == [
        "cars/1.jpg",
        "cars/2.jpg",
        "none/1.jpg",
        "none/2.jpg",
    ]


def test_reviewed_photos_do_not_go_out_again_but_conflicts_do(a_run):
    study, run, folder = a_run
    export_review(study, run, tool="label-studio", folder=folder / "out", split="train")
    import_review(study, run, answers(folder / "out"), now=NOW)
    with pytest.raises(UsageError, match="no photo to review"):
        export_review(study, run, tool="coco", folder=folder / "next", split="train")
    assert export_review(study, run, tool="coco", folder=folder / "again", split="train", again=True).photos == 3
    result = import_review(study, run, answers(folder / "out", move=40, user=2), now=NOW)
    assert [one.photo for one in result.conflicts] == ["cars/1.jpg", "cars/2.jpg"]
    export_review(study, run, tool="coco", folder=folder / "next", split="train", blank=True)
    sent = read_manifest(folder / "next" / "export.json").photos
    assert {(one.photo, one.boxes) for one in sent} == {("cars/1.jpg", ()), ("cars/2.jpg", ())}
    assert {one.why for one in sent} == {""}, "a blank export does not say what others thought"
    export_review(study, run, tool="coco", folder=folder / "told", split="train")
    assert "user 1 and user 2" in read_manifest(folder / "told" / "export.json").photos[0].why


TELLS = ("damaged", "background", "cars/", "none/", "vehicle with", "0.96", "doubt", "teacher", "score", "choices")


@pytest.mark.parametrize("tool", ["label-studio", "coco", "yolo"])
def test_a_blank_export_tells_reviewers_nothing(a_run, tool):
    study, run, folder = a_run
    (run / "audit" / "ver6").mkdir(parents=True)
    why = "the system sees a vehicle with confidence 0.96 where there is no label"
    doubts = pl.DataFrame({"photo": ["none/2.jpg"], "score": [0.96], "reason": [why]})
    doubts.write_parquet(run / "audit" / "ver6" / "doubts.parquet")
    told = export_review(study, run, tool=tool, folder=folder / "told")
    done = export_review(study, run, tool=tool, folder=folder / "out", blank=True)
    assert (told.audited, done.audited, done.photos, done.drawn_by) == (True, False, 5, {"": 5})
    given = [file for file in sorted((folder / "out").rglob("*")) if file.is_file() and file.suffix != ".jpg"]
    for file in given:
        if file.name not in ("export.json", "label-config.xml"):
            text = file.read_text()
            assert not [word for word in TELLS if word in text], file.name
    if tool == "label-studio":
        tasks = json.loads((folder / "out" / "tasks.json").read_text())
        assert all(task.keys() == {"data"} for task in tasks)
        assert "$note" not in (folder / "out" / "label-config.xml").read_text()
        assert "$note" in (folder / "told" / "label-config.xml").read_text()
    manifest = read_manifest(folder / "out" / "export.json")
    assert {(one.verdict, one.why, one.boxes) for one in manifest.photos} == {(None, "", ())}
    assert (folder / "out" / "order.csv").read_text().splitlines()[0] == "rank,file"


def test_answers_to_a_blank_export_find_their_photos(a_run):
    study, run, folder = a_run
    export_review(study, run, tool="label-studio", folder=folder / "out", split="test", blank=True)
    tasks = json.loads((folder / "out" / "tasks.json").read_text())
    choice = {"type": "choices", "value": {"choices": ["no vehicle"]}}
    for number, task in enumerate(tasks):
        task["annotations"] = [{"id": number, "completed_by": 1, "result": [choice], "updated_at": NOW}]
    (folder / "answers.json").write_text(json.dumps(tasks))
    result = import_review(study, run, folder / "answers.json", now=NOW)
    assert {(one.photo, one.verdict) for one in result.merged.reviews} == {
        ("cars/3.jpg", "background"),
        ("none/2.jpg", "background"),
    }


@pytest.mark.parametrize("tool", ["coco", "yolo"])
def test_files_of_another_study_are_refused_although_the_export_is_named(a_run, tool):
    study, run, folder = a_run
    export_review(study, run, tool=tool, folder=folder / "out")
    file = folder / "out" / {"coco": "instances.json", "yolo": "data.yaml"}[tool]
    shutil.copytree(folder / "out", folder / "back")
    back = folder / "back" / file.name
    text = back.read_text()
    assert "claims" in text
    back.write_text(text.replace("claims", "another"))
    (folder / "back" / "export.json").unlink()
    with pytest.raises(UsageError, match="about the study 'another', not 'claims'"):
        import_review(
            study, run, folder / "back", now=NOW, reviewer="anna", export=folder / "out", looked_at="all"
        )


def test_answers_that_are_links_are_not_followed(a_run):
    """They came from elsewhere, and could lead to any file of this machine."""
    study, run, folder = a_run
    export_review(study, run, tool="yolo", folder=folder / "out")
    label = next((folder / "out" / "labels").glob("*.txt"))
    label.rename(folder / "elsewhere.txt")
    label.symlink_to(folder / "elsewhere.txt")
    with pytest.raises(UsageError, match="is a link"):
        import_review(study, run, folder / "out", now=NOW, reviewer="anna", looked_at="all")


def test_a_conflict_is_shown_until_one_decides(a_run):
    study, run, folder = a_run
    export_review(study, run, tool="label-studio", folder=folder / "out", split="train")
    import_review(study, run, answers(folder / "out"), now=NOW)
    result = import_review(study, run, answers(folder / "out", move=40, user=2), now=NOW)
    assert (folder / "claims-reviews-conflicts.csv").read_text().splitlines()[1].startswith("cars/1.jpg,")
    assert apply_reviews(Catalog.read(run / "catalog"), result.merged.reviews).reviewed == ("none/1.jpg",)
    result = import_review(study, run, None, now=NOW, choices=["cars/1.jpg=user 2"])
    assert [one.photo for one in result.conflicts] == ["cars/2.jpg"]
    result = import_review(study, run, None, now=NOW, choices=["user 1"])
    assert result.conflicts == ()
    assert (folder / "claims-reviews-conflicts.csv").read_text() == "photo,reviewers,why\n"
    reviewed = apply_reviews(Catalog.read(run / "catalog"), read_all(study, review_files(study)))
    assert len(reviewed.reviewed) == 3
    before = tree(folder)
    for file in (answers(folder / "out"), answers(folder / "out", move=40, user=2)):
        assert import_review(study, run, file, now=NOW).conflicts == ()
    decided = folder / "claims-reviews.json"
    assert decided.read_bytes() == before["claims-reviews.json"][0], "the decision stands"


@pytest.mark.parametrize("tool", ["coco", "yolo"])
def test_boxes_come_back_from_files(a_run, tool):
    study, run, folder = a_run
    export_review(study, run, tool=tool, folder=folder / "out")
    assert import_review(study, run, folder / "out", now=NOW, reviewer="anna").merged.added == 0
    result = import_review(study, run, folder / "out", now=NOW, reviewer="anna", looked_at=2)
    assert [(one.photo, one.reviewer, one.when[:10]) for one in result.merged.reviews] == [
        ("cars/1.jpg", "anna", "2026-11-24"),
        ("cars/2.jpg", "anna", "2026-11-24"),
    ]
    before = tree(folder)
    import_review(study, run, folder / "out", now="2027-01-01T00:00:00+00:00", reviewer="anna", looked_at=2)
    assert tree(folder) == before
    away = folder / "away"
    shutil.move(folder / "out" / ("labels" if tool == "yolo" else "instances.json"), away)
    with pytest.raises(UsageError, match=r"no export\.json lies beside"):
        import_review(study, run, away, now=NOW, reviewer="anna", tool=tool)
    result = import_review(
        study, run, away, now=NOW, reviewer="ben", tool=tool, export=folder / "out", looked_at="all"
    )
    assert result.merged.added == 5


def test_nothing_is_written_when_one_answer_cannot_be_right(a_run):
    study, run, folder = a_run
    export_review(study, run, tool="label-studio", folder=folder / "out", split="train")
    import_review(study, run, answers(folder / "out"), now=NOW)
    file = answers(folder / "out", move=10, user=2)
    tasks = json.loads(file.read_text())
    tasks[0]["data"]["photo"] = "cars/9.jpg"
    tasks[1]["annotations"][0]["result"][0]["value"]["width"] = 300
    file.write_text(json.dumps(tasks))
    before = tree(folder)
    with pytest.raises(UsageError) as caught:
        import_review(study, run, file, now=NOW)
    assert "answers that cannot be used (nothing was written): 2" in str(caught.value)
    assert "no photo 'cars/9.jpg'" in str(caught.value)
    assert "reaches outside" in str(caught.value)
    assert tree(folder) == before


def test_what_came_back_must_be_recognised(a_run):
    study, run, folder = a_run
    (folder / "empty").mkdir()
    (folder / "text.json").write_text("hello")
    for source in (folder / "empty", folder / "text.json"):
        with pytest.raises(UsageError, match="cannot tell which tool"):
            import_review(study, run, source, now=NOW)
    with pytest.raises(UsageError, match="cannot be read"):
        import_review(study, run, folder / "none.json", now=NOW)
    (folder / "tasks.json").write_text("[]")
    with pytest.raises(UsageError, match="says itself"):
        import_review(study, run, folder / "tasks.json", now=NOW, looked_at="all")
    for name in ("", "a=b", "a\nb"):
        with pytest.raises(UsageError, match="not a name"):
            import_review(study, run, folder / "tasks.json", now=NOW, reviewer=name)


def test_several_reviews_files_keep_their_own(a_run):
    study, run, folder = a_run
    export_review(study, run, tool="label-studio", folder=folder / "out", split="train")
    for user, photos in ((1, ["cars/1.jpg"]), (2, ["cars/2.jpg"])):
        import_review(study, run, answers(folder / "out", user=user, photos=photos), now=NOW)
        shutil.move(folder / "claims-reviews.json", folder / f"of-{user}.json")
    file = folder / "claims.yaml"
    file.write_text(file.read_text() + "reviews: [of-1.json, of-2.json]\n")
    study = Study.load(file)
    result = import_review(study, run, answers(folder / "out", user=2, move=5), now=NOW)
    assert result.named
    held = [[(one.photo, one.reviewer) for one in read_all(study, [path])] for path in study.reviews]
    first, second = held
    assert first == [("cars/1.jpg", "user 1"), ("cars/1.jpg", "user 2"), ("none/1.jpg", "user 2")]
    assert second == [("cars/2.jpg", "user 2")]


def command(*arguments):
    return CliRunner().invoke(review, [str(one) for one in arguments])


def test_the_commands_say_what_was_done_and_what_to_do(a_run):
    _, run, folder = a_run
    study = folder / "claims.yaml"
    done = command("export", study, "--to", "label-studio", "--out", run, "--split", "train")
    assert done.exit_code == 0, done.output
    assert "3 photos" in done.output
    assert "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT" in done.output
    out = run / "review" / "label-studio"
    done = command("import", study, answers(out), "--out", run, "--reviewer", "anna")
    assert done.exit_code == 0, done.output
    assert "3 new" in done.output
    assert "reviews: [claims-reviews.json]" in done.output
    done = command("import", study, answers(out, user=2, move=40), "--out", run, "--reviewer", "ben")
    assert isinstance(done.exception, GuardError)
    assert "cars/1.jpg: anna and ben: boxes that do not match" in str(done.exception)
    study.write_text(study.read_text() + "reviews: claims-reviews.json\n")
    done = command("import", study, "--out", run, "--resolve", "anna")
    assert done.exit_code == 0, done.output
    assert "add this line" not in done.output
    file = answers(out, user=3, photos=["cars/1.jpg"])
    tasks = json.loads(file.read_text())
    for task in tasks:
        for annotation in task["annotations"]:
            annotation["result"] = [result for result in annotation["result"] if result["type"] == "choices"]
    file.write_text(json.dumps(tasks))
    done = command("import", study, file, "--out", run)
    assert done.exit_code == 0, done.output
    assert "no box is drawn (1):\n  task 2, cars/1.jpg" in done.output
    done = command("import", study, "--out", run)
    assert "no file is named" in str(done.exception)
    done = command("import", study, out, "--out", run, "--looked-at", "few")
    assert "'few' is no number" in str(done.exception)
