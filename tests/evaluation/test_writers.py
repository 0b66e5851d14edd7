from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from wreckognize.evaluation.comparison import Comparison, JudgedPhotos, Provenance, evaluate_system
from wreckognize.evaluation.image_level import figures_at, photo_scores
from wreckognize.evaluation.latency import Latency, LatencyContext
from wreckognize.evaluation.writers import (
    DECISION_SCHEMA,
    comparison_csv,
    comparison_json,
    comparison_markdown,
    decisions,
    decisions_csv,
)

PROVENANCE = Provenance(recipe="ver6", weights="=evil()", weights_sha256="ab" * 32, trained=True)


@pytest.fixture
def comparison(make_photos, make_boxes, make_predictions) -> Comparison:
    rows = [
        ("=cars/1", "damaged"),
        ("b/1", "background"),
        *((f"b/x{number}", "background") for number in range(39)),
    ]
    photos = make_photos(*rows)
    system = evaluate_system(
        "ver6",
        photos,
        make_boxes(),
        make_predictions(("=cars/1", 0.9), ("b/1", 0.2)),
        threshold=0.1,
        provenance=PROVENANCE,
        latency=Latency(median_ms=12.345, p95_ms=20.0, fps=80.0, photos=41),
        context=LatencyContext(device="Xeon | 2", threads=2, precision="fp32", imgsz=320, engine="ultralytics"),
    )
    untimed = replace(
        system, name="plain", device=None, threads=None, precision_dtype=None, imgsz=None, engine=None
    )
    return Comparison("claims", JudgedPhotos.of(photos), (system, untimed))


@pytest.fixture
def scores(make_photos, make_predictions) -> pl.DataFrame:
    photos = make_photos(("a/b", "background"), ("a/c", "damaged"), ("a/d", "normal"))
    return photo_scores(photos, make_predictions(("a/b", 0.1), ("a/c", 0.7)))


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_json_is_the_comparison(comparison):
    text = comparison_json(comparison)
    assert Comparison.from_dict(json.loads(text)) == comparison
    assert text.endswith("}\n")


def test_json_never_holds_nan(comparison):
    broken = replace(comparison, systems=(replace(comparison.systems[0], auc_damaged=float("nan")),))
    with pytest.raises(ValueError, match="not JSON compliant"):
        comparison_json(broken)


def test_csv_has_one_row_a_system_and_joined_names(comparison):
    first, second = read(comparison_csv(comparison))
    assert (first["name"], second["name"]) == ("ver6", "plain")
    assert first["precision.vehicle"] == "0.5"
    assert first["by_role.background.found"] == "1"
    assert first["at.0.25.tp"] == "1"
    assert first["found_at_false_alarms.0.05.damaged"] == "1.0"
    assert first["trained"] == "true"
    assert (first["device"], second["device"]) == ("Xeon | 2", "")


def test_csv_keeps_the_columns_of_what_cannot_be_said(comparison):
    first, _ = read(comparison_csv(comparison))
    assert comparison.systems[0].found_at_false_alarms["0.01"] is None
    assert [first[f"found_at_false_alarms.0.01.{part}"] for part in ("threshold", "damaged", "normal")] == [""] * 3
    assert first["map50"] == ""


def test_csv_texts_are_no_formulas_and_numbers_stay_numbers(comparison):
    negative = replace(comparison.systems[0], auc_damaged=-0.5)
    (row,) = read(comparison_csv(replace(comparison, systems=(negative,))))
    assert row["weights"] == "'=evil()"
    assert row["auc_damaged"] == "-0.5"


def test_markdown_shows_the_figures_a_person_compares(comparison):
    text = comparison_markdown(comparison)
    table = [line for line in text.splitlines() if line.startswith("|")]
    header, _, first, second = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in table)
    row = dict(zip(header, first, strict=True))
    assert row["System"] == "ver6"
    assert row["Precision"] == "50.00 %"
    assert row["Damaged found at 1 % FA"] == "–"
    assert row["Damaged found at 2.5 % FA"] == "100.00 %"
    assert row["Damaged found at 5 % FA"] == "100.00 %"
    assert row["mAP50"] == "–"
    assert row["ms"] == "12.3"
    assert row["Device"] == r"Xeon \| 2, ultralytics, fp32, 320 px, 2 threads"
    assert second[-1] == "–"
    assert "Judged on 41 test photos: 1 with a vehicle, 40 without." in text


def test_markdown_says_what_each_figure_means(comparison):
    text = comparison_markdown(comparison)
    table, few, meaning = text.split("\n\n")[-3:]
    assert table.startswith("| System")
    assert few == "–: 40 test photos without a vehicle are too few for what is found at 1 % FA (1 photo is 2.5 %)."
    for word in ("Threshold", "Accuracy", "Missed (FN)", "False alarms (FP)", "AUC", "mAP50", "ms", "FA"):
        assert f"**{word}" in meaning


