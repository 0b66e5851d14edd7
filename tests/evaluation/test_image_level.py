from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from wreckognize.errors import UsageError
from wreckognize.evaluation.image_level import (
    SCORE_SCHEMA,
    Found,
    FoundAt,
    FoundInSource,
    ImageFigures,
    PerClass,
    as_scores,
    auc_damaged,
    by_damage_type,
    by_role,
    by_source,
    figures_at,
    found_at_false_alarms,
    is_called_vehicle,
    photo_scores,
)

# Few different values, so that ties are common; 0 is "no prediction".
confidences = st.sampled_from([0.0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0])
judged = st.lists(st.tuples(st.booleans(), confidences), max_size=40)


def scores_of(**by_role_scores: list[float]) -> pl.DataFrame:
    rows = [
        (f"{role}/{number:03}.jpg", role, role, [], None, role != "background", score)
        for role, values in by_role_scores.items()
        for number, score in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=SCORE_SCHEMA, orient="row", strict=False)


def arrays(rows: list[tuple[bool, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([truth for truth, _ in rows], dtype=bool), np.array([score for _, score in rows], np.float32)


class TestPhotoScores:
    def test_score_is_the_highest_confidence_and_0_without_predictions(self, make_photos, make_predictions):
        photos = make_photos(("b/2.jpg", "background"), ("a/1.jpg", "damaged"))
        scores = photo_scores(photos, make_predictions(("a/1.jpg", 0.2), ("a/1.jpg", 0.7), ("a/1.jpg", 0.3)))

        assert scores.schema == SCORE_SCHEMA
        assert scores["photo"].to_list() == ["a/1.jpg", "b/2.jpg"]
        assert scores["score"].to_list() == [np.float32(0.7), 0.0]
        assert scores["has_vehicle"].to_list() == [True, False]

    def test_no_photos_give_no_scores(self, make_photos, make_predictions):
        assert photo_scores(make_photos(), make_predictions()).is_empty()

    def test_a_prediction_on_an_unknown_photo_is_named(self, make_photos, make_predictions):
        with pytest.raises(
            UsageError, match=r"1 predictions name photos that are not in the test set: 'a/9\.jpg'"
        ):
            photo_scores(make_photos(("a/1.jpg", "normal")), make_predictions(("a/9.jpg", 0.5)))

    @pytest.mark.parametrize("confidence", [float("nan"), None, -0.1, 1.5, float("inf")])
    def test_a_confidence_that_is_none_names_its_photo(self, make_photos, make_predictions, confidence):
        with pytest.raises(UsageError, match=r"confidence that is not a number from 0 to 1: 'a/1\.jpg'"):
            photo_scores(make_photos(("a/1.jpg", "normal")), make_predictions(("a/1.jpg", confidence)))

    @pytest.mark.parametrize("side", [float("nan"), float("inf"), None])
    def test_a_box_that_is_none_names_its_photo(self, make_photos, make_predictions, side):
        with pytest.raises(UsageError, match=r"side that is not a finite number: 'a/1\.jpg'"):
            photo_scores(make_photos(("a/1.jpg", "normal")), make_predictions(("a/1.jpg", 0.5, (0, 0, side, 1))))

    def test_many_bad_photos_are_counted_and_the_first_named(self, make_photos, make_predictions):
        stray = [(f"z/{number}.jpg", 0.5) for number in range(8)]
        with pytest.raises(UsageError, match=r"8 predictions .*'z/0\.jpg'.*'z/4\.jpg' and 3 more"):
            photo_scores(make_photos(("a/1.jpg", "normal")), make_predictions(*stray))

    def test_other_tables_are_refused(self, make_photos, make_predictions):
        with pytest.raises(ValueError, match="table 'photos' has columns"):
            photo_scores(make_photos().drop("claim"), make_predictions())
        with pytest.raises(ValueError, match="table 'predictions' has columns"):
            photo_scores(make_photos(), make_predictions().drop("x1"))


class TestDecision:
    @pytest.mark.parametrize("threshold", [0.1, 0.25, 0.3, 0.7, 0.9])
    def test_a_stored_confidence_counts_at_its_own_threshold(self, threshold):
        stored = np.array([threshold], dtype=np.float32)
        assert is_called_vehicle(stored, threshold).all()
        assert not is_called_vehicle(np.nextafter(stored, np.float32(0)), threshold).any()

    def test_a_score_that_is_not_a_number_is_refused(self):
        with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
            as_scores([0.5, float("nan")])


class TestFiguresAt:
    @settings(max_examples=60, deadline=None)
    @given(judged, confidences)
    def test_agrees_with_scikit_learn(self, rows, threshold):
        truth, score = arrays(rows)
        called = score >= np.float32(threshold)
        figures = figures_at(truth, score, threshold)

        tn, fp, fn, tp = confusion_matrix(truth, called, labels=[False, True]).ravel() if rows else (0, 0, 0, 0)
        assert (figures.tp, figures.fp, figures.fn, figures.tn) == (tp, fp, fn, tn)
        both = truth.any() and not truth.all()
        if not both:  # scikit-learn gives 0 or 1 for what only vehicles, or only other photos, cannot show
            assert figures.accuracy is None
            assert figures.precision == figures.f1 == PerClass(None, None)
            return
        assert figures.accuracy == pytest.approx(accuracy_score(truth, called))
        for label, name in ((True, "vehicle"), (False, "non_vehicle")):
            for measure, values in (
                (precision_score, figures.precision),
                (recall_score, figures.recall),
                (f1_score, figures.f1),
            ):
                expected = measure(truth, called, pos_label=label, zero_division=np.nan)
                value = getattr(values, name)
                assert value == pytest.approx(expected) if value is not None else np.isnan(expected)

    def test_what_cannot_be_said_is_none(self):
        none = ImageFigures.from_counts(0.1, tp=0, fp=0, fn=0, tn=0)
        assert none.accuracy is None
        assert none.precision == none.recall == none.f1 == PerClass(None, None)

    def test_nothing_found_is_0_where_something_was_to_be_found(self):
        missed = ImageFigures.from_counts(0.1, tp=0, fp=0, fn=4, tn=1)
        assert missed.recall == PerClass(0.0, 1.0)
        assert missed.f1 == PerClass(0.0, pytest.approx(1 / 3))
        assert missed.precision == PerClass(None, 0.2)

    @pytest.mark.parametrize(
        "counts", [{"tp": 8, "fp": 0, "fn": 1, "tn": 0}, {"tp": 0, "fp": 0, "fn": 0, "tn": 9}]
    )
    def test_photos_of_one_class_give_no_100_percent(self, counts):
        one_sided = ImageFigures.from_counts(0.1, **counts)
        assert one_sided.accuracy is None
        assert one_sided.precision == one_sided.f1 == PerClass(None, None)
        assert [one_sided.recall.vehicle, one_sided.recall.non_vehicle].count(None) == 1

    def test_other_photos_are_refused(self):
        with pytest.raises(ValueError, match="must be the same photos"):
            figures_at(np.array([True]), np.array([0.1, 0.2]), 0.1)


class TestCounts:
    def test_by_role_has_every_role(self):
        scores = scores_of(damaged=[0.1, 0.05], background=[0.2])
        assert by_role(scores, 0.1) == {
            "damaged": Found(2, 1),
            "normal": Found(0, 0),
            "background": Found(1, 1),
        }

    def test_a_photo_counts_under_each_of_its_damage_types(self):
        scores = scores_of(damaged=[0.9, 0.05, 0.9, 0.9]).with_columns(
            damage_types=pl.Series([["Scratched", "Crushed"], ["Crushed"], [], ["Bent"]])
        )
        found = by_damage_type(scores, 0.1)
        assert found == {"Scratched": Found(1, 1), "Crushed": Found(2, 1), "Bent": Found(1, 1)}
        assert list(found) == ["Scratched", "Crushed", "Bent"]

    def test_by_source_says_the_role(self):
        scores = scores_of(normal=[0.9, 0.0], background=[0.2])
        found = by_source(scores, 0.1)
        assert found == {
            "background": FoundInSource("background", 1, 1),
            "normal": FoundInSource("normal", 2, 1),
        }
        assert list(found) == ["background", "normal"]


def lowest_by_trial(background: list[float], others: list[float], rate: float) -> set[float] | None:
    """Of all others, those found at the best threshold: by trying every score and the gap above it."""
    if len(background) * rate < 1 - 1e-9:
        return None
    values = np.float32([0.0, *background, *others])
    for threshold in np.sort(np.concatenate([values, np.nextafter(values, np.float32(2))])):
        if np.sum(np.float32(background) >= threshold) <= rate * len(background) + 1e-9:
            return {value for value in others if np.float32(value) >= threshold}
    raise AssertionError("just above the highest score nothing is found")


class TestFoundAtFalseAlarms:
    @settings(max_examples=60, deadline=None)
    @given(
        background=st.lists(confidences, max_size=60),
        damaged=st.lists(confidences, max_size=10),
        rate=st.sampled_from([0.01, 0.025, 0.05, 0.1, 0.29, 0.5, 1.0]),
    )
    def test_agrees_with_trying_every_threshold(self, background, damaged, rate):
        scores = scores_of(damaged=damaged, background=background)
        found = found_at_false_alarms(scores, rate)
        expected = lowest_by_trial(background, damaged, rate)
        if expected is None or found is None:
            assert found is expected is None
            return
        assert sum(np.float32(background) >= np.float32(found.threshold)) <= rate * len(background) + 1e-9
        share = sum(value in expected for value in damaged) / len(damaged) if damaged else None
        assert found == FoundAt(found.threshold, damaged=share, normal=None)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.floats(0, 1, width=32), min_size=20, max_size=60), st.sampled_from([0.05, 0.1, 0.5]))
    def test_no_lower_score_would_keep_to_the_rate(self, background, rate):
        found = found_at_false_alarms(scores_of(background=background), rate)
        assert found is not None
        values = np.float32(background)
        lower = values[values < np.float32(found.threshold)]
        if lower.size:
            assert (values >= lower.max()).sum() > rate * len(values)

    @pytest.mark.parametrize(("rate", "backgrounds"), [(0.01, 100), (0.025, 40), (0.05, 20)])
    def test_needs_one_background_for_each_allowed_alarm(self, rate, backgrounds):
        enough = [number / 200 for number in range(backgrounds)]
        assert found_at_false_alarms(scores_of(background=enough[1:]), rate) is None
        found = found_at_false_alarms(scores_of(background=enough), rate)
        assert found is not None
        assert (np.float32(enough) >= np.float32(found.threshold)).sum() == 1

    def test_the_share_is_taken_exactly(self):
        # 0.29 * 100 is 28.999999999999996 in binary: 29 false alarms are allowed, not 28.
        background = [number / 100 for number in range(100)]
        found = found_at_false_alarms(scores_of(background=background), 0.29)
        assert found is not None
        assert (np.float32(background) >= np.float32(found.threshold)).sum() == 29

    def test_tied_backgrounds_stay_out_together(self):
        found = found_at_false_alarms(scores_of(damaged=[0.5, 0.6], background=[0.5] * 20), 0.05)
        assert found == FoundAt(float(np.nextafter(np.float32(0.5), np.float32(1))), damaged=0.5, normal=None)

    def test_backgrounds_without_a_score_let_any_prediction_count(self):
        found = found_at_false_alarms(scores_of(damaged=[0.001, 0.0], normal=[1.0], background=[0.0] * 20), 0.05)
        assert found is not None
        assert (found.damaged, found.normal) == (0.5, 1.0)
        assert 0 < found.threshold < 0.001

    def test_the_threshold_survives_json(self):
        found = found_at_false_alarms(scores_of(background=[0.3, *[0.1] * 19]), 0.05)
        assert found is not None
        assert np.float32(float(repr(found.threshold))) == np.nextafter(np.float32(0.1), np.float32(1))

    @pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, float("nan")])
    def test_a_rate_that_is_no_share_is_refused(self, rate):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            found_at_false_alarms(scores_of(background=[0.1]), rate)


