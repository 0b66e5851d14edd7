import numpy as np
import pytest

from wreckognize.catalog import DAMAGE_TYPES
from wreckognize.demo.damage import Injury, paint_injury, random_injuries
from wreckognize.demo.solids import Camera, Light
from wreckognize.demo.vehicles import paint_shadow, paint_vehicle, random_vehicle

KEY = np.array([255, 0, 255], dtype=np.uint8)  # no vehicle is painted so
SIZE = (640, 480)
LIGHT = Light(np.array([0.0, 0.6, 0.8]), 0.6)


def generator(*seed):
    return np.random.Generator(np.random.PCG64(list(seed)))


def camera_on(vehicle, yaw, pitch=0.15):
    camera = Camera(yaw, pitch, 2.2 * vehicle.size[0], np.array([0, 0, vehicle.size[2] / 2]))
    seen = camera.project(vehicle.corners)
    scale = 0.8 * min(SIZE[0], SIZE[1]) / np.ptp(seen, axis=0).max()
    middle = (seen.max(axis=0) + seen.min(axis=0)) / 2 * scale
    return camera.moved(scale=scale, origin=(SIZE[0] / 2 - middle[0], SIZE[1] / 2 - middle[1]))


def paint(vehicle, camera):
    drawing = np.broadcast_to(KEY, (SIZE[1], SIZE[0], 3)).copy()
    mask = np.zeros((SIZE[1], SIZE[0]), dtype=np.uint8)
    paint_vehicle(drawing, mask, vehicle, camera, LIGHT)
    return drawing, mask


@pytest.mark.parametrize("kind", ["car", "truck", "bus"])
@pytest.mark.parametrize("yaw", np.linspace(0, 2 * np.pi, 7)[:-1])
def test_the_mask_is_what_was_painted(kind, yaw):
    vehicle = random_vehicle(generator(3), kind)
    drawing, mask = paint(vehicle, camera_on(vehicle, yaw))
    painted = (drawing != KEY).any(axis=2)
    # Lines are thick and smoothed, so they may reach a pixel or two beyond the faces they lie on.
    assert (painted & (mask == 0)).sum() < 0.01 * painted.sum()
    assert not ((mask > 0) & ~painted).any()
    assert painted.sum() > 5000


@pytest.mark.parametrize("kind", ["car", "truck", "bus"])
def test_a_vehicle_is_one_piece(kind):
    import cv2

    for seed in range(6):
        vehicle = random_vehicle(generator(seed), kind)
        _, mask = paint(vehicle, camera_on(vehicle, 0.6 + seed))
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        pieces = stats[1:, cv2.CC_STAT_AREA]
        assert count >= 2
        assert pieces.max() > 0.98 * pieces.sum()


def test_dimensions_are_those_of_real_vehicles():
    for seed in range(30):
        vehicle = random_vehicle(generator(seed))
        length, width, height = vehicle.size
        low, high = {"car": (3.5, 5.3), "truck": (4.9, 8.3), "bus": (7.9, 11.1)}[vehicle.kind]
        assert low < length < high
        assert 1.6 < width < 2.6
        assert 1.3 < height < 3.5
        assert np.abs(vehicle.corners[:, 0]).max() <= length / 2 + 1e-6
        assert vehicle.corners[:, 2].min() >= -1e-6


def test_cars_are_the_most_common():
    kinds = [random_vehicle(generator(seed)).kind for seed in range(120)]
    assert kinds.count("car") > kinds.count("truck") > 0
    assert kinds.count("bus") > 0


def test_panels_look_outwards_and_have_every_material():
    for kind in ("car", "truck", "bus"):
        vehicle = random_vehicle(generator(1), kind)
        middle = np.array([0, 0, vehicle.size[2] / 2])
        assert {panel.material for panel in vehicle.panels} == {"body", "glass", "lamp"}
        for panel in vehicle.panels:
            assert (panel.centre - middle) @ panel.normal > 0


