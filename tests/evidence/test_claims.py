from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.evaluation.image_level import SCORE_SCHEMA, figures_at
from wreckognize.evidence.claims import (
    CLAIM_RULES,
    DECISION_SCHEMA,
    ClaimFigures,
    claim_decisions,
    claim_figures,
)
from wreckognize.evidence.intervals import proportion

confidences = st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.75, 1.0])
claim_names = st.sampled_from([None, "", "a", "b", "c", "d"])
rows = st.lists(st.tuples(claim_names, st.booleans(), confidences), max_size=30)


def table(*photos: tuple[str | None, bool, float]) -> pl.DataFrame:
    """One photo a row: its claim, whether it shows a vehicle, its score."""
    filled = [
        (f"s/{number:03}.jpg", "s", "damaged" if vehicle else "background", [], claim, vehicle, score)
        for number, (claim, vehicle, score) in enumerate(photos)
    ]
    return pl.DataFrame(filled, schema=SCORE_SCHEMA, orient="row", strict=False)


def judge(scores: pl.DataFrame, threshold: float, rule: str, **options: Any) -> ClaimFigures:
    """Every photo a group of its own."""
    return claim_figures(scores, np.arange(scores.height), threshold, rule, **options)


def called(scores: pl.DataFrame, threshold: float, rule: str) -> list[bool]:
    return claim_decisions(scores, threshold, rule)["called"].to_list()


class TestRules:
    @pytest.mark.parametrize(
        ("scores", "expected"),
        [
            ([0.6, 0.1, 0.1], {"any": True, "majority": False, "mean_top_two": False}),
            ([0.6, 0.4, 0.1], {"any": True, "majority": False, "mean_top_two": True}),
            ([0.6, 0.1], {"any": True, "majority": True, "mean_top_two": False}),  # a tie counts as vehicle
            ([0.5, 0.5, 0.0], {"any": True, "majority": True, "mean_top_two": True}),
            ([0.4, 0.4, 0.4], {"any": False, "majority": False, "mean_top_two": False}),
            ([0.5], {"any": True, "majority": True, "mean_top_two": True}),
        ],
    )
    def test_decisions_at_one_half(self, scores, expected):
        photos = table(*(("a", True, score) for score in scores))

        assert {rule: called(photos, 0.5, rule) == [True] for rule in CLAIM_RULES} == expected

    def test_scores_and_thresholds_are_compared_as_float32(self):
        photos = table(("a", True, 0.1), ("a", True, 0.1))

        assert [called(photos, 0.1, rule) for rule in CLAIM_RULES] == [[True]] * 3

    @given(rows, st.sampled_from([0.1, 0.3, 0.5]))
    def test_any_finds_all_that_the_others_find(self, photos, threshold):
        by_any, by_majority, by_mean = (
            np.array(called(table(*photos), threshold, rule), dtype=bool) for rule in CLAIM_RULES
        )

        assert not (by_majority & ~by_any).any()
        assert not (by_mean & ~by_any).any()

    @given(rows, st.sampled_from(CLAIM_RULES), st.randoms(use_true_random=False))
    def test_order_of_rows_does_not_matter(self, photos, rule, random):
        scores = table(*photos)
        order = list(range(len(photos)))
        random.shuffle(order)

        assert claim_decisions(scores[order], 0.3, rule).equals(claim_decisions(scores, 0.3, rule))

    @given(rows, st.sampled_from(CLAIM_RULES))
    def test_claims_of_one_photo_are_decided_as_photos(self, photos, rule):
        scores = table(*((f"claim {number}", vehicle, s) for number, (_, vehicle, s) in enumerate(photos)))
        photo_figures = figures_at(scores["has_vehicle"].to_numpy(), scores["score"].to_numpy(), 0.3)

        assert judge(scores, 0.3, rule).figures == photo_figures

    def test_an_unknown_rule_is_refused(self):
        with pytest.raises(ValueError, match="must be one of any, majority, mean_top_two"):
            claim_decisions(table(), 0.3, "most")

    def test_nan_scores_are_refused(self):
        with pytest.raises(ValueError, match="1 of 1 scores are NaN"):
            claim_decisions(table((None, True, float("nan"))), 0.3, "any")


