"""YAML text to values."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wreckognize.errors import StudyError
from wreckognize.study.reader import (
    MAX_BYTES,
    MAX_DEPTH,
    dump,
    key_text,
    parse_document,
    parse_value,
    plain,
    read_document,
)


def content(text: str) -> dict:
    document = parse_document(text, "s.yaml")
    assert document.problems == ()
    return document.content


def refused(text: str) -> str:
    with pytest.raises(StudyError) as caught:
        parse_document(text, "s.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-1.5E+3", -1500.0),
        (".5e1", 5.0),
        ("1.0e-05", 1e-5),
        ("0.25", 0.25),
        ("7", 7),
        ("'1e-4'", "1e-4"),
        ("yes", True),
        ("~", None),
        ("", None),
        ("2026-01-02", "2026-01-02"),
        ("차량", "차량"),
        ("=", "="),
        ("<<", "<<"),
        ("[car, 1, .inf]", ["car", 1, math.inf]),
    ],
)
def test_a_value_is_what_it_looks_like(text, value):
    found = parse_value(text, "--set")
    assert found == value
    assert type(found) is type(value)


def test_lines_are_kept_for_every_key():
    document = parse_document("study: a\nsources:\n  - name: b\n    limit: 3\n", "s.yaml")
    assert document.lines["study",] == 1
    assert document.lines["sources", 0] == 3
    assert document.lines["sources", 0, "limit"] == 4


def test_keys_are_texts_as_they_are_written():
    assert content("2026: 1\non: 2\n") == {"2026": 1, "on": 2}


def test_anchors_and_merge_keys_share_settings_without_sharing_objects():
    values = content("a: &t {x: 1, y: [2]}\nb: {<<: *t, x: 3}\nc: *t\nd: {<<: [{z: 1}, {z: 2, w: 3}]}\n")
    assert values["b"] == {"x": 3, "y": [2]}
    assert values["c"] == values["a"]
    assert values["c"]["y"] is not values["a"]["y"]
    assert values["d"] == {"z": 1, "w": 3}


def test_merging_what_has_no_keys_is_a_problem():
    (problem,) = parse_document("a: {<<: 3}", "s.yaml").problems
    assert problem.found == "a value without keys"


def test_every_duplicate_key_is_named_with_its_line():
    document = parse_document("a: 1\nb: {c: 1, c: 2}\na: 3\n", "s.yaml")
    assert [(problem.file, problem.key) for problem in document.problems] == [
        ("s.yaml:2", "b.c"),
        ("s.yaml:3", "a"),
    ]
    assert document.content["a"] == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1", "s.yaml:1:6: found not YAML"),
        ("a: 1\n  b: 2", "s.yaml:2"),
        ("a: b: c", "not YAML"),
        ("a: 1\n---\nb: 2", "not YAML"),
        ("a: \x01", "U+0001"),
        ('a: "\\UFFFFFFFF"', "not YAML"),
        ('a: "\\U00110000"', "not YAML"),
        ("", "an empty document"),
        ("# only a comment", "an empty document"),
        ("- 1", "a document without keys"),
        ("words", "a document without keys"),
        ("a: *nowhere", "undefined alias"),
        ("[" * 2000, "nested more than"),
        ("a: " + "[" * 60 + "]" * 60, "nested more than"),
        ("a: &a [*a]", "aliases that expand"),
        ("a: &a {<<: *a}", "aliases that expand"),
    ],
)
def test_what_is_not_a_mapping_in_yaml_is_refused_with_its_place(text, says):
    assert says in refused(text)


def test_a_yaml_bomb_is_refused_before_it_expands():
    laughs = "\n".join(f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]" for level in range(1, 10))
    assert "aliases that expand to more than 20,000 values" in refused(f"l0: &l0 [ha]\n{laughs}\n")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: !!python/name:os.system x", "the tag"),
        ("a: !!python/object/apply:os.system [x]", "the tag"),
        ("a: !!set {x}", "the tag"),
        ("a: !!timestamp 2026-01-01", "the tag"),
        ("a: !!int x", "'x', which is no int"),
        ("a: !!bool x", "'x', which is no bool"),
        ("a: 0b_", "'0b_', which is no int"),
        ("a: " + "9" * 5000, "which is no int"),
        ("? [1, 2]\n: 3", "a key that is a list or mapping"),
    ],
)
def test_tags_and_odd_scalars_are_problems_not_objects(text, found):
    (problem,) = parse_document(text, "s.yaml").problems
    assert found in problem.found


def test_a_value_with_a_problem_is_refused():
    with pytest.raises(StudyError, match="second time"):
        parse_value("{a: 1, a: 2}", "--set")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_may_have_a_bom_and_korean_text(tmp_path, encoding):
    path = tmp_path / "study.yaml"
    path.write_bytes("study: 차량\n".encode(encoding))
    assert read_document(path).content == {"study": "차량"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("a: 1\nb: 차량".encode("cp949"), "study.yaml:2: found bytes that are not UTF-8"),
        (b"a" * (MAX_BYTES + 1), "more than 1,000,000 bytes"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, data, says):
    path = tmp_path / "study.yaml"
    path.write_bytes(data)
    with pytest.raises(StudyError, match=says):
        read_document(path)


@pytest.mark.parametrize(
    ("name", "says"), [("nowhere.yaml", "no such file"), (".", "a folder"), ("a" * 300, "cannot be read")]
)
def test_a_file_that_cannot_be_opened_is_refused(tmp_path, name, says):
    with pytest.raises(StudyError, match=says):
        read_document(tmp_path / Path(name))


def test_values_from_python_are_copied_and_shared_lists_parted():
    shared = {"epochs": 1}
    copied = plain({"a": shared, "b": shared, "c": (1, 2), 3: Path("x")}, "study")
    assert copied == {"a": {"epochs": 1}, "b": {"epochs": 1}, "c": [1, 2], "3": Path("x")}
    assert copied["a"] is not copied["b"]


def test_values_from_python_are_bounded():
    endless: dict = {}
    endless["self"] = endless
    with pytest.raises(StudyError, match=f"more than {MAX_DEPTH} deep"):
        plain(endless, "study")
    with pytest.raises(StudyError, match="list"):
        plain([], "study")


def test_keys_read_as_people_write_them():
    assert key_text(("systems", "v1.2", "train")) == "systems.v1.2.train"
    assert key_text(("sources", 0, "images", 1)) == "sources[0].images[1]"


LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1), inner), max_leaves=8
)


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True), VALUES, min_size=1))
def test_what_is_dumped_is_read_back(values):
    document = parse_document(dump(values), "s.yaml")
    assert document.content == values
    assert document.problems == ()
