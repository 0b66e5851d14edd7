from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from wreckognize.catalog import BOX_SCHEMA, PREDICTION_SCHEMA
from wreckognize.evaluation.image_level import photo_scores
from wreckognize.reporting.gallery import MISTAKES_SHOWN, SystemGalleries, system_galleries


@pytest.fixture(scope="session")
def galleries(full_report) -> SystemGalleries:
    """Those of the baseline, which makes many mistakes."""
    return system_galleries(full_report, full_report.systems[0])


def scores_of(gallery) -> list[float]:
    return [float(card.facts.split("score ")[1].split(",")[0]) for card in gallery.cards]


def test_mistakes_are_counted_as_in_the_comparison_and_come_worst_first(full_report, galleries):
    figures = full_report.systems[0].figures
    assert (galleries.missed.total, galleries.false_alarms.total) == (figures.fn, figures.fp)
    assert galleries.right.total == figures.tp + figures.tn
    assert scores_of(galleries.missed) == sorted(scores_of(galleries.missed))
    assert scores_of(galleries.false_alarms) == sorted(scores_of(galleries.false_alarms), reverse=True)
    assert all(score < 0.1 for score in scores_of(galleries.missed))
    assert all(score >= 0.1 for score in scores_of(galleries.false_alarms))


def test_what_is_not_shown_is_counted(make_report):
    report = make_report(["baseline"], (400, 0, 4), on_disk=False)
    missed = system_galleries(report, report.systems[0]).missed
    assert len(missed.cards) == MISTAKES_SHOWN
    assert missed.more == missed.total - MISTAKES_SHOWN > 0
    assert missed.at_most(3).more == missed.total - 3


def test_right_ones_are_sampled_from_each_role(galleries):
    roles = [card.facts.split(",")[0] for card in galleries.right.cards]
    assert roles == ["damaged", "normal", "background"] * 3


def test_the_same_photos_are_drawn_whatever_the_order_of_the_tables(full_report, galleries):
    turned = replace(
        full_report,
        photos=full_report.photos.reverse(),
        systems=(
            replace(
                full_report.systems[0],
                test_predictions=full_report.systems[0].test_predictions.reverse(),
                labels=full_report.systems[0].labels,
            ),
            *full_report.systems[1:],
        ),
    )
    assert system_galleries(turned, turned.systems[0]) == galleries
    other = replace(full_report, study="another")
    assert system_galleries(other, other.systems[0]).right != galleries.right


def test_boxes_are_drawn_to_the_scale_of_the_card(full_report, galleries):
    card = next(card for card in galleries.right.cards if card.photo.startswith("normal"))
    assert (card.width, card.height) == (256, 192)
    truth, prediction = card.marks
    assert truth.style == "truth"
    # Photos are 320 x 240; the human box spans 10 to 90 % and 12 to 88 % of them.
    assert (truth.x, truth.y, truth.width, truth.height) == pytest.approx((25.6, 23.04, 204.8, 145.92), abs=0.06)
    assert prediction.style == "prediction"
    found = full_report.systems[0].test_predictions.row(by_predicate=pl.col("photo") == card.photo, named=True)
    assert prediction.x == pytest.approx(found["x1"] * 256 / 320, abs=0.06)
    assert prediction.text == f"{found['confidence']:.3f}"


def test_a_miss_shows_its_best_box_as_weak(full_report, galleries):
    scores = photo_scores(full_report.test_photos(), full_report.systems[0].test_predictions)
    known = dict(scores.select("photo", "score").iter_rows())
    for card in galleries.missed.cards:
        weak = [mark for mark in card.marks if mark.style == "weak"]
        assert len(weak) == (known[card.photo] > 0)
        assert not any(mark.style == "prediction" for mark in card.marks)


def test_only_whole_vehicles_that_a_person_drew_are_truth(full_report):
    photo = full_report.test_photos().filter(pl.col("role") == "normal")["photo"][0]
    rows = [
        (photo, 0, 0, 9, 9, "Scratched", "damage", None, False),
        (photo, 0, 0, 9, 9, "vehicle", "teacher", 0.5, False),
        (photo, 0, 0, 9, 9, "vehicle", "human", None, True),
        (photo, 0, 0, 160, 120, "vehicle", "human", None, None),
    ]
    report = replace(full_report, boxes=pl.DataFrame(rows, schema=BOX_SCHEMA, orient="row", strict=False))
    everything = system_galleries(report, report.systems[0])
    marks = [mark for gallery in (everything.missed, everything.right) for card in gallery.cards
             for mark in card.marks if mark.style == "truth"]  # fmt: skip
    assert all((mark.width, mark.height) == (128, 96) for mark in marks)


def test_a_system_that_sees_boxes_everywhere_leaves_the_photo_visible(full_report):
    photo = full_report.test_photos().filter(pl.col("role") == "background")["photo"][0]
    many = pl.DataFrame(
        [(photo, 1.0, 1.0, 5.0, 5.0, 0.99 - number / 100) for number in range(30)],
        schema=PREDICTION_SCHEMA, orient="row", strict=False,
    )  # fmt: skip
    gallery = system_galleries(full_report, replace(full_report.systems[0], test_predictions=many)).false_alarms
    [card] = gallery.cards
    assert len(card.marks) == 10
    assert card.facts == "background, score 0.990, 20 more predictions not drawn"


def test_boxes_below_the_threshold_are_not_drawn_beside_those_above(full_report):
    photo = full_report.test_photos().filter(pl.col("role") == "background")["photo"][0]
    two = pl.DataFrame(
        [(photo, 1.0, 1.0, 5.0, 5.0, 0.8), (photo, 2.0, 2.0, 6.0, 6.0, np.float32(0.05))],
        schema=PREDICTION_SCHEMA, orient="row", strict=False,
    )  # fmt: skip
    [card] = system_galleries(
        full_report, replace(full_report.systems[0], test_predictions=two)
    ).false_alarms.cards
    assert [mark.text for mark in card.marks] == ["0.800"]


def test_labels_are_sampled_by_origin(full_report):
    labels = system_galleries(full_report, full_report.systems[1]).labels
    assert [gallery.title.split(":")[0] for gallery in labels] == [
        f"Labels of origin {origin}" for origin in ("damage", "frame", "human", "teacher")
    ]
    for gallery in labels:
        origin = gallery.title.split(":")[0].split()[-1]
        assert len(gallery.cards) == 6
        assert (
            gallery.total == full_report.systems[1].labels.filter(pl.col("origin") == origin)["photo"].n_unique()
        )
        assert {mark.style for card in gallery.cards for mark in card.marks} == {origin}
    assert {mark.text for card in labels[3].cards for mark in card.marks} == {"0.800"}


def test_the_baseline_has_no_labels_to_show(galleries):
    assert galleries.labels == ()
