"""The page of an audit: what it shows, in which order, and that names cannot do harm."""

from html.parser import HTMLParser

import polars as pl

from wreckognize.audit.doubts import find_doubts
from wreckognize.audit.page import REASONS_SHOWN, Page, Picture, cards_of, counts_by_kind, render
from wreckognize.catalog import LABEL_SCHEMA, PREDICTION_SCHEMA

CAR = (20.0, 20.0, 80.0, 60.0)
EVIL = "cars/<script>alert(1)</script>.jpg"


class Tags(HTMLParser):
    """Counts the tags and finds those that are never closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.names = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        if tag not in {"meta", "image", "rect"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def tables(names):
    photos = pl.DataFrame(
        [(name, "normal", True, 200, 100, True) for name in names],
        schema=["photo", "role", "has_vehicle", "width", "height", "labelled"],
        orient="row",
    )
    labels = pl.DataFrame(
        [(name, "train", *CAR, "vehicle", "teacher", 0.5) for name in names], schema=LABEL_SCHEMA, orient="row"
    )
    seen = pl.DataFrame(
        [(names[0], 100.0 + 10 * n, 70.0, 109.0 + 10 * n, 90.0, 0.9 - n / 100) for n in range(6)],
        schema=PREDICTION_SCHEMA,
        orient="row",
    )
    found = find_doubts(photos, labels, seen)
    doubts = (
        photos.select("photo", "role", split=pl.lit("train"))
        .join(found.photos.rename({"score": "photo_score"}), on="photo")
        .join(found.table, on="photo")
        .sort("rank", "score", descending=[False, True])
    )
    return doubts, {name: (200, 100) for name in names}, labels, seen


def page_of(names, pictures):
    doubts, sizes, labels, seen = tables(names)
    cards = cards_of(doubts, sizes, labels, seen, pictures)
    page = Page(
        study="s", system="ver6", photos=9, doubtful=doubts["photo"].n_unique(), notes=("A note.",),
        kinds=counts_by_kind(doubts), cards=cards,
    )  # fmt: skip
    return page, render(page)


def test_the_most_doubtful_photo_comes_first_with_its_boxes_and_reasons():
    names = ["a.jpg", "b.jpg"]
    page, text = page_of(names, {name: Picture(name=name, href="data:,") for name in names})
    assert [card.picture.name for card in page.cards] == ["a.jpg", "b.jpg"]
    first = page.cards[0]
    assert len(first.reasons) == REASONS_SHOWN
    assert first.more == 3  # six vehicles without a label, one label that is not confirmed
    assert (first.width, first.height) == (320.0, 160.0)
    label = first.marks[0]
    assert (label.style, label.x, label.y, label.width, label.height) == ("label", 32.0, 32.0, 96.0, 64.0)
    assert {mark.style for mark in first.marks} == {"label", "seen", "doubted", "doubted seen"}
    assert "and 3 more" in text
    assert "A note." in text
    tags = Tags(text)
    assert tags.open == []


def test_a_name_is_text_and_nothing_else():
    _, text = page_of([EVIL], {EVIL: Picture(name=EVIL, problem="the file is gone")})
    assert "script" not in Tags(text).names
    assert "&lt;script&gt;" in text
    assert "Not shown: the file is gone." in text


def test_photos_without_a_picture_are_counted():
    page, text = page_of(["a.jpg", "b.jpg", "c.jpg"], {"a.jpg": Picture(name="a.jpg", href="data:,")})
    assert len(page.cards) == 1
    assert "2 more photos are in doubts.csv" in text


def test_no_doubt_at_all_is_said():
    page = Page(study="s", system="ver6", photos=9, doubtful=0, notes=(), kinds=(), cards=())
    assert "Nothing is in doubt." in render(page)
