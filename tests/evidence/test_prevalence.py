from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from wreckognize.evidence.intervals import Proportion, proportion
from wreckognize.evidence.prevalence import at_prevalence

counts = st.integers(1, 60).flatmap(lambda photos: st.tuples(st.integers(0, photos), st.just(photos)))
prevalences = st.floats(0.001, 0.999)


def wilson(hits: int, photos: int) -> Proportion:
    """Every photo a group of its own."""
    return proportion(np.arange(photos) < hits, np.arange(photos))


def with_interval(share: float, low: float, high: float) -> Proportion:
    return Proportion(photos=10, groups=10, share=share, low=low, high=high, design_effect=1.0)


def mercaldo_logit(found: int, vehicles: int, alarms: int, backgrounds: int, p: float) -> tuple[float, float]:
    """Logit interval of the PPV at 95 %: Mercaldo, Lau and Zhou 2007, equations 8 and 9."""
    r, f = found / vehicles, alarms / backgrounds
    logit = math.log(p * r / ((1 - p) * f))
    error = norm.ppf(0.975) * math.sqrt((1 - r) / (vehicles * r) + (1 - f) / (backgrounds * f))
    low, high = (1 / (1 + math.exp(-end)) for end in (logit - error, logit + error))
    return low, high


class TestValues:
    @given(counts, counts, prevalences)
    def test_are_those_of_bayes_rule(self, found, alarms, p):
        values = at_prevalence(wilson(*found), wilson(*alarms), p)
        r, f = found[0] / found[1], alarms[0] / alarms[1]
        if r or f:
            assert values.vehicle.value == pytest.approx(p * r / (p * r + (1 - p) * f))
        else:
            assert values.vehicle.value is None
        if r < 1 or f < 1:
            expected = (1 - p) * (1 - f) / ((1 - p) * (1 - f) + p * (1 - r))
            assert values.no_vehicle.value == pytest.approx(expected)
        else:
            assert values.no_vehicle.value is None

    def test_at_the_test_s_own_prevalence_it_is_the_test_s_precision(self):
        values = at_prevalence(wilson(90, 100), wilson(6, 300), 100 / 400)

        assert values.vehicle.value == pytest.approx(90 / 96)
        assert values.no_vehicle.value == pytest.approx(294 / 304)

    def test_rare_vehicles_make_the_same_detector_look_worse(self):
        common, rare = (at_prevalence(wilson(95, 100), wilson(5, 100), p).vehicle.value for p in (0.9, 0.01))

        assert common == pytest.approx(0.9942, abs=1e-4)
        assert rare == pytest.approx(0.1610, abs=1e-4)


class TestIntervals:
    @given(counts, counts, prevalences)
    def test_hold_the_value_and_lie_between_0_and_1(self, found, alarms, p):
        values = at_prevalence(wilson(*found), wilson(*alarms), p)
        for one in (values.vehicle, values.no_vehicle):
            if one.value is None:
                assert one.low is one.high is None
                assert one.why.startswith("cannot be said")
            else:
                assert 0 <= one.low <= one.value + 1e-12
                assert one.value - 1e-12 <= one.high <= 1

    @given(counts, counts, prevalences)
    def test_are_never_wider_than_the_worst_of_both_rates(self, found, alarms, p):
        recall, alarm = wilson(*found), wilson(*alarms)
        value = at_prevalence(recall, alarm, p).vehicle
        if value.value is not None:
            worst = p * recall.low / (p * recall.low + (1 - p) * alarm.high)
            best = p * recall.high / (p * recall.high + (1 - p) * alarm.low) if alarm.low or recall.high else 1
            assert value.low >= worst - 1e-9
            assert value.high <= best + 1e-9

    def test_groups_widen_them(self):
        alarms = wilson(5, 100)
        photos, shots = wilson(90, 90), proportion(np.ones(90), np.repeat(np.arange(30), 3))
        apart, together = (at_prevalence(one, alarms, 0.9).no_vehicle for one in (photos, shots))

        assert together.low < apart.low

    def test_agree_with_the_logit_interval_in_large_samples(self):
        value = at_prevalence(wilson(18_000, 20_000), wilson(1_000, 20_000), 0.2).vehicle

        assert (value.low, value.high) == pytest.approx(
            mercaldo_logit(18_000, 20_000, 1_000, 20_000, 0.2), abs=5e-4
        )

    @pytest.mark.parametrize(
        ("recall", "rate", "vehicles", "backgrounds"),
        [(0.9, 0.05, 100, 100), (0.98, 0.02, 200, 400), (0.6, 0.3, 60, 60), (0.95, 0.1, 300, 50)],
    )
    def test_cover_as_often_as_they_say(self, recall, rate, vehicles, backgrounds):
        p, rng = 0.3, np.random.default_rng(5)
        true = p * recall / (p * recall + (1 - p) * rate)
        draws = zip(rng.binomial(vehicles, recall, 1500), rng.binomial(backgrounds, rate, 1500), strict=True)
        known: dict[tuple[int, int], bool] = {}
        held = []
        for found, alarms in draws:
            if (found, alarms) not in known:
                one = at_prevalence(wilson(int(found), vehicles), wilson(int(alarms), backgrounds), p).vehicle
                known[found, alarms] = one.low <= true <= one.high
            held.append(known[found, alarms])

        assert 0.93 <= np.mean(held) <= 0.98


