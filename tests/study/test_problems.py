"""Everything that can be wrong with a study is found at once, with its place and what to do."""

from __future__ import annotations

import copy
import importlib.util
import os
import subprocess
import sys

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from wreckognize.errors import StudyError
from wreckognize.settings import Settings
from wreckognize.study import Study, training
from wreckognize.study.problems import Problems, show

SYSTEM = "systems.ver5"
THRESHOLD = f"{SYSTEM}.predict.threshold"


def put(values, path, value):
    *way, last = path
    for part in way:
        values = values[part]
    values[last] = value


# path to a value, the value, then the problem's key, what it says was found and was expected, and the remedy
BROKEN = [
    (["studdy"], 1, "studdy", "unknown key 'studdy'", "one of", "did you mean 'study'?"),
    (["study"], "a/b", "study", "'a/b'", "letters, digits", ""),
    (["study"], 2026, "study", "2026", "text (in quotes", ""),
    (["study"], "x" * 81, "study", "...", "at most 80", ""),
    (["seed"], "0", "seed", "'0'", "a whole number", ""),
    (["seed"], -1, "seed", "-1", "0 or more", ""),
    (["seed"], True, "seed", "true", "a whole number", ""),
    (["sources"], [], "sources", "[]", "at least one source", "e.g. - {name"),
    (["sources"], {}, "sources", "{}", "at least one source", "e.g. - {name"),
    (["sources", 1], "showroom", "sources[1]", "'showroom'", "a source: a section", ""),
    (
        ["sources", 1, "type"],
        "foldr",
        "sources[1].type",
        "unknown type of source",
        "folder",
        "did you mean 'folder'?",
    ),
    (["sources", 1, "type"], None, "sources[1].type", "nothing", "one of aihub, coco", ""),
    (["sources", 1, "role"], "intact", "sources[1].role", "'intact'", "'damaged', 'normal' or 'background'", ""),
    (["sources", 1, "name"], "a b", "sources[1].name", "'a b'", "letters, digits", ""),
    (["sources", 1, "name"], "Claims", "sources[1].name", "a second source", "a name of its own", "rename"),
    (["sources", 1, "name"], "claims", "sources[1].name", "a second source called 'claims'", "its own", "rename"),
    (["sources", 1, "name"], "damaged", "sources[1].name", "the name of another role", "no role", "rename"),
    (["sources", 1, "images"], [], "sources[1].images", "[]", "at least one", ""),
    (["sources", 1, "images"], "", "sources[1].images", "''", "a path", ""),
    (["sources", 1, "images"], 3, "sources[1].images", "3", "a list", ""),
    (["sources", 1, "images"], "nowhere", "sources[1].images", "no such path", "a folder", "relative to"),
    (["sources", 1, "images"], "no*", "sources[1].images", "no match for", "a folder", "relative to"),
    (["sources", 1, "images"], ["showroom", "empty"], "sources[1].images", "an empty folder", "holds files", ""),
    (["sources", 1, "images"], "a\0b", "sources[1].images", "no such path", "a folder", ""),
    (["sources", 1, "images"], "a" * 300, "sources[1].images", "cannot be read", "a folder", "permissions"),
    (["sources", 1, "limit"], 0, "sources[1].limit", "0", "1 or more", ""),
    (["sources", 1, "max_failed"], 2, "sources[1].max_failed", "2", "1 or less", ""),
    (["sources", 1, "labels"], "x", "sources[1].labels", "unknown key 'labels'", "one of", ""),
    (["sources", 0, "labels"], "nowhere", "sources[0].labels", "no such path", "a folder", "relative to"),
    (["sources", 2, "annotations"], "no.json", "sources[2].annotations", "no such path", "an annotation file", ""),
    (["sources", 2, "annotations"], "empty.json", "sources[2].annotations", "an empty file", "annotation", ""),
    (
        ["sources", 2, "annotations"],
        "streets",
        "sources[2].annotations",
        "a folder",
        "annotation",
        "name the JSON",
    ),
    (["sources", 2, "classes"], "cat", "sources[2].classes", "'cat'", "a list", ""),
    (["split"], [0.7, 0.2, 0.1], "split", "[0.7, 0.2, 0.1]", "a section", ""),
    (["split"], {"test": 0.2}, "split", "{'test': 0.2}", "sum to 1 (these sum to 1.1)", ""),
    (["split"], {"train": float("nan")}, "split.train", "nan", "a finite number", ""),
    (["split"], {"train": 0.8, "val": 0.2, "test": 0}, "split.test", "a share of 0", "photos for test", "raise"),
    (["teacher", "weights"], "no.pt", "teacher.weights", "no such file", "a .pt, .safetensors or", "relative to"),
    (["teacher", "imgsz"], 650, "teacher.imgsz", "650", "a multiple of 32", ""),
    (["teacher", "confidence"], "high", "teacher.confidence", "'high'", "a number", ""),
    (["systems"], {}, "systems", "{}", "at least one system", "e.g. ver5"),
    (
        ["systems", "VER5"],
        {"recipe": "ver5", "weights": "teacher.pt"},
        "systems.VER5",
        "a second system",
        "own",
        "",
    ),
    (
        ["systems", "a/b"],
        {"recipe": "ver5", "weights": "teacher.pt"},
        "systems.a/b",
        "'a/b'",
        "letters, digits",
        "",
    ),
    (["systems", "ver5"], None, SYSTEM, "nothing", "a section with a recipe", "e.g. ver5"),
    (["systems", "ver5", "recipe"], "ver7", f"{SYSTEM}.recipe", "unknown recipe", "ver6", "did you mean 'ver6'?"),
    (["systems", "ver5", "recipe"], None, f"{SYSTEM}.recipe", "nothing", "one of baseline", ""),
    (["systems", "ver5", "weight"], "x", f"{SYSTEM}.weight", "unknown key", "one of", "did you mean 'weights'?"),
    (["systems", "ver5", "weights"], "empty.pt", f"{SYSTEM}.weights", "an empty file", "", "download it again"),
    (
        ["systems", "ver5", "weights"],
        "yolov8x.pt",
        f"{SYSTEM}.weights",
        "no such file",
        "",
        "`wreckognize fetch weights yolov8x",
    ),
    (
        ["systems", "ver5", "weights"],
        "best.engine",
        f"{SYSTEM}.weights",
        "of the kind '.engine'",
        "",
        "give a .pt",
    ),
    (["systems", "ver5", "weights"], 8, f"{SYSTEM}.weights", "8", "text", ""),
    (["systems", "ver5", "merge"], "mean", f"{SYSTEM}.merge", "'mean'", "'max' or 'argmax'", ""),
    (["systems", "ver5", "labels"], "hybrid", f"{SYSTEM}.labels", "'hybrid'", "a section", ""),
    (["systems", "ver5", "labels"], {"policy": "x"}, f"{SYSTEM}.labels.policy", "'x'", "'damage' or 'hybrid'", ""),
    (["systems", "ver5", "labels"], {"human": "yes"}, f"{SYSTEM}.labels.human", "'yes'", "true or false", ""),
    (
        ["systems", "ver5", "limits"],
        {"damagd": 3},
        f"{SYSTEM}.limits.damagd",
        "unknown role or",
        "",
        "did you mean",
    ),
    (["systems", "ver5", "limits"], {"damaged": 0}, f"{SYSTEM}.limits.damaged", "0", "1 or more", ""),
    (["systems", "ver5", "teacher"], {"system": "x"}, f"{SYSTEM}.teacher.system", "unknown system", "", ""),
    (
        ["systems", "ver5", "teacher"],
        {"system": "ver5"},
        f"{SYSTEM}.teacher.system",
        "wait for each",
        "",
        "give one",
    ),
    (
        ["systems", "ver5", "teacher"],
        {"system": "a", "imgsz": 3},
        f"{SYSTEM}.teacher.imgsz",
        "unknown key",
        "",
        "",
    ),
    (["systems", "ver5", "teacher"], {"weights": "n.pt"}, f"{SYSTEM}.teacher.weights", "no such file", "", ""),
    (["systems", "ver5", "train"], {"epochs": 2.5}, f"{SYSTEM}.train.epochs", "2.5", "a whole number", ""),
    (
        ["systems", "ver5", "train"],
        {"freeze": "all"},
        f"{SYSTEM}.train.freeze",
        "'all'",
        "a whole number or a list",
        "",
    ),
    (["systems", "ver5", "train"], {"lr0": 0}, f"{SYSTEM}.train.lr0", "0", "more than 0", ""),
    (["systems", "ver5", "train"], {"seeds": 0}, f"{SYSTEM}.train.seeds", "0", "1", ""),
    (["systems", "ver5", "train"], {"seeds": True}, f"{SYSTEM}.train.seeds", "true", "whole number", ""),
    (["systems", "ver5", "train"], {"mosiac": 1}, f"{SYSTEM}.train.mosiac", "unknown", "mosaic", "did you mean"),
    (["systems", "ver5", "train"], {"mosaic": "on"}, f"{SYSTEM}.train.mosaic", "'on'", "a number", ""),
    (["systems", "ver5", "train"], {"mosaic": True}, f"{SYSTEM}.train.mosaic", "true", "a number", ""),
    (["systems", "ver5", "train"], {"project": "x"}, f"{SYSTEM}.train.project", "'x'", "no `project`", "the run"),
    (
        ["systems", "ver5", "train"],
        {"conf": 0.1},
        f"{SYSTEM}.train.conf",
        "0.1",
        "no `conf`",
        "it is a setting of",
    ),
    (
        ["systems", "ver5", "train"],
        {"optimizer": "Adm"},
        f"{SYSTEM}.train.optimizer",
        "unknown opt",
        "",
        "did you mean",
    ),
    (["systems", "ver5", "train"], {"optimizer": 1}, f"{SYSTEM}.train.optimizer", "1", "text", ""),
    (["systems", "ver5", "predict"], {"threshold": 1.5}, f"{SYSTEM}.predict.threshold", "1.5", "1 or less", ""),
    (["systems", "ver5", "predict"], {"threshold": "best_f2"}, THRESHOLD, "'best_f2'", "a number such as 0.1", ""),
    (["systems", "ver5", "predict"], {"threshold": "fixed"}, THRESHOLD, "'fixed'", "a number such as 0.1", ""),
    (["systems", "ver5", "predict"], {"threshold": True}, THRESHOLD, "true", "a number such as 0.1", ""),
    (["systems", "ver5", "predict"], {"threshold": {}}, THRESHOLD, "{}", "a number such as 0.1", ""),
    (["systems", "ver5", "predict"], {"threshold": {"recal": 1}}, THRESHOLD, "recal", "{recall_at_least: ", ""),
    (["systems", "ver5", "predict"], {"threshold": {"best_f1": 1}}, THRESHOLD, "1", "without a value", ""),
    (
        ["systems", "ver5", "predict"],
        {"threshold": {"miss_rate_at_most": 0.01, "recall_at_least": 0.9}},
        THRESHOLD,
        "'miss_rate_at_most': 0.01",
        "one rule only",
        "",
    ),
    (["evidence"], {"level": 95}, "evidence.level", "95", "a share below 1, e.g. 0.95", ""),
    (["evidence"], {"prevalence": 90}, "evidence.prevalence", "90", "a share below 1, e.g. 0.9", ""),
    (["evidence"], {"level": 1}, "evidence.level", "1", "a share below 1, e.g. 0.95", ""),
    (
        ["evidence"],
        {"to_a_person": {"false_alarms": 0.1}},
        "evidence.to_a_person.false_alarms",
        "unknown key 'false_alarms'",
        "one of false_alarms_at_most, misses_at_most",
        "did you mean 'false_alarms_at_most'?",
    ),
    (["seed"], 2**31, "seed", "2147483648", "less than 2147483648", ""),
    (
        ["systems", "baseline", "train"],
        {"epochs": 1},
        "systems.baseline.train",
        "settings",
        "never trained",
        "delete",
    ),
    (["systems", "baseline", "labels"], {"human": True}, "systems.baseline.labels", "settings", "none", "delete"),
    (["systems", "baseline", "limits"], {"damaged": 1}, "systems.baseline.limits", "settings", "none", "delete"),
]