class TestWhatIsAClaim:
    def test_backgrounds_without_a_claim_are_claims_of_one_photo(self):
        figures = judge(table((None, False, 0.9), ("", False, 0.1), ("a", True, 0.9)), 0.5, "any")

        assert (figures.claims, figures.lone_backgrounds, figures.left_out) == (3, 2, 0)
        assert (figures.figures.tp, figures.figures.fp, figures.figures.tn) == (1, 1, 1)

    def test_vehicles_without_a_claim_are_left_out_unless_asked_for(self):
        scores = table((None, True, 0.9), (None, True, 0.1), ("a", True, 0.9))
        default = judge(scores, 0.5, "any")
        asked = judge(scores, 0.5, "any", lone_vehicles=True)

        assert (default.claims, default.photos, default.left_out, default.lone_vehicles) == (1, 1, 2, 0)
        assert (asked.claims, asked.photos, asked.left_out, asked.lone_vehicles) == (3, 3, 0, 2)
        assert (asked.figures.tp, asked.figures.fn) == (2, 1)

    def test_a_mixed_claim_is_a_vehicle_and_is_counted(self):
        figures = judge(table(("a", True, 0.1), ("a", False, 0.9), ("b", True, 0.9)), 0.5, "any")

        assert (figures.mixed, figures.figures.tp, figures.figures.fp) == (1, 2, 0)
        assert "claims with photos with and without a vehicle, counted as vehicle: 1" in figures.note

    def test_one_claim_across_sources(self):
        scores = table(("a", True, 0.1), ("a", True, 0.9)).with_columns(source=pl.Series(["s", "t"]))

        assert judge(scores, 0.5, "any").claims == 1

    def test_a_photo_named_like_a_claim_is_not_in_it(self):
        scores = table((None, False, 0.9), ("s/000.jpg", True, 0.1))

        assert judge(scores, 0.5, "any").claims == 2

    @given(rows, st.booleans())
    def test_every_photo_is_counted_once(self, photos, lone_vehicles):
        figures = judge(table(*photos), 0.3, "any", lone_vehicles=lone_vehicles)
        counts = figures.figures

        assert figures.photos + figures.left_out == len(photos)
        assert counts.tp + counts.fp + counts.fn + counts.tn == figures.claims
        assert not (lone_vehicles and figures.left_out)


class TestTables:
    def test_decisions_lead_back_to_the_first_photo(self):
        decided = claim_decisions(table(("b", True, 0.9), (None, False, 0.1), ("b", True, 0.1)), 0.5, "majority")

        assert decided.schema == DECISION_SCHEMA
        assert decided.rows() == [
            ("b", "s/000.jpg", 2, True, False, True),
            (None, "s/001.jpg", 1, False, False, False),
        ]

    def test_note_says_what_the_figures_rest_on(self):
        figures = judge(
            table(("a", True, 0.9), ("a", True, 0.9), (None, False, 0.1), (None, True, 0.5)), 0.5, "any"
        )

        assert figures.several == 1
        assert figures.note == (
            "claims: 2, of which with more than one photo: 1; "
            "backgrounds without a claim, each counted as a claim of one photo: 1; "
            "photos with a vehicle and without a claim, left out: 1"
        )

    def test_claims_of_one_photo_cannot_tell_the_rules_apart(self):
        assert "the three rules cannot differ" in judge(table(("a", True, 0.9)), 0.5, "any").note

    @pytest.mark.parametrize("scores", [table(), table((None, True, 0.9))])
    def test_without_claims_nothing_can_be_said(self, scores):
        figures = judge(scores, 0.5, "any")

        assert (figures.claims, figures.figures.accuracy) == (0, None)
        assert figures.note == "cannot be said: no test photo has a claim, and there is no background"

    def test_intervals_are_those_of_the_claims_groups(self):
        scores = table(("a", True, 0.9), ("a", True, 0.9), ("b", True, 0.1), ("c", True, 0.9), (None, False, 0.1))
        figures = claim_figures(scores, np.array(["x", "x", "x", "y", "z"]), 0.5, "any")

        assert figures.recall == proportion(np.array([True, False, True]), np.array(["x", "x", "y"]))
        assert figures.false_alarms == proportion(np.array([False]), np.array(["z"]))
        assert (figures.accuracy.photos, figures.accuracy.groups, figures.accuracy.share) == (4, 3, 0.75)

    def test_groups_of_another_table_are_refused(self):
        with pytest.raises(ValueError, match=r"groups have shape \(2,\) and there are 1 scores"):
            claim_figures(table(("a", True, 0.9)), np.arange(2), 0.5, "any")

    def test_survives_json(self):
        figures = judge(table(("a", True, 0.9), (None, False, 0.1)), 0.5, "any")

        assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(figures)), ClaimFigures) == figures
