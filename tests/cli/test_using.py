"""The way from a finished run to verdicts, as a user calls it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bundles import draw_photos, finished_run

from wreckognize.cli.exporting import export_system
from wreckognize.cli.predicting import predict_photos
from wreckognize.errors import UsageError
from wreckognize.predicting.model import Wishes


def wreckognize(*arguments, cwd, given=b""):
    command = [sys.executable, "-m", "wreckognize", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, cwd=cwd, input=given, timeout=300, check=False)


@pytest.mark.slow
def test_a_run_becomes_a_bundle_and_a_bundle_decides_about_a_list_of_photos(tmp_path):
    system = finished_run(tmp_path / "run", photos=4)
    done = wreckognize("export", system, "--to", "safetensors", "--out", "bundle", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    said = done.stdout.decode()
    assert "0 decided otherwise" in said
    assert "note: 4 photos leave open" in said

    draw_photos(tmp_path / "new photos", 3)
    names = sorted(os.fsencode(f"new photos/{file.name}") for file in (tmp_path / "new photos").iterdir())
    (tmp_path / "claims.csv").write_text("photo,claim\nplace-001.jpg,K1\nvehicle-000.jpg,K1\n", encoding="utf-8")
    arguments = ("predict", "bundle", "-", "gone.jpg", "-0", "--out", "out.csv", "--claims", "claims.csv")
    done = wreckognize(*arguments, cwd=tmp_path, given=b"\0".join(names))
    assert done.returncode == 1, done.stderr.decode()
    assert b"1 of 4 photos could not be read" in done.stderr
    version = json.loads((tmp_path / "bundle" / "bundle.json").read_text(encoding="utf-8"))["version"]
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [os.fsencode(row["photo"]) for row in rows] == [*names, b"gone.jpg"]
    assert {row["model"] for row in rows} == {version}
    with (tmp_path / "out.claims.csv").open(encoding="utf-8", newline="") as file:
        claims = [(row["claim"], row["photos"], row["unread"]) for row in csv.DictReader(file)]
    assert sorted(claims) == [("", "0", "1"), ("", "1", "0"), ("K1", "2", "0")]


@pytest.mark.parametrize(("changes", "message"), [({"max_flips": 2}, "no share"), ({}, "not a system of a run")])
def test_export_says_what_is_wrong(tmp_path, changes, message):
    plain = {"int8": False, "max_flips": 0.005, "photos": 10, "force": False, "to_a_person": None, "trust": ()}
    with pytest.raises(UsageError, match=message):
        export_system(tmp_path, "onnx", tmp_path / "bundle", **(plain | changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"claims": "names"}, "give a file with --out"),
        ({"claims": "gone.csv", "out": Path("o.csv")}, "cannot be read"),
        ({"claims": "names", "claim_rule": "all", "out": Path("o.csv")}, "no rule is called"),
        ({"annotated": Path()}, "among the photos"),
        ({"out": Path("o.xlsx")}, "no format is known"),
        ({"address": "head:6379"}, "not to be used"),
    ],
)
def test_predict_says_what_is_wrong_before_it_looks(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match=message):
        predict_photos(Path("starter"), ["a.jpg"], Wishes(), **options)
    assert [file.name for file in tmp_path.iterdir()] == ["a.jpg"]