@pytest.mark.parametrize(
    ("path", "value", "key", "found", "expected", "remedy"),
    BROKEN,
    ids=[f"{row[2]}={row[1]!r:.20}" for row in BROKEN],
)
def test_one_mistake_is_one_problem(problems, values, path, value, key, found, expected, remedy):
    put(values, path, value)
    (problem,) = problems(values)
    assert problem.key == key
    assert found in problem.found
    assert expected in problem.expected
    assert problem.remedy.startswith(remedy) or remedy in problem.remedy


def test_all_mistakes_are_listed_at_once(problems, values):
    put(values, ["studdy"], 1)
    put(values, ["seed"], "x")
    put(values, ["sources", 0, "role"], "x")
    put(values, ["sources", 1, "images"], "nowhere")
    put(values, ["split"], {"test": 0.2})
    put(values, ["teacher"], {"weights": 3})
    put(
        values,
        ["systems", "ver5"],
        {"recipe": "ver9", "train": {"epochs": 0, "mosiac": 1}, "labels": {"policy": 1}},
    )
    put(values, ["systems", "ver1"], {"recipe": "ver1", "weights": "yolov8n.yaml", "teacher": {"system": "ver5"}})
    assert {problem.key for problem in problems(values)} >= {
        *("studdy", "seed", "sources[0].role", "sources[1].images", "split", "teacher.weights"),
        *(f"{SYSTEM}.recipe", f"{SYSTEM}.train.epochs", f"{SYSTEM}.train.mosiac", f"{SYSTEM}.labels.policy"),
    }


