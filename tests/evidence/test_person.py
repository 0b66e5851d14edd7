from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.errors import UsageError
from wreckognize.evaluation.image_level import SCORE_SCHEMA
from wreckognize.evidence.conformal import group_share, promise_false_alarms, promise_misses
from wreckognize.evidence.intervals import proportion
from wreckognize.evidence.person import Answers, ThirdAnswer, choose_third_answer, third_answer_figures
from wreckognize.settings import ToAPersonSettings

confidences = st.sampled_from([0.0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0])
judged = st.lists(st.tuples(st.booleans(), confidences, st.integers(0, 30)), min_size=1, max_size=80)


def third(low: float | None, high: float | None) -> ThirdAnswer:
    return ThirdAnswer(
        low=low,
        high=high,
        misses_at_most=0.1,
        false_alarms_at_most=0.1,
        vehicle_groups=20,
        background_groups=20,
        why_low="",
        why_high="",
    )


def scores_of(**by_role: list[float]) -> pl.DataFrame:
    rows = [
        (f"{role}/{number}.jpg", role, role, [], None, role != "background", score)
        for role, values in by_role.items()
        for number, score in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=SCORE_SCHEMA, orient="row", strict=False).sort("photo")


class TestAnswers:
    def test_between_the_thresholds_a_person_decides(self):
        answers = third(0.1, 0.5).answers(np.float32([0.0, 0.0999, 0.1, 0.4999, 0.5, 1.0]))

        assert answers.tolist() == ["no_vehicle"] * 2 + ["to_a_person"] * 2 + ["vehicle"] * 2

    def test_one_threshold_sends_nobody_to_a_person(self):
        assert third(0.3, 0.3).answers([0.0, 0.3, 1.0]).tolist() == ["no_vehicle", "vehicle", "vehicle"]

    def test_a_side_without_a_promise_is_never_answered(self):
        assert third(None, 0.5).answers([0.0, 0.5]).tolist() == ["to_a_person", "vehicle"]
        assert third(0.1, None).answers([0.0, 1.0]).tolist() == ["no_vehicle", "to_a_person"]
        assert third(None, None).answers([0.0, 1.0]).tolist() == ["to_a_person", "to_a_person"]

    def test_no_scores(self):
        assert third(0.1, 0.5).answers(np.zeros(0)).size == 0

    def test_nan_scores_are_refused(self):
        with pytest.raises(ValueError, match="1 of 1 scores are NaN"):
            third(0.1, 0.5).answers([np.nan])

    def test_crossed_thresholds_are_refused(self):
        with pytest.raises(ValueError, match=r"lower threshold 0\.5 is above the upper one 0\.1"):
            third(0.5, 0.1)


class TestChoose:
    def test_each_side_has_its_own_promise(self):
        vehicle, background = np.linspace(0.1, 0.9, 99), np.linspace(0.0, 0.6, 40)
        scores = np.append(vehicle, background)
        truth, groups = np.arange(139) < 99, np.arange(139)
        choice = choose_third_answer(
            scores, truth, groups, ToAPersonSettings(misses_at_most=0.01, false_alarms_at_most=0.05)
        )

        assert choice.low == promise_misses(scores, truth, groups, 0.01).threshold == 0.1
        assert choice.high == promise_false_alarms(scores, truth, groups, 0.05).threshold
        assert (choice.vehicle_groups, choice.background_groups) == (99, 40)
        assert "at most 1 %" in choice.why_low
        assert "at most 5 %" in choice.why_high

    def test_crossing_thresholds_meet_halfway_and_keep_both_promises(self):
        scores = np.append(np.linspace(0.6, 0.9, 99), np.linspace(0.0, 0.2, 40))
        truth, groups = np.arange(139) < 99, np.arange(139)
        choice = choose_third_answer(scores, truth, groups, ToAPersonSettings())
        low = promise_misses(scores, truth, groups, choice.misses_at_most).threshold
        high = promise_false_alarms(scores, truth, groups, choice.false_alarms_at_most).threshold

        assert high < choice.low == choice.high < low
        assert choice.low == (low + high) / 2
        assert "no photo goes to a person" in choice.why_low

    def test_too_few_vehicle_groups_send_the_low_side_to_a_person(self):
        scores = np.append(np.full(64, 0.9), np.linspace(0.0, 0.2, 40))
        choice = choose_third_answer(scores, np.arange(104) < 64, np.arange(104), ToAPersonSettings())

        assert choice.low is None
        assert choice.high is not None
        assert choice.why_low == (
            "cannot be said: too few calibration groups with a vehicle photo: 1 % takes at least 99, there are 64; "
            "so no photo is answered 'no vehicle', it goes to a person instead"
        )

    def test_no_background_sends_the_high_side_to_a_person(self):
        choice = choose_third_answer(np.full(99, 0.9), np.ones(99, bool), np.arange(99), ToAPersonSettings())

        assert (choice.low, choice.high) == (0.89999, None)
        assert "5 % takes at least 19, there are 0" in choice.why_high

    def test_no_photo_at_all(self):
        choice = choose_third_answer(np.zeros(0), np.zeros(0, bool), np.zeros(0, str), ToAPersonSettings())

        assert (choice.low, choice.high, choice.vehicle_groups) == (None, None, 0)

    @given(judged, st.sampled_from([0.05, 0.2, 0.5]), st.sampled_from([0.05, 0.2, 0.5]))
    def test_calibration_losses_keep_both_budgets(self, rows, misses, alarms):
        truth, scores, groups = (np.array(column) for column in zip(*rows, strict=True))
        choice = choose_third_answer(
            scores, truth, groups, ToAPersonSettings(misses_at_most=misses, false_alarms_at_most=alarms)
        )
        answers = choice.answers(scores)
        for lost, kind, allowed, count in (
            (answers == "no_vehicle", truth, misses, choice.vehicle_groups),
            (answers == "vehicle", ~truth, alarms, choice.background_groups),
        ):
            share = group_share(lost[kind], groups[kind])
            if share:  # zero where the answer is never given
                assert (count * share + 1) / (count + 1) <= allowed + 1e-12

    def test_survives_json(self):
        choice = third(None, 0.5)
        assert msgspec.convert(msgspec.to_builtins(choice), ThirdAnswer) == choice


