"""The whole way on a small real study, with a tiny real network."""

import csv
import json
import math
import time
from dataclasses import replace

import polars as pl
import pytest
from photographs import draw_photo
from studies import BACKGROUND, DAMAGED, NORMAL, WHOLE, tree, write_study

from wreckognize import pipeline
from wreckognize.cli.predicting import predict_photos
from wreckognize.errors import LockError, UsageError, WorkspaceError
from wreckognize.predicting.model import Wishes
from wreckognize.progress import Silent
from wreckognize.stages import deciding, learning, looking
from wreckognize.stages.finished import finished_system
from wreckognize.stages.run import Run
from wreckognize.study import Study
from wreckognize.workspace import open_workspace

pytestmark = pytest.mark.slow

CHANGES = ["systems.ver6.train.seeds=2", "systems.ver6.predict.threshold=best_f1", "evidence.prevalence=0.9"]


@pytest.fixture(scope="module")
def finished(tiny_weights, tmp_path_factory):
    """A finished run: study file, the sources before, the run's folder, what `run` returned."""
    root = tmp_path_factory.mktemp("whole way")
    file = write_study(root / "study", tiny_weights)
    before = tree(root / "study")
    result = pipeline.run(Study.load(file, overrides=CHANGES), out=root / "run")
    return root / "run" / "study.yaml", before, result


def test_a_run_leaves_what_the_contract_names(finished):
    _, _, result = finished
    present = {str(path.relative_to(result.folder)) for path in result.folder.rglob("*")}
    assert {
        "study.yaml", "state.json", "test.lock.json", "quarantine.csv", "split.parquet",
        "catalog/photos.parquet", "catalog/boxes.parquet",
        "teacher/predictions.parquet", "teacher/embeddings.parquet",
        "systems/ver6/labels.parquet", "systems/ver6/training", "systems/ver6/weights/best.safetensors",
        "systems/ver6/weights/model.json", "systems/ver6/predictions/val.parquet",
        "systems/ver6/predictions/test.parquet", "systems/ver6/metrics.json",
        "systems/baseline/predictions/test.parquet", "systems/baseline/metrics.json",
        "report/index.html", "report/comparison.json", "report/comparison.csv", "report/comparison.md",
        "report/decisions.csv", "report/figures",
    } <= present  # fmt: skip
    assert not [name for name in present if name.endswith((".part", ".pt"))]
    assert not [name for name in present if "/parts-" in name]


def test_the_sources_are_untouched(finished):
    _, before, result = finished
    assert tree(result.folder.parent / "study") == before


def test_every_photo_is_in_one_split_and_claims_stay_together(finished):
    _, _, result = finished
    photos = pl.read_parquet(result.folder / "catalog" / "photos.parquet")
    assert photos.height == DAMAGED + NORMAL + BACKGROUND + WHOLE
    split = pl.read_parquet(result.folder / "split.parquet").join(photos, on="photo")
    assert split.height == photos.height
    assert (
        split.filter(pl.col("claim").is_not_null())
        .group_by("claim")
        .agg(pl.col("split").n_unique())["split"]
        .max()
        == 1
    )
    assert split.filter(source="whole")["split"].to_list() == ["test"] * WHOLE


def test_the_comparison_is_about_the_locked_test_set(finished):
    _, _, result = finished
    comparison = json.loads((result.folder / "report" / "comparison.json").read_text())
    lock = json.loads((result.folder / "test.lock.json").read_text())
    assert comparison["test"]["photos"] == len(lock["photos"])
    assert comparison["test"]["truth"] == "role"
    assert [system["name"] for system in comparison["systems"]] == ["baseline", "ver6"]
    for system in comparison["systems"]:
        assert system["tp"] + system["fn"] == comparison["test"]["vehicle"]
        assert system["fp"] + system["tn"] == comparison["test"]["background"]
        assert set(system["at"]) == {"0.10", "0.25"}
        assert set(system["found_at_false_alarms"]) == {"0.01", "0.025", "0.05"}
        assert system["box_truth"] == "human"
        assert system["ms_per_image"] > 0
        assert len(system["weights_sha256"]) == 64
    assert comparison["systems"][1]["labels"]