class TestAuc:
    @settings(max_examples=60, deadline=None)
    @given(st.lists(confidences, min_size=1, max_size=30), st.lists(confidences, min_size=1, max_size=30))
    def test_agrees_with_scikit_learn(self, damaged, background):
        expected = roc_auc_score([1] * len(damaged) + [0] * len(background), damaged + background)
        assert auc_damaged(scores_of(damaged=damaged, background=background)) == pytest.approx(expected, abs=1e-12)

    def test_normal_cars_play_no_part(self):
        assert auc_damaged(scores_of(damaged=[0.9], normal=[0.0], background=[0.1])) == 1.0

    @pytest.mark.parametrize("roles", [{"damaged": [0.5]}, {"background": [0.5]}, {"normal": [0.5]}])
    def test_needs_both(self, roles):
        assert auc_damaged(scores_of(**roles)) is None


def test_photos_whose_role_was_corrected_stand_apart_from_their_source(make_photos, make_predictions):
    photos = make_photos(("yard/1", "damaged"), ("yard/2", "damaged"), ("yard/3", "background"))
    scores = photo_scores(photos, make_predictions(("yard/1", 0.9), ("yard/3", 0.8)))
    found = {name: (own.role, own.photos, own.found) for name, own in by_source(scores, 0.5).items()}
    assert found == {"yard": ("damaged", 2, 1), "yard (background)": ("background", 1, 1)}
