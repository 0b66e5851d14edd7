from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.reporting.wording import (
    count,
    decimal,
    duration,
    hide_folders,
    hide_folders_in_yaml,
    listed,
    percent,
    plural,
    visible,
)


@given(st.integers(1, 100_000), st.data())
def test_a_percentage_says_all_or_none_only_where_it_is_so(whole: int, data: st.DataObject):
    part = data.draw(st.integers(0, whole))
    text = percent(part / whole)
    assert (text == "100.0\xa0%") == (part == whole)
    assert (text == "0.0\xa0%") == (part == 0)


def test_what_cannot_be_said_is_a_dash():
    assert {percent(None), count(None), decimal(None), duration(None)} == {"–"}


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("cannot read /home/jane/photos/a.jpg", "cannot read …/a.jpg"),
        ("'/data/set/b.json': not JSON", "'…/b.json': not JSON"),
        (r"C:\Users\jane\c.jpg is empty", "…/c.jpg is empty"),
        (r"\\server\share\d.jpg", "…/d.jpg"),
        ("~/photos/e.jpg", "…/e.jpg"),
        (
            "see https://example.org/a/b and coco/val/c.jpg, 1/2",
            "see https://example.org/a/b and coco/val/c.jpg, 1/2",
        ),
    ],
)
def test_absolute_paths_are_hidden_and_nothing_else(text: str, hidden: str):
    assert hide_folders(text) == hidden


def test_the_home_folder_is_hidden_even_with_a_blank_in_its_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/jane doe"))
    assert hide_folders("in /home/jane doe/set/a.jpg") == "in …/a.jpg"


def test_settings_keep_all_but_the_folders_of_absolute_paths():
    settings = {
        "study": "한국",
        "sources": [{"images": ["/home/jane doe/a set", r"D:\b\c"], "limit": 3, "classes": ["car"]}],
        "note": "from /home/jane/notes/x.txt",
    }
    shown = yaml.safe_load(hide_folders_in_yaml(yaml.safe_dump(settings)))
    assert shown == {
        "study": "한국",
        "sources": [{"images": ["…/a set", "…/c"], "limit": 3, "classes": ["car"]}],
        "note": "from …/x.txt",
    }


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("s3://claims-of-jane/2026/front photos", "s3://…/front photos"),
        ("s3://claims-of-jane/2026/normal", "s3://…/normal"),
        ("s3://claims-of-jane", "s3://…/"),
        ("https://jane:secret@storage.example.org:9000/", "https://…/"),
        ("head-of-jane.example.org:6379", "…:6379"),
        ("[fe80::1]:6379", "…:6379"),
        ("auto", "auto"),
        ("0.5:0.95", "0.5:0.95"),
        ("sha256:9f86d0", "sha256:9f86d0"),
    ],
)
def test_settings_name_no_machine(said, shown):
    assert yaml.safe_load(hide_folders_in_yaml(yaml.safe_dump({"scale": {"address": said}}))) == {
        "scale": {"address": shown}
    }


@given(st.text(max_size=400))
def test_shown_text_is_bounded_and_has_no_control_characters(text: str):
    shown = visible(text, 50)
    assert len(shown) <= 50
    assert not any(ord(letter) < 32 or ord(letter) == 127 for letter in shown)


def test_the_number_of_units_is_small():
    assert [duration(59.4), duration(60), duration(3600)] == ["59 s", "1 min 0 s", "1 h 0 min"]


def test_lists_and_plurals_read_as_sentences():
    assert [listed([]), listed(["a"]), listed(["a", "b"])] == ["", "a", "a and b"]
    assert [plural(0, "car"), plural(2, "box", "boxes")] == ["0 cars", "2 boxes"]
