"""Another number of threads or other vector instructions: the same within the tolerance of docs/run-folder.md."""

import os
import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
from photographs import draw_photo
from safetensors.numpy import load_file
from trainings import go, lay_out

SCORES = 1e-5
BOXES = 0.02
"""Pixels."""
WEIGHTS = 1e-3
"""Of the weights of a training of a few steps, all together: length of the difference by their own."""

PLAIN = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "default"}
"""Stands in for an older processor: the libraries leave its newer instructions alone."""

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
import torch
from wreckognize import images
from wreckognize.detectors.ultralytics import open_detector
from wreckognize.inference.stream import PhotoFile, StreamSettings, look_at

weights, size, threads, out, *photos = sys.argv[1:]
detector = open_detector(weights, classes=("car", "bus", "truck", "vehicle"))
assert torch.get_num_threads() == int(threads), torch.get_num_threads()
files = []
for photo in photos:
    height, width = images.decode(Path(photo)).shape[:2]
    files.append(PhotoFile(photo, Path(photo), width, height))
looks = {look.photo: look for look in look_at(files, detector, StreamSettings(int(size)))}
found = {}
for number, photo in enumerate(photos):
    found[f"boxes {number}"], found[f"scores {number}"] = looks[photo].boxes, looks[photo].confidences
np.savez(out, **found)
"""


@pytest.fixture
def cores():
    """All cores of this process; the test may take some away."""
    all_cores = sorted(os.sched_getaffinity(0))
    if len(all_cores) < 2:
        pytest.skip("one core only: there is no other number of threads")
    yield all_cores
    os.sched_setaffinity(0, all_cores)


def predicted(weights, size, photos, out, cores, **environment):
    """Boxes and scores of all photos, by a process that has these cores only."""
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(weights), str(size), str(len(cores)), str(out), *map(str, photos)],
        env=os.environ | environment,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        check=True,
        timeout=300,
    )
    return dict(np.load(out))


def require_close(here, elsewhere):
    assert here.keys() == elsewhere.keys()
    assert any(array.size for array in here.values())
    for name, array in here.items():
        assert array.shape == elsewhere[name].shape, name
        limit = BOXES if name.startswith("boxes") else SCORES
        assert np.abs(array - elsewhere[name]).max(initial=0) <= limit, name


@pytest.mark.slow
def test_predictions_of_a_small_network(tiny_weights, cores, tmp_path):
    photos = [draw_photo(tmp_path / f"{number}.jpg", number) for number in range(6)]
    here = predicted(tiny_weights, 160, photos, tmp_path / "here.npz", cores)
    require_close(here, predicted(tiny_weights, 160, photos, tmp_path / "one.npz", cores[:1]))
    require_close(here, predicted(tiny_weights, 160, photos, tmp_path / "plain.npz", cores, **PLAIN))


@pytest.mark.slow
@pytest.mark.photos
def test_predictions_of_a_real_network_on_real_photos(shared, cores, tmp_path):
    weights = shared / "weights" / "yolov8n-coco.pt"
    photos = list(islice(sorted((shared / "data" / "damaged").rglob("*.jpg")), 12))
    here = predicted(weights, 640, photos, tmp_path / "here.npz", cores)
    one = predicted(weights, 640, photos, tmp_path / "one.npz", cores[:1])
    require_close(here, one)
    assert any((here[name] != one[name]).any() for name in here)  # else the tolerance would not be needed
    require_close(here, predicted(weights, 640, photos, tmp_path / "plain.npz", cores, **PLAIN))


@pytest.mark.slow
def test_weights_after_a_short_training(tiny_weights, cores, tmp_path):
    def weights(name, with_cores):
        os.sched_setaffinity(0, with_cores)
        layout = lay_out(tmp_path / name)
        go(layout, tiny_weights, {"imgsz": 64, "epochs": 2, "cache": "off"})
        made = load_file(layout.folder.parent.parent / "weights" / "best.safetensors")
        return {key: value.astype(np.float64) for key, value in made.items()}

    two, one, start = weights("two", cores), weights("one", cores[:1]), load_file(tiny_weights)
    length = sum((value**2).sum() for value in two.values()) ** 0.5
    apart = sum(((value - one[key]) ** 2).sum() for key, value in two.items()) ** 0.5
    learnt = sum(((value - start[key]) ** 2).sum() for key, value in two.items()) ** 0.5
    assert apart <= WEIGHTS * length
    assert learnt > 10 * apart  # they have moved, and both to the same place
