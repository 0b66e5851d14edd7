"""A study without a problem: what is merged from where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import checkpoints
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wreckognize.errors import StudyError
from wreckognize.recipes import RECIPES
from wreckognize.settings import SystemAsTeacher, TeacherSettings
from wreckognize.study import Study


def test_a_file_gives_a_study_with_absolute_paths(write, values):
    path = write(values)
    study = Study.load(path)
    assert (study.study, study.seed, study.file) == ("small", 0, path)
    assert study.sources[0].images == (path.parent / "claims",)
    assert study.sources[2].annotations == (path.parent / "streets.json",)
    assert study.teacher.weights == str(path.parent / "teacher.pt")
    assert [system.name for system in study.systems] == ["baseline", "ver5"]
    assert study.system("ver5").weights == "yolov8n.yaml"
    assert (study.split.train, study.split.val, study.split.test) == (0.7, 0.2, 0.1)


def test_the_same_from_a_relative_path_and_from_python(write, values, monkeypatch):
    path = write(values)
    monkeypatch.chdir(path.parent)
    assert Study.load("study.yaml") == Study.load(path) == Study.from_mapping(values)


def test_globs_and_lists_are_kept_for_the_reader(make, values, home):
    values["sources"][1]["images"] = ["show*", Path("streets")]
    assert make(values).sources[1].images == (home / "show*", home / "streets")


def test_a_folder_whose_name_looks_like_a_glob_is_a_folder(write, values, tmp_path):
    (tmp_path / "photos [1]").mkdir()
    (tmp_path / "photos [1]" / "a.jpg").write_bytes(b"x")
    values["sources"][1]["images"] = "photos [1]"
    assert Study.load(write(values)).sources[1].images == (tmp_path / "photos [1]",)


def test_a_single_photo_is_a_path_too(make, values, home):
    values["sources"][1]["images"] = "showroom/deep/b.jpg"
    assert make(values).sources[1].images == (home / "showroom/deep/b.jpg",)


def test_a_yolo_source_names_its_labels_or_not(make, values, home):
    yolo = {"name": "yolo", "type": "yolo", "role": "normal", "images": "showroom"}
    values["sources"] += [yolo, yolo | {"name": "yolo-2", "labels": "claims"}]
    assert [source.labels for source in make(values).sources[3:]] == [None, (home / "claims",)]


def test_the_system_wins_over_its_recipe(make, values):
    values["systems"]["own"] = {
        "recipe": "ver3",
        "weights": "teacher.pt",
        "train": {"imgsz": 320, "close_mosaic": None, "mosaic": 0.5, "scale": [0.5, 1.5], "seeds": 1},
        "labels": {"policy": "damage"},
        "limits": {"damaged": 7, "claims": 5, "normal": None},
    }
    own = make(values).system("own")
    assert (own.train.imgsz, own.train.batch, own.train.close_mosaic) == (320, 8, None)
    assert own.train.model_extra == {"mosaic": 0.5, "scale": [0.5, 1.5]}
    assert (own.labels.policy, own.labels.confidence) == ("damage", 0.25)
    assert own.limits == {"damaged": 7, "background": 540, "claims": 5}
    assert own.predict_imgsz == 320


@pytest.mark.parametrize(
    ("study_says", "teacher_says", "labels_say", "confidence"),
    [
        (None, None, None, 0.1),
        (0.4, None, None, 0.1),  # the recipe wins over the study
        (0.4, 0.3, None, 0.3),
        (0.4, 0.3, 0.2, 0.2),
    ],
)
def test_confidence_comes_from_the_nearest_that_says_it(
    make, values, study_says, teacher_says, labels_say, confidence
):
    values["teacher"]["confidence"] = study_says
    values["systems"]["ver5"]["teacher"] = {"confidence": teacher_says}
    values["systems"]["ver5"]["labels"] = {} if labels_say is None else {"confidence": labels_say}
    assert make(values).system("ver5").labels.confidence == confidence


def test_a_teacher_changes_only_what_it_says(make, values, home):
    values["teacher"] |= {"imgsz": 320, "merge": "argmax", "classes": ["car"]}
    values["systems"]["own"] = {
        "recipe": "ver5",
        "weights": "yolov8n.yaml",
        "teacher": {"weights": "yolov8s.yaml"},
    }
    values["systems"]["late"] = {"recipe": "ver5", "weights": "yolov8n.yaml", "teacher": {"system": "own"}}
    study = make(values)
    assert study.system("own").teacher == TeacherSettings(
        weights="yolov8s.yaml", imgsz=320, merge="argmax", classes=("car",)
    )
    assert study.system("late").teacher == SystemAsTeacher(system="own")
    assert all((system.merge, system.classes) == ("argmax", ("car",)) for system in study.systems)


def test_a_system_may_read_its_weights_in_its_own_way(make, values):
    values["systems"]["published"] = {
        "recipe": "baseline",
        "weights": "teacher.pt",
        "merge": "argmax",
        "classes": ["bus"],
    }
    values["systems"]["other"] = {"recipe": "baseline", "weights": "teacher.pt", "teacher": {"merge": "argmax"}}
    study = make(values)
    assert (study.system("published").merge, study.system("published").classes) == ("argmax", ("bus",))
    assert (study.system("other").merge, study.system("baseline").merge) == ("argmax", "max")


def test_the_baseline_looks_at_640_whatever_the_others_do(make, values):
    baseline = make(values).system("baseline")
    assert (baseline.trained, baseline.predict_imgsz) == (False, 640)


def test_a_teacher_that_nobody_asks_need_not_be_there(make, values):
    values["teacher"] = {"weights": "nowhere.pt"}
    values["systems"]["ver5"]["teacher"] = {"weights": "teacher.pt"}
    assert make(values).system("ver5").teacher.weights.endswith("teacher.pt")


def test_a_study_that_only_tests_needs_no_other_split(make, values):
    del values["systems"]["ver5"]
    values["split"] = {"train": 0, "val": 0, "test": 1}
    assert make(values).split.test == 1


def test_a_share_of_nothing_is_fine_where_a_source_is_pinned(make, values):
    values["split"] = {"train": 0.75, "val": 0.25, "test": 0}
    values["sources"][2]["split"] = "test"
    assert make(values).split.test == 0


def test_teachers_come_before_those_they_teach(make, values):
    graph = {"c": "b", "b": "a", "d": None, "a": None}
    for name, teacher in graph.items():
        values["systems"][name] = {"recipe": "ver5", "weights": "yolov8n.yaml"}
        if teacher:
            values["systems"][name]["teacher"] = {"system": teacher}
    names = [system.name for system in make(values).systems_in_order()]
    assert names == ["baseline", "ver5", "a", "b", "c", "d"]


def test_an_unknown_system_is_a_key_error(make, values):
    with pytest.raises(KeyError, match="ver9"):
        make(values).system("ver9")


def test_run_hands_the_study_to_the_pipeline(make, values, monkeypatch, tmp_path):
    from wreckognize import pipeline

    handed = []
    monkeypatch.setattr(pipeline, "run", lambda study, **options: handed.append((study, options)))
    study = make(values)
    study.run(out=tmp_path, until="split", only=["ver5"])
    assert handed == [
        (study, {"out": tmp_path, "until": "split", "only": ["ver5"], "unlock": None, "progress": None})
    ]


def test_loading_wakes_no_heavy_library():
    code = "import sys, wreckognize.study; print([m for m in ('torch','ultralytics','cv2') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    )


def test_the_template_lacks_nothing_but_photos_and_weights(write):
    from importlib import resources

    template = resources.files("wreckognize").joinpath("study_template.yaml").read_text(encoding="utf-8")
    with pytest.raises(StudyError) as caught:
        Study.load(write(template))
    problems = caught.value.problems
    assert {problem.key.rsplit(".", 1)[-1] for problem in problems} == {
        "images",
        "labels",
        "annotations",
        "weights",
    }
    assert all(problem.found.startswith(("no such path", "no such file")) for problem in problems)


TRAIN = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 1000),
        "lr0": st.floats(1e-9, 1),
        "freeze": st.none() | st.integers(0, 20) | st.lists(st.integers(0, 20), max_size=3),
        "close_mosaic": st.none() | st.integers(0, 50),
        "device": st.none() | st.just("cpu") | st.just([0, 1]),
        "mosaic": st.floats(0, 1),
    },
)
LABELS = st.fixed_dictionaries(
    {},
    optional={
        "policy": st.sampled_from(["damage", "hybrid"]),
        "confidence": st.floats(0, 1),
        "fallback": st.sampled_from(["damage", "union", "frame"]),
        "human": st.booleans(),
    },
)
TEACHER = st.fixed_dictionaries(
    {},
    optional={
        "weights": st.sampled_from(["starter.pt", "teacher.pt", "yolov8s.yaml"]),
        "classes": st.lists(st.text(max_size=4), max_size=3),
        "confidence": st.none() | st.floats(0, 1),
        "merge": st.sampled_from(["max", "argmax"]),
    },
)
LIMITS = st.dictionaries(
    st.sampled_from(["damaged", "normal", "background", "claims"]), st.none() | st.integers(1, 9999)
)
SYSTEM = st.fixed_dictionaries(
    {"recipe": st.sampled_from(RECIPES[1:]), "weights": st.sampled_from(["teacher.pt", "yolov8x.yaml"])},
    optional={"train": TRAIN, "labels": LABELS, "limits": LIMITS, "teacher": TEACHER},
)
UNTRAINED = st.fixed_dictionaries(
    {"recipe": st.just("baseline"), "weights": st.just("teacher.pt")}, optional={"teacher": TEACHER}
)


@settings(deadline=None, max_examples=25)
@given(
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True),
    seed=st.integers(0, 2**31 - 1),
    teacher=TEACHER,
    systems=st.dictionaries(
        st.from_regex(r"[a-z0-9][a-z0-9._-]{0,5}", fullmatch=True), SYSTEM | UNTRAINED, min_size=1, max_size=4
    ),
)
def test_a_resolved_study_is_the_same_study(tmp_path_factory, home, name, seed, teacher, systems):
    checkpoints.harmless(home / "starter.pt")
    values = {"study": name, "seed": seed, "teacher": {"weights": "teacher.pt"} | teacher, "systems": systems}
    values["sources"] = [
        {
            "name": "claims",
            "type": "aihub",
            "role": "damaged",
            "images": "cl*",
            "labels": "claims",
            "per_damage": 3,
        },
        {"name": "yolo", "type": "yolo", "role": "normal", "images": ["showroom", "streets"], "split": "test"},
    ]
    study = Study.from_mapping(values, home)
    path = tmp_path_factory.getbasetemp() / "resolved.yaml"
    path.write_text(study.resolved(), encoding="utf-8")
    again = Study.load(path)
    assert again == study
    assert again.resolved() == study.resolved()