class TestEdges:
    def test_no_false_alarm_is_no_certainty(self):
        value = at_prevalence(wilson(95, 100), wilson(0, 100), 0.1).vehicle

        assert (value.value, value.high) == (1, 1)
        assert 0.5 < value.low < 0.8
        assert value.why == "no false alarm among 100 photos without a vehicle"

    def test_no_miss_is_no_certainty(self):
        value = at_prevalence(wilson(100, 100), wilson(5, 100), 0.9).no_vehicle

        assert (value.value, value.high) == (1, 1)
        assert value.low < 0.8
        assert value.why == "no miss among 100 photos with a vehicle"

    def test_never_called_a_vehicle(self):
        values = at_prevalence(wilson(0, 10), wilson(0, 10), 0.5)

        assert values.vehicle.value is None
        assert values.vehicle.why == "cannot be said: no photo was called a vehicle"
        assert values.no_vehicle.value == 0.5

    def test_always_called_a_vehicle(self):
        values = at_prevalence(wilson(10, 10), wilson(10, 10), 0.5)

        assert values.vehicle.value == 0.5
        assert values.no_vehicle.why == "cannot be said: every photo was called a vehicle"

    def test_only_false_alarms(self):
        value = at_prevalence(wilson(0, 10), wilson(4, 10), 0.5).vehicle

        assert (value.value, value.low) == (0, 0)
        assert value.high > 0.1
        assert value.why == "none of 10 vehicles was found"

    @pytest.mark.parametrize(("missing", "kind"), [("recall", "vehicle"), ("alarms", "background")])
    def test_without_photos_of_a_kind_nothing_can_be_said(self, missing, kind):
        nothing, some = wilson(0, 0), wilson(5, 10)
        values = at_prevalence(
            nothing if missing == "recall" else some, nothing if missing == "alarms" else some, 0.5
        )

        assert values.vehicle.value is values.no_vehicle.low is None
        assert values.vehicle.why == f"cannot be said: the test has no {kind} photo"

    @pytest.mark.parametrize("prevalence", [0, 1, -0.1, math.nan])
    def test_a_prevalence_outside_is_refused(self, prevalence):
        with pytest.raises(ValueError, match="the prevalence is"):
            at_prevalence(wilson(5, 10), wilson(5, 10), prevalence)

    def test_an_interval_without_its_share_is_refused(self):
        with pytest.raises(ValueError, match=r"0\.9 with the interval 0\.1 to 0\.2 is not a share"):
            at_prevalence(with_interval(0.9, 0.1, 0.2), wilson(5, 10), 0.5)

    def test_rounding_of_an_interval_s_end_is_forgiven(self):
        value = at_prevalence(with_interval(1.0, 0.9, 0.9999999999999999), wilson(1, 10), 0.5).vehicle

        assert value.value == pytest.approx(1 / 1.1)