class TestFigures:
    def test_counts_by_role_and_by_truth(self):
        scores = scores_of(background=[0.0, 0.3, 0.9], damaged=[0.05, 0.3, 0.8, 0.9], normal=[0.95])
        figures = third_answer_figures(scores, np.arange(8), third(0.1, 0.5))

        assert figures.all == Answers(photos=8, no_vehicle=2, to_a_person=2, vehicle=4)
        assert figures.by_role == {
            "damaged": Answers(4, 1, 1, 2),
            "normal": Answers(1, 0, 0, 1),
            "background": Answers(3, 1, 1, 1),
        }
        assert figures.shows_vehicle == Answers(5, 1, 1, 3)
        assert figures.shows_none == Answers(3, 1, 1, 1)
        assert figures.to_a_person == proportion(np.arange(8) < 2, np.arange(8))
        assert figures.misses == proportion(np.arange(5) < 1, np.arange(5))
        assert figures.false_alarms == proportion(np.arange(3) < 1, np.arange(3))
        assert (figures.group_miss_share, figures.group_false_alarm_share) == (0.2, pytest.approx(1 / 3))

    def test_promised_share_weighs_groups_alike(self):
        scores = scores_of(damaged=[0.0, 0.0, 0.0, 0.9])
        figures = third_answer_figures(scores, np.array(["a", "a", "a", "b"]), third(0.1, 0.5))

        assert (figures.misses.share, figures.misses.groups) == (0.75, 2)
        assert figures.group_miss_share == 0.5

    def test_without_photos_nothing_can_be_said(self):
        figures = third_answer_figures(scores_of(), np.zeros(0, str), third(0.1, 0.5))

        assert figures.all == Answers(0, 0, 0, 0)
        assert figures.to_a_person.share is figures.misses.low is figures.false_alarms.high is None
        assert figures.group_miss_share is figures.group_false_alarm_share is None

    def test_intervals_have_the_level_asked_for(self):
        scores = scores_of(damaged=[0.0, 0.3, 0.9, 0.9])
        wide, narrow = (
            third_answer_figures(scores, np.arange(4), third(0.1, 0.5), level=level).misses
            for level in (0.99, 0.8)
        )

        assert wide.low < narrow.low < narrow.share < narrow.high < wide.high

    def test_groups_of_another_table_are_refused(self):
        with pytest.raises(ValueError, match="same photos"):
            third_answer_figures(scores_of(damaged=[0.5]), np.arange(2), third(0.1, 0.5))

    def test_an_unknown_role_is_refused(self):
        with pytest.raises(UsageError, match=r"none of damaged, normal, background: interior"):
            third_answer_figures(scores_of(interior=[0.5]), np.arange(1), third(0.1, 0.5))


@pytest.mark.parametrize("separation", [0.5, 1.5, 6.0])  # much, little and no overlap
def test_both_promises_hold_in_simulation(separation):
    rng = np.random.default_rng(11)

    def draw(groups: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Groups of three photos that resemble each other, the first half with vehicles."""
        truth = np.repeat(np.arange(groups) < groups // 2, 3)
        value = np.repeat(rng.standard_normal(groups), 3) + rng.standard_normal(3 * groups)
        value += np.where(truth, separation, -separation)
        return (1 / (1 + np.exp(-value))).astype(np.float32), truth, np.repeat(np.arange(groups), 3)

    settings = ToAPersonSettings(misses_at_most=0.05, false_alarms_at_most=0.1)
    unseen, truth, names = draw(8000)
    losses = []
    for _ in range(300):
        answers = choose_third_answer(*draw(120), settings).answers(unseen)
        losses.append(
            (
                group_share((answers == "no_vehicle")[truth], names[truth]),
                group_share((answers == "vehicle")[~truth], names[~truth]),
            )
        )
    mean, error = np.mean(losses, axis=0), np.std(losses, axis=0) / np.sqrt(len(losses))

    assert (mean <= np.array([0.05, 0.1]) + 3 * error).all()
