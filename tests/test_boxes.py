import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wreckognize import boxes as bx

corners = hnp.arrays(np.float32, st.tuples(st.integers(0, 12), st.just(2)), elements=st.integers(0, 40))
sides = st.integers(1, 20)


@st.composite
def box_sets(draw):
    start = draw(corners)
    side = draw(hnp.arrays(np.float32, start.shape, elements=sides))
    return np.concatenate([start, start + side], axis=1).astype(np.float32)


def test_as_boxes_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"\(N, 4\)"):
        bx.as_boxes([[1, 2, 3]])
    assert bx.as_boxes([[1, 2, 3, 4]]).dtype == np.float32


@given(box_sets(), box_sets())
def test_iou_is_torchvisions(left, right):
    expected = torchvision.ops.box_iou(torch.from_numpy(left), torch.from_numpy(right)).numpy()
    np.testing.assert_allclose(bx.iou(left, right), expected, atol=1e-6)


def test_iou_of_boxes_without_area_is_zero():
    flat = bx.as_boxes([[3, 3, 3, 9]])
    assert bx.iou(flat, flat).tolist() == [[0.0]]


@given(box_sets(), st.integers(0, 1000))
def test_nms_is_torchvisions(boxes, seed):
    scores = np.random.default_rng(seed).permutation(len(boxes)).astype(np.float32)
    expected = torchvision.ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.5).numpy()
    assert bx.nms(boxes, scores, 0.5, 100).tolist() == expected.tolist()


def test_nms_stops_at_the_limit():
    apart = bx.as_boxes([[10 * i, 0, 10 * i + 5, 5] for i in range(9)])
    assert bx.nms(apart, np.arange(9, dtype=np.float32), 0.5, 4).tolist() == [8, 7, 6, 5]


@given(box_sets())
def test_union_encloses_every_box_and_touches_its_sides(boxes):
    around = bx.union(boxes)
    assert len(around) == min(1, len(boxes))
    if len(boxes):
        np.testing.assert_array_equal(around[0, :2], boxes[:, :2].min(axis=0))
        np.testing.assert_array_equal(around[0, 2:], boxes[:, 2:].max(axis=0))


@given(box_sets(), st.integers(1, 30), st.integers(1, 30))
def test_clip_keeps_boxes_in_the_frame(boxes, width, height):
    cut = bx.clip(boxes, width, height)
    assert (cut >= 0).all()
    assert (cut[:, [0, 2]] <= width).all()
    assert (cut[:, [1, 3]] <= height).all()
    assert (bx.area(cut) <= bx.area(boxes)).all()
