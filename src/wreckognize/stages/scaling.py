"""Where a study's photos come from, who looks at them and where its run is kept, when that is not only this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wreckognize.inference.executor import Executor, Here
from wreckognize.progress import Progress
from wreckognize.settings import Source
from wreckognize.study import Study
from wreckognize.urls import url_of
from wreckognize.workspace import Workspace

FETCHED = "fetched"
"""The folder of a run in which photos from object storage lie."""

SELECTED = "cache/selected.parquet"
"""Sizes and times of the photos that `collect` used, by which it knows that it need not be done again.

Of all caches only this one goes along where a run is kept in object storage: another machine that sees the same files
goes on from there.
"""


def places_of(study: Study, root: Path) -> dict[str, str]:
    """Folders of the run that stand for URLs of the study: folder -> URL."""
    return {
        str(_folder(root, source.name, number)): url
        for source in study.sources
        for number, path in enumerate(source.images)
        if (url := url_of(path)) is not None
    }


def fetch(study: Study, root: Path, progress: Progress) -> tuple[Source, ...]:
    """Bring photos that lie in object storage to the run's folder, and give the sources with paths instead of URLs.

    Raises:
        StorageError: no such bucket, no permission, or the storage keeps failing.
        UsageError: there is no photo below a URL.
    """
    if not places_of(study, root):
        return study.sources
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
    return tuple(sources)


@contextmanager
def kept(study: Study, url: str | None, workspace: Workspace, progress: Progress) -> Iterator[None]:
    """Keep the run's folder in object storage as well, until the end of the block: after each stage, and at the end.

    Args:
        study: how storage is spoken to.
        url: the place; None: the folder is kept on this machine only.
        workspace: the folder, held by this process.
        progress: where to report.

    Raises:
        StorageError: the place holds another run, another run writes there, or the storage cannot be used.
    """
    if url is None:
        yield
        return
    from wreckognize.scale.published import Published
    from wreckognize.scale.storage import Storage

    published = Published(url, workspace.root, Storage(study.scale.storage), progress)
    published.bring(begun=bool(workspace.stages))
    workspace.read_again()

    def put() -> None:
        published.put({SELECTED} | {name for record in workspace.stages.values() for name in record.outputs})

    workspace.after_stage = put
    yield
    put()


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
