"""Names of files that break tables, screens and paths."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photographs import draw_photo

from wreckognize.cli.console import harmless
from wreckognize.collect import collect
from wreckognize.errors import InputError
from wreckognize.evaluation.writers import DECISION_SCHEMA, decisions_csv
from wreckognize.reporting.wording import visible
from wreckognize.review.manifest import Exported, Manifest, order_csv
from wreckognize.spreadsheet import cell, rows_to_csv, table_to_csv

FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\ufeff=1",
    "＝1",
    "a;=cmd|'/c calc'!A1",
    'a";=1',
    "a\n=1",
    "a\r\n=1",
    "a\t=1",
    "a\u2028=1",
    '"=1',
    "\0=1",
)
_SEPARATORS = re.compile("[;\t\r\n\x0b\x0c\x85\u2028\u2029]")
_PASSED_OVER = "".join(map(chr, range(33))) + '\ufeff"'


def is_formula(text: str) -> bool:
    """Whether any part of a cell, however a spreadsheet cuts it, would be calculated."""
    return any(part.lstrip(_PASSED_OVER)[:1] in tuple("=+-@＝＋－＠") for part in _SEPARATORS.split(text))


def texts_of(content: str) -> list[str]:
    return [value for row in csv.reader(io.StringIO(content, newline="")) for value in row]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_starts_a_formula(text):
    assert is_formula(text)
    for content in (rows_to_csv(["a", "b"], [[text, 1]]), table_to_csv(pl.DataFrame({"a": [text], "b": [1]}))):
        rows = list(csv.reader(io.StringIO(content, newline="")))
        assert len(rows) == 2, "a name must not make a row of its own"
        assert not any(map(is_formula, rows[1]))
        assert rows[1][0].replace("'", "") == text.replace("'", "")


@given(st.text(alphabet=st.sampled_from("=+-@;,\t\r\n '\"aｱ\u2028\0＝"), max_size=12))
def test_no_text_becomes_a_formula(text):
    safe = cell(text)
    assert not is_formula(safe)
    assert cell(safe) == safe
    for content in (rows_to_csv(["a", "b"], [[text, "x"]]), table_to_csv(pl.DataFrame({"a": [text], "b": ["x"]}))):
        assert list(csv.reader(io.StringIO(content, newline=""))) == [["a", "b"], [safe, "x"]]


def test_numbers_and_plain_words_stay_as_they_are():
    rows = [[-1, -0.5, None, "street/a-b_1.jpg", "sc-226797", "0.10"]]
    assert rows_to_csv(["x"], rows) == "x\n-1,-0.5,,street/a-b_1.jpg,sc-226797,0.10\n"
    assert table_to_csv(pl.DataFrame({"x": [-1.5], "y": ["a b"]})) == "x,y\n-1.5,a b\n"


@pytest.mark.parametrize("name", FORMULAS)
def test_the_tables_of_a_run_hold_no_formula(name, tmp_path):
    decisions = dict.fromkeys(DECISION_SCHEMA.names()) | {"photo": name, "system": name, "score": 0.5}
    exported = Exported(
        file=name, photo=name, sha256="", width=1, height=1, split="test", verdict=None, boxes=(), drawn_by=name, why=name
    )
    manifest = Manifest(study="s", tool="coco", system="s", photos=(exported,))
    for content in (decisions_csv([pl.DataFrame([decisions], schema=DECISION_SCHEMA)]), order_csv(manifest)):
        assert not any(map(is_formula, texts_of(content)))
    del tmp_path


def test_a_file_name_of_an_annotation_is_no_formula_in_the_quarantine(trap):
    content = {
        "images": [{"id": 1, "file_name": "good.jpg"}, {"id": 2, "file_name": "=HYPERLINK(1)"}],
        "annotations": [{"image_id": n, "category_id": 1, "bbox": [1, 1, 50, 40]} for n in (1, 2)],
        "categories": [{"id": 1, "name": "car"}],
    }
    (trap.root / "instances.json").write_text(json.dumps(content))
    found = collect([trap.coco()], seed=0)
    assert found.quarantine["file"].to_list() == ["=HYPERLINK(1)"]
    assert "'=HYPERLINK(1)" in texts_of(table_to_csv(found.quarantine))


NAMES = (
    "two\nlines",
    "tab\tand\rreturn",
    "quotes 'single' \"double\" `back`",
    "comma, semicolon; =1",
    "<img src=x onerror=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "$x^2$ 100% \\n",
    "\u202egpj.exe",
    "\x1b]0;title\x07\x1b[2J",
    "\u200b\u00a0 ",
    "한글 사진",
    "e\u0301 decomposed",
    "-rf",
    "~",
    "con.aux",
    "a" * 251,
    "%s%n{0}",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_photo_of_any_name_is_used_and_named_in_every_table(name, tmp_path, trap, collect_one):
    draw_photo(tmp_path / "drawn.jpg", 3)
    (tmp_path / "drawn.jpg").rename(trap.images / f"{name}.jpg")
    used, reasons, _ = collect_one(trap.folder())
    assert set(used) == {"good.jpg", f"{name}.jpg"}
    assert reasons == {}


def test_names_that_are_not_unicode_are_quarantined_in_words(trap, collect_one):
    data = (trap.images / "good.jpg").read_bytes()
    for number, name in enumerate((b"caf\xe9.jpg", b"\xff\xfe.jpg", b"\xed\xa0\x80.jpg", "차량.jpg".encode("cp949"))):
        with open(os.path.join(os.fsencode(trap.images), name), "wb") as file:  # noqa: PTH118, PTH123 - bytes
            file.write(data + bytes(number))
    used, reasons, _ = collect_one(trap.folder())
    assert used == ["good.jpg"]
    assert list(reasons.values()) == ["file name is not Unicode"] * 4
    for name in reasons:
        name.encode()


@pytest.mark.parametrize("name", [name for name in NAMES if not name.isprintable()])
def test_no_name_commands_a_terminal_or_turns_what_is_shown(name):
    for shown in (harmless(name), visible(name)):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


def test_an_error_with_such_a_name_reaches_the_terminal_harmless(tmp_path, monkeypatch, capsys):
    from wreckognize import cli
    from wreckognize.cli import app as module

    def fail() -> None:
        raise InputError("bad \x1b[31m photo \udcff", where="a\u202eb", remedy="none")

    monkeypatch.setattr(module, "app", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    said = capsys.readouterr().err
    assert caught.value.code == 1
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "\\x1b[31m" in said
    del tmp_path


def test_a_result_can_be_written_under_a_name_of_255_bytes(tmp_path: Path):
    from wreckognize.files import atomic_write

    name = "b" * 251 + ".csv"
    atomic_write(tmp_path / name, "x")
    assert [path.name for path in tmp_path.iterdir()] == [name]
