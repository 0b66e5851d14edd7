"""Drift: whether the photos of today still look like those the bundle was validated on.

For each day (UTC) the photos' scores, brightness, longest sides and verdicts are counted into the bins of the bundle's
reference; nothing else is kept. From the counts come a summary (``/v1/drift``, ``/metrics``), and after the day's end a
line in the log. With a folder, each process keeps its counts in a file there, so that a process that is started again
goes on, and whichever is asked adds all of them up:

    FOLDER/VERSION/DAY/PROCESS.json   counts of one process, taken away after the day's end
    FOLDER/VERSION/DAY.json           the day's summary

A distance is a warning where it is beyond its limit **and** beyond chance: PSI from 0.2 on (Siddiqi's "significant
change") and above what chance gives once in a hundred days; Kolmogorov-Smirnov with a p-value below 0.001 and a
distance of at least 0.1, for with thousands of photos the least difference is significant. Below a least number of
photos nothing is said.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wreckognize.exporting.manifest import Histogram, Manifest
from wreckognize.exporting.verdicts import VERDICTS
from wreckognize.files import atomic_write, held_file
from wreckognize.serving.distances import Distance, distance_of
from wreckognize.serving.measures import Log

LEAST_PHOTOS = 200
PSI_LIMIT = 0.2
KS_LEVEL = 0.001
KS_DISTANCE = 0.1
_FEATURES = ("score", "brightness", "longest_side")
_KEPT_DAYS = 400
_LATE = timedelta(minutes=2)  # after midnight until all processes have written the last of the day


class Counts(msgspec.Struct):
    """Photos of a day by bin of each feature, and by verdict in the order of ``VERDICTS``."""

    score: list[int]
    brightness: list[int]
    longest_side: list[int]
    verdicts: list[int]

    @property
    def photos(self) -> int:
        """How many."""
        return sum(self.verdicts)


class Drift(Collector):
    """Counts photos, and compares them with the bundle's reference.

    Args:
        manifest: of the bundle; without a reference nothing is counted.
        log: gets a line for each finished day.
        folder: keeps the counts; None: memory only.
        least: photos below which nothing is said.
        now: the time; for tests.
    """

    def __init__(
        self,
        manifest: Manifest,
        log: Log,
        *,
        folder: Path | None = None,
        least: int = LEAST_PHOTOS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._reference, self._log, self._now, self._least = manifest.reference, log, now, least
        self._folder = None if folder is None else folder / manifest.version
        self._process = f"{os.getpid()}-{secrets.token_hex(4)}.json"
        self._lock = threading.Lock()
        self._days: dict[str, Counts] = {}
        self._changed: set[str] = set()

    def add(self, score: float, brightness: float, longest_side: int, verdict: str) -> None:
        """Count a photo."""
        reference = self._reference
        if reference is None:
            return
        day = self._today()
        values = {"score": score, "brightness": brightness, "longest_side": float(longest_side)}
        with self._lock:
            counts = self._days.setdefault(day, self._empty())
            for feature, value in values.items():
                getattr(counts, feature)[_bin(getattr(reference, feature), value)] += 1
            counts.verdicts[VERDICTS.index(verdict)] += 1
            self._changed.add(day)

    def flush(self) -> None:
        """Write what has changed, and end the days that are over."""
        if self._reference is None:
            return
        with self._lock:
            changed = {day: msgspec.json.encode(self._days[day]) for day in sorted(self._changed)}
            self._changed.clear()
        if self._folder is not None:
            for day, data in changed.items():
                atomic_write(self._folder / day / self._process, data)
        for day in self._over():
            self._end(day)

    def summary(self, day: str | None = None) -> dict[str, Any]:
        """A day so far; today by default. Plain data for JSON."""
        day = day or self._today()
        if self._reference is None:
            return {"day": day, "photos": 0, "state": "no reference", "warnings": [], "features": {}}
        counts = self._all_of(day)
        found: dict[str, Any] = {
            "day": day,
            "photos": counts.photos,
            "reference_photos": self._reference.photos,
            "verdicts": dict(zip(VERDICTS, counts.verdicts, strict=True)),
            "reference_verdicts": dict(self._reference.verdicts),
            "least_photos": self._least,
        }
        if counts.photos < self._least or self._reference.photos == 0:
            return {**found, "state": "too few photos", "warnings": [], "features": {}}
        distances = dict(self._distances(counts))
        warnings = [name for name, distance in distances.items() if is_warning(distance)]
        return {
            **found,
            "state": "drift" if warnings else "as expected",
            "warnings": warnings,
            "features": {name: asdict(distance) for name, distance in distances.items()},
        }

    def collect(self) -> Iterator[Metric]:
        """Today's summary for Prometheus; without distances while there are too few photos."""
        summary = self.summary()
        yield GaugeMetricFamily("wreckognize_drift_photos", "Photos counted today (UTC).", summary["photos"])
        psi = GaugeMetricFamily("wreckognize_drift_psi", "Stability index, today.", labels=["feature"])
        ks = GaugeMetricFamily("wreckognize_drift_ks", "Kolmogorov-Smirnov distance, today.", labels=["feature"])
        warning = GaugeMetricFamily("wreckognize_drift_warning", "1: beyond its limits.", labels=["feature"])
        for name, distance in summary["features"].items():
            psi.add_metric([name], distance["psi"])
            if distance["ks"] is not None:
                ks.add_metric([name], distance["ks"])
            warning.add_metric([name], float(name in summary["warnings"]))
        yield from (psi, ks, warning)

    def _distances(self, counts: Counts) -> Iterator[tuple[str, Distance]]:
        assert self._reference is not None  # asked before
        for feature in _FEATURES:
            yield feature, distance_of(getattr(self._reference, feature).counts, getattr(counts, feature))
        expected = [self._reference.verdicts.get(verdict, 0) for verdict in VERDICTS]
        yield "verdicts", distance_of(expected, counts.verdicts, ordered=False)

    def _all_of(self, day: str) -> Counts:
        """Counts of all processes."""
        with self._lock:
            own = self._days.get(day)
            parts = [] if own is None else [msgspec.json.decode(msgspec.json.encode(own), type=Counts)]
        if self._folder is not None:
            for file in sorted((self._folder / day).glob("*.json")):
                if file.name != self._process and (read := _read(file)) is not None:
                    parts.append(read)
        total = self._empty()
        for part in parts:
            for feature in (*_FEATURES, "verdicts"):
                ours, theirs = getattr(total, feature), getattr(part, feature)
                if len(ours) == len(theirs):
                    setattr(total, feature, (np.asarray(ours) + np.asarray(theirs)).tolist())
        return total

    def _over(self) -> list[str]:
        """Days that are over and have no summary yet."""
        last = (self._now() - _LATE).date().isoformat()
        with self._lock:
            days = set(self._days)
        if self._folder is not None and self._folder.is_dir():
            days |= {entry.name for entry in self._folder.iterdir() if entry.is_dir()}
        return sorted(day for day in days if day < last)

    def _end(self, day: str) -> None:
        """Write a day's summary, once however many processes there are, and forget the day."""
        if self._folder is None:
            self._say(self.summary(day))
        else:
            with held_file(self._folder / "lock"):  # the other processes wait, and then find it done
                target = self._folder / f"{day}.json"
                if not target.exists():
                    summary = self.summary(day)
                    atomic_write(target, msgspec.json.format(msgspec.json.encode(summary), indent=1) + b"\n")
                    self._say(summary)
                shutil.rmtree(self._folder / day, ignore_errors=True)
                for old in sorted(self._folder.glob("????-??-??.json"))[:-_KEPT_DAYS]:
                    old.unlink(missing_ok=True)
        with self._lock:
            self._days.pop(day, None)
            self._changed.discard(day)

    def _say(self, summary: dict[str, Any]) -> None:
        self._log("drift", level="warning" if summary["warnings"] else "info", **summary)

    def _empty(self) -> Counts:
        assert self._reference is not None  # asked before
        zeros = {feature: [0] * len(getattr(self._reference, feature).counts) for feature in _FEATURES}
        return Counts(verdicts=[0] * len(VERDICTS), **zeros)

    def _today(self) -> str:
        return self._now().date().isoformat()


def is_warning(distance: Distance) -> bool:
    """Whether a distance is beyond its limits, see the module."""
    by_index = distance.psi >= PSI_LIMIT and distance.psi > distance.psi_by_chance
    by_function = (
        distance.ks is not None
        and distance.ks_p is not None
        and distance.ks >= KS_DISTANCE
        and distance.ks_p < KS_LEVEL
    )
    return by_index or by_function


def _bin(histogram: Histogram, value: float) -> int:
    """The bin that a value falls into, as `numpy.histogram` has it; beyond the edges, the first or the last."""
    return min(max(bisect_right(histogram.edges, value) - 1, 0), len(histogram.edges) - 2)


def _read(file: Path) -> Counts | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Counts)
    except (OSError, msgspec.DecodeError):  # just taken away, or not ours
        return None
