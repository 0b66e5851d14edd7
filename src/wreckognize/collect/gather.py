"""The story of collecting: walk, read labels, select, open photos."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, QUARANTINE_SCHEMA, TALLY_SCHEMA, Catalog
from wreckognize.collect import aihub, coco, folder, yolo
from wreckognize.collect.assemble import Assembled, assemble
from wreckognize.collect.candidates import Listed, Wanted
from wreckognize.collect.ledger import Ledger
from wreckognize.collect.opening import READER, Elsewhere, Workers
from wreckognize.collect.remembered import STAMP_SCHEMA, Remembered
from wreckognize.collect.sampling import sample_per_damage, seeded_order
from wreckognize.collect.walk import File, expand, find_photos
from wreckognize.errors import TooManyFailuresError, UsageError
from wreckognize.progress import Progress, Silent
from wreckognize.settings import AihubSource, CocoSource, FolderSource, Source, YoloSource


@dataclass(frozen=True, slots=True)
class Collected:
    """What the sources gave.

    Attributes:
        catalog: photos and boxes that can be used.
        quarantine: ``QUARANTINE_SCHEMA``; files that cannot be used, with the reason and what to do.
        tally: ``TALLY_SCHEMA``; what became of everything, counted.
        stamps: ``STAMP_SCHEMA``; the photos that were selected, used or not, as they were when they were opened.
        labels: ``STAMP_SCHEMA``; labels as they were when they were read, of sources that have one for each photo and
            many of them (AI-Hub).
    """

    catalog: Catalog
    quarantine: pl.DataFrame
    tally: pl.DataFrame
    stamps: pl.DataFrame
    labels: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Caches:
    """What was read before, and is read no more while the files are unchanged."""

    labels: Remembered
    photos: Remembered


@dataclass(frozen=True, slots=True)
class _Way:
    """How to collect, whatever the source."""

    seed: int
    progress: Progress
    workers: Workers
    caches: _Caches
    elsewhere: Elsewhere | None


def collect(
    sources: Sequence[Source],
    *,
    seed: int,
    progress: Progress | None = None,
    workers: int | None = None,
    processes: int | None = None,
    cache: Path | None = None,
    elsewhere: Elsewhere | None = None,
) -> Collected:
    """Read all sources into one catalog.

    Args:
        sources: with absolute paths; names must differ.
        seed: decides which photos a limit takes, the same on any machine.
        progress: where to report to; silent by default.
        workers: threads that open photos; by default one a processor, or processes where there are many.
        processes: that read AI-Hub labels and open photos; by default one a processor where there are many. The
            result is the same.
        cache: folder for what was read of labels and photos; files that are unchanged since (by path, size and time)
            are not read again. By default nothing is remembered.
        elsewhere: those who open photos; by default this process does.

    Raises:
        UsageError: if a folder or annotation file is missing or unreadable, a class is unknown, no photo is left
            in a source, or two sources have one name.
        TooManyFailuresError: if more of a source than its ``max_failed`` cannot be used.
    """
    progress = progress or Silent()
    for name, times in Counter(source.name for source in sources).items():
        if times > 1:
            raise UsageError(f"{times} sources have the name {name!r}", remedy="give each a name of its own")
    ledgers = [Ledger(source.name) for source in sources]
    caches = _Caches(
        Remembered(cache and cache / "labels.cache", aihub.READER),
        Remembered(cache and cache / "photos.cache", READER),
    )
    way = _Way(seed, progress, Workers(workers, processes), caches, elsewhere)
    try:
        with _no_circles():
            parts = [_collect_one(source, way, ledger) for source, ledger in zip(sources, ledgers, strict=True)]
    except UsageError:
        raise  # nothing is written where nothing can come of it
    except BaseException:
        _save(caches)
        raise
    _save(caches)
    photos = pl.concat([PHOTO_SCHEMA.to_frame(), *(one.catalog.photos for one in parts)]).sort("photo")
    boxes = pl.concat([BOX_SCHEMA.to_frame(), *(one.catalog.boxes for one in parts)])
    return Collected(
        Catalog(photos, boxes.sort("photo", maintain_order=True)),
        pl.concat([QUARANTINE_SCHEMA.to_frame(), *(ledger.quarantine_table() for ledger in ledgers)]),
        pl.concat([TALLY_SCHEMA.to_frame(), *(ledger.tally_table() for ledger in ledgers)]),
        pl.concat([STAMP_SCHEMA.to_frame(), *(one.stamps for one in parts)]),
        caches.labels.stamps(),
    )


@contextmanager
def _no_circles() -> Iterator[None]:
    """Python does not look for objects in a circle: there is none among millions, and it takes a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _save(caches: _Caches) -> None:
    caches.labels.save()
    caches.photos.save()