@pytest.mark.parametrize(
    ("role", "unsaid", "reason"),
    [
        ("damaged", ("Accuracy", "Precision", "F1", "False alarms (FP)"), "no test photo is without a vehicle"),
        ("background", ("Accuracy", "Precision", "Recall", "F1", "Missed (FN)"), "no test photo shows a vehicle"),
    ],
)
def test_photos_of_one_class_give_no_100_percent_and_no_0_of_0(
    make_photos, make_boxes, make_predictions, role, unsaid, reason
):
    photos = make_photos(*((f"a/{number}", role) for number in range(30)))
    found = make_predictions(*((f"a/{number}", 0.9) for number in range(30) if role == "damaged"))
    system = evaluate_system("s", photos, make_boxes(), found, threshold=0.1, provenance=PROVENANCE)
    comparison = Comparison("one class", JudgedPhotos.of(photos), (system,))
    text = comparison_markdown(comparison)
    header, _, cells = (
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if "|" in line
    )
    row = dict(zip(header, cells, strict=True))
    assert {row[name] for name in unsaid} == {"–"}
    assert f"–: {reason}" in text
    (values,) = json.loads(comparison_json(comparison))["systems"]
    assert values["accuracy"] is values["precision"]["vehicle"] is values["f1"]["vehicle"] is None


def test_markdown_says_which_figures_are_of_the_first_training(comparison):
    first, second = comparison.systems
    text = comparison_markdown(replace(comparison, systems=(replace(first, seeds=3), second)))
    assert "| ver6 (first of 3 trainings) |" in text
    assert "| plain |" in text
    assert "the means over trainings stand under Intervals" in text
    assert "first of" not in comparison_markdown(comparison)


def test_markdown_without_systems_has_no_table(comparison):
    assert "|" not in comparison_markdown(replace(comparison, systems=()))


def test_decisions_in_words(scores):
    table = decisions(scores, "ver6", 0.1)
    assert table.schema == DECISION_SCHEMA
    assert table.select("photo", "truth", "decision", "correct").rows() == [
        ("a/b", "no vehicle", "vehicle", False),
        ("a/c", "vehicle", "vehicle", True),
        ("a/d", "vehicle", "no vehicle", False),
    ]


def test_decisions_add_up_to_the_figures(scores):
    table = decisions(scores, "ver6", 0.1)
    figures = figures_at(scores["has_vehicle"].to_numpy(), scores["score"].to_numpy(), 0.1)
    assert table["correct"].sum() == figures.tp + figures.tn
    assert table["correct"].mean() == figures.accuracy


def test_decisions_csv_is_sorted_by_photo_then_as_systems_came(scores):
    text = decisions_csv([decisions(scores, "ver6", 0.1), decisions(scores, "baseline", 0.25)])
    rows = read(text)
    assert text.splitlines()[0] == "photo,role,truth,system,score,threshold,decision,correct,third_answer"
    assert [(row["photo"], row["system"]) for row in rows] == [
        (photo, system) for photo in ("a/b", "a/c", "a/d") for system in ("ver6", "baseline")
    ]
    # Read back as float32 the scores are the same, so every decision can be checked from the file.
    assert [np.float32(row["score"]) for row in rows[::2]] == scores["score"].to_list()
    assert [row["decision"] for row in rows[1::2]] == ["no vehicle", "vehicle", "no vehicle"]
    assert rows[0]["correct"] == "false"


@pytest.mark.parametrize(
    "name", ['a/quo"te.jpg', "a/line\nbreak.jpg", "a/com,ma.jpg", "a/차.jpg", "a/ret\rurn.jpg"]
)
def test_decisions_csv_keeps_every_name(make_photos, make_predictions, name):
    scores = photo_scores(make_photos((name, "normal")), make_predictions())
    assert [row["photo"] for row in read(decisions_csv([decisions(scores, "x", 0.1)]))] == [name]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_decisions_csv_holds_no_formulas(make_photos, make_predictions, start):
    scores = photo_scores(make_photos((f"{start}1+1/a.jpg", "normal")), make_predictions())
    assert [row["photo"] for row in read(decisions_csv([decisions(scores, "x", 0.1)]))] == [f"'{start}1+1/a.jpg"]


def test_no_system_gives_a_header_only():
    assert decisions_csv([]) == "photo,role,truth,system,score,threshold,decision,correct,third_answer\n"


def test_a_third_answer_stands_beside_the_decision(scores):
    answers = ["to_a_person", "vehicle", "no_vehicle"]
    assert decisions(scores, "ver6", 0.1, answers)["third_answer"].to_list() == answers