def test_decisions_add_up_to_the_confusion_matrix(finished):
    _, _, result = finished
    comparison = json.loads((result.folder / "report" / "comparison.json").read_text())
    with (result.folder / "report" / "decisions.csv").open() as file:
        rows = list(csv.DictReader(file))
    for system in comparison["systems"]:
        mine = [row for row in rows if row["system"] == system["name"]]
        counts = [
            sum(row["truth"] == truth and row["decision"] == decision for row in mine)
            for truth, decision in [("vehicle", "vehicle"), ("no vehicle", "vehicle"), ("vehicle", "no vehicle")]
        ]
        assert counts == [system["tp"], system["fp"], system["fn"]]


def test_the_baseline_takes_what_the_teacher_saw(finished):
    _, _, result = finished
    teacher = pl.read_parquet(result.folder / "teacher" / "predictions.parquet")
    baseline = pl.read_parquet(result.folder / "systems" / "baseline" / "predictions" / "test.parquet")
    assert baseline.equals(teacher.join(baseline.select("photo").unique(), on="photo", how="semi"))


def test_features_of_every_photo_are_kept(finished):
    _, _, result = finished
    embeddings = pl.read_parquet(result.folder / "teacher" / "embeddings.parquet")
    photos = pl.read_parquet(result.folder / "catalog" / "photos.parquet")
    assert embeddings["photo"].to_list() == photos["photo"].to_list()
    lengths = embeddings["embedding"].list.eval(pl.element() ** 2).list.sum().sqrt()
    assert all(math.isclose(length, 1, abs_tol=1e-4) for length in lengths)


def test_a_threshold_is_frozen_on_calibration_photos_only_and_before_any_look_at_the_test(finished):
    _, _, result = finished
    parts = pl.read_parquet(result.folder / "validation.parquet")
    val = pl.read_parquet(result.folder / "split.parquet").filter(pl.col("split") == "val")
    assert sorted(parts["photo"]) == sorted(val["photo"])
    calibration = parts.filter(pl.col("part") == "calibration")
    looks = [json.loads(line) for line in (result.folder / "test.looks.jsonl").read_text().splitlines()]
    for folder in ("baseline", "ver6", "ver6/seeds/1"):
        frozen = json.loads((result.folder / "systems" / folder / "threshold.json").read_text())
        assert frozen["chosen"]["photos"] == calibration.height
        assert frozen["frozen_at"] <= min(look["when"] for look in looks if frozen["system"] in look["what"])
    learnt = {path.resolve().name for path in (result.folder / "systems/ver6/training/data/images").rglob("*.*")}
    stopping = parts.filter(pl.col("part") == "stopping").height
    layout = result.folder / "systems" / "ver6" / "training" / "data" / "images" / "val"
    assert 0 < len(list(layout.iterdir())) <= stopping
    assert learnt


def test_every_seed_has_its_own_weights_threshold_and_figures(finished):
    _, _, result = finished
    first, second = (result.folder / "systems" / name for name in ("ver6", "ver6/seeds/1"))
    assert (first / "weights/best.safetensors").read_bytes() != (second / "weights/best.safetensors").read_bytes()
    seeds = [json.loads((folder / "metrics.json").read_text())["seed"] for folder in (first, second)]
    assert seeds == [1, 2]
    looks = [json.loads(line)["what"] for line in (result.folder / "test.looks.jsonl").read_text().splitlines()]
    assert looks == [["baseline"], ["ver6"], ["ver6"]]


def test_the_evidence_speaks_of_every_system_and_every_pair(finished):
    _, _, result = finished
    evidence = json.loads((result.folder / "report" / "evidence.json").read_text())
    names = [row["name"] for row in evidence["judged"]["rows"]]
    assert names == ["baseline", "ver6", "always vehicle", "never vehicle"]
    (pair,) = evidence["judged"]["pairs"]
    assert {pair["first"], pair["second"]} == {"baseline", "ver6"}
    figures = result.comparison.systems[1]
    row = evidence["judged"]["rows"][1]["figures"]["recall"]
    first_training = figures.tp / (figures.tp + figures.fn)
    assert row["seeds"][0] == pytest.approx(first_training)
    assert row["low"] <= row["value"] <= row["high"]
    assert evidence["prevalence"] == 0.9
    assert evidence["test"]["looks"] == 3
    truth = {role["role"]: role for role in evidence["truth"]}
    assert truth["damaged"]["with_boxes"] == WHOLE
    assert truth["normal"]["review_first"]
    assert [own["name"] for own in evidence["systems"]] == ["baseline", "ver6"]
    assert all(own["shortcuts"] is not None for own in evidence["systems"])


