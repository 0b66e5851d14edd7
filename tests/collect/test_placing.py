"""Boxes of many photos are placed at once, to the bit as those of each photo alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.boxes import area, as_boxes
from wreckognize.collect.candidates import Candidate, box_array
from wreckognize.collect.placing import place
from wreckognize.images import ImageHeader, orient_boxes


def alone(candidate, header):
    """One photo's boxes, which of the label's they are, how many were cut, and a note; None if one is outside."""
    boxes, note = candidate.boxes, None
    shown, stored = (header.width, header.height), (header.raw_width, header.raw_height)
    limits = np.array([*shown, *shown], dtype=np.float64)
    if candidate.relative:
        with np.errstate(over="ignore"):
            boxes = boxes * limits
    elif candidate.label_size == stored != shown:
        boxes, note = orient_boxes(boxes, header), "boxes turned with the photo"
    elif candidate.label_size not in (None, shown):
        note = "label says another size than the photo has"
    if (boxes[:, :2] >= limits[:2]).any() or (boxes[:, 2:] <= 0).any():
        return None
    cut = np.clip(boxes, 0.0, limits)
    clipped = int((np.abs(cut - boxes).max(axis=1, initial=0) > 0.02).sum())
    kept = np.flatnonzero(area(as_boxes(cut)) > 0)
    return as_boxes(cut)[kept], kept, clipped, note


edges = st.one_of(
    st.floats(-5, 120),
    st.floats(-1, 2),
    st.sampled_from([-0.0, 0.0, -0.02, 100.02, 100.03, 99.999999, 1e-30, 1e300, float("inf"), 1e-45]),
)
sizes = st.sampled_from([None, (100.0, 60.0), (60.0, 100.0), (50.0, 50.0)])


@st.composite
def photos(draw):
    corners = draw(st.lists(st.tuples(edges, edges, edges, edges), max_size=4))
    boxes = [(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)) for x1, y1, x2, y2 in corners]
    size, relative = draw(sizes), draw(st.booleans())
    candidate = Candidate(
        "a", "/a", box_array(boxes), ("vehicle",) * len(boxes), relative=relative, label_size=size
    )
    orientation = draw(st.integers(1, 8))
    width, height = (60, 100) if orientation >= 5 else (100, 60)
    return candidate, ImageHeader(width, height, 100, 60, orientation, "JPEG", "RGB", True, ())


@given(st.lists(photos(), max_size=6))
def test_many_photos_at_once_are_placed_as_each_alone(many):
    placed = place([candidate for candidate, _ in many], [header for _, header in many])
    expected = [alone(candidate, header) for candidate, header in many]
    assert placed.outside == {position for position, one in enumerate(expected) if one is None}
    assert placed.boxes.dtype == np.float32
    totals = Counter({"clipped": 0, "flat": 0})
    for position, one in enumerate(expected):
        own = placed.photos == position
        if one is None:
            assert not own.any()
            continue
        boxes, kept, clipped, note = one
        assert placed.boxes[own].tobytes() == boxes.tobytes()
        assert placed.kept[own].tolist() == kept.tolist()
        assert placed.notes[position] == note
        totals += Counter({"clipped": clipped, "flat": len(many[position][0].boxes) - len(kept)})
    assert (placed.clipped, placed.flat) == (totals["clipped"], totals["flat"])
