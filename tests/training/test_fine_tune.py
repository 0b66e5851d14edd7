import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager

import pytest
import yaml
from trainings import go, processes_of

from wreckognize.detectors.ultralytics import load_network
from wreckognize.errors import TrainingError
from wreckognize.processor import has_bfloat16
from wreckognize.progress import Silent
from wreckognize.settings import TrainSettings
from wreckognize.training.curves import read_curves
from wreckognize.training.fine_tune import epochs_so_far, library_settings, read_result

SETTINGS = {"epochs": 3}


class StopAfterFirstEpoch(Silent):
    """Breaks off the parent once the child has reported an epoch."""

    class Task:
        def advance(self, count=1):
            pass

        def note(self, text):
            raise KeyboardInterrupt

    @contextmanager
    def task(self, description, total, unit="photos"):
        yield self.Task()


WATCH = """
import sys
import traceback

def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        with open({log!r}, "a") as log:
            log.write(event + str(arguments) + "\\n" + "".join(traceback.format_stack(limit=30)))

sys.addaudithook(note)
"""


@pytest.fixture
def calls_out(tmp_path, at_start):
    """A file in which every Python process started from now on notes its attempts to reach a network."""
    log = tmp_path / "calls.log"
    at_start(WATCH.format(log=str(log)))
    return log


@pytest.mark.slow
def test_a_training_leaves_weights_and_curves_and_nothing_else(
    training, tiny_weights, tmp_path, monkeypatch, calls_out
):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    sources = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (tmp_path / "photos").iterdir()}
    result = go(training, tiny_weights, SETTINGS, trained_on="blocks")
    folder = training.folder.parent
    assert result == read_result(folder)
    assert (result.epochs_run, result.device, result.precision) == (3, "cpu", "float32")
    assert 1 <= result.best_epoch <= 3
    curves = read_curves(folder / "work" / "results.csv")
    assert curves["epoch"].to_list() == [1, 2, 3]
    assert {"train/box_loss", "metrics/mAP50(B)", "metrics/mAP50-95(B)"} <= set(curves.columns)
    network = load_network(str(folder.parent / "weights" / "best.safetensors"))
    assert (network.names, network.sha256) == (("Vehicle",), result.weights_sha256)
    card = json.loads((folder.parent / "weights" / "model.json").read_text())
    assert (card["trained_on"], card["imgsz"]) == ("blocks", 32)
    used = yaml.safe_load((folder / "work" / "args.yaml").read_text())
    assert {name: used[name] for name in ("epochs", "imgsz", "batch", "freeze", "lr0", "optimizer", "patience")} == {
        "epochs": 3, "imgsz": 32, "batch": 4, "freeze": 2, "lr0": 1e-3, "optimizer": "AdamW", "patience": 15,
    }  # fmt: skip
    assert used["close_mosaic"] == 10  # the library's default, which the recipe leaves alone
    assert not list(folder.rglob("*.pt")), "pickles are left behind"
    assert list(home.iterdir()) == []
    assert not calls_out.exists(), calls_out.read_text()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in sources} == sources


@pytest.mark.slow
def test_the_child_does_not_outlive_a_killed_parent(training, tiny_weights, tmp_path):
    folder = training.folder.parent
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(f"""
        from pathlib import Path
        from wreckognize.progress import Silent
        from wreckognize.settings import TrainSettings
        from wreckognize.training.fine_tune import fine_tune
        from wreckognize.training.layout import Layout
        fine_tune({str(tiny_weights)!r}, Layout(Path({str(training.folder)!r}), 8, 4),
                  TrainSettings(epochs=500, imgsz=64, batch=4, device="cpu", workers=2), Path({str(folder)!r}),
                  seed=0, name="tiny", progress=Silent())
        """)
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    try:
        deadline = time.monotonic() + 120
        while len(processes_of(folder)) < 3:  # the child and two that load photos
            assert time.monotonic() < deadline, (folder / "train.log").read_text()
            assert parent.poll() is None
            time.sleep(0.05)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + 20
    while processes_of(folder):
        assert time.monotonic() < deadline, "the child went on writing"
        time.sleep(0.1)


SCORES = """
import torch
from ultralytics.models.yolo.detect import DetectionValidator
from wreckognize.training.validator import Validator, in_float32

DetectionValidator.init_metrics = DetectionValidator.update_metrics = lambda *_: None
validator = Validator.__new__(Validator)

def area(*photos):
    validator.init_metrics(None)
    for start in range(0, len(photos), 3):
        batch = photos[start : start + 3]
        owners = [float(index) for index, (labelled, _) in enumerate(batch) for _ in range(2 * labelled)]
        found = [{"conf": torch.tensor(scores)} for _, scores in batch]
        validator.update_metrics(found, {"batch_idx": torch.tensor(owners)})
    return validator.roc_area()

print(area((1, [0.5, 0.75]), (0, [0.25]), (1, []), (0, []), (0, [0.5, 0.125]), (1, [0.5])))
print(area((1, [0.5])), area((0, [0.5])), area((1, [float("nan")]), (0, [0.5])))

class Loss:
    updates = 2

    def __call__(self, predictions, batch):
        return predictions["boxes"].dtype, [map.dtype for map in predictions["maps"]]

loss = in_float32(Loss())
narrow = torch.zeros(2, dtype=torch.bfloat16)
print(loss({"boxes": narrow, "maps": [narrow]}, {}), loss.updates, isinstance(loss, Loss))
"""