def test_the_teacher_is_not_judged_by_its_own_boxes(finished):
    _, _, result = finished
    baseline, ver6 = result.comparison.systems
    assert baseline.teacher_agreement is None
    assert ver6.teacher_agreement is None or ver6.teacher_agreement.photos > 0


def test_a_person_is_asked_where_no_promise_holds(finished):
    """With so few calibration photos neither side can be promised, so every photo goes to a person."""
    _, _, result = finished
    third = finished_system(result.folder / "systems" / "ver6").third_answer
    assert third.low is None
    assert third.high is None
    with (result.folder / "report" / "decisions.csv").open(encoding="utf-8") as rows:
        assert {row["third_answer"] for row in csv.DictReader(rows)} == {"to_a_person"}


def test_what_is_known_of_test_photos_retrains_nothing(finished, tmp_path):
    """A review of test photos changes what systems are judged by, not what they learnt from."""
    file, _, result = finished
    study = Study.load(file)
    with open_workspace(result.folder) as workspace:
        run = Run(study, workspace, Silent())
        done = workspace.stages["train:ver6"].fingerprint
        test = run.split.filter(split="test")["photo"]
        other = pl.when(pl.col("photo").is_in(test.implode())).then(pl.lit("normal")).otherwise("role")
        run.__dict__["catalog"] = replace(run.catalog, photos=run.catalog.photos.with_columns(role=other))
        learning.train(run, study.system("ver6"))
        assert workspace.stages["train:ver6"].fingerprint == done


def test_a_threshold_that_comes_out_the_same_keeps_its_time(finished):
    file, _, result = finished
    before = (result.folder / "systems" / "ver6" / "threshold.json").read_text()
    with open_workspace(result.folder) as workspace:
        workspace.forget(["threshold:ver6"])
        run = Run(Study.load(file), workspace, Silent())
        deciding.freeze_threshold(run, run.study.system("ver6"))
    assert (result.folder / "systems" / "ver6" / "threshold.json").read_text() == before


def test_every_system_of_a_run_decides_about_new_photos(finished, capsys):
    """The untrained one too, and each by one kind of verdict at a time."""
    _, _, result = finished
    photo = str(result.folder.parent / "study" / "normal" / "n 00.jpg")
    for name in ("baseline", "ver6", "ver6/seeds/1"):
        folder = result.folder / "systems" / name
        frozen = json.loads((folder / "threshold.json").read_text())
        said = {}
        for to_a_person in (False, True):
            assert predict_photos(folder, [photo], Wishes(to_a_person=to_a_person))
            said[to_a_person] = json.loads(capsys.readouterr().out)
        assert said[False]["threshold"] == frozen["chosen"]["threshold"]
        assert said[False]["verdict"] == (
            "vehicle" if said[False]["score"] >= said[False]["threshold"] else "no vehicle"
        )
        assert said[False]["low"] is None
        assert said[True]["verdict"] == "to a person"
        assert said[True]["threshold"] is None
    with pytest.raises(UsageError, match="no such system") as caught:
        finished_system(result.folder / "systems" / "nosuch")
    assert "baseline, ver6" in str(caught.value)


def test_a_rerun_does_nothing_and_is_quick(finished, monkeypatch):
    file, _, result = finished

    def refuse(*_, **__):
        raise AssertionError("a finished stage was done again")

    for module, name in [(looking, "run_pass"), (learning, "claim")]:
        monkeypatch.setattr(module, name, refuse)
    before = tree(result.folder)
    began = time.monotonic()
    pipeline.run(Study.load(file), out=result.folder)
    assert time.monotonic() - began < 20
    after = tree(result.folder)
    assert {name: after[name][0] for name in after if name != ".lock"} == {
        name: before[name][0] for name in before if name != ".lock"
    }


def test_a_changed_seed_would_change_the_locked_test_set(finished):
    file, _, result = finished
    before = tree(result.folder)
    with pytest.raises(LockError, match="would change"):
        pipeline.run(Study.load(file, overrides=["seed=2"]), out=result.folder, until="split")
    after = tree(result.folder)
    assert {name: after[name] for name in after if name != ".lock"} == {
        name: before[name] for name in before if name != ".lock"
    }


