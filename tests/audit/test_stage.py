"""An audit of a small real study, with a tiny real network."""

import json
import re
import shutil

import polars as pl
import pytest
from studies import tree, write_study

from wreckognize import pipeline
from wreckognize.cli.auditing import audit_study, chosen_system
from wreckognize.errors import UsageError
from wreckognize.progress import Silent
from wreckognize.stages import learning, looking, students
from wreckognize.stages.auditing import audit
from wreckognize.stages.run import Run
from wreckognize.study import Study
from wreckognize.training import fine_tune
from wreckognize.workspace import open_workspace

pytestmark = pytest.mark.slow


def audit_it(study, folder, **changes):
    with open_workspace(folder) as workspace:
        return audit(Run(study, workspace, Silent()), study.system("ver6"), **({"folds": 2} | changes))


def cheap(folder, weights):
    """A study whose detector is the tiny network, and whose labels fall back on the whole frame."""
    return Study.load(write_study(folder, weights))


@pytest.fixture(scope="module")
def audited(tiny_weights, tmp_path_factory):
    root = tmp_path_factory.mktemp("audit")
    study = cheap(root / "study", tiny_weights)
    before = tree(root / "study")
    pipeline.run(study, out=root / "run", until="label", only=["ver6"])
    return study, before, root / "run", audit_it(study, root / "run")


def test_each_photo_is_looked_at_by_a_student_that_has_not_seen_its_group(audited):
    _, _, run, result = audited
    photos = pl.read_parquet(result.folder / "photos.parquet")
    split = pl.read_parquet(run / "split.parquet")
    wanted = split.filter(pl.col("split").is_in(["train", "val"]))
    assert set(photos["photo"]) == set(wanted["photo"])
    assert result.photos == photos.height
    assert photos["rank"].to_list() == list(range(1, photos.height + 1))
    assert photos["score"].is_sorted(descending=True)
    assert photos["fold"].null_count() == 0
    assert photos.join(split, on="photo").group_by("group").agg(pl.col("fold").n_unique())["fold"].max() == 1
    for number in (1, 2):
        seen = pl.read_parquet(result.folder / f"fold{number}.parquet")
        assert set(seen["photo"]) <= set(photos.filter(fold=number)["photo"])


def test_the_table_the_csv_and_the_page_agree(audited):
    _, _, run, result = audited
    table = pl.read_parquet(result.folder / "doubts.parquet")
    assert table.columns[:5] == ["photo", "split", "role", "rank", "photo_score"]
    assert table["rank"].is_sorted()
    assert table.height > 0
    again = pl.read_csv(result.folder / "doubts.csv")
    assert again.select("photo", "kind", "reason").equals(table.select("photo", "kind", "reason"))
    page = result.page.read_text(encoding="utf-8")
    shown = re.findall(r"<b>(\d+)\.</b> <bdi>([^<]+)</bdi>", page)
    assert shown[0] == ("1", table["photo"][0])
    assert len(shown) == table["photo"].n_unique()
    assert table["reason"][0] in page
    assert page.count("data:image/jpeg;base64,") == len(shown)
    assert str(run) not in page
    assert "<script" not in page
    assert "Test photos were not audited" in page


def test_nothing_is_done_twice_and_nothing_is_left_lying_about(audited):
    study, before, run, result = audited
    first = tree(run)
    assert audit_it(study, run) == result
    assert tree(run) == first | {".lock": tree(run)[".lock"]}
    assert not [name for name in first if name.startswith("audit/ver6/fold") and not name.endswith(".parquet")]
    assert tree(study.file.parent) == before


def test_the_command_says_what_comes_first_and_where_the_page_is(audited, capsys):
    study, _, run, result = audited
    audit_study(study.file, system="ver6", folds=2, epochs=None, out=run, overrides=())
    printed = capsys.readouterr().out
    assert f"{result.photos} photos audited, labels of ver6" in printed
    assert all(f"{count}  {words}" in printed for words, count in result.kinds)
    assert all(f"{photo}: {reason}" in printed for photo, _, reason in result.worst)
    assert f"page: {result.page}" in printed


