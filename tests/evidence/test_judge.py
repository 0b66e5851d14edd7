from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wreckognize.errors import UsageError
from wreckognize.evaluation.image_level import ImageFigures
from wreckognize.evidence.box_bootstrap import MatchedBoxes
from wreckognize.evidence.judge import ALWAYS, NEVER, SystemSample, judge
from wreckognize.evidence.verdicts import COMPARED, Evidence, sentence

ROLES = ("damaged", "normal", "background")


def photos(
    damaged: int, normal: int, background: int, shots: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, role and groups; every group has ``shots`` photos of one role."""
    role = np.repeat(ROLES, (damaged, normal, background))
    groups = np.concatenate(
        [np.arange(count) // shots + 1000 * place for place, count in enumerate((damaged, normal, background))]
    )
    return role != "background", role, groups


def system(
    name: str,
    role: np.ndarray,
    found: dict[str, float],
    *,
    seed: int = 0,
    k: int = 1,
    trained: bool = True,
    groups: np.ndarray | None = None,
) -> SystemSample:
    """Calls a share of each role; ``groups`` says which photos are called alike."""
    rng = np.random.default_rng(seed)
    owner = np.arange(role.size) if groups is None else np.unique(groups, return_inverse=True)[1]
    luck = rng.random(owner.max() + 1 if owner.size else 1)[owner] + rng.normal(0, 0.01, (k, role.size))
    called = luck < np.vectorize(found.get, otypes=[float])(role) if role.size else np.zeros((k, 0), bool)
    score = np.where(called, 0.9, 0.2) - 0.1 * np.clip(luck, 0, 1)
    return SystemSample(name=name, score=score.astype(np.float32), called=called, trained=trained)


GOOD = {"damaged": 0.97, "normal": 0.99, "background": 0.04}
POOR = {"damaged": 0.70, "normal": 0.97, "background": 0.05}


def test_the_figures_are_those_of_the_counts():
    truth, role, groups = photos(300, 200, 150)
    sample = system("ver6", role, GOOD)
    row = judge(truth, role, groups, [sample], draws=200).rows[0]
    called = sample.called[0]
    counts = ImageFigures.from_counts(
        0.5,
        tp=int((truth & called).sum()), fp=int((~truth & called).sum()),
        fn=int((truth & ~called).sum()), tn=int((~truth & ~called).sum()),
    )  # fmt: skip
    value = {name: figure.value for name, figure in row.figures.items()}
    assert value["accuracy"] == pytest.approx(counts.accuracy)
    assert value["precision"] == pytest.approx(counts.precision.vehicle)
    assert value["recall"] == pytest.approx(counts.recall.vehicle)
    assert value["f1"] == pytest.approx(counts.f1.vehicle)
    assert value["balanced_accuracy"] == pytest.approx((counts.recall.vehicle + counts.recall.non_vehicle) / 2)
    assert value["damaged_found"] == pytest.approx(called[role == "damaged"].mean())
    assert value["false_alarms"] == pytest.approx(called[role == "background"].mean())
    assert (row.figures["damaged_found"].photos, row.figures["damaged_found"].groups) == (300, 300)
    for name, figure in row.figures.items():
        if name != "map50_95":
            assert figure.low <= figure.value <= figure.high, name
            assert figure.low < figure.high, name


def test_where_errors_are_plenty_the_bootstrap_gives_much_the_same_as_the_limits_recovered():
    truth, role, groups = photos(400, 200, 300, shots=2)
    noisy = system("noisy", role, {"damaged": 0.8, "normal": 0.85, "background": 0.2}, groups=groups)
    other = system("other", role, {"damaged": 0.8, "normal": 0.85, "background": 0.2}, groups=groups, seed=1)
    evidence = judge(truth, role, groups, [noisy, other], draws=1000)
    figures = evidence.rows[0].figures
    balanced = figures["balanced_accuracy"]
    assert {figures[name].method for name in ("balanced_accuracy", "f1", "mcc")} == {"bootstrap over groups"}
    sides = [figures[name].high - figures[name].low for name in ("recall", "false_alarms")]
    assert balanced.high - balanced.low == pytest.approx(math.hypot(*sides) / 2, rel=0.15)
    difference = evidence.pairs[0].differences["balanced_accuracy"]
    assert difference.method == "bootstrap over groups"
    assert difference.verdict == "no difference shown"


def test_a_clear_difference_is_better_and_said_in_words():
    truth, role, groups = photos(600, 300, 300, shots=3)
    systems = [
        system("ver6", role, GOOD, groups=groups),
        system("baseline", role, POOR, groups=groups, seed=1, trained=False),
    ]
    evidence = judge(truth, role, groups, systems, draws=500)
    (pair,) = evidence.pairs
    found = pair.differences["damaged_found"]
    assert found.verdict == "better"
    assert found.test == "sign-flip over groups"
    assert found.low > 0
    assert found.p_value <= found.p_holm <= 0.05
    words = sentence(pair)
    assert words.startswith("ver6 finds more damaged vehicles than baseline: +")
    assert words.endswith("), better.")
    assert "points" in words
    assert pair.holds_for == (
        "The verdicts hold for this trained detector, not for the recipe: ver6 was trained once, so the spread"
        " between trainings is unknown."
    )
    (mirrored,) = judge(truth, role, groups, systems[::-1], draws=500).pairs
    assert mirrored.differences["damaged_found"].verdict == "worse"
    assert "finds fewer damaged vehicles than ver6: -" in sentence(mirrored)
    assert mirrored.differences["balanced_accuracy"].value == pytest.approx(
        -pair.differences["balanced_accuracy"].value
    )


def test_fewer_false_alarms_are_better():
    truth, role, groups = photos(50, 50, 500)
    quiet = system("quiet", role, GOOD | {"background": 0.05})
    noisy = system("noisy", role, GOOD | {"background": 0.3}, seed=1)
    (pair,) = judge(truth, role, groups, [quiet, noisy], draws=200).pairs
    alarms = pair.differences["false_alarms"]
    assert alarms.value < 0
    assert alarms.verdict == "better"
    assert alarms.test == "exact McNemar"
    assert sentence(pair, "false_alarms").startswith("quiet raises fewer false alarms than noisy: -")


def test_three_misses_against_five_are_no_difference_and_the_photos_needed_are_said():
    truth, role, groups = photos(196, 100, 100)
    called = np.stack([role != "background"] * 2)
    called[0, :5] = False
    called[1, 5:8] = False
    one, other = (
        SystemSample(name=name, score=np.where(row, 0.9, 0.1)[None].astype(np.float32), called=row[None])
        for name, row in zip(("ver2", "ver3"), called, strict=True)
    )
    (pair,) = judge(truth, role, groups, [one, other], draws=200).pairs
    found = pair.differences["damaged_found"]
    assert found.verdict == "no difference shown"
    assert found.p_value == pytest.approx(0.7265625)  # binomial, 3 of 8
    assert found.photos_needed > 196
    assert found.groups_needed == found.photos_needed
    assert "no difference shown" in sentence(pair)
    assert "would be needed to show it" in sentence(pair)
    assert "these two trained detectors" in pair.holds_for


def test_the_spread_between_trainings_widens_the_interval_and_can_undo_a_verdict():
    truth, role, groups = photos(600, 100, 100)
    lucky = system("lucky", role, GOOD | {"damaged": 0.95}, k=3)
    rng = np.random.default_rng(0)
    uneven = np.stack([rng.random(600) < share for share in (0.70, 0.95, 0.96)])
    called = np.concatenate([uneven, np.repeat((role != "background")[None, 600:], 3, axis=0)], axis=1)
    moody = SystemSample(name="moody", score=np.where(called, 0.9, 0.1).astype(np.float32), called=called)
    steady = dataclasses.replace(moody, name="once", score=moody.score[:1], called=called[:1])
    evidence = judge(truth, role, groups, [lucky, moody, steady], draws=300)
    estimate = evidence.rows[1].figures["damaged_found"]
    alone = evidence.rows[2].figures["damaged_found"]
    assert estimate.seeds == pytest.approx(tuple(uneven.mean(axis=1)))
    assert estimate.seeds_sd == pytest.approx(uneven.mean(axis=1).std(ddof=1))
    assert estimate.high - estimate.low > 3 * (alone.high - alone.low)
    assert estimate.method.endswith("spread of 3 trainings")
    with_spread, without = evidence.pairs[0], evidence.pairs[1]
    assert with_spread.holds_for.startswith("The verdicts hold for the recipe: lucky was trained 3 times")
    assert with_spread.differences["damaged_found"].test == "photos and trainings, Cochran and Cox"
    assert with_spread.differences["damaged_found"].verdict == "no difference shown"
    assert without.differences["damaged_found"].verdict == "better"
    assert "once was trained once" in without.holds_for


def test_two_trainings_are_said_to_be_few_and_a_baseline_has_no_spread():
    truth, role, groups = photos(100, 50, 50)
    twice = system("twice", role, GOOD, k=2)
    once = system("once", role, GOOD, seed=1)
    baseline = system("baseline", role, POOR, seed=2, trained=False)
    rows = judge(truth, role, groups, [twice, once, baseline], draws=200).rows
    assert "two trainings say little" in rows[0].note
    assert "trained once" in rows[1].note
    assert rows[2].note is None
    pair = judge(truth, role, groups, [baseline, dataclasses.replace(baseline, name="other")], draws=200).pairs[0]
    assert "neither was trained here" in pair.holds_for


def test_the_trivial_systems_are_rows():
    truth, role, groups = photos(60, 35, 5)
    evidence = judge(truth, role, groups, [], draws=100)
    always, never = evidence.rows
    assert (always.name, never.name) == (ALWAYS, NEVER)
    assert always.trivial
    assert always.figures["accuracy"].value == pytest.approx(0.95)
    assert always.figures["balanced_accuracy"].value == 0.5
    assert always.figures["false_alarms"].value == 1
    assert always.figures["mcc"].value is None
    assert never.figures["f1"].value == 0
    assert never.figures["precision"].value is None
    assert "0/0" in never.figures["precision"].why
    assert evidence.pairs == ()


def test_the_same_seed_gives_the_same_evidence_and_json_keeps_it():
    truth, role, groups = photos(90, 60, 60, shots=2)
    systems = [system("a", role, GOOD, k=2), system("b", role, POOR, seed=4)]
    first, again = (judge(truth, role, groups, systems, draws=150, seed=3) for _ in range(2))
    assert first == again
    assert Evidence.from_dict(json.loads(json.dumps(first.to_dict()))) == first
    with pytest.raises(UsageError, match="not the evidence"):
        Evidence.from_dict(first.to_dict() | {"rows": 3})


def matched(role: np.ndarray, quality: float, seed: int) -> MatchedBoxes:
    """One box a vehicle; each is found with chance ``quality``, and every photo has a stray prediction."""
    rng = np.random.default_rng(seed)
    vehicle = np.flatnonzero(role != "background")
    right = np.concatenate([rng.random(vehicle.size) < quality, np.zeros(role.size, bool)])
    photo = np.concatenate([vehicle, np.arange(role.size)])
    order = np.argsort(-np.concatenate([rng.beta(4, 2, vehicle.size), rng.beta(2, 4, role.size)]), kind="stable")
    return MatchedBoxes(
        photo=photo[order],
        right=np.tile(right[order], (10, 1)),
        ignored=np.zeros((10, photo.size), bool),
        truth_boxes=(role != "background").astype(int),
        judged=np.ones(role.size, bool),
    )


def test_boxes_are_compared_where_people_drew_some():
    truth, role, groups = photos(150, 100, 60)
    one, other, bare = (system(name, role, GOOD) for name in ("sharp", "blunt", "bare"))
    one = dataclasses.replace(one, boxes=[matched(role, 0.95, 0)])
    other = dataclasses.replace(other, boxes=[matched(role, 0.6, 1)])
    evidence = judge(truth, role, groups, [one, other, bare], draws=300)
    figure = evidence.rows[0].figures["map50_95"]
    assert figure.low < figure.value < figure.high
    assert figure.method == "bootstrap over groups"
    assert figure.groups == 310
    assert evidence.pairs[0].differences["map50_95"].verdict == "better"
    assert evidence.pairs[1].differences["map50_95"].verdict == "cannot be said"
    assert evidence.rows[2].figures["map50_95"].value is None


def sayable(evidence: Evidence) -> None:
    """Every figure is a number within its limits, or None with a reason; nothing certain was made of a few photos."""
    for row in evidence.rows:
        for name, figure in row.figures.items():
            numbers = [part for part in (figure.value, figure.low, figure.high) if part is not None]
            assert all(math.isfinite(number) and -1 <= number <= 1 for number in numbers), (row.name, name)
            assert (figure.low is None) == (figure.high is None)
            assert figure.why if figure.low is None else figure.value is not None, (row.name, name)
            if figure.low is not None:
                assert figure.low <= figure.value + 1e-12
                assert figure.value <= figure.high + 1e-12
                assert figure.low < figure.high or row.trivial, (row.name, name)
    for pair in evidence.pairs:
        for name, difference in pair.differences.items():
            assert difference.verdict != "cannot be said" or difference.why, name
            assert sentence(pair, name)
            if difference.low is not None:
                assert difference.low < difference.high, name
    json.dumps(evidence.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("counts", "unsaid"),
    [
        ((40, 20, 0), {"false_alarms", "balanced_accuracy", "accuracy", "roc_area", "precision", "f1", "mcc"}),
        (
            (0, 0, 40),
            {"damaged_found", "recall", "accuracy", "balanced_accuracy", "roc_area", "damaged_found_at_0.05"},
        ),
        ((0, 40, 40), {"damaged_found", "roc_area", "damaged_found_at_0.05"}),
        ((40, 20, 3), {"damaged_found_at_0.05"}),
        ((1, 0, 0), {"false_alarms", "normal_found", "roc_area"}),
        ((0, 0, 1), {"damaged_found", "normal_found", "precision"}),
        ((3, 3, 3), {"damaged_found_at_0.05"}),
    ],
)
def test_a_poor_test_set_gives_true_figures_or_says_why_not(counts, unsaid):
    truth, role, groups = photos(*counts)
    systems = [system("a", role, GOOD), system("b", role, POOR, seed=1), system("c", role, GOOD, seed=2, k=2)]
    evidence = judge(truth, role, groups, systems, draws=100)
    sayable(evidence)
    for row in evidence.rows[:2]:
        assert {name for name in unsaid if row.figures[name].value is not None} == set()


def test_three_photos_cannot_show_a_difference():
    truth, role, groups = photos(3, 30, 30)
    systems = [system("a", role, dict.fromkeys(ROLES, 1.1)), system("b", role, dict.fromkeys(ROLES, -0.1))]
    (pair,) = judge(truth, role, groups, systems, draws=100).pairs
    assert pair.differences["damaged_found"].verdict == "cannot be said"
    assert "3 groups of damaged photos" in sentence(pair)
    assert pair.differences["normal_found"].verdict == "better"


def test_all_right_is_not_certain():
    truth, role, groups = photos(60, 30, 30, shots=3)
    perfect = SystemSample(name="perfect", score=truth[None].astype(np.float32), called=truth[None])
    evidence = judge(truth, role, groups, [perfect, dataclasses.replace(perfect, name="twin")], draws=100)
    sayable(evidence)
    for name in (
        "accuracy",
        "balanced_accuracy",
        "f1",
        "mcc",
        "roc_area",
        "damaged_found",
        "damaged_found_at_0.05",
    ):
        figure = evidence.rows[0].figures[name]
        assert figure.value == 1
        if figure.low is not None:
            assert figure.low < 0.97, name
    assert evidence.rows[0].figures["false_alarms"].high > 0.1
    (pair,) = evidence.pairs
    assert {difference.verdict for difference in pair.differences.values()} <= {
        "no difference shown",
        "cannot be said",
    }
    assert pair.differences["damaged_found"].photos_needed is None


def test_equal_scores_are_judged():
    truth, role, groups = photos(40, 20, 40)
    flat = SystemSample(name="flat", score=np.full((1, 100), 0.5, np.float32), called=np.ones((1, 100), bool))
    evidence = judge(truth, role, groups, [flat, system("a", role, GOOD)], draws=100)
    sayable(evidence)
    assert evidence.rows[0].figures["roc_area"].value == 0.5
    assert evidence.rows[0].figures["mcc"].value is None


def test_one_group_with_half_the_photos_is_not_resampled():
    truth, role, _ = photos(100, 20, 100)
    groups = np.concatenate([np.zeros(100, int), np.arange(1, 121)])
    systems = [system("a", role, GOOD, groups=groups), system("b", role, POOR, seed=1, groups=groups)]
    evidence = judge(truth, role, groups, systems, draws=100)
    sayable(evidence)
    figure = evidence.rows[0].figures["damaged_found"]
    assert (figure.photos, figure.groups) == (100, 1)
    assert figure.high - figure.low > 0.6
    assert evidence.pairs[0].differences["damaged_found"].verdict == "cannot be said"
    assert evidence.rows[0].figures["damaged_found_at_0.05"].low is None


@given(st.tuples(*[st.integers(0, 12)] * 3).filter(any), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=25)
def test_no_test_set_breaks_the_judge(counts, shots, seed):
    truth, role, groups = photos(*counts, shots=shots)
    rng = np.random.default_rng(seed)
    if seed % 2:  # groups of both kinds
        groups = rng.permutation(groups)
    systems = []
    for name, k in (("a", 1), ("b", 3)):
        score = np.round(rng.random((k, truth.size)), 1).astype(np.float32)
        systems.append(
            SystemSample(name=name, score=score, called=score >= 0.5, boxes=[matched(role, 0.5, seed)] * k)
        )
    sayable(judge(truth, role, groups, systems, draws=60, seed=seed))


def test_nan_scores_are_refused_with_the_name_of_the_system():
    truth, role, groups = photos(5, 5, 5)
    broken = system("broken", role, GOOD)
    broken.score[0, 3] = np.nan
    with pytest.raises(UsageError, match="1 of 15 scores of system 'broken' are NaN"):
        judge(truth, role, groups, [system("a", role, GOOD), broken])


def test_wrong_use_is_refused():
    truth, role, groups = photos(5, 5, 5)
    good = system("a", role, GOOD)
    with pytest.raises(UsageError, match="no photo"):
        judge(truth[:0], role[:0], groups[:0], [])
    with pytest.raises(ValueError, match="share a name"):
        judge(truth, role, groups, [good, good])
    with pytest.raises(ValueError, match="share a name, or are named"):
        judge(truth, role, groups, [dataclasses.replace(good, name=ALWAYS)])
    with pytest.raises(ValueError, match="one list"):
        judge(truth[1:], role, groups, [])
    with pytest.raises(ValueError, match="unknown roles"):
        judge(truth, np.where(truth, "wrecked", role), groups, [])
    with pytest.raises(ValueError, match="truth must be True"):
        judge(~truth, role, groups, [])
    with pytest.raises(ValueError, match="level"):
        judge(truth, role, groups, [], level=95)
    with pytest.raises(ValueError, match="too few"):
        judge(truth, role, groups, [], draws=10)
    with pytest.raises(ValueError, match="a row for each training"):
        judge(truth, role, groups, [dataclasses.replace(good, called=good.called[:, 1:])])
    with pytest.raises(ValueError, match="2 matched boxes for 1 trainings"):
        judge(truth, role, groups, [dataclasses.replace(good, boxes=[matched(role, 1, 0)] * 2)])
    with pytest.raises(ValueError, match="its boxes are of 14 photos"):
        judge(truth, role, groups, [dataclasses.replace(good, boxes=[matched(role[1:], 1, 0)])])


def test_a_pair_is_compared_in_every_figure_that_has_words():
    truth, role, groups = photos(20, 10, 10)
    (pair,) = judge(truth, role, groups, [system("a", role, GOOD), system("b", role, POOR)], draws=100).pairs
    assert list(pair.differences) == list(COMPARED)
