from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score

from wreckognize.errors import UsageError
from wreckognize.evaluation.image_level import figures_at
from wreckognize.evidence.conformal import LOWEST, promise_misses
from wreckognize.evidence.person import choose_third_answer
from wreckognize.evidence.thresholds import CUSTOMARY, ChosenThreshold, FrozenThreshold, choose
from wreckognize.settings import ThresholdSettings, ToAPersonSettings

# Few different values, so that ties are common; 0 is "no prediction".
confidences = st.sampled_from([0.0, 0.0005, 0.001, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0])
judged = st.lists(st.tuples(st.booleans(), confidences, st.integers(0, 9)), max_size=40)
RULES = (
    {"fixed": 0.25},
    "best_f1",
    "best_balanced_accuracy",
    {"recall_at_least": 0.9},
    {"false_alarms_at_most": 0.1},
    {"miss_rate_at_most": 0.2},
)


def rule_of(written: object) -> ThresholdSettings:
    return ThresholdSettings.model_validate(written)


def chosen(vehicle: list[float], background: list[float], written: object) -> ChosenThreshold:
    """Every photo a group of its own."""
    truth = np.array([True] * len(vehicle) + [False] * len(background))
    scores = np.array(vehicle + background, np.float32)
    return choose(scores, truth, np.arange(truth.size), rule_of(written))


