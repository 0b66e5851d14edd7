"""Ctrl-C while photos are looked at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from photographs import draw_photo

PHOTOS = 4_000  # more than any machine looks at before the signal comes


@pytest.fixture
def many(tmp_path):
    folder = tmp_path / "many"
    drawn = draw_photo(folder / "0.jpg", 1, width=640, height=640)
    for number in range(1, PHOTOS):
        os.link(drawn, folder / f"{number}.jpg")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_what_was_printed_is_whole_and_the_end_is_said(engine, many, tiny_weights, tmp_path):
    command = ["predict", str(tiny_weights), str(many), "--imgsz", "640", "--engine", engine]
    told = tmp_path / "told.txt"
    with told.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "wreckognize", *command], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        code = process.wait(60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    said = told.read_text()
    assert code == 130, said
    assert said.splitlines()[-1] == "stopped"
    assert "Traceback" not in said
    lines = [json.loads(line) for line in (first + rest).splitlines()]
    assert 0 < len(lines) < PHOTOS
    assert len({line["photo"] for line in lines}) == len(lines)
