"""The shortcut check on a small study whose damaged photos are all squares and whose backgrounds never are."""

import json
import shutil

import cv2
import numpy as np
import polars as pl
import pytest
from photographs import draw_photo
from studies import tree, write_study

from wreckognize.detectors.port import DetectorInfo, RawDetections
from wreckognize.errors import UsageError
from wreckognize.evidence.shortcuts import ShortcutCheck
from wreckognize.progress import Silent
from wreckognize.stages import alike, collecting, data, looking, shortcuts
from wreckognize.stages.run import Run
from wreckognize.study import Study
from wreckognize.workspace import open_workspace

SIDE = 96


class Fake:
    """A detector that says what ``looks_like_a_vehicle`` says of a letterboxed photo."""

    info = DetectorInfo("fake", "fake", "0", False, ("vehicle",), 32, "cpu", "fp32", 1)

    def __init__(self, looks_like_a_vehicle):
        self.looks_like_a_vehicle = looks_like_a_vehicle
        self.photos = 0

    def infer(self, batch):
        self.photos += len(batch)
        confidences = np.float32([[0.9 if self.looks_like_a_vehicle(photo) else 0.01] for photo in batch])
        boxes = np.tile(np.float32([0, 0, 32, 32]), (len(batch), 1, 1))
        return RawDetections(boxes, confidences, np.ones((len(batch), 2), np.float32))


def is_square(photo):
    return photo.shape[0] == photo.shape[1]


def has_bright_block(photo):
    return (cv2.GaussianBlur(photo, (0, 0), 4).max(axis=2) > 160).mean() > 0.03


@pytest.fixture
def make_run(tiny_weights, tmp_path, monkeypatch):
    """A run up to the predictions on the test set, with a detector of one's own."""
    folder = tmp_path / "study"

    def photos(name, width, height, *, vehicle, count=16):
        for number in range(count):
            draw_photo(
                folder / name / f"{number:02}.jpg", 100 * len(name) + number, width=width, height=height,
                vehicle=vehicle,
            )  # fmt: skip

    photos("damaged", SIDE, SIDE, vehicle=True)
    photos("intact", 80, 80, vehicle=True)
    photos("street", SIDE, 64, vehicle=False)
    photos("papers", 60, 90, vehicle=False, count=12)
    source = {"type": "folder", "split": "test"}
    file = write_study(
        folder,
        tiny_weights,
        sources=[
            source | {"name": "damaged", "role": "damaged", "images": "damaged"},
            source | {"name": "intact", "role": "normal", "images": "intact"},
            source | {"name": "street", "role": "background", "images": "street"},
            source | {"name": "papers", "role": "background", "images": "papers", "hard": True},
        ],
        systems={"baseline": {"recipe": "baseline", "weights": tiny_weights.name, "predict": {"imgsz": SIDE}}},
    )
    study = Study.load(file)

    def make(workspace, detector):
        monkeypatch.setattr(looking.Looker, "open", lambda self: detector)
        run = Run(study, workspace, Silent())
        collecting.collect(run)
        alike.look_alike(run)
        data.split(run, embeddings=False)
        looking.predict(run, study.systems[0], "test")
        shortcuts.photo_traits(run)
        # As if this study had trained it: what a detector that was trained elsewhere does is only a yardstick.
        trained = study.systems[0].model_copy(update={"trained": True})
        weights = run.trained_folder(trained) / "weights" / "best.safetensors"
        weights.parent.mkdir()
        shutil.copyfile(tiny_weights, weights)
        return run, trained

    return make


@pytest.fixture
def workspace(tmp_path):
    with open_workspace(tmp_path / "run") as opened:
        yield opened


def test_a_detector_that_learnt_squares_is_caught(make_run, workspace, tmp_path):
    run, system = make_run(workspace, Fake(is_square))
    before = tree(tmp_path / "study")
    found = shortcuts.shortcut_check(run, system, threshold=0.1)
    by_name = {(each.role, each.kind): each for each in found.alterations}
    squared = by_name["background", "stretched"]
    assert (squared.rate.before, squared.rate.after) == (0.0, 1.0)
    assert "photo shape, not vehicles, may have been learnt" in squared.warning
    assert by_name["background", "padded"].rate.after == 1.0
    assert by_name["damaged", "stretched"].rate.after == 0.0
    assert by_name["background", "recompressed"].warning is None
    assert "100 % of the damaged photos are 96 x 96 pixels; so are 0 % of the normal photos" in found.facts[0]
    written = json.loads(run.path("systems", "baseline", "shortcuts.json").read_text())
    assert ShortcutCheck.from_dict(written) == found
    assert tree(tmp_path / "study") == before  # sources are never written to
    assert not list(run.path("systems", "baseline", "shortcuts").glob("copies*"))


