from __future__ import annotations

import json
from dataclasses import replace

import pytest

from wreckognize.errors import UsageError
from wreckognize.evaluation.comparison import Comparison, JudgedPhotos, Provenance, SystemFigures, evaluate_system
from wreckognize.evaluation.image_level import Found, FoundInSource, PerClass
from wreckognize.evaluation.latency import Latency, LatencyContext

CAR = (100, 100, 200, 180)
BASELINE = Provenance(recipe="baseline", weights="yolov8n.pt", weights_sha256="ab" * 32, trained=False)


@pytest.fixture
def photos(make_photos):
    """Two damaged cars, one intact one and forty backgrounds."""
    rows = [("wrecks/1", "damaged"), ("wrecks/2", "damaged"), ("cars/1", "normal")]
    rows += [(f"other/{number:02}", "background") for number in range(40)]
    return make_photos(
        *rows,
        damage_types=[["Crushed"], ["Scratched", "Crushed"], *[[]] * 41],
        box_truth=[False, False, *[True] * 41],
    )


@pytest.fixture
def predictions(make_predictions):
    return make_predictions(
        ("wrecks/1", 0.3), ("wrecks/2", 0.15), ("cars/1", 0.9, CAR), ("other/00", 0.2), ("other/01", 0.1)
    )


@pytest.fixture
def baseline(photos, predictions, make_boxes) -> SystemFigures:
    return evaluate_system(
        "baseline",
        photos,
        make_boxes(("cars/1", CAR)),
        predictions,
        threshold=0.1,
        provenance=BASELINE,
        latency=Latency(median_ms=20.0, p95_ms=25.0, fps=48.0, photos=43),
        context=LatencyContext(device="CPU", threads=2, precision="fp32", imgsz=640, engine="ultralytics"),
    )


@pytest.fixture
def comparison(photos, baseline) -> Comparison:
    return Comparison("claims", JudgedPhotos.of(photos), (baseline, replace(baseline, name="ver6")))


def test_figures_known_by_hand(baseline):
    assert (baseline.tp, baseline.fp, baseline.fn, baseline.tn) == (3, 2, 0, 38)
    assert baseline.accuracy == pytest.approx(41 / 43)
    assert baseline.precision == PerClass(0.6, 1.0)
    assert baseline.recall == PerClass(1.0, 0.95)
    assert baseline.f1.vehicle == pytest.approx(0.75)
    assert baseline.by_role == {"damaged": Found(2, 2), "normal": Found(1, 1), "background": Found(40, 2)}
    assert baseline.by_damage_type == {"Scratched": Found(1, 1), "Crushed": Found(2, 2)}
    assert baseline.by_source["other"] == FoundInSource("background", 40, 2)


def test_both_usual_thresholds_are_reported(baseline):
    assert list(baseline.at) == ["0.10", "0.25"]
    at_10, at_25 = baseline.at.values()
    assert (at_10.threshold, at_10.tp, at_10.fp) == (0.1, 3, 2)
    assert (at_25.threshold, at_25.tp, at_25.fp, at_25.fn, at_25.tn) == (0.25, 2, 0, 1, 40)


def test_equal_false_alarms(baseline):
    assert list(baseline.found_at_false_alarms) == ["0.01", "0.025", "0.05"]
    assert baseline.found_at_false_alarms["0.01"] is None  # 40 backgrounds; 100 are needed
    one, two = baseline.found_at_false_alarms["0.025"], baseline.found_at_false_alarms["0.05"]
    assert one is not None
    assert two is not None
    assert 0.1 < one.threshold < 0.101
    assert (one.damaged, one.normal) == (1.0, 1.0)
    assert 0 < two.threshold < 0.001
    assert baseline.auc_damaged == pytest.approx((40 + 39) / 80)


def test_boxes_and_speed(baseline):
    assert (baseline.map50, baseline.map50_95) == (pytest.approx(1.0), pytest.approx(1.0))
    assert (baseline.box_truth, baseline.box_photos, baseline.box_truth_boxes) == ("human", 41, 1)
    assert (baseline.box_precision, baseline.box_recall) == (1.0, 1.0)
    assert baseline.box_confidence == pytest.approx(0.9)
    assert (baseline.ms_per_image, baseline.ms_p95, baseline.fps) == (20.0, 25.0, 48.0)
    assert (baseline.device, baseline.threads, baseline.precision_dtype) == ("CPU", 2, "fp32")
    assert (baseline.imgsz, baseline.engine) == (640, "ultralytics")


