import polars as pl

from reviews import box_row, catalog_of, photo_row
from wreckognize.catalog import LABEL_SCHEMA, PREDICTION_SCHEMA, SPLIT_SCHEMA
from wreckognize.review.compare import Conflict
from wreckognize.review.plan import Predicted, plan

SURE, UNSURE, FALLBACK, DRAWN, UNSEEN, NOTHING = (
    "s/sure",
    "s/unsure",
    "s/fallback",
    "s/drawn",
    "s/unseen",
    "s/nothing",
)


def catalog():
    photos = [photo_row(name) for name in (SURE, UNSURE, FALLBACK, DRAWN, UNSEEN)]
    crowd = box_row(SURE, (0, 0, 400, 300), crowd=True)
    return catalog_of([*photos, photo_row(NOTHING, "background")], [box_row(DRAWN, (5, 5, 50, 50)), crowd])


def split(**places):
    names = [SURE, UNSURE, FALLBACK, DRAWN, UNSEEN, NOTHING]
    return pl.DataFrame(
        {"photo": names, "split": [places.get(name.split("/")[1], "train") for name in names], "group": names},
        schema=SPLIT_SCHEMA,
    )


LABELS = pl.DataFrame(
    [
        (SURE, "train", 10.0, 10.0, 90.0, 90.0, "vehicle", "teacher", 0.95),
        (UNSURE, "train", 10.0, 10.0, 90.0, 90.0, "vehicle", "teacher", 0.9),
        (UNSURE, "train", 100.0, 10.0, 190.0, 90.0, "vehicle", "teacher", 0.2),
        (FALLBACK, "train", 0.0, 0.0, 400.0, 300.0, "vehicle", "frame", None),
        (DRAWN, "train", 1.0, 1.0, 2.0, 2.0, "vehicle", "teacher", 0.5),
    ],
    schema=LABEL_SCHEMA,
    orient="row",
)
PREDICTED = Predicted(
    table=pl.DataFrame(
        [(name, -5.0, 5.0, 60.0, 70.0, 0.8) for name in (SURE, NOTHING)] + [(UNSEEN, 5.0, 5.0, 60.0, 70.0, 0.05)],
        schema=PREDICTION_SCHEMA,
        orient="row",
    ),
    confidence=0.1,
    origin="teacher",
    drawn_by="predictions of the teacher",
)


def planned(**changes):
    given = {
        "labels": {"ver6": LABELS},
        "predicted": PREDICTED,
        "doubts": None,
        "splits": ("train", "val", "test"),
    } | changes
    return plan(catalog(), given.pop("split", split()), **given)


def names(tasks):
    return [task.photo for task in tasks]


def test_without_an_audit_fallback_boxes_come_first_then_the_least_confident():
    tasks = planned()
    assert names(tasks) == [UNSEEN, FALLBACK, UNSURE, SURE, DRAWN, NOTHING]
    assert "no box" in tasks[0].why
    assert "fallback" in tasks[1].why
    assert tasks[2].why == "least confident box: 0.2"
    assert tasks[-1].why == ""


def test_an_audits_doubts_and_conflicts_go_before():
    doubts = pl.DataFrame(
        {"photo": [SURE, NOTHING, SURE, "s/other"], "score": [0.3, 0.8, 0.9, 1.0], "reason": ["a", "b", "c", "d"]}
    )
    conflict = Conflict(photo=DRAWN, reviewers=("anna", "ben"), why="anna: one; ben: another")
    tasks = planned(doubts=doubts, conflicts=[conflict])
    assert names(tasks) == [DRAWN, SURE, NOTHING, UNSEEN, FALLBACK, UNSURE]
    assert [task.why for task in tasks[:3]] == ["anna: one; ben: another", "c", "b"]


def test_a_persons_boxes_go_before_labels_and_labels_before_predictions():
    tasks = {
        task.photo: task
        for task in planned(split=split(sure="test"), labels={"ver6": LABELS.filter(pl.col("photo") != SURE)})
    }
    assert tasks[DRAWN].drawn_by == "a person"
    assert [box.corners for box in tasks[DRAWN].boxes] == [(5, 5, 50, 50)]
    assert tasks[UNSURE].drawn_by == "labels of ver6"
    assert len(tasks[UNSURE].boxes) == 2
    assert tasks[SURE].drawn_by == "predictions of the teacher"
    assert [box.corners for box in tasks[SURE].boxes] == [(0, 5, 60, 70)], "cut to the photo"
    assert tasks[UNSEEN].boxes == (), "below the confidence that counts"
    assert tasks[NOTHING].boxes == (), "a background shows no vehicle"
    assert tasks[NOTHING].verdict == "background"


def test_splits_limits_and_photos_left_out():
    assert names(planned(split=split(sure="test", drawn="test"), splits=("test",))) == [SURE, DRAWN]
    assert names(planned(limit=2)) == [UNSEEN, FALLBACK]
    assert names(planned(leave_out=[UNSEEN, FALLBACK], limit=1)) == [UNSURE]
    conflict = Conflict(photo=FALLBACK, reviewers=("anna", "ben"), why="so")
    assert names(planned(leave_out=[UNSEEN, FALLBACK], conflicts=[conflict]))[0] == FALLBACK
    assert names(planned(split=split(sure="held_back"))) == [UNSEEN, FALLBACK, UNSURE, DRAWN, NOTHING]


def test_blank_tells_nothing_and_goes_by_lot():
    doubts = pl.DataFrame({"photo": [SURE], "score": [0.9], "reason": ["a"]})
    conflict = Conflict(photo=DRAWN, reviewers=("anna", "ben"), why="so")
    told = {"doubts": doubts, "conflicts": [conflict]}
    blank = planned(blank=True, **told)
    assert all((task.boxes, task.drawn_by, task.why, task.verdict) == ((), "", "", None) for task in blank)
    assert names(blank) == names(planned(blank=True, labels={}, predicted=None)), "no model has a say in the order"
    assert sorted(names(blank)) == sorted(names(planned()))
    assert names(blank)[:2] == names(planned(blank=True, limit=2))
    orders = {tuple(names(planned(blank=True, seed=seed))) for seed in range(20)}
    assert len(orders) > 15, "the seed draws the lots"


def test_without_labels_and_predictions_nothing_is_drawn_but_what_people_drew():
    tasks = planned(labels={}, predicted=None)
    assert [task.photo for task in tasks if task.boxes] == [DRAWN]