def arrays(rows: list[tuple[bool, float, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.array([score for _, score, _ in rows], np.float32),
        np.array([truth for truth, _, _ in rows], bool),
        np.array([group for _, _, group in rows]),
    )


def every_threshold(scores: np.ndarray) -> list[np.float32]:
    """One threshold for each way in which thresholds from the lowest to 1 can part the scores."""
    allowed = {np.float32(LOWEST), np.float32(1)} | {s for s in scores if np.float32(LOWEST) <= s <= 1}
    above = {np.nextafter(s, np.float32(2)) for s in allowed if s < 1}
    return sorted(allowed | above)


class TestFixed:
    def test_is_taken_as_it_is(self):
        choice = chosen([0.5, 0.05], [0.2], 0.10)

        assert (choice.threshold, choice.reached, choice.guarantee) == (0.10, True, None)
        assert choice.why == "fixed at 0.1 in the study"
        assert (choice.calibration.tp, choice.calibration.fn, choice.calibration.fp) == (1, 1, 1)

    def test_needs_no_calibration_photos(self):
        choice = chosen([], [], 0.25)

        assert (choice.threshold, choice.photos, choice.groups) == (0.25, 0, 0)
        assert choice.calibration.accuracy is None

    @pytest.mark.parametrize("value", [0, 0.0005])
    def test_a_threshold_that_is_none_is_not_used(self, value):
        choice = chosen([0.5], [0.2], value)

        assert (choice.threshold, choice.reached) == (CUSTOMARY, False)
        assert "0 would call every photo a vehicle" in choice.why
        assert choice.why.endswith("the customary threshold 0.10 stands in")


class TestBest:
    @pytest.mark.parametrize("rule", ["best_f1", "best_balanced_accuracy"])
    def test_stands_in_the_middle_between_neighbouring_scores(self, rule):
        choice = chosen([0.4, 0.9, 0.6], [0.1, 0.02, 0.0], rule)

        assert choice.threshold == 0.25
        assert choice.calibration.accuracy == 1

    def test_of_equal_figures_the_lowest_threshold_wins(self):
        # F1 is 2/3 at 0.2 (one of one found, one false alarm) and nowhere better.
        assert chosen([0.2], [0.6], "best_f1").threshold == pytest.approx((LOWEST + 0.2) / 2, abs=1e-4)
        # Balanced accuracy 3/4 on both sides of the background at 0.5.
        assert chosen([0.3, 0.8], [0.5, 0.1], "best_balanced_accuracy").threshold == 0.2

    def test_says_what_it_came_to(self):
        choice = chosen([0.4, 0.9, 0.05], [0.1, 0.02], "best_balanced_accuracy")

        assert choice.why == (
            "highest balanced accuracy (0.8333): 2 of 3 calibration photos with a vehicle are found, "
            "0 of 2 without are false alarms"
        )

    @pytest.mark.parametrize("rule", ["best_f1", "best_balanced_accuracy"])
    @pytest.mark.parametrize(
        ("vehicle", "background", "missing"),
        [([0.5], [], "hold no background"), ([], [0.5], "hold no vehicle"), ([], [], "hold no vehicle")],
    )
    def test_one_kind_alone_cannot_choose(self, rule, vehicle, background, missing):
        choice = chosen(vehicle, background, rule)

        assert (choice.threshold, choice.reached) == (CUSTOMARY, False)
        assert missing in choice.why

    @pytest.mark.parametrize("rule", ["best_f1", "best_balanced_accuracy"])
    def test_nothing_found_in_any_vehicle(self, rule):
        choice = chosen([0.0, 0.0], [0.0, 0.3], rule)

        assert not choice.reached
        assert "nothing at all is found in any calibration photo with a vehicle" in choice.why

    def test_equal_scores_leave_nothing_to_choose(self):
        choice = chosen([0.5] * 3, [0.5] * 3, "best_balanced_accuracy")

        assert not choice.reached
        assert "no threshold does better" in choice.why

    @given(judged)
    def test_f1_is_the_highest_of_all_thresholds(self, rows):
        scores, truth, groups = arrays(rows)
        choice = choose(scores, truth, groups, rule_of("best_f1"))
        if choice.reached:
            f1 = [f1_score(truth, scores >= t, zero_division=0) for t in every_threshold(scores)]
            assert choice.calibration.f1.vehicle == pytest.approx(max(f1))

    @given(judged)
    def test_balanced_accuracy_is_the_highest_of_all_thresholds(self, rows):
        scores, truth, groups = arrays(rows)
        choice = choose(scores, truth, groups, rule_of("best_balanced_accuracy"))
        if choice.reached:
            best = max(balanced_accuracy_score(truth, scores >= t) for t in every_threshold(scores))
            recall = choice.calibration.recall
            assert (recall.vehicle + recall.non_vehicle) / 2 == pytest.approx(best)


class TestRecallAtLeast:
    def test_highest_threshold_that_finds_enough(self):
        choice = chosen([0.2, 0.4, 0.6, 0.8, 0.9], [0.5], {"recall_at_least": 0.8})

        assert choice.threshold == 0.3
        assert choice.calibration.recall.vehicle == 0.8
        assert choice.why.endswith("no promise for other photos")

    def test_decimals_are_exact(self):
        # 0.29 * 100 is 28.999999999999996 in binary, but 29 photos are wanted.
        scores = [0.1] * 71 + [0.9] * 29
        assert chosen(scores, [], {"recall_at_least": 0.29}).calibration.tp == 29

    def test_photos_without_any_prediction_cannot_be_found(self):
        choice = chosen([0.0, 0.5, 0.6], [0.1], {"recall_at_least": 0.9})

        assert (choice.threshold, choice.reached) == (CUSTOMARY, False)
        assert "finds only 2 of 3 calibration photos with a vehicle, 3 are wanted" in choice.why

    def test_validation_without_a_miss(self):
        choice = chosen([0.9] * 5, [0.0] * 5, {"recall_at_least": 0.99})

        assert choice.reached
        assert choice.calibration.recall.vehicle == 1

    def test_no_vehicle(self):
        assert "hold no vehicle" in chosen([], [0.3], {"recall_at_least": 0.9}).why

    @given(judged, st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
    def test_keeps_the_recall_and_no_higher_threshold_does(self, rows, wanted):
        scores, truth, groups = arrays(rows)
        choice = choose(scores, truth, groups, rule_of({"recall_at_least": wanted}))
        keeping = [
            t for t in every_threshold(scores) if truth.any() and (scores[truth] >= t).mean() >= wanted - 1e-12
        ]
        assert choice.reached == bool(keeping)
        if keeping:
            at_best = figures_at(truth, scores, float(keeping[-1]))
            assert (choice.calibration.tp, choice.calibration.fp) == (at_best.tp, at_best.fp)


class TestFalseAlarmsAtMost:
    def test_lowest_threshold_with_few_enough(self):
        choice = chosen([0.9], [0.1, 0.2, 0.3, 0.5], {"false_alarms_at_most": 0.25})

        assert choice.threshold == 0.4
        assert choice.calibration.fp == 1

    def test_backgrounds_of_equal_score_stay_out_together(self):
        choice = chosen([0.9], [0.3] * 4, {"false_alarms_at_most": 0.25})

        assert choice.calibration.fp == 0

    def test_backgrounds_of_the_highest_score(self):
        choice = chosen([0.9], [1.0, 1.0], {"false_alarms_at_most": 0.25})

        assert (choice.threshold, choice.reached) == (CUSTOMARY, False)
        assert "calls 2 of 2 calibration backgrounds a vehicle, 0 are allowed" in choice.why

    def test_no_background(self):
        assert "hold no background" in chosen([0.5], [], {"false_alarms_at_most": 0.05}).why

    @given(judged, st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    def test_keeps_the_rate_and_no_lower_threshold_does(self, rows, allowed):
        scores, truth, groups = arrays(rows)
        choice = choose(scores, truth, groups, rule_of({"false_alarms_at_most": allowed}))
        keeping = [
            t
            for t in every_threshold(scores)
            if not truth.all() and (scores[~truth] >= t).mean() <= allowed + 1e-12
        ]
        assert choice.reached == bool(keeping)
        if keeping:
            at_best = figures_at(truth, scores, float(keeping[0]))
            assert (choice.calibration.tp, choice.calibration.fp) == (at_best.tp, at_best.fp)


class TestMissRateAtMost:
    def test_carries_the_promise(self):
        vehicle = np.linspace(0.2, 0.9, 120).tolist()
        choice = chosen(vehicle, [0.1], {"miss_rate_at_most": 0.01})

        assert choice.threshold == 0.2
        assert choice.guarantee == choice.why
        assert choice.guarantee == (
            "expected share of vehicles missed in a further group like the 120 calibration groups with a vehicle "
            "photo: at most 1 % (conformal risk control)"
        )

    def test_too_few_groups_cannot_be_said(self):
        choice = chosen([0.9] * 64, [0.1], {"miss_rate_at_most": 0.01})

        assert (choice.threshold, choice.reached, choice.guarantee) == (CUSTOMARY, False, None)
        assert "1 % takes at least 99, there are 64" in choice.why

    def test_is_that_of_conformal_risk_control(self):
        rng = np.random.default_rng(3)
        scores, truth = rng.random(300, np.float32), rng.random(300) < 0.8
        groups = rng.integers(0, 120, 300)
        choice = choose(scores, truth, groups, rule_of({"miss_rate_at_most": 0.05}))

        assert choice.threshold == promise_misses(scores, truth, groups, 0.05).threshold


class TestAnyRule:
    @given(judged, st.sampled_from(RULES))
    def test_threshold_lies_in_its_range_and_is_never_silent(self, rows, written):
        choice = choose(*arrays(rows), rule_of(written))

        assert np.float32(LOWEST) <= np.float32(choice.threshold) <= 1
        assert choice.reached or (choice.threshold == CUSTOMARY and "stands in" in choice.why)
        assert choice.reached or choice.guarantee is None
        assert json.loads(json.dumps(choice.threshold)) == choice.threshold

    @given(judged, st.sampled_from(RULES), st.randoms(use_true_random=False))
    def test_order_of_photos_does_not_matter(self, rows, written, random):
        shuffled = rows.copy()
        random.shuffle(shuffled)

        assert choose(*arrays(rows), rule_of(written)) == choose(*arrays(shuffled), rule_of(written))

    @pytest.mark.parametrize("written", RULES)
    def test_neighbouring_float32_scores_are_kept_apart(self, written):
        low = np.float32(0.3)
        high = np.nextafter(low, np.float32(1))
        choice = chosen([float(high)] * 20, [float(low)] * 20, written)

        if choice.rule in ("best_f1", "best_balanced_accuracy", "recall_at_least", "false_alarms_at_most"):
            assert choice.calibration.accuracy == 1

    @pytest.mark.parametrize("written", RULES)
    def test_nan_scores_are_refused(self, written):
        with pytest.raises(ValueError, match="1 of 2 scores are NaN"):
            chosen([float("nan")], [0.5], written)

    def test_groups_are_counted_for_each_kind(self):
        truth = np.array([True, True, False, False])
        choice = choose(np.full(4, 0.5), truth, np.array(["a", "b", "b", "b"]), rule_of(0.1))

        assert (choice.photos, choice.groups, choice.vehicle_groups, choice.background_groups) == (4, 2, 2, 1)


class TestFrozenThreshold:
    @pytest.fixture
    def frozen(self) -> FrozenThreshold:
        rng = np.random.default_rng(3)
        scores, truth, groups = rng.random(60, np.float32), rng.random(60) < 0.8, np.arange(60)
        return FrozenThreshold(
            system="ver6",
            seed=2,
            chosen=choose(scores, truth, groups, rule_of({"recall_at_least": 0.9})),
            third_answer=choose_third_answer(scores, truth, groups, ToAPersonSettings()),
            predictions_sha256="0" * 64,
            frozen_at="2026-01-31T12:00:00Z",
        )

    def test_survives_json(self, frozen):
        assert FrozenThreshold.from_dict(json.loads(json.dumps(frozen.to_dict()))) == frozen

    def test_what_cannot_be_said_is_null(self, frozen):
        assert frozen.to_dict()["third_answer"]["low"] is None

    def test_a_missing_field_is_named(self, frozen):
        values = frozen.to_dict()
        del values["chosen"]["rule"]

        with pytest.raises(UsageError, match=r"rule.*chosen"):
            FrozenThreshold.from_dict(values)

    def test_crossed_thresholds_are_refused(self, frozen):
        values = frozen.to_dict()
        values["third_answer"] |= {"low": 0.5, "high": 0.4}

        with pytest.raises(UsageError, match=r"lower threshold 0\.5 is above the upper one 0\.4"):
            FrozenThreshold.from_dict(values)
