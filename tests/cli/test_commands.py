import csv
import json
import os
import subprocess
import sys
import time

import pytest
from photographs import draw_photo
from studies import tree, write_study


def wreckognize(*arguments, cwd=None):
    command = [sys.executable, "-m", "wreckognize", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['wreckognize', '--help']\n"
        "from wreckognize.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'ultralytics', 'polars', 'numpy', 'cv2', 'matplotlib', 'scipy', 'optuna', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
    for command in (
        "init",
        "run",
        "collect",
        "split",
        "label",
        "train",
        "evaluate",
        "report",
        "predict",
        "doctor",
        "demo",
        "search",
    ):
        assert command in done.stdout


def test_the_list_of_commands_says_what_each_does_to_its_end():
    said = " ".join(wreckognize("--help").stdout.split())
    assert "what cannot be used goes to quarantine.csv with the reason. split" in said
    assert "..." not in said.partition("Commands:")[2]


def test_every_command_explains_itself():
    for command in ("init", "predict", "doctor", "demo", "search"):
        done = wreckognize(command, "--help")
        assert done.returncode == 0
        assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("command", "leaves"),
    [
        ("run", "report/index.html"),
        ("collect", "quarantine.csv"),
        ("split", "test.lock.json"),
        ("label", "labels.parquet"),
        ("train", "best.safetensors"),
        ("evaluate", "metrics.json"),
        ("report", "comparison.json"),
    ],
)
def test_a_step_says_what_it_leaves_and_gives_an_example(command, leaves):
    done = wreckognize(command, "--help")
    assert done.returncode == 0
    assert leaves in done.stdout
    assert "Example" in done.stdout
    assert f"wreckognize {command} study.yaml" in done.stdout


def test_init_writes_a_study_to_start_from_and_never_replaces_one(tmp_path):
    assert wreckognize("init", cwd=tmp_path).returncode == 0
    text = (tmp_path / "study.yaml").read_text(encoding="utf-8")
    assert "recipe: ver6" in text
    again = wreckognize("init", cwd=tmp_path)
    assert again.returncode == 2
    assert "the file exists" in again.stderr
    assert (tmp_path / "study.yaml").read_text(encoding="utf-8") == text


