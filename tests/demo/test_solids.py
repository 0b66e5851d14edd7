import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.demo.parts import across, wall
from wreckognize.demo.solids import Camera, Light, band, extrude, on_quad

UNIT = [(0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (0.0, 1.0)]
angles = st.floats(-3, 3)


@given(yaw=angles, pitch=st.floats(-1.2, 1.2), distance=st.floats(5, 50), scale=st.floats(10, 1000))
def test_the_camera_agrees_with_opencv(yaw, pitch, distance, scale):
    target, origin = np.array([0.3, -0.2, 0.7]), (320.0, 240.0)
    camera = Camera(yaw, pitch, distance, target, scale, origin)
    points = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [2, -1, 0.5], [0, 0, 0]], dtype=np.float64)
    forward = (target - camera.position) / distance
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])  # OpenCV looks along z, y points down
    intrinsics = np.array([[scale, 0, origin[0]], [0, scale, origin[1]], [0, 0, 1]])
    expected, _ = cv2.projectPoints(
        points, cv2.Rodrigues(rotation)[0], -rotation @ camera.position, intrinsics, None
    )
    np.testing.assert_allclose(camera.project(points), expected[:, 0], rtol=1e-6, atol=1e-6)


def test_the_target_lands_on_the_origin_and_moving_keeps_the_view():
    camera = Camera(1.0, 0.2, 10.0, np.array([1.0, 2.0, 0.5])).moved(scale=500, origin=(100, 80))
    np.testing.assert_allclose(camera.project([[1.0, 2.0, 0.5]]), [[100, 80]])
    assert camera.pixels_per_metre() == pytest.approx(50)
    assert camera.yaw == 1.0


def test_yaw_says_which_side_is_seen():
    box = extrude(UNIT, np.ones(4), (1, 1, 1))
    left, right = box.faces[-2:]
    from_left = Camera(np.pi / 2, 0.1, 10.0, np.zeros(3))
    assert from_left.sees(left)
    assert not from_left.sees(right)
    # From the left the front (+x) is on the viewer's left.
    front, rear = from_left.project([[1, 1, 0], [-1, 1, 0]])
    assert front[0] < rear[0]


@pytest.mark.parametrize("reverse", [False, True])
def test_normals_of_a_box_point_outwards_however_it_is_wound(reverse):
    solid = extrude(UNIT[::-1] if reverse else UNIT, np.ones(4), (1, 1, 1), middle=5.0)
    assert len(solid.faces) == 6
    for face in solid.faces:
        assert np.linalg.norm(face.normal) == pytest.approx(1)
        assert (face.points.mean(axis=0) - solid.centre) @ face.normal > 0
    assert {tuple(np.round(face.normal).astype(int)) for face in solid.faces} == {
        (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1),
    }  # fmt: skip
    assert solid.centre[1] == pytest.approx(5)


def test_light_from_above_brightens_what_looks_up():
    light = Light(np.array([0.0, 0.0, 1.0]), 0.6)
    up, down = (light.shade((100, 100, 100), np.array([0, 0, z])) for z in (1.0, -1.0))
    assert up[0] > 100 > down[0]
    assert max(light.shade((250, 250, 250), np.array([0, 0, 1.0]))) == 255


def test_points_on_a_quad():
    quad = np.array([[0, 0, 0], [4, 0, 0], [4, 0, 2], [0, 0, 2]], dtype=np.float64)
    np.testing.assert_allclose(on_quad(quad, [(0, 0), (1, 1), (0.5, 0.25)]), [[0, 0, 0], [4, 0, 2], [2, 0, 0.5]])


def test_band_of_a_triangle():
    triangle = [(0.0, 0.0), (4.0, 0.0), (0.0, 4.0)]
    cut = band(triangle, 1, 2)
    assert cv2.contourArea(cut.astype(np.float32)) == pytest.approx((3**2 - 2**2) / 2)
    assert cut[:, 1].min() == 1
    assert cut[:, 1].max() == 2
    assert band(triangle, 5, 6).shape == (0, 2)


@pytest.mark.parametrize(("quad", "camera"), [
    (wall(-1, 0, 1, 1, 0.8), Camera(np.pi / 2, 0, 9, np.zeros(3))),
    (wall(-1, 0, 1, 1, -0.8), Camera(-np.pi / 2, 0, 9, np.zeros(3))),
    (across(2, 0, 1.8, 1, 0.8), Camera(0, 0, 9, np.zeros(3))),
    (across(-2, 0, -1.8, 1, 0.8, rear=True), Camera(np.pi, 0, 9, np.zeros(3))),
])  # fmt: skip
def test_quads_start_at_the_upper_left_as_seen_from_outside(quad, camera):
    seen = camera.project(quad)
    assert seen[0, 0] < seen[1, 0]
    assert seen[3, 0] < seen[2, 0]
    assert seen[0, 1] < seen[3, 1]
    assert seen[1, 1] < seen[2, 1]
