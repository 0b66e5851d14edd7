"""The study file: reading it, merging recipes into it, and listing everything that is wrong with it at once.

    text -> reader -> overrides (--set) -> build (recipes, models) -> checks (files, library, each other) -> Study

Nothing here writes a file or imports torch.
"""

from wreckognize.study.model import Study
from wreckognize.study.weights import STARTER, is_random, resolve_weights

__all__ = ["STARTER", "Study", "is_random", "resolve_weights"]
