"""What a bundle is made from, read from the folder of a finished run; nothing of the run is changed."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import polars as pl

from wreckognize.catalog import Catalog
from wreckognize.errors import UsageError
from wreckognize.evidence.findings import Findings
from wreckognize.evidence.thresholds import read_frozen
from wreckognize.exporting.card import DataRow
from wreckognize.exporting.source import Background, Source
from wreckognize.recipes import load_recipe
from wreckognize.stages.finished import finished_system, own_folder
from wreckognize.study.reader import read_document
from wreckognize.study.weights import is_random


def source_of(folder: Path, trust: Collection[str] = ()) -> Source:
    """A system of a run, ``RUN/systems/NAME`` or ``RUN/systems/NAME/seeds/N``, as it can be exported.

    Args:
        folder: of the system.
        trust: ``sha256:...`` of checkpoints that may be opened whatever they hold.

    Raises:
        UsageError: it is no finished system of a run, or part of the run's folder is missing.
        WeightsError: its weights are missing.
    """
    folder = folder.absolute()
    finished = finished_system(folder, trust)
    own = own_folder(folder)
    run = own.parent.parent
    try:
        study = read_document(run / "study.yaml").content
        catalog = Catalog.read(run / "catalog")
        split = pl.read_parquet(run / "split.parquet")
    except OSError as error:
        raise UsageError(
            f"part of the run is missing ({error.strerror or error})",
            where=str(error.filename or run),
            remedy="name a system in the run's whole folder; the gate needs its catalog and validation photos",
        ) from error
    frozen = read_frozen(folder / "threshold.json")
    system = study["systems"][own.name]
    trained = load_recipe(system["recipe"]).trained
    photos = catalog.photos.join(split.select("photo", "split"), on="photo").sort("photo")
    validation, training = (photos.filter(pl.col("split") == name).drop("split") for name in ("val", "train"))
    started = str(system["weights"])
    return Source(
        study=str(study["study"]),
        system=own.name,
        number=(int(folder.name) if folder != own else 0) if trained else None,
        weights=finished.weights,
        imgsz=finished.imgsz,
        classes=finished.classes,
        merge=finished.merge,
        frozen=frozen,
        photos=validation,
        groups=split.select("photo", "group"),
        boxes=catalog.boxes,
        learn_from=training if training.height else validation,
        seed=int(study["seed"]),
        background=Background(
            trained=trained,
            weights=started if is_random(started) else Path(started).name,
            data=_data(photos),
            notice=" ".join(str(study.get("notice") or "").split()),
            findings=_findings(run),
        ),
    )


def _data(photos: pl.DataFrame) -> tuple[DataRow, ...]:
    counted = photos.group_by("source", "role", "split").agg(photos=pl.len()).sort("source", "role", "split")
    return tuple(DataRow(**row) for row in counted.iter_rows(named=True))


def _findings(run: Path) -> Findings | None:
    file = run / "report" / "evidence.json"
    if not file.is_file():
        return None
    return Findings.from_dict(json.loads(file.read_text(encoding="utf-8")))
