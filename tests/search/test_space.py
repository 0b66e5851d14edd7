import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.search.space import drawn_now, label, used, value_now, values_of
from wreckognize.settings import (
    Dimension,
    LabelSettings,
    PredictSettings,
    SystemSettings,
    TeacherSettings,
    TrainSettings,
)

SYSTEM = SystemSettings(
    name="a",
    recipe="ver6",
    weights="yolov8n.yaml",
    trained=True,
    teacher=TeacherSettings(),
    labels=LabelSettings(confidence=0.1),
    limits={"damaged": 50},
    train=TrainSettings(lr0=1e-4, freeze=(0, 1), cos_lr=True),
    predict=PredictSettings(),
)


@given(
    st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.integers())), unique_by=str)
)
def test_a_choice_is_found_again_by_its_label(choices):
    labels = [label(choice) for choice in choices]
    assert len({(type(choice).__name__, text) for choice, text in zip(choices, labels, strict=True)}) == len(
        choices
    )
    if len(choices) > 1:
        dimension = Dimension(field="weights", choices=tuple(choices))
        for choice, text in zip(choices, labels, strict=True):
            assert used(dimension, text) == choice


@given(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0), st.floats(0, 1))
def test_numbers_are_rounded_and_stay_within_their_range(one, other, place):
    low, high = sorted((one, other))
    drawn = min(max(low + (high - low) * place, low), high)
    value = used(Dimension(field="train.lr0", low=low, high=high), drawn)
    assert low <= value <= high
    assert value == pytest.approx(drawn, rel=1e-3)


def test_steps_do_not_leave_crumbs():
    assert used(Dimension(field="labels.confidence", low=0.1, high=0.9, step=0.1), 0.30000000000000004) == 0.3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("train.lr0", 1e-4),
        ("train.freeze", [0, 1]),
        ("train.cos_lr", True),
        ("train.mosaic", None),
        ("limits.damaged", 50),
        ("limits.normal", None),
        ("recipe", "ver6"),
        ("teacher.imgsz", 640),
    ],
)
def test_what_a_system_has_now(field, value):
    assert value_now(SYSTEM, field) == value


def test_the_present_settings_are_a_trial_only_if_all_of_them_lie_in_the_space():
    inside = (
        Dimension(field="train.lr0", low=1e-5, high=1e-2, log=True),
        Dimension(field="train.freeze", choices=(0, [0, 1])),
        Dimension(field="labels.confidence", low=0.05, high=0.5, step=0.05),
    )
    drawn = drawn_now(inside, SYSTEM)
    assert drawn == {"train.lr0": 1e-4, "train.freeze": "[0, 1]", "labels.confidence": 0.1}
    assert values_of(inside, drawn) == {"train.lr0": 1e-4, "train.freeze": [0, 1], "labels.confidence": 0.1}
    for outside in (
        Dimension(field="train.lr0", low=1e-3, high=1e-2),
        Dimension(field="train.freeze", choices=(0, 10)),
        Dimension(field="labels.confidence", low=0.05, high=0.5, step=0.1),
        Dimension(field="train.mosaic", low=0, high=1),
    ):
        assert drawn_now((*inside[:1], outside), SYSTEM) is None