def test_photos_added_later_do_not_change_the_locked_test_set(tiny_weights, tmp_path):
    file = write_study(tmp_path / "study", tiny_weights)
    pipeline.run(Study.load(file), out=tmp_path / "run", until="split")
    lock = (tmp_path / "run" / "test.lock.json").read_bytes()
    for number in range(8):
        draw_photo(tmp_path / "study" / "normal" / f"later {number}.jpg", 900 + number)
    pipeline.run(Study.load(file), out=tmp_path / "run", until="split")
    assert (tmp_path / "run" / "test.lock.json").read_bytes() == lock
    split = pl.read_parquet(tmp_path / "run" / "split.parquet")
    later = split.filter(pl.col("photo").str.contains("later"))
    assert later.height == 8
    assert set(later["split"]) <= {"train", "val"}


def test_a_test_set_without_photos_is_not_locked(tiny_weights, tmp_path):
    file = write_study(tmp_path / "study", tiny_weights)
    few = [f"sources.{name}.limit=1" for name in ("aihub", "normal", "background")]
    shares = "split={train: 0.98, val: 0.01, test: 0.01}"
    study = Study.load(file, overrides=[*few, shares, "sources.whole.split=train"])
    with pytest.raises(UsageError, match=r"no photo is left for .*test"):
        pipeline.run(study, out=tmp_path / "run", until="split")
    assert not (tmp_path / "run" / "test.lock.json").exists()


def test_the_resolved_study_runs_the_same(finished):
    _, _, result = finished
    given = Study.load(result.folder.parent / "study" / "study.yaml", overrides=CHANGES)
    assert Study.load(result.folder / "study.yaml") == given


def test_a_photo_that_changed_meanwhile_is_collected_anew(tiny_weights, tmp_path):
    file = write_study(tmp_path / "study", tiny_weights)
    run = tmp_path / "run"
    pipeline.run(Study.load(file), out=run, until="collect")
    victim = next((tmp_path / "study" / "normal").iterdir())
    victim.write_bytes(victim.read_bytes()[:200])
    pipeline.run(Study.load(file, overrides=["sources.normal.max_failed=0.2"]), out=run, until="collect")
    with (run / "quarantine.csv").open() as rows:
        [row] = list(csv.DictReader(rows))
    assert row["file"].endswith(victim.name)
    assert row["reason"]
    assert row["what_to_do"]


def test_until_only_and_names_are_checked(tiny_weights, tmp_path):
    study = Study.load(write_study(tmp_path / "study", tiny_weights))
    with pytest.raises(UsageError, match="no step is called 'everything'"):
        pipeline.run(study, out=tmp_path / "run", until="everything")
    with pytest.raises(UsageError, match=r"no system 'ver9'(?s:.*)baseline, ver6"):
        pipeline.run(study, out=tmp_path / "run", only=["ver9"])
    assert not (tmp_path / "run").exists()


def test_a_second_run_in_the_same_folder_is_refused(tiny_weights, tmp_path):
    study = Study.load(write_study(tmp_path / "study", tiny_weights))
    with open_workspace(tmp_path / "run"), pytest.raises(WorkspaceError, match="another run holds"):
        pipeline.run(study, out=tmp_path / "run", until="collect")


def test_a_system_can_teach_another(tiny_weights, tmp_path):
    train = {"imgsz": 64, "epochs": 1, "batch": 4, "device": "cpu"}
    systems = {
        "pupil": {"recipe": "ver5", "weights": tiny_weights.name, "train": train, "teacher": {"system": "first"}},
        "first": {"recipe": "ver6", "weights": tiny_weights.name, "train": train},
        "other": {"recipe": "ver1", "weights": tiny_weights.name, "train": train},
    }
    study = Study.load(write_study(tmp_path / "study", tiny_weights, systems=systems))
    assert [system.name for system in pipeline.chosen_systems(study, ["pupil"])] == ["first", "pupil"]
    result = pipeline.run(study, out=tmp_path / "run", until="label", only=["pupil"])
    assert (result.folder / "systems" / "first" / "weights" / "best.safetensors").exists()
    seen = pl.read_parquet(result.folder / "teacher" / "system-first" / "predictions.parquet")
    labels = pl.read_parquet(result.folder / "systems" / "pupil" / "labels.parquet")
    assert set(labels["origin"]) <= {"teacher", "damage"}
    test = pl.read_parquet(result.folder / "split.parquet").filter(split="test")["photo"]
    assert not set(seen["photo"]) & set(test)
    assert not (result.folder / "systems" / "other").exists()
