"""``--set KEY=VALUE``."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("systems.ver5.train.epochs=5", lambda study: study.system("ver5").train.epochs == 5),
        ("systems.ver5.train.lr0=1e-5", lambda study: study.system("ver5").train.lr0 == 1e-5),
        ("systems.ver5.limits.damaged=9", lambda study: study.system("ver5").limits == {"damaged": 9}),
        ("systems.ver5.labels={confidence: 0.5}", lambda study: study.system("ver5").labels.confidence == 0.5),
        ("systems.new={recipe: ver1, weights: yolov8n.yaml}", lambda study: study.system("new").recipe == "ver1"),
        ("split.on_leak=exclude", lambda study: study.split.on_leak == "exclude"),
        ("sources.showroom.limit=10", lambda study: study.sources[1].limit == 10),
        ("sources.2.limit=10", lambda study: study.sources[2].limit == 10),
        ("teacher.classes=[car]", lambda study: study.teacher.classes == ("car",)),
        (" seed = 3 ", lambda study: study.seed == 3),
        ("study=a=b", None),
    ],
)
def test_any_field_can_be_set(make, problems, values, override, value):
    if value is None:
        (problem,) = problems(values, override)
        assert (problem.key, problem.found) == ("study", "'a=b'")
    else:
        assert value(make(values, override))


def test_names_with_dots_are_found(make, values):
    values["systems"]["ver5.1"] = {"recipe": "ver5", "weights": "yolov8n.yaml"}
    values["sources"][1]["name"] = "show.room"
    study = make(
        values, "systems.ver5.1.train.epochs=3", "sources.show.room.limit=4", "systems.ver5.train.epochs=2"
    )
    assert (study.system("ver5.1").train.epochs, study.system("ver5").train.epochs) == (3, 2)
    assert study.sources[1].limit == 4


def test_a_list_entry_can_be_set(make, values, home):
    values["sources"][1]["images"] = ["nowhere", "streets"]
    assert make(values, "sources.showroom.images.0=showroom").sources[1].images == (
        home / "showroom",
        home / "streets",
    )


def test_later_ones_win(make, values):
    assert make(values, "seed=1", "seed=2").seed == 2


def test_the_values_given_are_left_as_they_were(make, values):
    make(values, "systems.ver5.train.epochs=5")
    assert "train" not in values["systems"]["ver5"]


@pytest.mark.parametrize(
    ("override", "key", "found", "remedy"),
    [
        ("systems.verr5.train.epochs=5", "systems.verr5", "unknown system 'verr5'", "did you mean 'ver5'?"),
        ("sytems.ver5.train.epochs=5", "sytems", "unknown key 'sytems'", "did you mean 'systems'?"),
        ("sede=5", "sede", "unknown key 'sede'", "did you mean 'seed'?"),
        ("sources.showrom.limit=5", "sources.showrom", "unknown source 'showrom'", "did you mean 'showroom'?"),
        ("sources.9.limit=5", "sources.9", "unknown source '9'", ""),
        ("sources.showroom.images.x.y=5", "sources[1].images", "'showroom'", ""),
        (
            "systems.ver5.train.epoch=5",
            "systems.ver5.train.epoch",
            "unknown training setting 'epoch'",
            "did you mean",
        ),
        ("systems.ver5.train.epochs=x", "systems.ver5.train.epochs", "'x'", ""),
        ("systems.ver5.train.epochs=[", "", "not YAML", "check quotes"),
        ("systems.ver5.train.epochs", "--set", "'systems.ver5.train.epochs'", "e.g. --set"),
        ("=5", "--set", "'=5'", "e.g. --set"),
        ("study.name=5", "study.name", "'small' at 'study.'", ""),
    ],
)
def test_what_cannot_be_set_is_a_problem_of_its_text(problems, values, override, key, found, remedy):
    problem = problems(values, override)[0]
    assert problem.file.startswith(f"--set {override}") or key == "sources[1].images"
    assert problem.key.startswith(key)
    assert found in problem.found
    assert problem.remedy.startswith(remedy)


def test_all_texts_are_looked_at(problems, values):
    assert len(problems(values, "a=1", "b=2", "systems.ver5.train.epochs=0")) == 3


def test_a_list_without_names_says_what_it_has(problems, values):
    values["sources"][1]["images"] = ["showroom"]
    (problem,) = problems(values, "sources.showroom.images.7=streets")
    assert problem.found == "unknown entry '7'"
    assert problem.expected == "no entry"
