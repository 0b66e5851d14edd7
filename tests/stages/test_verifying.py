"""`verify`: an untouched run holds, a changed byte anywhere is named, a figure that does not follow is found."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from chaos.room import call
from chaos.subject import ready_made
from hypothesis import given
from hypothesis import strategies as st
from studies import tree, write_study

from wreckognize import pipeline
from wreckognize.errors import WorkspaceError
from wreckognize.files import sha256_of
from wreckognize.stages.checks import differences
from wreckognize.stages.verifying import verify
from wreckognize.state import State
from wreckognize.study import Study
from wreckognize.training import fine_tune
from wreckognize.workspace import open_workspace

NOT_HASHED = {
    ".lock",
    "state.json",
}  # who held the folder last; and the record itself, which has a test of its own
CHANGES = ["systems.ver6.train.seeds=2", "systems.ver6.predict.threshold=best_f1"]


@pytest.fixture(scope="module")
def finished(tiny_weights, tmp_path_factory):
    root = tmp_path_factory.mktemp("verified")
    file = write_study(root / "study", tiny_weights)
    pipeline.run(Study.load(file, overrides=CHANGES), out=root / "run")
    return root / "run"


@pytest.fixture
def copy(finished, tmp_path):
    """The run again, to be spoilt; its photos are where they were."""
    shutil.copytree(finished, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def wrong(found):
    return [check for check in found.checks if check.outcome == "differs"]


@pytest.mark.slow
def test_an_untouched_run_holds_and_is_not_written_to(finished):
    before = tree(finished)
    found = verify(finished)
    assert not wrong(found)
    assert [check.what for check in found.checks if check.outcome == "not checked"] == []
    assert tree(finished) == before
    assert found.digest == sha256_of(finished / "state.json")


@pytest.mark.slow
def test_a_changed_byte_in_any_file_is_named(finished, copy):
    names = sorted(
        path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file() and not path.is_symlink()
    )
    for name in names:
        content = bytearray((copy / name).read_bytes())
        if name in NOT_HASHED or not content:
            continue
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content)
    found = verify(copy, photos=False)
    told = "\n".join(detail for check in wrong(found) for detail in check.details)
    spoilt = [name for name in names if name not in NOT_HASHED and (copy / name).stat().st_size]
    assert [name for name in spoilt if name not in told] == []


@pytest.fixture
def worked_in(finished, copy, monkeypatch):
    """The run again after a search, an audit and exports for review; trainings take the weights that are there."""
    monkeypatch.setattr(fine_tune, "fine_tune", ready_made(copy / "systems" / "ver6"))
    study = str(finished.parent / "study" / "study.yaml")
    changes = [word for change in CHANGES for word in ("--set", change)]
    space = "search={system: ver6, trials: 2, space: {train.lr0: {low: 1.0e-5, high: 1.0e-2}}}"
    commands = [
        ["search", study, *changes, "--set", space, "--out", str(copy)],
        ["audit", study, *changes, "--folds", "2", "--epochs", "1", "--out", str(copy)],
        *(
            ["review", "export", study, "--to", tool, "--out", str(copy)]
            for tool in ("label-studio", "coco", "yolo")
        ),
    ]
    for command in commands:
        code, said = call(command)
        assert code == 0, said
    return copy


def apart(run):
    """The files of searches, audits and reviews, by their names in the run's folder."""
    files = (path for folder in ("search", "audit", "review") for path in (run / folder).rglob("*"))
    return sorted(path.relative_to(run).as_posix() for path in files if path.is_file() and not path.is_symlink())