def _collect_one(source: Source, way: _Way, ledger: Ledger) -> Assembled:
    wanted = _read(source, way, ledger)
    number = len(wanted.names)
    labels_failed = ledger.failures
    _guard(source, ledger, _share(labels_failed, labels_failed + number))
    selected = sorted(_select(source, wanted, way.seed, ledger), key=wanted.names.__getitem__)
    assembled = assemble(
        source, wanted, selected, ledger, way.progress, way.workers, way.caches.photos, way.elsewhere
    )
    # All labels were read, but only selected photos opened, so each stage has a share of its own. Where every
    # photo was selected, their product is the plain share of all that passed.
    photos_failed = _share(ledger.failures - labels_failed, len(selected))
    passed = (1 - _share(labels_failed, labels_failed + number)) * (1 - photos_failed)
    _guard(source, ledger, 1 - passed)
    if assembled.catalog.photos.is_empty():
        raise UsageError(
            f"no photo left in source {source.name!r}; what became of what it holds:\n{ledger}",
            remedy="correct its paths, role or filters in the study file",
        )
    return assembled


def _read(source: Source, way: _Way, ledger: Ledger) -> Wanted:
    where = f"source {source.name!r}: images"
    roots = expand(source.images, where)

    def photos(label_suffixes: frozenset[str]) -> list[File]:
        return find_photos(roots, where, ledger, label_suffixes, follow_links=source.follow_links)

    match source:
        case AihubSource():
            return aihub.read(
                source,
                lambda: photos(aihub.LABEL_SUFFIXES),
                ledger,
                way.progress,
                way.caches.labels,
                way.workers.processes,
            )
        case CocoSource():
            return Listed(coco.read(source, photos(coco.LABEL_SUFFIXES), ledger, way.progress))
        case YoloSource():
            return Listed(yolo.read(source, roots, photos(yolo.LABEL_SUFFIXES), ledger, way.progress))
        case FolderSource():
            return Listed(folder.read(photos(folder.LABEL_SUFFIXES)))


def _select(source: Source, wanted: Wanted, seed: int, ledger: Ledger) -> list[int]:
    """Positions of the candidates that are taken."""
    names, types = wanted.names, wanted.first_types
    selected = list(range(len(names)))
    if isinstance(source, AihubSource) and source.per_damage is not None:
        selected = sample_per_damage(names, types, source.per_damage, source.name, seed)
        untyped = sum(first is None for first in types)
        ledger.count("not_wanted", "no damage type", untyped)
        ledger.count("not_wanted", "beyond per_damage", len(names) - untyped - len(selected))
    if source.limit is not None:
        ledger.count("not_wanted", "beyond limit", max(0, len(selected) - source.limit))
        selected = seeded_order(names, selected, source.name, seed)[: source.limit]
    return selected


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _guard(source: Source, ledger: Ledger, failed: float) -> None:
    # A hair's width, so that exactly the share allowed is allowed whatever the rounding of the product above.
    if failed > source.max_failed + 1e-9:
        raise TooManyFailuresError(
            f"{failed:.1%} of source {source.name!r} cannot be used ({ledger.failures:,} photos or labels); "
            f"allowed are {source.max_failed:.0%}. The first:\n{ledger.first_failures(10)}",
            rows=ledger.quarantine_table().rows(),
            remedy=f"mend or remove them, or raise max_failed of source {source.name!r}",
        )
