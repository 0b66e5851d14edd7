"""The section of a study that says what is searched."""

from __future__ import annotations

import pytest
import yaml

from wreckognize.errors import StudyError
from wreckognize.settings import Dimension
from wreckognize.study import Study
from wreckognize.study.space import DEFAULT_SPACE


def with_search(values, **search):
    return values | {"search": search}


def told(problems):
    return {problem.key: (problem.found, problem.expected) for problem in problems}


def test_a_study_without_a_search_has_a_sensible_one(make, values):
    study = make(values)
    assert study.search is None
    search = study.search_settings()
    assert (search.system, search.trials, search.objective, search.pruner) == ("ver5", 20, "roc_area", "median")
    assert [dimension.field for dimension in search.space] == list(DEFAULT_SPACE)
    with pytest.raises(StudyError, match="no system that is trained"):
        make(values | {"systems": {"baseline": values["systems"]["baseline"]}}).search_settings()


def test_fields_are_read_dotted_or_as_sections_and_know_their_kind(make, values):
    space = {
        "train.lr0": {"low": 1e-5, "high": 1e-2, "log": True},
        "train": {"epochs": {"low": 2, "high": 9}, "warmup_epochs": {"low": 0, "high": 5}},
        "train.imgsz": {"low": 320, "high": 650, "step": 32},
        "train.freeze": [0, [0, 1], None],
        "labels.confidence": {"low": 0, "high": 1, "step": 0.3},
        "recipe": ["ver1", "ver5"],
        "limits.damaged": [None, 100],
        "teacher.imgsz": [320, 640],
        "weights": ["yolov8n.yaml", "teacher.pt"],
    }
    read = {dimension.field: dimension for dimension in make(with_search(values, space=space)).search.space}
    assert read["train.lr0"] == Dimension(field="train.lr0", low=1e-5, high=1e-2, log=True)
    assert read["train.epochs"].whole
    assert not read["train.warmup_epochs"].whole  # whole bounds of a field that takes any number
    assert (read["train.imgsz"].high, read["train.imgsz"].whole) == (640, True)
    assert read["labels.confidence"].high == 0.9
    assert read["train.freeze"].choices == (0, [0, 1], None)
    assert len(read) == 10


@pytest.mark.parametrize(
    ("space", "key", "found", "expected"),
    [
        ({"train.lr00": [1, 2]}, "train.lr00", "unknown training setting 'lr00'", "one of lr0"),
        ({"label.confidence": [0.1, 0.2]}, "label.confidence", "unknown key 'label'", "labels"),
        ({"labels.confidence": {"low": 0, "high": 2}}, "labels.confidence", "2", "1 or less"),
        ({"labels.fallback": ["frame", "nothing"]}, "labels.fallback", "'nothing'", "'frame'"),
        ({"train.imgsz": {"low": 320, "high": 640}}, "train.imgsz", "321", "a multiple of 32"),
        ({"train.epochs": {"low": 1.5, "high": 4}}, "train.epochs", "1.5", "a whole number"),
        ({"train.epochs": {"low": 5, "high": 5}}, "train.epochs", "low 5 and high 5", "low below high"),
        ({"train.lr0": {"low": 1e-3}}, "train.lr0.high", "nothing", "a value"),
        ({"train.lr0": {"low": 0, "high": 1, "log": True}}, "train.lr0", "log with low 0", "above 0"),
        ({"train.lr0": {"low": 0.1, "high": 0.2, "step": 1}}, "train.lr0.step", "1", "at most 0.1"),
        ({"train.freeze": [3]}, "train.freeze", "[3]", "two or more values"),
        ({"train.freeze": [3, 3]}, "train.freeze", "[3, 3]", "each once"),
        ({"train": [{"lr0": 1}, {"lr0": 2}]}, "train", "[{'lr0': 1}, {'lr0': 2}]", "plain values"),
        ({"train.lr0": 3}, "train.lr0", "3", "a list of values, or a range"),
        ({"recipe": ["baseline", "ver6"]}, "recipe", "'baseline'", "a recipe that trains"),
        ({"train.seeds": [1, 2]}, "train.seeds", "[1, 2]", "no train.seeds in a search"),
        ({"limits.nobody": [1, 2]}, "limits.nobody", "unknown role or source 'nobody'", "claims"),
        ({"weights": ["gone.pt", "teacher.pt"]}, "weights", "no such file", ".pt"),
        ({"teacher.weights": ["gone.pt", "teacher.pt"]}, "teacher.weights", "no such file", ".pt"),
        ({"train.lr0": [1, 2], "train": {"lr0": [1, 2]}}, "train.lr0", "a second time", "each field once"),
    ],
)
def test_what_does_not_fit_a_system_is_told_as_in_the_system_itself(problems, values, space, key, found, expected):
    (problem,) = problems(with_search(values, space=space))
    assert problem.key == f"search.space.{key}"
    assert found in problem.found
    assert expected in problem.expected


def test_all_problems_are_listed_at_once_and_options_are_named(problems, values):
    search = {"system": "ver9", "colour": "red", "objective": "beauty", "space": {"train.lr0": 3}}
    keys = set(told(problems(with_search(values, **search), "search.trials=0")))
    assert keys == {"search.colour", "search.objective", "search.trials", "search.system"}
    search["system"] = "ver5"
    assert "search.space.train.lr0" in told(problems(with_search(values, **search)))
    (never,) = problems(with_search(values, system="baseline"))
    assert "never trained" in never.found
    (place,) = problems(values, "search.trials=0")
    assert place.file == "--set search.trials=0"
    for odd in ([1], 5):
        assert told(problems(values | {"search": odd})).keys() == {"search"}


def test_a_system_with_other_values_is_built_like_any_other(make, values, home):
    study = make(values)
    system = study.system_with("ver5", {"train.lr0": 0.003, "recipe": "ver6", "limits.damaged": 7})
    assert (system.train.lr0, system.recipe, system.labels.fallback) == (0.003, "ver6", "frame")
    assert system.limits["damaged"] == 7
    assert study.system("ver5").train.lr0 == 1e-4
    with pytest.raises(StudyError, match="more than 0"):
        study.system_with("ver5", {"train.lr0": -1.0})


def test_the_search_is_no_part_of_what_a_run_depends_on(make, values):
    plain, searched = make(values), make(with_search(values, trials=3))
    assert plain == searched
    assert plain.resolved() == searched.resolved()
    assert "search" not in yaml.safe_load(searched.resolved())
    assert isinstance(searched, Study)