@pytest.mark.slow
def test_a_changed_byte_of_a_search_an_audit_or_a_review_is_named_or_said_to_be_open(worked_in):
    found = verify(worked_in, photos=False)
    assert not wrong(found)
    (open_,) = (check for check in found.checks if check.outcome == "not checked")
    meant = [
        name
        for name in apart(worked_in)
        if name.startswith(("search/search.db", "review/coco/instances.json", "review/yolo/labels/"))
        or Path(name).name == ".publish"
        or "/locks/" in name
    ]
    assert open_.what == f"files of searches and reviews that nothing vouches for: {len(meant)}"
    assert all(name in " ".join(open_.details) for name in ("search/search.db", "review/coco/instances.json"))
    checked = [name for name in apart(worked_in) if name not in meant and (worked_in / name).stat().st_size]
    assert {"search/index.html", "search/best.yaml", "audit/ver6/index.html", "review/yolo/order.csv"} < set(
        checked
    )
    assert any("/trials/0001/predictions.parquet" in name for name in checked)
    assert any(name.startswith("review/coco/images/") for name in checked)
    records = [name for name in checked if name.endswith("recorded.json")]
    assert len(records) == 4
    for spoilt in (records, [name for name in checked if name not in records]):
        before = {name: (worked_in / name).read_bytes() for name in spoilt}
        for name, content in before.items():
            changed = bytearray(content)
            changed[len(changed) // 2] ^= 1
            (worked_in / name).write_bytes(changed)
        told = "\n".join(detail for check in wrong(verify(worked_in, photos=False)) for detail in check.details)
        assert [name for name in spoilt if name not in told] == []
        for name, content in before.items():
            (worked_in / name).write_bytes(content)


@pytest.mark.slow
def test_another_trial_does_not_vouch_for_what_was_changed_before(finished, worked_in):
    (trial,) = worked_in.glob("search/*/trials/0000/predictions.parquet")
    trial.write_bytes(trial.read_bytes()[:-1] + b"?")
    space = "search={system: ver6, trials: 3, space: {train.lr0: {low: 1.0e-5, high: 1.0e-2}}}"
    changes = [word for change in (*CHANGES, space) for word in ("--set", change)]
    code, said = call(["search", str(finished.parent / "study" / "study.yaml"), *changes, "--out", str(worked_in)])
    assert code == 0, said
    details = [detail for check in wrong(verify(worked_in, photos=False)) for detail in check.details]
    assert details == [f"{trial.relative_to(worked_in).as_posix()}: its bytes are not those that were recorded"]


@pytest.mark.slow
def test_a_changed_byte_in_the_record_itself_is_named(copy):
    text = (copy / "state.json").read_text()
    place = text.index('"seconds": ') + len('"seconds": ')
    changed = "8" if text[place] != "8" else "9"
    (copy / "state.json").write_text(text[:place] + changed + text[place + 1 :])
    (check,) = wrong(verify(copy, photos=False))
    assert "state.json" in check.details[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["state.json", "state.copy.json"])
@pytest.mark.parametrize(("there", "changed"), [('"seal"', '"sxal"'), ('"format"', '"formaz"'), ("\n ", "\t ")])
def test_a_changed_byte_that_says_nothing_is_named(copy, name, there, changed):
    """Of a key that is passed over elsewhere, and of what only divides."""
    text = (copy / name).read_text()
    (copy / name).write_text(text.replace(there, changed, 1))
    try:
        told = [detail for check in wrong(verify(copy, photos=False)) for detail in check.details]
    except WorkspaceError as error:
        told = [str(error)]
    assert any(name in one for one in told)


@pytest.mark.slow
def test_a_figure_that_does_not_follow_is_found_though_all_hashes_were_made_to_fit(copy):
    file = copy / "systems" / "ver6" / "metrics.json"
    figures = json.loads(file.read_text())
    figures["auc_damaged"] = 0.999
    file.write_text(json.dumps(figures, indent=1))
    forge(copy, "systems/ver6/metrics.json")
    details = [detail for check in wrong(verify(copy, photos=False)) for detail in check.details]
    assert any(detail.startswith("auc_damaged: 0.999 is recorded, ") for detail in details)
    assert any("report/comparison.json" in detail for detail in details)  # it no longer agrees with the figures


@pytest.mark.slow
def test_a_changed_prediction_is_found_though_all_hashes_were_made_to_fit(copy):
    file = copy / "systems" / "ver6" / "predictions" / "test.parquet"
    table = pl.read_parquet(file)
    table.with_columns(confidence=1 - pl.col("confidence")).write_parquet(file)
    forge(copy, "systems/ver6/predictions/test.parquet")
    found = verify(copy, photos=False)
    assert {"figures of ver6", "ver6 in the record of looks"} <= {check.what for check in wrong(found)}


@pytest.mark.slow
def test_a_look_that_came_after_the_report_changes_no_report(copy):
    file = copy / "test.looks.jsonl"
    text = file.read_text()
    file.write_text(text + '{"when":"2026-11-25T10:00:00+00:00","what":["ver6"],"digest":"audited"}\n')
    with open_workspace(copy) as workspace:
        workspace.seal()
    assert not wrong(verify(copy, photos=False))
    file.write_text(text.splitlines(keepends=True)[0])  # one that is gone does
    with open_workspace(copy) as workspace:
        workspace.seal()
    assert wrong(verify(copy, photos=False))


@pytest.mark.slow
def test_a_photo_that_changed_is_named_and_one_that_is_gone_is_counted(finished, copy):
    photos = pl.read_parquet(copy / "catalog" / "photos.parquet")
    (name, changed), (_, gone) = (
        (photo, Path(path)) for photo, path in photos.select("photo", "path").head(2).rows()
    )
    kept = {path: (path.read_bytes(), path.stat()) for path in (changed, gone)}
    try:
        changed.write_bytes(kept[changed][0] + b"!")
        (check,) = wrong(verify(copy))
        assert check.what == "the photos of the sources"
        assert name in check.details[0]
        changed.write_bytes(kept[changed][0])
        gone.unlink()
        found = verify(copy)
        assert not wrong(found)
        assert any(
            "1 are no longer" in check.details[0] for check in found.checks if check.outcome == "not checked"
        )
    finally:
        for path, (content, status) in kept.items():
            path.write_bytes(content)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.slow
def test_the_same_study_gives_the_same_bytes(finished, tmp_path):
    """Same study, seed, versions, processor and threads; what is measured (time) and when it was is left out."""
    study = Study.load(finished.parent / "study" / "study.yaml", overrides=CHANGES)
    pipeline.run(study, out=tmp_path / "again")
    names = sorted(path.relative_to(finished).as_posix() for path in finished.rglob("*.parquet"))
    names += ["quarantine.csv", "report/decisions.csv", "report/evidence.json"]
    names += [path.relative_to(finished).as_posix() for path in finished.rglob("best.safetensors")]
    plots = [path.relative_to(finished).as_posix() for path in (finished / "report" / "figures").iterdir()]
    assert len(plots) > 5
    names += plots
    timed = {"frozen_at", "locked"}
    differing = [
        name for name in names if content(finished / name, timed) != content(tmp_path / "again" / name, timed)
    ]
    assert len(names) > 20
    assert differing == []
    measured = {"ms_per_image", "ms_p95", "fps", "train_seconds"}
    tables = ["comparison.json", "comparison.csv", "comparison.md"]
    curves = list(finished.rglob("training/work/results.csv"))
    assert len(curves) == 2  # one for each seed
    for file in (*finished.rglob("metrics.json"), *(finished / "report" / name for name in tables), *curves):
        again = tmp_path / "again" / file.relative_to(finished)
        left_out = measured | ({"time"} if file in curves else {"ms", "FPS"})
        assert content(file, left_out) == content(again, left_out), file


def content(file, left_out):
    """The bytes of a file; of JSON, CSV and tables in Markdown the values without some fields."""
    if file.suffix == ".csv" and left_out:
        rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
        return [[(key, value) for key, value in row.items() if key not in left_out] for row in rows]
    if file.suffix == ".md":
        return without_columns(file.read_text(encoding="utf-8").splitlines(), left_out)
    if file.suffix != ".json":
        return file.read_bytes()

    def without(value):
        if isinstance(value, dict):
            return {key: without(item) for key, item in value.items() if key not in left_out}
        return [without(item) for item in value] if isinstance(value, list) else value

    return without(json.loads(file.read_text()))


def without_columns(lines, left_out):
    """Lines of Markdown; of its tables, the cells but those under some heads."""
    found, heads = [], []
    for line in lines:
        cells = line.split(" | ") if line.startswith("|") else []
        heads = [] if not cells else heads or [cell.strip("| ") for cell in cells]
        kept = [cell for head, cell in zip(heads, cells, strict=True) if head not in left_out]
        found.append(kept if cells else line)
    return found


@pytest.mark.slow
def test_the_command_says_what_differs_and_exits_with_1(copy):
    page = copy / "report" / "index.html"
    page.write_text(page.read_text().replace("<h1", "<h1 ", 1))
    (copy / "notes.txt").write_text("mine")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "wreckognize",
            "verify",
            str(copy),
            "--no-photos",
            "--out",
            str(copy.parent / "v.json"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    assert "report/index.html: its bytes are not those that were recorded" in done.stdout
    assert "files that the run did not record: 1" in done.stdout
    assert "notes.txt" in done.stdout
    assert json.loads((copy.parent / "v.json").read_text())["holds"] is False


def test_what_is_no_run_is_said(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "wreckognize", "verify", str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "not a run's folder" in done.stderr
    assert not list(tmp_path.iterdir())


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values, values)
def test_differences_are_there_if_and_only_if_values_differ(one, other):
    assert differences(one, one) == []
    assert bool(differences(one, other)) == (json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True))


def forge(run, name):
    """Make the record fit a changed file, as somebody would who wants to hide the change."""
    file = run / "state.json"
    state = State.model_validate_json(file.read_bytes())
    stages = {}
    for stage, record in state.stages.items():
        outputs = {
            output: known.model_copy(update={"sha256": sha256_of(run / name)}) if output == name else known
            for output, known in record.outputs.items()
        }
        stages[stage] = record.model_copy(update={"outputs": outputs})
    file.write_text(state.model_copy(update={"stages": stages}).sealed().model_dump_json(indent=1))