@pytest.mark.slow
def test_after_each_epoch_photos_with_and_without_a_label_are_told_apart_by_their_best_boxes(tmp_path):
    from sklearn.metrics import roc_auc_score

    from wreckognize.detectors.ultralytics import fence

    done = subprocess.run(
        [sys.executable, "-c", SCORES], capture_output=True, text=True, env={**os.environ, **fence(tmp_path)}
    )
    assert done.returncode == 0, done.stderr
    expected = roc_auc_score([1, 0, 1, 0, 0, 1], [0.75, 0.25, 0, 0, 0.5, 0.5])
    found, unsaid, loss = done.stdout.splitlines()
    assert float(found) == pytest.approx(expected)
    assert unsaid == "None None None"
    assert loss == "(torch.float32, [torch.float32]) 2 True"


def test_epochs_of_a_training_are_read_back(tmp_path):
    events = [
        {"event": "start", "epoch": 0},
        {"event": "epoch", "epoch": 1, "roc_area": 0.5},
        {"event": "epoch", "epoch": 2, "roc_area": None},
        {"event": "epoch", "epoch": 3, "roc_area": 0.75},
        {"event": "note", "text": "about something"},
    ]
    (tmp_path / "events.jsonl").write_text(
        "".join(json.dumps(event) + "\n" for event in events) + '{"event": "epo'
    )
    assert epochs_so_far(tmp_path) == {1: 0.5, 3: 0.75}
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('\n{"event": "anew"}\n{"event": "epoch", "epoch": 1, "roc_area": 0.25}\n')
    assert epochs_so_far(tmp_path) == {1: 0.25}, "epochs of a training that was given up"
    assert epochs_so_far(tmp_path / "nothing") == {}


def test_a_child_that_fails_is_quoted(training, tmp_path):
    with pytest.raises(
        TrainingError, match=r"tiny ended with exit code 1(?s:.*)the weights have no card(?s:.*)same command again"
    ):
        go(training, tmp_path / "missing.safetensors", SETTINGS)
    assert processes_of(training.folder.parent) == []


@pytest.mark.slow
def test_bfloat16_on_a_cpu_survives_an_interruption(training, tiny_weights, tmp_path, at_start):
    """The precision of every forward pass, before and after, as the layers of the network see it."""
    log = tmp_path / "precisions.txt"
    at_start(
        f"""
        import sys
        if "wreckognize.training.child" in " ".join(sys.orig_argv):
            import torch
            plain = torch.nn.functional.silu

            def noted(input, inplace=False):
                with open({str(log)!r}, "a") as file:
                    file.write(str(input.dtype) + " " + str(torch.is_grad_enabled()) + chr(10))
                return plain(input, inplace)

            torch.nn.functional.silu = noted
        """
    )
    settings = {"epochs": 2, "amp": "bf16"}
    with pytest.raises(KeyboardInterrupt):
        go(training, tiny_weights, settings, progress=StopAfterFirstEpoch())
    can = has_bfloat16()
    seen = "torch.bfloat16 True" if can else "torch.float32 True"
    assert seen in log.read_text().splitlines()
    log.write_text("")
    told = "bfloat16 (mixed)" if can else "float32 (this CPU computes no bfloat16)"
    assert go(training, tiny_weights, settings).precision == told
    assert set(log.read_text().splitlines()) >= {seen}
    assert can or "torch.bfloat16 True" not in log.read_text().splitlines()


def test_several_devices_are_handed_on_as_one_text():
    settings = TrainSettings(device=(0, 1))
    assert library_settings(settings)["device"] == "0,1"
    assert "close_mosaic" not in library_settings(settings)
    assert "device" not in library_settings(TrainSettings())


def test_an_epoch_that_was_written_twice_counts_once(tmp_path):
    table = tmp_path / "results.csv"
    table.write_text(" epoch, loss\n1,0.5\n2,0.4\n2,0.3\n3,0.2\n")
    assert read_curves(table).rows() == [(1, 0.5), (2, 0.3), (3, 0.2)]


def test_the_watch_on_the_network_sees_a_call(calls_out):
    code = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "socket.connect" in calls_out.read_text()


def test_the_lock_goes_to_the_child(training, tiny_weights):
    """A descriptor named as inherited is open in the child under the same number."""
    descriptor = os.open(training.data_file, os.O_RDONLY)
    try:
        seen = []

        class Look(StopAfterFirstEpoch):
            class Task(StopAfterFirstEpoch.Task):
                def advance(self, count=1):
                    [child] = processes_of(training.folder.parent)
                    seen.append(os.readlink(f"/proc/{child}/fd/{descriptor}"))  # noqa: PTH115
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            go(training, tiny_weights, SETTINGS, progress=Look(), inherited=(descriptor,))
        assert seen == [str(training.data_file)]
    finally:
        os.close(descriptor)
