from __future__ import annotations

import numpy as np
import pytest
from bundles import draw_photos, make_bundle

from wreckognize import images
from wreckognize.detectors.ultralytics import open_detector
from wreckognize.errors import BundleError, UsageError
from wreckognize.exporting.bundle import new_bundle, read_bundle
from wreckognize.inference.stream import PhotoFile, look_at
from wreckognize.study.weights import starter_path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    files = []
    for path in draw_photos(tmp_path_factory.mktemp("drawn"), 8, seed=11):
        header = images.read_header(path)
        files.append(PhotoFile(path.name, path, header.width, header.height))
    return files


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle") / "onnx")


def looks(detector, photos, settings):
    return {look.photo: look for look in look_at(photos, detector, settings)}


@pytest.mark.parametrize("to", ["onnx", "openvino", "safetensors"])
def test_a_moved_bundle_decides_as_the_original(tmp_path, photos, to):
    made = make_bundle(tmp_path / "here", to=to)
    (tmp_path / "elsewhere").mkdir()
    bundle = read_bundle(made.folder.rename(tmp_path / "elsewhere" / "bundle"))
    settings = bundle.stream_settings()
    original = looks(open_detector(str(starter_path()), classes=("car",), device="cpu"), photos, settings)
    tested = looks(bundle.open(threads=1), photos, settings)
    scores = np.array([original[photo.photo].score for photo in photos])
    assert scores[::2].max() > 0.5
    for photo in photos:
        left, right = original[photo.photo], tested[photo.photo]
        assert right.score == pytest.approx(left.score, abs=2e-4)
        assert bundle.verdict(left.score) == bundle.answer(right).verdict
        np.testing.assert_allclose(right.boxes[:1], left.boxes[:1], atol=0.1)


def test_every_file_is_listed_and_a_changed_byte_of_any_is_named(bundle, tmp_path):
    import shutil

    names = sorted(file.name for file in bundle.folder.iterdir())
    assert set(names) - {"bundle.json"} == set(bundle.manifest.files)
    rng = np.random.default_rng(0)
    for name in names:
        copy = tmp_path / "copy"
        shutil.copytree(bundle.folder, copy)
        data = bytearray((copy / name).read_bytes())
        data[int(rng.integers(len(data)))] ^= 1
        (copy / name).write_bytes(data)
        with pytest.raises(BundleError, match=name):
            read_bundle(copy)
        (copy / name).unlink()
        with pytest.raises(BundleError, match=name):
            read_bundle(copy)
        shutil.rmtree(copy)
    read_bundle(bundle.folder)


def test_a_bundle_appears_whole_or_not_at_all(tmp_path):
    def give_up():
        with new_bundle(tmp_path / "b") as folder:
            (folder / "model.onnx").write_bytes(b"half")
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        give_up()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "b").mkdir()
    with pytest.raises(UsageError, match="something already"), new_bundle(tmp_path / "b"):
        pass
    assert list((tmp_path / "b").iterdir()) == []


def test_a_band_gives_three_verdicts(tmp_path):
    bundle = make_bundle(tmp_path / "b", to_a_person=(0.05, 0.6))
    assert [bundle.verdict(score) for score in (0.01, 0.05, 0.59, 0.6)] == [
        "no vehicle",
        "to a person",
        "to a person",
        "vehicle",
    ]
    reference = bundle.manifest.reference
    assert sum(reference.verdicts.values()) == reference.photos == sum(reference.score.counts) == 6
