"""Where sources are read from. Light: it is all that is needed to see that nothing has changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wreckognize.collect.walk import expand
from wreckognize.settings import AihubSource, CocoSource, FolderSource, Source, YoloSource


@dataclass(frozen=True, slots=True)
class PathsRead:
    """Where a source is read from, globs expanded.

    Attributes:
        photos: folders and files; of these the names count, and the content of those that are selected.
        labels: folders and files that are read whatever is selected.
    """

    photos: tuple[Path, ...]
    labels: tuple[Path, ...]


def paths_read(source: Source) -> PathsRead:
    """Every folder and file that a source is read from: a change below one changes the catalog.

    Raises:
        UsageError: if a path is not there.
    """
    where = f"source {source.name!r}"
    roots = expand(source.images, where)
    labels: list[Path] = []
    match source:
        case AihubSource():
            labels = expand(source.labels, where)
        case CocoSource():
            labels = expand(source.annotations, where)
        case YoloSource():
            from wreckognize.collect.yolo import label_roots

            labels = label_roots(source, roots, where)
        case FolderSource():
            pass
    return PathsRead(tuple(roots), tuple(labels))
