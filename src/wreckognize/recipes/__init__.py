"""The systems that ship with the package: ``baseline``, ``ver1`` to ``ver5`` as published, and ``ver6``, our own.

Each is one YAML file in this folder, read when it is asked for.
"""

from __future__ import annotations

from importlib import resources

import yaml
from pydantic import Field

from wreckognize.settings import Count, LabelSettings, PredictSettings, Settings, TrainSettings

RECIPES = ("baseline", "ver1", "ver2", "ver3", "ver4", "ver5", "ver6")


class Recipe(Settings):
    """What a system starts from. Only the keys that the recipe's file sets count (``model_fields_set``)."""

    about: str  # one line, in words
    trained: bool
    weights: str
    labels: LabelSettings = Field(default_factory=LabelSettings)
    limits: dict[str, Count] = Field(default_factory=dict)  # role -> photos of train + val
    train: TrainSettings = Field(default_factory=TrainSettings)
    predict: PredictSettings = Field(default_factory=PredictSettings)


def load_recipe(name: str) -> Recipe:
    """Read a recipe of the package.

    Raises:
        KeyError: there is no recipe of this name (see `RECIPES`).
    """
    if name not in RECIPES:
        raise KeyError(name)
    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return Recipe.model_validate(yaml.safe_load(text))
