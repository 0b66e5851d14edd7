"""A study in its folder: what every stage is handed."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import polars as pl

from wreckognize.catalog import Catalog
from wreckognize.inference.executor import Executor, Here
from wreckognize.progress import Progress
from wreckognize.settings import Source, SystemSettings
from wreckognize.study import Study
from wreckognize.study.weights import needs_trust, resolve_weights
from wreckognize.workspace import Workspace

REVISIONS = {
    "collect": 2,
    "pass": 1,
    "alike": 1,
    "split": 3,
    "part": 2,
    "label": 1,
    "train": 5,
    "threshold": 1,
    "latency": 1,
    "evaluate": 2,
    "evidence": 3,
    "report": 3,
}
"""Raised when a stage's code changes what it writes, so that old runs do that stage again."""


@dataclass(frozen=True)
class Run:
    """A study in its folder, and where to report.

    Attributes:
        study: as it was written; photos may lie at URLs.
        workspace: the folder.
        progress: where to report.
        executor: who looks at photos.
        fetched: the sources with paths of this machine, where photos were brought from URLs.
    """

    study: Study
    workspace: Workspace
    progress: Progress
    executor: Executor = field(default_factory=Here)
    fetched: tuple[Source, ...] | None = None

    @property
    def sources(self) -> tuple[Source, ...]:
        """The study's sources, every path of them on this machine."""
        return self.study.sources if self.fetched is None else self.fetched

    def path(self, *parts: str) -> Path:
        """A path below the run's folder."""
        return self.workspace.path(*parts)

    @cached_property
    def catalog(self) -> Catalog:
        """What the sources gave (after `collect`)."""
        return Catalog.read(self.path("catalog"))

    @cached_property
    def split(self) -> pl.DataFrame:
        """Which photo is in which split (after `split`)."""
        return pl.read_parquet(self.path("split.parquet"))

    @cached_property
    def validation(self) -> pl.DataFrame:
        """Which validation photo chooses the epoch and which the threshold (after `part`)."""
        return pl.read_parquet(self.path("validation.parquet"))

    def calibration_photos(self) -> pl.DataFrame:
        """The catalog's photos on which thresholds are chosen, sorted by photo."""
        chosen = self.validation.filter(pl.col("part") == "calibration").select("photo")
        return self.catalog.photos.join(chosen, on="photo", how="semi").sort("photo")

    def trained_folder(self, system: SystemSettings, number: int = 0) -> Path:
        """Where the ``number``-th training of a system lies: the first in the system's own folder."""
        folder = self.path("systems", system.name)
        return folder / "seeds" / str(number) if number else folder

    def photos_of(self, *splits: str) -> pl.DataFrame:
        """The catalog's photos in these splits, with their ``split``."""
        chosen = self.split.filter(pl.col("split").is_in(list(splits))).select("photo", "split")
        return self.catalog.photos.join(chosen, on="photo").sort("photo")

    def weights_of(self, system: SystemSettings, number: int = 0) -> str:
        """What the system predicts with: the weights it was given, or those its ``number``-th training made."""
        if system.trained:
            return str(self.trained_folder(system, number) / "weights" / "best.safetensors")
        return self.start_weights(system.weights)

    def start_weights(self, weights: str) -> str:
        """Absolute path, or an architecture's name."""
        folder = self.study.file.parent if self.study.file else Path.cwd()
        found = resolve_weights(weights, folder, self.study.trust)
        if isinstance(found, Path) and needs_trust(found):
            from wreckognize.detectors.trusted import as_data

            return str(as_data(found, self.path("trusted")))
        return str(found)


def versions() -> dict[str, str]:
    """Versions of the libraries that decide the figures."""
    names = ("torch", "ultralytics-opencv-headless", "opencv-python-headless")
    return {name: importlib.metadata.version(name) for name in names}