def test_what_cannot_be_built_is_still_looked_at(problems, values):
    values["sources"][0] |= {"role": "x", "images": "nowhere", "labels": ["claims", "no*"], "masks": "nowhere"}
    values["sources"][1] |= {"name": "claims", "limit": 0, "images": "nothing"}
    values["sources"][2] |= {"type": "cocoa", "annotations": "none.json", "images": "none"}
    values["teacher"] = {"weights": "away.pt", "imgsz": 3}
    values["systems"]["ver5"] |= {"merge": "mean", "weights": "gone.pt"}
    assert {problem.key for problem in problems(values)} == {
        *("sources[0].role", "sources[0].images", "sources[0].labels", "sources[0].masks"),
        *("sources[1].name", "sources[1].limit", "sources[1].images"),
        *("sources[2].type", "sources[2].images"),
        *("teacher.imgsz", "teacher.weights", "systems.ver5.merge", "systems.ver5.weights"),
    }


def test_a_broken_system_is_still_a_name(problems, values):
    values["systems"]["ver5"]["merge"] = "mean"
    values["systems"]["ver1"] = {"recipe": "ver1", "weights": "yolov8n.yaml", "teacher": {"system": "ver5"}}
    values["sources"][1]["role"] = "x"
    values["systems"]["ver1"]["limits"] = {"showroom": 3}
    assert [problem.key for problem in problems(values)] == ["sources[1].role", "systems.ver5.merge"]


