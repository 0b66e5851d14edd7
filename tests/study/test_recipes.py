"""The recipes are the table in the design, row by row."""

from __future__ import annotations

import pytest

from wreckognize.recipes import RECIPES, load_recipe

TENTHS = {"damaged": 1080, "normal": 141, "background": 540}
# name: weights, (policy, confidence, fallback, human), limits, imgsz, batch, close_mosaic, lr0, patience
TABLE = {
    "ver1": ("yolov8x.pt", ("damage", 0.25, "damage", False), TENTHS, 640, 16, None, 1e-4, 15),
    "ver2": ("yolov8x.pt", ("hybrid", 0.25, "damage", False), TENTHS, 640, 16, None, 1e-4, 15),
    "ver3": ("yolov8m.pt", ("hybrid", 0.25, "damage", False), TENTHS, 1024, 8, 15, 1e-4, 15),
    "ver4": ("yolov8x.pt", ("hybrid", 0.25, "damage", False), TENTHS | {"normal": 969}, 640, 16, 0, 1e-5, 15),
    "ver5": ("yolov8x.pt", ("hybrid", 0.10, "damage", False), {}, 640, 16, 10, 1e-4, 10),
    "ver6": ("yolov8x.pt", ("hybrid", 0.10, "frame", True), {}, 640, 16, 10, 1e-4, 10),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_recipe_is_its_row(name):
    recipe = load_recipe(name)
    labels, train = recipe.labels, recipe.train
    assert (
        recipe.weights,
        (labels.policy, labels.confidence, labels.fallback, labels.human),
        recipe.limits,
        *(train.imgsz, train.batch, train.close_mosaic, train.lr0, train.patience),
    ) == TABLE[name]
    assert (recipe.trained, train.epochs, train.freeze, train.optimizer) == (True, 50, 10, "AdamW")
    assert not train.model_extra


def test_the_librarys_default_is_left_alone_where_the_table_says_so():
    assert [name for name in TABLE if "close_mosaic" not in load_recipe(name).train.library_settings()] == [
        "ver1",
        "ver2",
    ]


def test_the_baseline_is_never_trained():
    recipe = load_recipe("baseline")
    assert (recipe.trained, recipe.weights, recipe.predict.imgsz) == (False, "yolov8x.pt", 640)


def test_recipes_are_those_named():
    assert ("baseline", *TABLE) == RECIPES
    assert all(load_recipe(name).about for name in RECIPES)
    with pytest.raises(KeyError):
        load_recipe("../settings")
