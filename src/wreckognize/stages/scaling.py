"""Where a study's photos come from and who looks at them, when that is not this machine's disk and this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from wreckognize.inference.executor import Executor, Here
from wreckognize.progress import Progress
from wreckognize.study import Study
from wreckognize.urls import url_of

FETCHED = "fetched"
"""The folder of a run in which photos from object storage lie."""


def places_of(study: Study, root: Path) -> dict[str, str]:
    """Folders of the run that stand for URLs of the study: folder -> URL."""
    return {
        str(_folder(root, source.name, number)): url
        for source in study.sources
        for number, path in enumerate(source.images)
        if (url := url_of(path)) is not None
    }


def fetch(study: Study, root: Path, progress: Progress) -> Study:
    """Bring photos that lie in object storage to the run's folder, and give the study with paths instead of URLs.

    Raises:
        StorageError: no such bucket, no permission, or the storage keeps failing.
        UsageError: there is no photo below a URL.
    """
    if not places_of(study, root):
        return study
    from wreckognize.collect.walk import PHOTO_SUFFIXES
    from wreckognize.scale.mirror import mirror
    from wreckognize.scale.storage import Storage

    storage = Storage(study.scale.storage)
    sources = []
    for source in study.sources:
        images = list(source.images)
        for number, path in enumerate(source.images):
            url = url_of(path)
            if url is not None:
                images[number] = _folder(root, source.name, number)
                mirror(url, images[number], storage, progress, suffixes=PHOTO_SUFFIXES, name=source.name)
        sources.append(source.model_copy(update={"images": tuple(images)}))
    return replace(study, sources=tuple(sources))


@contextmanager
def executor_of(study: Study, root: Path, progress: Progress) -> Iterator[Executor]:
    """Whoever looks at the study's photos, until the end of the block.

    Args:
        study: with its URLs.
        root: the run's folder.
        progress: where to report.
    """
    if study.scale.on == "here":
        yield Here()
        return
    from wreckognize.scale.executor import RayExecutor

    executor = RayExecutor(study.scale, places=places_of(study, root), say=progress.say)
    try:
        yield executor
    finally:
        executor.close()


def _folder(root: Path, source: str, number: int) -> Path:
    return root / FETCHED / source / str(number)
