"""Sources become the catalog: labels are read first, and only the photos that were selected are opened.

walk       which files are there                     (file system -> names)
aihub, coco, folder, yolo                            (names + labels -> candidates)
sampling   which candidates are taken, by seed       (candidates -> candidates)
assemble   photos opened, boxes placed               (candidates -> tables)
ledger     what became of everything else            (counts and quarantine)
"""

from wreckognize.collect.gather import Collected, collect, paths_read

__all__ = ["Collected", "collect", "paths_read"]
