"""The demo in a short form: every command of a newcomer's first minute, all readers, four systems, the report."""

import json
import subprocess
import sys

import polars as pl
import pytest

pytestmark = pytest.mark.slow


def test_the_demo_runs_and_ends_with_the_table_and_the_reports_path(tmp_path):
    command = [sys.executable, "-m", "wreckognize", "demo", "--out", str(tmp_path / "demo"), "--scale", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("report: ")
    assert f"wreckognize export {tmp_path / 'demo'}/systems/ver6" in done.stderr
    page = (tmp_path / "demo" / "report" / "index.html").read_text(encoding="utf-8")
    assert last.endswith("index.html")
    assert "drawn" in page[: page.index("<h1")]  # said before anything else
    comparison = json.loads((tmp_path / "demo" / "report" / "comparison.json").read_text())
    assert [system["name"] for system in comparison["systems"]] == ["baseline", "ver1", "ver5", "ver6"]
    assert all(system["name"] in done.stdout for system in comparison["systems"])
    origins = [set(system["labels"]) for system in comparison["systems"]]
    assert origins[0] == set()
    assert "damage" in origins[1]
    assert "frame" in origins[3]
    assert all(system["box_truth"] == "human" for system in comparison["systems"])
    tally = pl.read_parquet(tmp_path / "demo" / "catalog" / "tally.parquet")
    assert tally.filter(outcome="quarantined")["count"].sum() == 2  # spoilt on purpose
    assert {"EXIF orientation 6", "grey", "CMYK"} <= set(tally.filter(outcome="noted")["reason"])


def test_the_full_demo_has_enough_backgrounds_for_one_percent():
    from wreckognize.demo.collection import scaled

    assert scaled(1.0).backyard >= 100  # all of them are pinned to the test set
