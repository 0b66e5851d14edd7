import json
import os
import subprocess
import sys

import pytest

from wreckognize.errors import WorkspaceError
from wreckognize.files import atomic_write
from wreckognize.state import fingerprint_of
from wreckognize.workspace import open_workspace


def test_a_function_is_asked_for_inputs_after_the_work_the_first_time_and_before_it_later(tmp_path):
    counter, asked = Counter(tmp_path / "run" / "out.txt"), []

    def inputs():
        asked.append(counter.calls)
        return {"epochs": 1}

    assert run_once(tmp_path / "run", inputs, counter)
    assert not run_once(tmp_path / "run", inputs, counter)
    counter.path.unlink()
    assert run_once(tmp_path / "run", inputs, counter)
    assert not run_once(tmp_path / "run", {"epochs": 1}, counter)
    assert asked == [1, 1, 1]


class Counter:
    def __init__(self, path, text="x"):
        self.path, self.text, self.calls = path, text, 0

    def __call__(self):
        self.calls += 1
        atomic_write(self.path, self.text)


def run_once(root, inputs, counter):
    with open_workspace(root) as workspace:
        return workspace.run_stage("stage", inputs, [counter.path], counter)


def test_a_stage_runs_again_only_when_its_inputs_or_outputs_change(tmp_path):
    root = tmp_path / "run"
    counter = Counter(root / "out.txt")
    assert run_once(root, {"epochs": 1}, counter)
    assert not run_once(root, {"epochs": 1}, counter)
    assert run_once(root, {"epochs": 2}, counter)
    counter.path.write_text("changed by hand")
    assert run_once(root, {"epochs": 2}, counter)
    counter.path.unlink()
    assert run_once(root, {"epochs": 2}, counter)
    assert counter.calls == 4


def test_a_stage_that_failed_is_not_recorded(tmp_path):
    root = tmp_path / "run"
    with open_workspace(root) as workspace:
        workspace.run_stage("before", {}, [root / "a.txt"], Counter(root / "a.txt"))

        def fail():
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            workspace.run_stage("stage", {}, [root / "out.txt"], fail)
        assert "stage" not in workspace.stages
    assert list(json.loads((root / "state.json").read_text())["stages"]) == ["before"]


def test_a_run_that_came_to_nothing_leaves_no_folder(tmp_path):
    root = tmp_path / "run"

    def come_to_nothing():
        with open_workspace(root):
            raise ValueError("no photos")

    with pytest.raises(ValueError, match="no photos"):
        come_to_nothing()
    assert not root.exists()
    root.mkdir()
    with pytest.raises(ValueError, match="no photos"):
        come_to_nothing()
    assert root.exists()  # it was there before


def test_digests_name_the_outputs_by_content(tmp_path):
    root = tmp_path / "run"
    with open_workspace(root) as workspace:
        for name in ("a", "b"):
            counter = Counter(root / f"{name}.txt", "same")
            workspace.run_stage(name, {}, [counter.path], counter)
        assert workspace.digest("a")["a.txt"] == workspace.digest("b")["b.txt"]


def test_the_second_run_is_told_who_holds_the_folder(tmp_path):
    root = tmp_path / "run"
    code = "import sys; from wreckognize.workspace import open_workspace\nfrom pathlib import Path\n"
    code += "with open_workspace(Path(sys.argv[1])): pass"
    with open_workspace(root):
        second = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True)
    assert second.returncode != 0
    assert f"process {os.getpid()} on" in second.stderr
    third = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True)
    assert third.returncode == 0, third.stderr


def test_the_lock_of_a_killed_run_is_not_stale(tmp_path):
    root = tmp_path / "run"
    code = (
        "import os, signal, sys; from wreckognize.workspace import open_workspace\nfrom pathlib import Path\n"
        "with open_workspace(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(root)]).returncode == -9
    with open_workspace(root) as workspace:
        assert dict(workspace.stages) == {}


def test_parts_of_a_killed_write_are_cleared(tmp_path):
    root = tmp_path / "run"
    root.mkdir()
    with open_workspace(root):
        pass
    (root / "catalog").mkdir()
    (root / "catalog" / "photos.parquet.123.part").write_text("half")
    with open_workspace(root):
        assert list((root / "catalog").iterdir()) == []


def test_a_folder_that_is_no_run_is_refused_and_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"photo")
    with pytest.raises(WorkspaceError, match=r"not a run.*holiday\.jpg"), open_workspace(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_broken_state_is_said(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state.json").write_text("{")
    with pytest.raises(WorkspaceError, match=r"state\.json"), open_workspace(tmp_path / "run"):
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written"), open_workspace(tmp_path / "file" / "run"):
        pass


def test_the_fingerprint_does_not_depend_on_the_order_of_keys():
    assert fingerprint_of({"a": 1, "b": "차"}) == fingerprint_of({"b": "차", "a": 1})
    assert fingerprint_of({"a": 1}) != fingerprint_of({"a": 2})


def test_several_processes_share_a_folder_but_do_no_stage(tmp_path):
    root = tmp_path / "run"
    counter = Counter(root / "out.txt")
    told = []
    with open_workspace(root, beside=told.append) as first:
        assert not first.shared  # nobody else is there
        first.run_stage("stage", {}, [counter.path], counter)
        first.share()
        with pytest.raises(WorkspaceError, match="another run holds this folder"), open_workspace(root):
            pass
        part = root / "x.1.part"
        part.write_text("being written")
        with open_workspace(root, beside=told.append) as second:
            assert second.shared
            second.share()
            assert not second.run_stage("stage", {}, [counter.path], counter)
            with pytest.raises(WorkspaceError, match="others work with what it made"):
                second.run_stage("stage", {"changed": 1}, [counter.path], counter)
        assert part.exists()  # it belongs to the other one
    assert (told, counter.calls) == ([], 1)
    with open_workspace(root) as alone:
        assert alone.run_stage("stage", {"changed": 1}, [counter.path], counter)


def test_who_wants_to_share_waits_for_who_holds_the_folder_alone(tmp_path):
    root = tmp_path / "run"
    code = (
        "import sys, time; from pathlib import Path; from wreckognize.workspace import open_workspace\n"
        "with open_workspace(Path(sys.argv[1])): print('held', flush=True); sys.stdin.readline()"
    )
    command = [sys.executable, "-c", code, str(root)]
    told = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        holder.stdout.readline()

        def let_go(text):
            told.append(text)
            holder.stdin.close()

        with open_workspace(root, beside=let_go) as workspace:
            assert not workspace.shared
    assert len(told) == 1
    assert f"process {holder.pid}" in told[0]


def test_a_stage_done_by_another_run_before_sharing_is_noticed(tmp_path):
    root = tmp_path / "run"
    with open_workspace(root) as workspace:
        workspace.run_stage("stage", {}, [root / "a.txt"], Counter(root / "a.txt"))
        state = json.loads((root / "state.json").read_text())
        state["stages"]["stage"]["fingerprint"] = "another"
        atomic_write(root / "state.json", json.dumps(state))
        with pytest.raises(WorkspaceError, match="changed this folder meanwhile"):
            workspace.share()