def test_all_problems_of_a_study_are_listed_and_nothing_is_written(tmp_path, tiny_weights):
    file = write_study(
        tmp_path / "study", tiny_weights, split={"train": 0.9, "val": 0.9, "test": 0.1}, colour="red"
    )
    before = tree(tmp_path)
    done = wreckognize("run", file, "--out", tmp_path / "run", "--set", "systems.ver6.train.epochs=many")
    assert done.returncode == 2
    for word in ("colour", "sum", "epochs", "many"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(tmp_path) == before


def test_wrong_use_of_the_command_line_is_exit_2(tmp_path):
    assert wreckognize("run").returncode == 2
    assert wreckognize("run", tmp_path / "missing.yaml").returncode == 2
    assert wreckognize("nonsense").returncode == 2


def test_the_version_is_said():
    assert wreckognize("--version").stdout.startswith("wreckognize ")


def test_doctor_names_what_is_missing(tmp_path, tiny_weights):
    file = write_study(tmp_path / "study", tiny_weights)
    healthy = wreckognize("doctor", file)
    assert healthy.returncode == 0, healthy.stdout
    (tmp_path / "study" / tiny_weights.name).unlink()
    ill = wreckognize("doctor", file)
    assert ill.returncode == 2
    assert "missing" in ill.stdout
    assert f"no such file: {tmp_path / 'study' / tiny_weights.name};" in ill.stdout, (
        "no line is broken within a path"
    )


@pytest.mark.slow
def test_collect_prints_counts_and_exits_with_1_when_too_much_fails(tmp_path, tiny_weights):
    file = write_study(tmp_path / "study", tiny_weights)
    done = wreckognize("collect", file, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "photos used" in done.stderr
    for path in list((tmp_path / "study" / "normal").iterdir())[:6]:
        path.write_bytes(b"")
    failed = wreckognize("collect", file, "--out", tmp_path / "run")
    assert failed.returncode == 1
    assert "normal" in failed.stderr
    with (tmp_path / "run" / "quarantine.csv").open(encoding="utf-8") as rows:
        assert len(list(csv.DictReader(rows))) == 6
    fresh = wreckognize("collect", file, "--out", tmp_path / "fresh")
    assert fresh.returncode == 1
    assert [path.name for path in (tmp_path / "fresh").iterdir() if path.suffix == ".csv"] == ["quarantine.csv"]


@pytest.mark.slow
def test_predict_gives_each_photo_a_line(tmp_path, tiny_weights):
    draw_photo(tmp_path / "in" / "b.jpg", 1)
    draw_photo(tmp_path / "in" / "a 차.jpg", 2)
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no photo")
    done = wreckognize("predict", tiny_weights, tmp_path / "in", tmp_path / "gone.jpg", "--imgsz", 64)
    assert done.returncode == 1, done.stderr
    assert "2 of 4 photos could not be read" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["photo"].rsplit("/", 1)[-1] for line in lines] == ["a 차.jpg", "b.jpg", "broken.jpg", "gone.jpg"]
    assert [line["verdict"] is None for line in lines] == [False, False, True, True]
    assert all(line["error"] for line in lines[2:])
    assert all((line["score"] >= line["threshold"]) == (line["verdict"] == "vehicle") for line in lines[:2])

    other = wreckognize("predict", tiny_weights, tmp_path / "in", "--imgsz", 64, "--engine", "openvino")
    assert other.returncode == 1, other.stderr
    scores = [json.loads(line)["score"] for line in other.stdout.splitlines()[:2]]
    assert scores == pytest.approx([line["score"] for line in lines[:2]], abs=2e-4)

    out = tmp_path / "out.csv"
    glob = str(tmp_path / "in" / "*.jpg")
    assert wreckognize("predict", tiny_weights, glob, "--imgsz", 64, "--out", out).returncode == 1
    with out.open(encoding="utf-8") as file:
        assert [row["photo"].rsplit("/", 1)[-1] for row in csv.DictReader(file)] == [
            "a 차.jpg",
            "b.jpg",
            "broken.jpg",
        ]


@pytest.mark.slow
def test_predict_takes_names_that_are_no_text_and_no_formulas(tmp_path, tiny_weights):
    draw_photo(tmp_path / "in" / "=1+1.jpg", 1)
    odd = os.fsdecode(b"\xff\xfe odd.jpg")
    draw_photo(tmp_path / "plain.jpg", 2).rename(tmp_path / "in" / odd)
    for out in ("out.csv", "out.jsonl"):
        done = wreckognize("predict", tiny_weights, "in", "--imgsz", 64, "--out", out, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    names = {json.loads(line)["photo"] for line in (tmp_path / "out.jsonl").read_text().splitlines()}
    assert names == {"in/=1+1.jpg", "in/\\xff\\xfe odd.jpg"}
    done = wreckognize("predict", tiny_weights, "=1+1.jpg", "--imgsz", 64, "--out", "one.csv", cwd=tmp_path / "in")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "in" / "one.csv").read_text().splitlines()[1].startswith("'=1+1.jpg,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.pt", "a.jpg"], "no such file"),
        (["nowhere", "a.jpg"], "nowhere: no such file or folder"),
        (["WEIGHTS", "a.jpg", "--trust", "sha256:12"], "64 hexadecimal digits"),
        (["WEIGHTS", "a.jpg", "--imgsz", "100"], "multiple of 32"),
        (["WEIGHTS", "a.jpg", "--imgsz", "-32"], "multiple of 32"),
        (["WEIGHTS", "a.jpg", "--threshold", "7"], "0 to 1"),
        (["WEIGHTS", "a.jpg", "--threshold", "nan"], "0 to 1"),
        (["WEIGHTS", "a.jpg", "--out", "gone/table.csv"], "no such folder"),
        (["WEIGHTS", "none/*.jpg"], "no photo was found"),
        (["WEIGHTS", "a.jpg", "--out", "table.xlsx"], "no format is known"),
        ([".", "a.jpg"], "not a system of a run"),
        (["WEIGHTS", "a.jpg", "--to-a-person"], "no thresholds for the third answer"),
        (["WEIGHTS", "a.jpg", "--to-a-person", "--threshold", "0.5"], "one threshold and two"),
        (["WEIGHTS", "a.jpg", "--engine", "warp"], "choose torch or compiled or openvino or onnxruntime"),
        (["WEIGHTS", "a.jpg", "--engine", "tensorrt"], "tensorrt offers float16 only"),
    ],
)
def test_predict_says_what_is_wrong(tmp_path, tiny_weights, arguments, message):
    named = [str(tiny_weights) if word == "WEIGHTS" else word for word in arguments]
    done = wreckognize("predict", *named, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_progress_off_a_terminal_is_lines_with_rate(capsys, monkeypatch):
    from wreckognize.cli import console

    monkeypatch.setattr(console, "LINE_SECONDS", 0.0)
    with console.Console().task("looking", 4) as task:
        task.note("half way")
        for _ in range(2):
            time.sleep(0.01)
            task.advance()
    err = capsys.readouterr().err
    assert "looking: 2 of 4 photos" in err
    assert "/s" in err
    assert "left" in err
    assert "half way" in err


def test_the_time_left_follows_the_last_minute_not_a_slow_start(capsys, monkeypatch):
    from wreckognize.cli import console

    now = 0.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    with console.Console().task("looking", 1_000) as task:
        now = 300.0  # until the first photo, an engine was compiled
        for _ in range(200):
            now += 0.5
            task.advance()
        said = capsys.readouterr().err.splitlines()
        now += 5
    assert "2.0/s" in said[-1]
    assert "0:06:4" in said[-1] or "0:06:5" in said[-1]
    assert "looking: 200 of 1,000 photos, 0.5/s" in capsys.readouterr().err
