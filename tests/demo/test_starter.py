import json

import cv2
import numpy as np
import pytest

from wreckognize.demo import starter
from wreckognize.demo.collection import draw_damaged, random_size, write_jpeg
from wreckognize.demo.draw import random_case, render_background, render_vehicle_photo
from wreckognize.detectors.ultralytics import build_model, import_library, load_network, open_detector
from wreckognize.detectors.weights import read_card
from wreckognize.inference.stream import PhotoFile, StreamSettings, look_at
from wreckognize.study.weights import starter_path

PHOTOS = 40


def generator(*seed):
    return np.random.Generator(np.random.PCG64(list(seed)))


def test_it_is_yolov8_with_an_eighth_of_the_channels():
    import_library()
    from ultralytics.utils import ROOT, YAML

    published = YAML.load(ROOT / "cfg/models/v8/yolov8.yaml")
    ours = starter.architecture()
    assert json.dumps([ours["backbone"], ours["head"]]) == json.dumps([published["backbone"], published["head"]])
    parameters = sum(parameter.numel() for parameter in build_model(ours, 1).parameters())
    assert parameters == pytest.approx(0.91e6, rel=0.01)


def test_its_first_weights_follow_the_seed():
    import_library()
    first, same, other = (build_model(starter.architecture(), 1) for _ in range(3))
    fixed = first.state_dict()["model.22.dfl.conv.weight"].clone()
    for network, seed in ((first, 1), (same, 1), (other, 2)):
        starter._seed_weights(network, seed)
    for name, tensor in first.state_dict().items():
        assert np.array_equal(tensor.numpy(), same.state_dict()[name].numpy()), name
    stem = "model.0.conv.weight"
    assert not np.array_equal(first.state_dict()[stem].numpy(), other.state_dict()[stem].numpy())
    assert np.abs(first.state_dict()[stem].numpy()).max() <= 27**-0.5  # three channels of 3 x 3
    assert np.array_equal(first.state_dict()["model.22.dfl.conv.weight"].numpy(), fixed.numpy())


def test_the_shipped_one_is_what_its_card_says():
    card = read_card(starter_path())
    assert card.dtype == "float16"
    assert card.imgsz == starter.IMGSZ
    assert "drawn" in card.trained_on
    assert card.architecture["backbone"] == starter.architecture()["backbone"]
    assert starter_path().stat().st_size < 1.95e6
    assert len(load_network(str(starter_path())).names) == 1


def highest_confidences(folder, draw):
    """Of each photo, looked at by the shipped starter."""
    photos = []
    for number in range(PHOTOS):
        rng = generator(4321, number)
        image, path = draw(rng, random_size(rng)), folder / f"{number:03d}.jpg"
        write_jpeg(path, image, rng)
        photos.append(PhotoFile(path.name, path, image.shape[1], image.shape[0]))
    detector = open_detector(str(starter_path()), classes=("car", "bus", "truck"))
    looks = look_at(photos, detector, StreamSettings(imgsz=starter.IMGSZ))
    return np.array([look.confidences.max(initial=0) for look in looks])


def draw_intact(rng, size):
    return render_vehicle_photo(rng, random_case(rng, damaged=False), size=size, close_up=False).image


def draw_close_up(rng, size):
    return draw_damaged(rng, random_case(rng, damaged=True), size, close_up=True).image


def draw_place(rng, size):
    return render_background(rng, size=size, hard=True).image


def test_the_shipped_one_knows_intact_vehicles_and_misses_damaged_ones_from_near(tmp_path):
    def scores(name, draw):
        (tmp_path / name).mkdir()
        return highest_confidences(tmp_path / name, draw)

    intact, close, place = (scores(draw.__name__, draw) for draw in (draw_intact, draw_close_up, draw_place))
    assert (intact >= 0.1).mean() >= 0.95
    assert (place >= 0.1).mean() <= 0.2
    assert (close >= 0.1).mean() <= 0.75


@pytest.mark.slow
def test_the_command_builds_one(tmp_path, monkeypatch, capsys):
    options = {"out": tmp_path / "out", "epochs": 1, "vehicles": 36, "places": 12, "seed": 3}
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    monkeypatch.setattr("sys.argv", ["starter", *arguments])
    starter.main()
    weights = tmp_path / "out" / "starter.safetensors"
    assert sorted(path.name for path in weights.parent.iterdir()) == ["starter.json", "starter.safetensors"]
    assert read_card(weights).trained_on.startswith("36 drawn photos of intact vehicles, 12 without")
    assert len(load_network(str(weights)).names) == 1
    assert "training the starter" in capsys.readouterr().err


def test_its_photos_are_intact_and_labelled(tmp_path):
    from wreckognize.progress import Silent

    photos, labels = starter._draw(tmp_path / "photos", 12, 8, 0, Silent())
    assert photos.height == 20
    assert labels.height == 12
    assert set(labels["photo"]) == set(photos["photo"][:12])
    assert set(photos["split"]) == {"train", "val"}
    for path, width, height in photos.select("path", "width", "height").iter_rows():
        assert cv2.imread(path).shape == (height, width, 3)
