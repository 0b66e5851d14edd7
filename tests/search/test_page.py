import html.parser

import pytest
import yaml

from wreckognize.search.best import best_entry
from wreckognize.search.page import Page, history, nice_ticks, render
from wreckognize.search.records import Trial, best_of, equal_best
from wreckognize.settings import Dimension

SPACE = (
    Dimension(field="train.lr0", low=1e-5, high=1e-2, log=True),
    Dimension(field="train.freeze", choices=(0, [0, 1])),
)


def made(number, value=None, outcome="complete", **facts):
    values = {"train.lr0": 0.001 * (number + 1), "train.freeze": 0 if number % 2 else [0, 1]}
    return Trial(number=number, outcome=outcome, values=values, value=value, **facts)


TRIALS = (
    made(0, outcome="interrupted"),
    made(1, 0.91, seconds=75.0, epochs_run=8, as_it_stands=True, origin=0),
    made(2, outcome="pruned", reason="after epoch 3"),
    made(3, 0.95, seconds=60.0, epochs_run=8),
    made(4, outcome="failed", reason="<b>out of memory</b>"),
    made(5, 0.95, same_as=3),
    made(6, outcome="running"),
)


def page(trials=TRIALS, **changes):
    given = {
        "study": "tiny",
        "system": "ver6",
        "objective": "roc_area",
        "asked": 20,
        "judged": 40,
        "backgrounds": 15,
        "space": SPACE,
        "pruned_by": "median",
        "trials": trials,
        "importances": {"train.lr0": 0.8, "train.freeze": 0.2},
        "notes": ("A note & more.",),
    } | changes
    return render(Page(**given))


class Balanced(html.parser.HTMLParser):
    """Fails where a tag is not closed; notes what would reach out."""

    VOID = frozenset({"meta", "path", "circle", "rect"})

    def __init__(self):
        super().__init__()
        self.open, self.reaches_out = [], []

    def handle_starttag(self, tag, attributes):
        self.reaches_out += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID or (tag == "path" and "class" in dict(attributes) and tag in self.open):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.reaches_out += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        assert self.open.pop() == tag


def test_the_page_says_what_was_best_how_it_is_to_be_read_and_why_trials_failed():
    text = page()
    for words in (
        "Best of 5 trials: 0.9500",
        "of trial 3",
        "(trial 1) reaches 0.9100",
        "This figure is optimistic",
        "also chose each training's epoch",
        "The test set\nstayed shut",
        "A note &amp; more.",
        "Trial 4: &lt;b&gt;out of memory&lt;/b&gt;",
        "1e-05 to 0.01, by order of magnitude",
        "0 or [0, 1]",
        "as trial 3",
        "1 min 15 s",
        "80 %",
        "ended early",
    ):
        assert words in text, words
    assert "<script" not in text
    assert "share the best figure" not in text  # trial 5 was not trained, it is trial 3 again
    reader = Balanced()
    reader.feed(text)
    assert reader.open == []
    assert reader.reaches_out == []


def test_the_page_before_any_trial_ended_and_where_photos_cannot_tell():
    text = page((made(0, outcome="running"),), importances={}, pruned_by="none")
    assert "No trial has come to its end yet (0 of 20 made)" in text
    assert "Too few trials" in text
    assert "No training was ended early" in text
    same = page((made(0, 1.0, as_it_stands=True), made(1, 1.0)))
    assert "2 trials share the best figure" in same
    assert "nothing better was found" in same


def test_the_first_of_equal_trials_is_the_best_and_unfinished_ones_are_not():
    assert best_of(TRIALS).number == 3
    assert equal_best(TRIALS) == 1
    assert best_of(TRIALS[:1]) is None
    assert equal_best(()) == 0


def test_the_history_climbs_and_marks_every_trial_that_was_made():
    drawn = history(TRIALS, best_of(TRIALS))
    assert [mark.style for mark in drawn.marks] == ["complete", "pruned", "best", "failed", "complete"]
    heights = {mark.text: mark.y for mark in drawn.marks}
    assert heights["trial 3: 0.9500"] < heights["trial 1: 0.9100"]
    assert heights["trial 3: 0.9500"] < heights["trial 4: failed"]
    assert drawn.path.count("V") == 1
    assert history(TRIALS[:1], None) is None


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.5, 0.5), (0.99123, 0.99124), (0.1, 0.93)])
def test_ticks_hold_all_values_between_them(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low <= high <= ticks[-1]
    assert 2 <= len(ticks) <= 8


def test_the_entry_is_what_the_study_says_with_the_best_values_in_it():
    written = {"recipe": "ver6", "weights": "a.pt", "train": {"lr0": 1.0, "imgsz": 320}, "labels": None}
    best = Trial(number=7, outcome="complete", values={"train.lr0": 2e-5, "labels.confidence": 0.2}, value=0.9)
    text = best_entry("ver6", written, best, names=["ver6", "VER6-best"], objective="roc_area", photos=40)
    assert yaml.safe_load(text) == {
        "ver6-best1": {
            "recipe": "ver6",
            "weights": "a.pt",
            "train": {"lr0": 2e-5, "imgsz": 320},
            "labels": {"confidence": 0.2},
        }
    }
    assert written["train"]["lr0"] == 1.0
    assert "optimistic" in text
    assert all(line.startswith("#") for line in text.splitlines()[:7])