def test_nothing_at_all_is_said_part_by_part(problems):
    assert {problem.key for problem in problems({})} == {"study", "sources", "systems"}


def test_a_circle_names_all_in_it(problems, values):
    for name, teacher in {"a": "b", "b": "c", "c": "a", "d": "a"}.items():
        values["systems"][name] = {"recipe": "ver5", "weights": "yolov8n.yaml", "teacher": {"system": teacher}}
    (problem,) = problems(values)
    assert problem.found == "systems that wait for each other: a, b, c"


def test_photos_pinned_away_leave_a_split_empty(problems, values):
    for source in values["sources"]:
        source["split"] = "train"
    assert [(problem.key, problem.found) for problem in problems(values)] == [
        ("split.val", "every source pinned to another split"),
        ("split.test", "every source pinned to another split"),
    ]


def test_a_problem_knows_its_line(write, values):
    values["systems"]["ver5"]["train"] = {"epochs": 0}
    path = write(values)
    line = path.read_text().splitlines().index("      epochs: 0") + 1
    with pytest.raises(StudyError) as caught:
        Study.load(path)
    (problem,) = caught.value.problems
    assert problem.file == f"{path}:{line}"


def test_duplicate_keys_come_with_the_other_problems(write):
    with pytest.raises(StudyError) as caught:
        Study.load(write("study: a\nstudy: b\nseed: x\n"))
    assert [problem.key for problem in caught.value.problems] == ["study", "seed", "sources", "systems"]


