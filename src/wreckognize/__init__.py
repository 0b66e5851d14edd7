"""Teach a vehicle detector to recognise wrecks, and prove that it does.

    from wreckognize import Study

    result = Study.load("study.yaml").run()
    print(result.page, result.comparison)

Every name below is imported when it is first used, so that ``import wreckognize`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wreckognize.errors import WreckognizeError
    from wreckognize.evaluation.comparison import Comparison, SystemFigures
    from wreckognize.pipeline import RunResult
    from wreckognize.study import Study

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "wreckognize.evaluation.comparison",
    "RunResult": "wreckognize.pipeline",
    "Study": "wreckognize.study",
    "SystemFigures": "wreckognize.evaluation.comparison",
    "WreckognizeError": "wreckognize.errors",
}

__all__ = ["Comparison", "RunResult", "Study", "SystemFigures", "WreckognizeError"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'wreckognize' has no attribute {name!r}")
