"""Sources become the catalog: labels are read first, and only the photos that were selected are opened.

places     where sources are read from               (study -> paths)
walk       which files are there                     (file system -> names)
aihub, coco, folder, yolo                            (names + labels -> candidates)
bulk, helper, helpers                                (very many label files and photos, in processes)
sampling   which candidates are taken, by seed       (names -> positions)
assemble   photos opened, boxes placed               (candidates -> tables)
ledger     what became of everything else            (counts and quarantine)
signature  whether any of it has changed             (file system -> yes or no)
remembered what was read before and is unchanged     (a cache in the run's folder)

Names are imported when they are first used, as the processes that read labels need little of this.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wreckognize.collect.gather import Collected, collect
    from wreckognize.collect.places import paths_read
    from wreckognize.collect.signature import are_unchanged, list_tree, signature_of, tree_signature

_HOMES = {
    "Collected": "wreckognize.collect.gather",
    "collect": "wreckognize.collect.gather",
    "paths_read": "wreckognize.collect.places",
    "are_unchanged": "wreckognize.collect.signature",
    "list_tree": "wreckognize.collect.signature",
    "signature_of": "wreckognize.collect.signature",
    "tree_signature": "wreckognize.collect.signature",
}

__all__ = [
    "Collected",
    "are_unchanged",
    "collect",
    "list_tree",
    "paths_read",
    "signature_of",
    "tree_signature",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
