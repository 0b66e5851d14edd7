"""Training, audit, search, export, predict, kept corrections on a full disk: told, nothing half there, gone on with."""

import random
from pathlib import Path

import pytest
from chaos.crowded import Desk, audit, export, predict, search
from chaos.disk import Steps, on_a_small_disk, told
from chaos.subject import leftovers

CROWDED = Path(__file__).with_name("crowded.py")
TRIES = 5


def crowded(subject, room, *cases):
    """Each case on a small disk; what its failures left."""
    found = on_a_small_disk(CROWDED, room, subject.study, subject.calm, *cases)
    for name, one in found.items():
        assert one["code"] == 0, (name, one["said"])
        assert one["wrong"] == [], name
        for failure in one["failures"]:
            told(failure["code"], failure["said"])
            assert (failure["parts"], failure["half"]) == ([], []), name
    return {name: one["failures"] for name, one in found.items()}


@pytest.mark.slow
def test_a_training_for_which_there_is_no_room(subject, tmp_path):
    """At its start, at the weights of the best epoch and at the state after it; then it ends with the same weights."""
    failures = crowded(subject, tmp_path / "room", "training")["training"]
    training = "run/systems/ver6/training/"
    state, best = f"{training}state.safetensors", f"{training}best-0001/best.safetensors"
    assert [(state in one["stood"], best in one["stood"]) for one in failures] == [
        (False, False),
        (True, False),
        (True, True),
    ]


@pytest.mark.slow
def test_commands_on_a_small_disk(subject, tmp_path):
    failures = crowded(subject, tmp_path / "room", "feedback", "predict", "export", "search", "audit")
    assert {name: len(one) for name, one in failures.items()} == {
        "feedback": 6,
        "predict": 3,
        "export": 3,
        "search": 2,
        "audit": 1,
    }
    for name, one in failures.items():
        for failure in one:  # what could not be written is named, not the folder one happens to work in
            assert str(tmp_path / "room") in failure["said"].split("error: ")[1].splitlines()[0], name


@pytest.mark.slow
@pytest.mark.parametrize(("case", "steps"), [(audit, 60), (search, 40), (export, 8), (predict, 40)])
def test_every_step_of_a_command_s_writes_may_fail(case, steps, subject, tmp_path, monkeypatch):
    room = tmp_path / "room"
    room.mkdir()
    made = case(Desk(room, subject.study, subject.calm))
    made.start()
    lots, failing = random.Random(5), Steps(room, monkeypatch)
    for attempt in range(TRIES + 1):
        before = len(failing.failed)
        failing.fail_after(lots.randrange(1, steps) if attempt < TRIES else 0)
        code, said = made.attempt()
        failing.fail_after(0)
        assert leftovers(room) == []
        if code == 0:
            break
        assert len(failing.failed) > before, said
        told(code, said)
        assert made.half() == []
    assert code == 0
    assert made.wrong() == []
    assert len(failing.failed) >= 3
