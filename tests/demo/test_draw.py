import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wreckognize.boxes import area, clip
from wreckognize.catalog import DAMAGE_TYPES
from wreckognize.demo.collection import draw_damaged
from wreckognize.demo.draw import random_case, render_background, render_vehicle_photo

SIZE = (320, 240)


def generator(*seed):
    return np.random.Generator(np.random.PCG64(list(seed)))


def draw(seed, *, damaged=False, close_up=False, size=SIZE, kind=None):
    rng = generator(seed)
    case = random_case(rng, damaged=damaged, kind=kind)
    if damaged:
        return draw_damaged(rng, case, size, close_up=close_up)
    return render_vehicle_photo(rng, case, size=size, close_up=close_up)


@pytest.mark.parametrize(("damaged", "close_up"), [(False, False), (True, False), (True, True)])
def test_same_seed_same_pixels(damaged, close_up):
    first, second = (draw(5, damaged=damaged, close_up=close_up) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.vehicles, second.vehicles)


def test_other_seed_other_pixels():
    assert not np.array_equal(draw(5).image, draw(6).image)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    damaged=st.booleans(),
    close_up=st.booleans(),
    size=st.sampled_from([(320, 240), (240, 320), (400, 300), (161, 203)]),
)
def test_boxes_lie_in_the_frame_and_damage_on_the_vehicle(seed, damaged, close_up, size):
    drawn = draw(seed, damaged=damaged, close_up=close_up, size=size)
    assert drawn.image.shape == (size[1], size[0], 3)
    assert drawn.image.dtype == np.uint8
    assert drawn.vehicles.shape == (1, 4)
    assert len(drawn.kinds) == 1
    assert np.array_equal(clip(drawn.vehicles, *size), drawn.vehicles)
    assert area(drawn.vehicles)[0] > 100
    assert bool(drawn.damages) == damaged
    for damage in drawn.damages:
        assert damage.type in DAMAGE_TYPES
        assert area(damage.box)[0] >= 4
        vehicle, box = drawn.vehicles[0], damage.box[0]
        assert (box[:2] >= vehicle[:2] - 1e-3).all()
        assert (box[2:] <= vehicle[2:] + 1e-3).all()
        assert damage.polygon.min() >= -1e-3
        assert (damage.polygon <= np.array(size) + 1e-3).all()


@pytest.mark.parametrize("kind", ["car", "truck", "bus"])
def test_the_kind_asked_for_is_drawn(kind):
    assert draw(11, kind=kind).kinds == (kind,)


def test_every_whole_vehicle_is_mostly_in_the_frame():
    for seed in range(25):
        x1, y1, x2, y2 = draw(seed).vehicles[0]
        touched = sum([x1 <= 0, y1 <= 0, x2 >= SIZE[0], y2 >= SIZE[1]])
        assert touched <= 1


def test_close_ups_exceed_the_frame():
    shares = [
        area(draw(seed, damaged=True, close_up=True).vehicles)[0] / (SIZE[0] * SIZE[1]) for seed in range(25)
    ]
    assert np.mean(np.array(shares) > 0.8) > 0.8


def test_all_damage_types_are_drawn():
    found = {damage.type for seed in range(40) for damage in draw(seed, damaged=True).damages}
    assert found == set(DAMAGE_TYPES)


def test_photos_of_a_case_show_the_same_vehicle():
    case = random_case(generator(4), damaged=True)
    first, second = (draw_damaged(generator(9, view), case, SIZE, close_up=False) for view in range(2))
    assert not np.array_equal(first.image, second.image)
    assert {damage.type for damage in first.damages} & {damage.type for damage in second.damages}


def test_backgrounds_name_the_things_in_them():
    names = set()
    for seed in range(40):
        background = render_background(generator(seed), size=SIZE, hard=True)
        assert background.image.shape == (SIZE[1], SIZE[0], 3)
        for thing in background.things:
            x1, y1, x2, y2 = thing.box
            assert 0 <= x1 < x2 <= SIZE[0]
            assert 0 <= y1 < y2 <= SIZE[1]
            names.add(thing.name)
    assert {"bench", "traffic light", "cat", "dog", "bicycle"} <= names
    assert not names & {"car", "bus", "truck", "motorcycle"}


def test_backgrounds_are_seeded():
    first, second = (render_background(generator(8), size=SIZE, hard=False) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert first.things == second.things
