"""The story of collecting: walk, read labels, select, open photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from wreckognize.catalog import BOX_SCHEMA, PHOTO_SCHEMA, QUARANTINE_SCHEMA, TALLY_SCHEMA, Catalog
from wreckognize.collect import aihub, coco, folder, yolo
from wreckognize.collect.assemble import assemble
from wreckognize.collect.candidates import Candidate
from wreckognize.collect.ledger import Ledger
from wreckognize.collect.sampling import sample_per_damage, seeded_order
from wreckognize.collect.walk import expand, find_photos
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
    """

    catalog: Catalog
    quarantine: pl.DataFrame
    tally: pl.DataFrame


def collect(
    sources: Sequence[Source], *, seed: int, progress: Progress | None = None, workers: int | None = None
) -> Collected:
    """Read all sources into one catalog.

    Args:
        sources: with absolute paths; names must differ.
        seed: decides which photos a limit takes, the same on any machine.
        progress: where to report to; silent by default.
        workers: threads that open photos; by default one a processor.

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
    catalogs = [
        _collect_one(source, seed, ledger, progress, workers)
        for source, ledger in zip(sources, ledgers, strict=True)
    ]
    photos = pl.concat([PHOTO_SCHEMA.to_frame(), *(one.photos for one in catalogs)]).sort("photo")
    boxes = pl.concat([BOX_SCHEMA.to_frame(), *(one.boxes for one in catalogs)]).sort("photo", maintain_order=True)
    return Collected(
        Catalog(photos, boxes),
        pl.concat([QUARANTINE_SCHEMA.to_frame(), *(ledger.quarantine_table() for ledger in ledgers)]),
        pl.concat([TALLY_SCHEMA.to_frame(), *(ledger.tally_table() for ledger in ledgers)]),
    )


def paths_read(source: Source) -> list[Path]:
    """Every folder and file that a source is read from, globs expanded: a change below one changes the catalog.

    Raises:
        UsageError: if a path is not there.
    """
    where = f"source {source.name!r}"
    roots = expand(source.images, where)
    match source:
        case AihubSource():
            return [*roots, *expand(source.labels, where)]
        case CocoSource():
            return [*roots, *expand(source.annotations, where)]
        case YoloSource():
            return [*roots, *yolo.label_roots(source, roots, where)]
        case FolderSource():
            return roots


def _collect_one(source: Source, seed: int, ledger: Ledger, progress: Progress, workers: int | None) -> Catalog:
    wanted = _read(source, ledger, progress)
    labels_failed = ledger.failures
    _guard(source, ledger, _share(labels_failed, labels_failed + len(wanted)))
    selected = _select(source, wanted, seed, ledger)
    catalog = assemble(source, selected, ledger, progress, workers)
    # All labels were read, but only selected photos opened, so each stage has a share of its own. Where every
    # photo was selected, their product is the plain share of all that passed.
    photos_failed = _share(ledger.failures - labels_failed, len(selected))
    passed = (1 - _share(labels_failed, labels_failed + len(wanted))) * (1 - photos_failed)
    _guard(source, ledger, 1 - passed)
    if catalog.photos.is_empty():
        raise UsageError(
            f"no photo left in source {source.name!r}; what became of what it holds:\n{ledger}",
            remedy="correct its paths, role or filters in the study file",
        )
    return catalog


def _read(source: Source, ledger: Ledger, progress: Progress) -> list[Candidate]:
    where = f"source {source.name!r}: images"
    roots = expand(source.images, where)
    match source:
        case AihubSource():
            photos = find_photos(roots, where, ledger, aihub.LABEL_SUFFIXES)
            return aihub.read(source, photos, ledger, progress)
        case CocoSource():
            return coco.read(source, find_photos(roots, where, ledger, coco.LABEL_SUFFIXES), ledger, progress)
        case YoloSource():
            photos = find_photos(roots, where, ledger, yolo.LABEL_SUFFIXES)
            return yolo.read(source, roots, photos, ledger, progress)
        case FolderSource():
            return folder.read(find_photos(roots, where, ledger, folder.LABEL_SUFFIXES))


def _select(source: Source, wanted: list[Candidate], seed: int, ledger: Ledger) -> list[Candidate]:
    selected = wanted
    if isinstance(source, AihubSource) and source.per_damage is not None:
        selected = sample_per_damage(selected, source.per_damage, source.name, seed)
        untyped = sum(not one.damage_types for one in wanted)
        ledger.count("not_wanted", "no damage type", untyped)
        ledger.count("not_wanted", "beyond per_damage", len(wanted) - untyped - len(selected))
    if source.limit is not None:
        ledger.count("not_wanted", "beyond limit", max(0, len(selected) - source.limit))
        selected = seeded_order(selected, source.name, seed)[: source.limit]
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