def test_what_was_not_measured_is_none(photos, predictions, make_boxes):
    figures = evaluate_system("x", photos, make_boxes(), predictions, threshold=0.1, provenance=BASELINE)
    assert figures.box_truth == "none"
    assert figures.box_photos == figures.box_truth_boxes == 0
    unknown = ("map50", "map50_95", "box_precision", "box_recall", "box_confidence", "ms_per_image", "ms_p95")
    unknown += ("fps", "device", "threads", "precision_dtype", "imgsz", "engine", "epochs_run", "train_seconds")
    assert {name: getattr(figures, name) for name in unknown} == dict.fromkeys(unknown)


def test_labels_are_kept_in_a_stable_order(photos, predictions, make_boxes):
    trained = Provenance(
        recipe="ver6",
        weights="yolov8x",
        weights_sha256="cd" * 32,
        trained=True,
        epochs_run=8,
        train_seconds=760.5,
        labels={"teacher": 5, "frame": 2},
        random_weights=True,
    )
    figures = evaluate_system("ver6", photos, make_boxes(), predictions, threshold=0.1, provenance=trained)
    assert list(figures.labels.items()) == [("frame", 2), ("teacher", 5)]
    assert (figures.recipe, figures.weights, figures.trained) == ("ver6", "yolov8x", True)
    assert (figures.epochs_run, figures.train_seconds, figures.random_weights) == (8, 760.5, True)


def test_predictions_on_other_photos_are_refused(photos, make_boxes, make_predictions):
    with pytest.raises(UsageError, match="not in the test set"):
        evaluate_system(
            "x", photos, make_boxes(), make_predictions(("z/1", 0.5)), threshold=0.1, provenance=BASELINE
        )


def test_json_has_the_fields_of_the_contract(comparison):
    values = comparison.to_dict()
    assert list(values) == ["study", "test", "systems"]
    assert values["test"] == {"photos": 43, "vehicle": 3, "background": 40, "truth": "role"}
    system = values["systems"][0]
    contract = ["name", "threshold", "tp", "fp", "fn", "tn", "accuracy", "precision", "recall", "f1"]
    contract += ["by_role", "at", "found_at_false_alarms", "auc_damaged", "map50", "map50_95", "box_truth"]
    contract += ["ms_per_image", "fps", "device", "weights_sha256"]
    assert [name for name in system if name in contract] == contract
    assert system["precision"] == {"vehicle": 0.6, "non_vehicle": 1.0}
    assert system["by_role"]["background"] == {"photos": 40, "found": 2}
    assert {"threshold", "tp", "fp", "fn", "tn", "accuracy", "precision", "recall", "f1"} == set(
        system["at"]["0.10"]
    )
    assert system["found_at_false_alarms"]["0.01"] is None
    assert set(system["found_at_false_alarms"]["0.05"]) == {"threshold", "damaged", "normal"}


def test_a_comparison_survives_json(comparison, baseline):
    assert Comparison.from_dict(json.loads(json.dumps(comparison.to_dict()))) == comparison
    assert SystemFigures.from_dict(json.loads(json.dumps(baseline.to_dict()))) == baseline


def test_fields_may_be_added(comparison):
    values = comparison.to_dict() | {"added": 1}
    values["systems"][0]["added"] = 2
    assert Comparison.from_dict(values) == comparison


def test_a_missing_or_wrong_field_is_named(comparison, baseline):
    values = comparison.to_dict()
    values["systems"][1]["tp"] = "three"
    with pytest.raises(UsageError, match=r"Expected `int`, got `str` - at `\$\.systems\[1\]\.tp`"):
        Comparison.from_dict(values)
    lacking = baseline.to_dict()
    del lacking["recall"]
    with pytest.raises(UsageError, match="missing required field `recall`"):
        SystemFigures.from_dict(lacking)


def test_systems_share_one_test_set_and_no_name(comparison, baseline):
    with pytest.raises(ValueError, match="share a name"):
        Comparison("claims", comparison.test, (baseline, baseline))
    with pytest.raises(ValueError, match=r"'other' was judged on 4 vehicles and 40 backgrounds; .* 3 and 40"):
        Comparison("claims", comparison.test, (replace(baseline, name="other", fn=1),))
