import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp

from wreckognize.evidence.shapes import role_shapes, separations, size_sentences

SCHEMA = {"role": pl.String, "width": pl.Int32, "height": pl.Int32, "quality": pl.Int32}


def forms(*rows):
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


SQUARES = [("damaged", 640, 640, 75)] * 10
LANDSCAPES = [("background", 640, 480, 96)] * 8 + [("background", 480, 640, 90)] + [("background", 640, 640, None)]


def test_the_fact_table_says_what_the_photos_of_a_role_are():
    damaged, background = role_shapes(forms(*SQUARES, *LANDSCAPES))
    assert (damaged.width, damaged.height, damaged.share_of_size) == (640, 640, 1.0)
    assert (background.width, background.height, background.share_of_size) == (640, 480, 0.8)
    assert background.aspect.low == 0.75
    assert background.aspect.median == pytest.approx(4 / 3)
    assert (background.jpeg, background.quality.low, background.quality.high) == (9, 90, 96)


def test_a_role_without_jpegs_has_no_quality():
    (shape,) = role_shapes(forms(("normal", 10, 10, None)))
    assert shape.quality is None
    assert shape.jpeg == 0
    assert separations(forms(("normal", 10, 10, None), ("background", 10, 10, 75)))[-1].trait == "long side"


def test_a_cut_on_one_trait_may_tell_roles_apart():
    apart = {found.trait: found.apart for found in separations(forms(*SQUARES, *LANDSCAPES))}
    # A cut on the aspect ratio parts the eight landscape photos from all squares; one is upright, one square.
    assert apart == pytest.approx({"aspect ratio": 0.8, "long side": 0.0, "JPEG quality": 1.0})


def test_sentences_name_the_commonest_size_and_how_common_it_is_elsewhere():
    sentences = size_sentences(forms(*SQUARES, *LANDSCAPES))
    assert sentences[0] == "100 % of the damaged photos are 640 x 640 pixels; so are 10 % of the backgrounds."
    assert sentences[1] == "80 % of the backgrounds are 640 x 480 pixels; so are 0 % of the damaged photos."


def test_a_hundred_percent_is_said_only_of_all():
    rows = [("damaged", 640, 640, 75)] * 999 + [("damaged", 640, 641, 75), ("background", 9, 9, 75)]
    assert size_sentences(forms(*rows))[0].startswith("over 99 % of the damaged photos")


def test_one_role_alone_is_compared_with_nothing():
    assert size_sentences(forms(*SQUARES)) == ("100 % of the damaged photos are 640 x 640 pixels.",)
    assert separations(forms(*SQUARES)) == ()
    assert role_shapes(forms()) == ()


def test_the_distance_is_that_of_kolmogorov_and_smirnov():
    rng = np.random.default_rng(2)
    sides = rng.integers(100, 140, (2, 60)) + np.array([[0], [9]])
    table = forms(
        *[
            (role, side, 50, 75)
            for role, own in zip(("normal", "background"), sides, strict=True)
            for side in own.tolist()
        ]
    )
    apart = {found.trait: found.apart for found in separations(table)}
    assert apart["long side"] == pytest.approx(ks_2samp(*sides).statistic)
