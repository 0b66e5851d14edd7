import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, PREDICTION_SCHEMA
from wreckognize.errors import TrainingError
from wreckognize.search.figures import missing_for, trial_figures
from wreckognize.settings import OBJECTIVES

ROLES = ["damaged"] * 30 + ["normal"] * 10 + ["background"] * 25
NOTHING = pl.DataFrame(schema=BOX_SCHEMA)


def photos(roles=ROLES):
    rows = [
        (f"s/{n:02}", "", "s", role, role != "background", 96, 64, [], None, "", None, True, True)
        for n, role in enumerate(roles)
    ]
    return pl.DataFrame(rows, schema=PHOTO_SCHEMA, orient="row")


def predictions(table, scores):
    rows = [(photo, 1, 1, 9, 9, score) for photo, score in zip(table["photo"], scores, strict=True) if score > 0]
    return pl.DataFrame(rows, schema=PREDICTION_SCHEMA, orient="row")


def drawn(table):
    rows = [
        (photo, 1, 1, 9, 9, "vehicle", "human", None, False)
        for photo, has in table.select("photo", "has_vehicle").iter_rows()
        if has
    ]
    return pl.DataFrame(rows, schema=BOX_SCHEMA, orient="row")


def test_figures_are_those_of_scikit_learn():
    table = photos()
    random = np.random.default_rng(1)
    scores = np.round(random.random(table.height) * (1 + 0.5 * table["has_vehicle"].to_numpy()), 2) / 2
    found = trial_figures(table, drawn(table), predictions(table, scores))
    vehicle, damaged = table["has_vehicle"].to_numpy(), table["role"].to_numpy() == "damaged"
    judged = damaged | ~vehicle
    assert found["roc_area"] == pytest.approx(roc_auc_score(vehicle[judged], scores[judged]))
    false_alarms, hits, _ = roc_curve(vehicle, scores)
    assert found["balanced_accuracy"] == pytest.approx((1 + hits - false_alarms).max() / 2)
    false_alarms, hits, _ = roc_curve(vehicle[judged], scores[judged])
    assert found["found_at_5_percent"] == pytest.approx(hits[false_alarms <= 1 / 25].max())
    assert 0 < found["map50_95"] <= 1
    assert set(found) == set(OBJECTIVES)


def test_what_the_photos_cannot_say_is_none_and_told_beforehand():
    few = photos(["damaged", "normal", "background"])
    found = trial_figures(few, NOTHING, predictions(few, [0.9, 0.8, 0.1]))
    assert (found["roc_area"], found["found_at_5_percent"], found["map50_95"]) == (1.0, None, None)
    assert missing_for("roc_area", few, NOTHING) == missing_for("balanced_accuracy", few, NOTHING) == ""
    assert "20 must" in missing_for("found_at_5_percent", few, NOTHING)
    assert "a person drew" in missing_for("map50_95", few, NOTHING)
    assert missing_for("map50_95", few, drawn(few)) == ""
    assert "damaged" in missing_for("roc_area", photos(["normal", "background"]), NOTHING)
    assert "1 must" in missing_for("roc_area", photos(["damaged"]), NOTHING)
    assert "vehicle" in missing_for("balanced_accuracy", photos(["background"]), NOTHING)
    assert missing_for("found_at_5_percent", photos(), NOTHING) == ""


def test_a_network_that_gives_no_numbers_has_failed():
    table = photos(["damaged", "background"])
    wild = predictions(table, [0.5, 0.4]).with_columns(confidence=pl.lit(float("nan"), dtype=pl.Float32))
    with pytest.raises(TrainingError, match="no numbers"):
        trial_figures(table, NOTHING, wild)