def test_a_detector_that_looks_at_content_is_not(make_run, workspace):
    run, system = make_run(workspace, Fake(has_bright_block))
    found = shortcuts.shortcut_check(run, system, threshold=0.1)
    rates = {(each.role, each.kind): (each.rate.before, each.rate.after) for each in found.alterations}
    assert found.warnings == (), rates
    assert rates["damaged", "padded"] == (1.0, 1.0)
    assert rates["background", "stretched"] == (0.0, 0.0)


def test_what_is_done_is_not_done_again(make_run, workspace):
    detector = Fake(is_square)
    run, system = make_run(workspace, detector)
    first = shortcuts.shortcut_check(run, system, threshold=0.1)
    looked = detector.photos
    assert shortcuts.shortcut_check(run, system, threshold=0.1) == first
    assert detector.photos == looked
    higher = shortcuts.shortcut_check(run, system, threshold=0.95)  # judged anew, not looked at anew
    assert detector.photos == looked
    assert higher.threshold == 0.95
    assert all(each.rate.after == 0 for each in higher.alterations)


def test_a_killed_check_goes_on_where_it_stood(make_run, workspace):
    class Killed(Fake):
        def infer(self, batch):
            if self.photos > limit:
                raise KeyboardInterrupt
            return super().infer(batch)

    limit = 10**9
    detector = Killed(is_square)
    run, system = make_run(workspace, detector)
    limit = detector.photos + 60
    with pytest.raises(KeyboardInterrupt):
        shortcuts.shortcut_check(run, system, threshold=0.1)
    looked, limit = detector.photos, 10**9
    assert not list(run.path("systems", "baseline", "shortcuts").glob("copies*"))
    shortcuts.shortcut_check(run, system, threshold=0.1)
    once = sum(each.changed for each in ShortcutCheck.from_dict(
        json.loads(run.path("systems", "baseline", "shortcuts.json").read_text())
    ).alterations)  # fmt: skip
    assert detector.photos - looked < once


def test_an_altered_photo_that_is_alike_already_keeps_its_score(make_run, workspace):
    run, system = make_run(workspace, Fake(is_square))
    found = shortcuts.shortcut_check(run, system, threshold=0.1)
    recompressed = next(each for each in found.alterations if each.kind == "recompressed")
    assert recompressed.changed == 0  # all were saved at one quality
    assert recompressed.rate.change == 0
    assert pl.read_parquet(run.path("systems", "baseline", "shortcuts", "damaged-recompressed.parquet")).is_empty()


def test_traits_are_those_of_the_test_photos(make_run, workspace):
    run, _ = make_run(workspace, Fake(is_square))
    traits = shortcuts.traits_of_test(run)
    assert traits["photo"].to_list() == run.photos_of("test")["photo"].to_list()
    assert traits["quality"].unique().to_list() == [95]
    first = run.photos_of("test").row(0, named=True)
    grey = cv2.cvtColor(cv2.imread(first["path"]), cv2.COLOR_BGR2GRAY)
    assert traits["brightness"][0] == pytest.approx(grey.mean(), abs=1e-3)


def test_hard_backgrounds_are_a_slice(make_run, workspace):
    run, _ = make_run(workspace, Fake(is_square))
    slices = shortcuts.slices_of_test(run)
    hard = slices.filter(trait="background", slice="hard")["photo"]
    assert len(hard) == 12
    assert all(photo.startswith("papers/") for photo in hard)


def test_a_photo_that_is_gone_is_named(make_run, workspace):
    run, _ = make_run(workspace, Fake(is_square))
    gone = run.photos_of("test").row(0, named=True)
    (run.study.file.parent / "damaged" / "00.jpg").unlink()
    workspace.forget(["traits"])
    with pytest.raises(UsageError, match=f"{gone['photo']}: file is not there"):
        shortcuts.photo_traits(run)