def test_the_command_takes_the_last_trained_system_and_refuses_others(audited):
    study = audited[0]
    assert chosen_system(study, None).name == chosen_system(study, "ver6").name == "ver6"
    for name in ("baseline", "ver9"):
        with pytest.raises(UsageError, match="choose among ver6"):
            chosen_system(study, name)


@pytest.fixture
def trainings(tiny_weights, monkeypatch):
    """Names of trainings; each leaves the tiny network as it was, without a process of its own."""
    done = []

    def leave_as_it_was(weights, layout, settings, folder, *, name, **_):
        done.append((name, settings.epochs, layout.train_photos))
        made = folder.parent / "weights"
        made.mkdir(parents=True, exist_ok=True)
        for file in ("model.json", "best.safetensors"):
            source = tiny_weights.with_name(file) if file.endswith("json") else tiny_weights
            shutil.copyfile(source, made / file)
        (folder / "result.json").write_text("{}")
        (folder / "work").mkdir(exist_ok=True)
        (folder / "work" / "results.csv").write_text("")

    monkeypatch.setattr(fine_tune, "fine_tune", leave_as_it_was)
    return done


@pytest.fixture
def labelled(tiny_weights, tmp_path):
    study = cheap(tmp_path / "study", tiny_weights)
    pipeline.run(study, out=tmp_path / "run", until="label", only=["ver6"])
    return study, tmp_path / "run"


def test_the_truth_of_test_photos_is_doubted_once_the_system_has_predicted_them(labelled, trainings):
    study, run = labelled
    with open_workspace(run) as workspace:
        whole = Run(study, workspace, Silent())
        learning.train(whole, study.system("ver6"))
        looking.predict(whole, study.system("ver6"), "test")
    result = audit_it(study, run)
    photos = pl.read_parquet(result.folder / "photos.parquet").filter(split="test")
    test = pl.read_parquet(run / "split.parquet").filter(split="test")
    assert set(photos["photo"]) == set(test["photo"])
    assert photos["fold"].null_count() == test.height
    table = pl.read_parquet(result.folder / "doubts.parquet").filter(split="test")
    assert table.height > 0
    assert not table["reason"].str.contains("student").any()
    assert "by the system itself" in result.page.read_text(encoding="utf-8")
    looks = (run / "test.looks.jsonl").read_text().splitlines()
    assert [json.loads(look)["what"] for look in looks] == [["ver6"]]


def test_an_audit_that_was_broken_off_goes_on(labelled, trainings, monkeypatch):
    study, run = labelled

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(students, "look", stop)
        with pytest.raises(KeyboardInterrupt):
            audit_it(study, run)
    assert [name for name, *_ in trainings] == ["ver6, fold 1 of 2"]
    result = audit_it(study, run)
    assert [name for name, *_ in trainings] == ["ver6, fold 1 of 2", "ver6, fold 2 of 2"]
    assert sum(photos for *_, photos in trainings) < result.photos  # each learns from the other fold only
    audit_it(study, run, epochs=7)
    assert [epochs for _, epochs, _ in trainings] == [1, 1, 7, 7]


def test_another_key_throws_away_what_was_there(labelled, trainings, tmp_path):
    study, run = labelled
    photos = pl.read_parquet(run / "catalog" / "photos.parquet").head(6)
    learnt = photos.with_columns(split=pl.Series(["train", "train", "train", "val", "val", "val"]))
    labels = pl.read_parquet(run / "systems" / "ver6" / "labels.parquet")
    system = study.system("ver6")
    for key in ("one", "one", "two"):
        student = students.Student(
            system=system, weights="", train=system.train, seed=0, name=f"key {key}", key=key
        )
        students.out_of_fold(student, learnt, labels, photos, tmp_path / "fold", progress=Silent())
    assert [name for name, *_ in trainings] == ["key one", "key two"]


@pytest.mark.parametrize(("system", "folds", "words"), [("baseline", 2, "never trained"), ("ver6", 1, "--folds")])
def test_what_cannot_be_audited_is_refused(audited, system, folds, words):
    study, _, run, _ = audited
    with open_workspace(run) as workspace, pytest.raises(UsageError, match=words):
        audit(Run(study, workspace, Silent()), study.system(system), folds=folds)