def test_a_shadow_darkens_the_ground_below():
    vehicle = random_vehicle(generator(2), "car")
    drawing = np.full((SIZE[1], SIZE[0], 3), 200, dtype=np.uint8)
    camera = camera_on(vehicle, 1.0)
    paint_shadow(drawing, vehicle, camera, 0.6)
    x, y = camera.project([[0, 0, 0]])[0].astype(int)
    assert drawing[y, x].max() < 120
    assert drawing[:20].min() == 200


def facing(vehicle, index):
    normal = vehicle.panels[index].normal
    upright = np.hypot(normal[0], normal[1]) > 0.3
    return camera_on(vehicle, np.arctan2(normal[1], normal[0]) if upright else 0.0, 0.15 if upright else 0.5)


@pytest.mark.parametrize("kind", DAMAGE_TYPES)
@pytest.mark.parametrize("vehicle_kind", ["car", "truck", "bus"])
def test_damage_is_seen_where_it_is_said_to_be(kind, vehicle_kind):
    vehicle = random_vehicle(generator(7), vehicle_kind)
    for index, panel in enumerate(vehicle.panels):
        if (panel.material != "body") != (kind == "Breakage"):
            continue
        camera = facing(vehicle, index)
        drawing, mask = paint(vehicle, camera)
        before = drawing.copy()
        outline = paint_injury(drawing, mask, Injury(kind, index, 5, 0.9), vehicle, camera)
        changed = (drawing != before).any(axis=2)
        if outline is None:
            assert changed.sum() < 400  # too small to be called damage
            continue
        rows, columns = np.nonzero(changed)
        assert len(rows) > 20
        low, high = outline.min(axis=0), outline.max(axis=0)
        reach = 0.5 * (high - low).max() + 4
        inside = (
            (columns >= low[0] - reach)
            & (columns <= high[0] + reach)
            & (rows >= low[1] - reach)
            & (rows <= high[1] + reach)
        )
        assert inside.mean() > 0.97


def test_damage_on_the_far_side_is_not_painted():
    vehicle = random_vehicle(generator(7), "car")
    left = next(i for i, panel in enumerate(vehicle.panels) if panel.normal[1] > 0.9 and panel.material == "body")
    camera = camera_on(vehicle, -np.pi / 2)
    drawing, mask = paint(vehicle, camera)
    before = drawing.copy()
    assert paint_injury(drawing, mask, Injury("Scratched", left, 5, 0.9), vehicle, camera) is None
    assert np.array_equal(drawing, before)


def test_damage_out_of_the_frame_is_none():
    vehicle = random_vehicle(generator(7), "car")
    camera = facing(vehicle, 0)
    drawing, mask = paint(vehicle, camera)
    away = camera.moved(scale=camera.scale, origin=(5000.0, 5000.0))
    assert paint_injury(drawing, mask, Injury("Crushed", 0, 5, 0.9), vehicle, away) is None
    tiny = camera.moved(scale=camera.scale / 400, origin=camera.origin)
    assert paint_injury(drawing, mask, Injury("Crushed", 0, 5, 0.9), vehicle, tiny) is None


def test_crushing_moves_the_outline():
    vehicle = random_vehicle(generator(7), "car")
    moved = 0
    for index, panel in enumerate(vehicle.panels):
        if panel.material == "body":
            drawing, mask = paint(vehicle, camera := facing(vehicle, index))
            before = mask.copy()
            paint_injury(drawing, mask, Injury("Crushed", index, 1, 1.0), vehicle, camera)
            moved += int((mask != before).sum() > 30)
    assert moved >= 3


def test_injuries_fit_their_panels_and_lie_close_together():
    for seed in range(60):
        vehicle = random_vehicle(generator(seed))
        injuries = random_injuries(generator(seed, 1), vehicle)
        assert 1 <= len(injuries) <= 6
        for injury in injuries:
            material = vehicle.panels[injury.panel].material
            assert (material != "body") == (injury.type == "Breakage")