def test_nothing_is_written(write, values):
    path = write(values | {"seed": "x"})
    before = sorted(path.parent.iterdir())
    with pytest.raises(StudyError):
        Study.load(path)
    assert sorted(path.parent.iterdir()) == before


def test_a_missing_extra_is_said_first(problems, values, monkeypatch):
    monkeypatch.setattr(training, "find_spec", lambda name: None)
    values["seed"] = "x"
    values["systems"]["ver5"]["train"] = {"anything": 1, "project": "x"}
    first, *others = problems(values)
    assert (first.found, first.remedy) == (
        "torch and ultralytics not installed",
        'pip install "wreckognize[yolo]"',
    )
    assert [problem.key for problem in others] == ["seed", f"{SYSTEM}.train.project"]


def test_half_an_ultralytics_is_said(problems, values, monkeypatch, tmp_path):
    (tmp_path / "ultralytics").mkdir()
    (tmp_path / "ultralytics" / "__init__.py").touch()
    spec = importlib.util.spec_from_file_location("ultralytics", tmp_path / "ultralytics" / "__init__.py")
    monkeypatch.setattr(training, "find_spec", lambda name: spec)
    values["systems"]["ver5"]["train"] = {"mosaic": 1.0}
    (problem,) = problems(values)
    assert "not whole" in problem.found


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="changes its user, which takes root")
def test_an_unreadable_folder_is_not_taken_for_an_empty_one(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    code = (
        "import os, pathlib, sys; from wreckognize.study.paths import holds_files; os.seteuid(65534)\n"
        "try: holds_files(pathlib.Path('closed'))\nexcept PermissionError: print('closed')"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert answer.stdout == "closed\n", answer.stderr


def test_hidden_files_are_no_photos(write, values, tmp_path):
    (tmp_path / "hidden" / ".cache").mkdir(parents=True)
    (tmp_path / "hidden" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "hidden" / ".cache" / "a.jpg").write_bytes(b"x")
    values["sources"][1]["images"] = "hidden"
    with pytest.raises(StudyError, match="an empty folder"):
        Study.load(write(values))


def test_the_settings_of_the_library_are_known_with_their_types():
    known = training.library_settings()
    assert known is not None
    assert {"epochs", "mosaic", "workers", "amp"} <= known.keys()
    assert known["mosaic"].fits(1)
    assert known["mosaic"].fits(None)
    assert not known["mosaic"].fits("1")
    assert not known["workers"].fits(0.5)
    assert known["scale"].fits([0.5, 1.5])
    assert known["amp"].fits("bf16")


def test_a_type_the_library_words_otherwise_is_left_to_it():
    assert training._setting("new", "tensor").fits(object())
    assert training._setting("new", "").fits("x")


def test_errors_in_words_we_have_none_for_are_still_said():
    class Odd(Settings):
        when: bytes

    problems = Problems("s.yaml")
    assert problems.validated(Odd, {"when": 3}, ("odd",)) is None
    (problem,) = problems.found
    assert (problem.file, problem.key, problem.found) == ("s.yaml", "odd.when", "3")
    assert "bytes" in problem.expected


def test_long_values_are_shortened():
    assert len(show("x" * 500)) == 80


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["ver5", "a.pt"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["system", "weights", "epochs", "name", "type", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = [row[0] for row in BROKEN if len(row[0]) > 1 and row[0][:2] != ["sources", 1]] + [["systems"], ["sources"]]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(PATHS), JUNK), min_size=1, max_size=3))
def test_junk_in_any_field_is_a_list_of_problems_or_a_study(home, small, mutations):
    values = copy.deepcopy(small)
    for path, value in mutations:
        try:
            put(values, path, value)
        except (KeyError, TypeError, IndexError):
            continue  # the place is gone with an earlier mutation
    try:
        outcome = Study.from_mapping(values, home).systems
    except StudyError as error:
        outcome = error.problems
    assert outcome


LINES = st.lists(
    st.sampled_from(
        [*yaml.safe_dump({"a": [1, {"b": "c"}], "d": None}).splitlines(), "- *a", "&a", "x: &a {<<: *a}"]
    )
    | st.text(max_size=12),
    max_size=1000,
)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=300) | LINES.map("\n".join))
def test_junk_in_the_file_is_only_ever_a_study_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "junk.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(StudyError):
        Study.load(path)
