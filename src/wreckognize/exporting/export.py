"""From a system of a run to a bundle: write the model, compare it with the original, and only then let it appear."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from wreckognize.detectors.port import Calibration, Detector, VehicleReading
from wreckognize.errors import InputError, ParityError
from wreckognize.evaluation.image_level import photo_scores
from wreckognize.evaluation.latency import WARMUP, measure
from wreckognize.exporting.bundle import Bundle, new_bundle, read_bundle, seal
from wreckognize.exporting.card_text import as_markdown
from wreckognize.exporting.gate import Comparison, GateLimits, compare
from wreckognize.exporting.manifest import (
    ENGINES,
    Manifest,
    ParityNote,
    PersonBand,
    Reference,
    Speed,
    Suppression,
    Target,
    Threshold,
)
from wreckognize.exporting.models import open_model, write_model
from wreckognize.exporting.reference import reference_of
from wreckognize.exporting.source import Source, compared_at, rule_of
from wreckognize.exporting.verdicts import LEAST_KEPT, Rule
from wreckognize.exporting.wording import card_of
from wreckognize.inference.passes import predictions_table
from wreckognize.inference.samples import letterboxed, photo_files, sample
from wreckognize.inference.stream import StreamSettings, look_at
from wreckognize.inference.traits import read_traits
from wreckognize.progress import Progress, Silent

if TYPE_CHECKING:
    from wreckognize.detectors.ultralytics import Network

LEARN_FROM_PHOTOS = 128  # for int8
GATE_PHOTOS = 1000
TIMED_PHOTOS = 20
_CHUNK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """What is asked of an export.

    Attributes:
        target: what to export to.
        int8: whole numbers of eight bits in the network's layers; OpenVINO only.
        limits: of the gate.
        photos: at most so many validation photos are compared; drawn by the study's seed where there are more.
        force: write a bundle that the gate refuses, and mark it.
        to_a_person: whether it gives the third answer, see `rule_of`.
    """

    target: Target
    int8: bool = False
    limits: GateLimits = field(default_factory=GateLimits)
    photos: int = GATE_PHOTOS
    force: bool = False
    to_a_person: bool | None = None


def export(
    source: Source, out: Path, settings: ExportSettings, *, progress: Progress | None = None
) -> tuple[Bundle, Comparison]:
    """Write a bundle to ``out``, which must not be there yet.

    Args:
        source: the system.
        out: the bundle's folder.
        settings: what is asked of it.
        progress: where to report.

    Returns:
        The bundle as it is read again from the disk, and how far it agrees with the original.

    Raises:
        ParityError: it does not decide as the original does, and ``force`` is not given; nothing is written.
        UsageError: something stands at ``out``, or the target cannot be had here.
        MissingExtraError: a package is not installed.
        WeightsError: the weights cannot be read, or cannot be turned into a graph.
    """
    progress = progress or Silent()
    from wreckognize.detectors.ultralytics import UltralyticsDetector, load_as_vehicle_detector

    with new_bundle(out) as folder:
        network, reading = load_as_vehicle_detector(source.weights, source.classes, source.merge)
        manifest = _open_manifest(source, settings, network)
        _write_model(source, settings, network, reading, folder)
        original = UltralyticsDetector(network, reading)
        photos = sample(source.photos, settings.photos, seed=source.seed)
        comparison, reference = _try(source, manifest, settings, photos, original, folder, progress)
        if not comparison.passed and not settings.force:
            raise _refused(comparison)
        readable = photos.filter(~pl.col("photo").is_in(list(comparison.unread)))
        speed = _speed(readable, original, open_model(folder, manifest, requests=1), manifest, progress)
        finished = manifest.model_copy(
            update={"parity": _note(comparison, speed), "reference": reference, "created": _now()}
        )
        card = card_of(source, finished, comparison)
        parity = {**comparison.to_dict(), "original": original.info.engine, "target": settings.target}
        seal(folder, finished, card, card_text=as_markdown(card, finished, comparison), parity=parity)
    return read_bundle(out), comparison


def _open_manifest(source: Source, settings: ExportSettings, network: Network) -> Manifest:
    """The manifest as far as it is known before the comparison."""
    rule = rule_of(source.frozen, to_a_person=settings.to_a_person)
    stream = StreamSettings(source.imgsz)
    return Manifest(
        name=source.name,
        version="0" * 12,
        engine=ENGINES[settings.target],
        precision="int8" if settings.int8 else "float32",
        imgsz=source.imgsz,
        stride=int(network.model.stride.max()),  # type: ignore[operator]
        classes=source.classes,
        names=network.names,
        merge=source.merge,
        suppression=Suppression(
            confidence=min(LEAST_KEPT, *compared_at(source.frozen).values()),
            iou=stream.iou,
            candidates=stream.candidates,
            boxes=stream.boxes,
        ),
        shown=rule.shown,
        threshold=Threshold(value=rule.threshold, rule=source.frozen.chosen.why),
        to_a_person=None if rule.band is None else PersonBand(low=rule.band.low, high=rule.band.high),
        files={},
        study=source.study,
        system=source.system,
        seed=source.number,
        weights_sha256=network.sha256,
        random_weights=network.random,
        created=_now(),
        wreckognize=metadata.version("wreckognize"),
        parity=ParityNote(
            result="forced", photos=0, flipped=0, flipped_high=1, max_flips=1, score_shift_max=0, speed=None
        ),
        reference=None,
    )


def _write_model(
    source: Source, settings: ExportSettings, network: Network, reading: VehicleReading, folder: Path
) -> None:
    calibration = None
    if settings.int8:
        learn_from = sample(source.learn_from, LEARN_FROM_PHOTOS, seed=source.seed)
        files = photo_files(learn_from)
        calibration = Calibration(lambda: letterboxed(files, source.imgsz), "training photos")
    write_model(
        settings.target,
        network,
        reading,
        folder,
        weights=source.weights,
        imgsz=source.imgsz,
        calibration=calibration,
    )


def _try(
    source: Source,
    manifest: Manifest,
    settings: ExportSettings,
    photos: pl.DataFrame,
    original: Detector,
    folder: Path,
    progress: Progress,
) -> tuple[Comparison, Reference | None]:
    """Both detectors over the photos; the bundle's by its files as they will be handed on."""
    stream = manifest.stream_settings()
    expected, unread = _see(photos, original, stream, progress, "original")
    found, also_unread = _see(photos, open_model(folder, manifest), stream, progress, "bundle")
    gone = unread | also_unread
    read = photos.filter(~pl.col("photo").is_in(sorted(gone)))
    groups = read.select("photo").join(source.groups, on="photo", how="left", maintain_order="left")["group"]
    comparison = compare(
        read,
        groups.to_numpy().astype(np.str_),
        source.boxes,
        expected.join(read, on="photo", how="semi"),
        found.join(read, on="photo", how="semi"),
        thresholds=compared_at(source.frozen),
        shown=manifest.shown,
        limits=settings.limits,
        unread=sorted(gone),
        random_weights=original.info.random_weights,
    )
    return comparison, _reference(read, found, manifest.rule)


def _see(
    photos: pl.DataFrame, detector: Detector, stream: StreamSettings, progress: Progress, which: str
) -> tuple[pl.DataFrame, set[str]]:
    """Predictions, ``PREDICTION_SCHEMA``, and the names of photos that could not be read."""
    files, tables, unread = photo_files(photos), [], set()
    with progress.task(f"{which}: {detector.info.engine}", len(files)) as task:
        for start in range(0, len(files), _CHUNK):
            looks = []
            for look in look_at(files[start : start + _CHUNK], detector, stream):
                looks.append(look)
                task.advance()
            unread |= {look.photo for look in looks if look.error is not None}
            tables.append(predictions_table(sorted(looks, key=lambda look: look.photo)))
    return pl.concat([predictions_table([]), *tables]), unread


def _reference(photos: pl.DataFrame, found: pl.DataFrame, rule: Rule) -> Reference | None:
    if photos.is_empty():
        return None
    scores = photo_scores(photos, found.join(photos, on="photo", how="semi"))
    rows = scores.select("photo", "score").join(photos.select("photo", "path", "width", "height"), on="photo")
    brightness = []
    for path in rows["path"]:
        try:
            brightness.append(read_traits(Path(path)).brightness)
        except InputError:  # it was there a moment ago
            brightness.append(np.nan)
    kept = rows.with_columns(brightness=pl.Series(brightness, dtype=pl.Float64)).filter(
        ~pl.col("brightness").is_nan()
    )
    return reference_of(
        kept["score"].to_numpy(),
        kept["brightness"].to_numpy(),
        kept.select(pl.max_horizontal("width", "height")).to_series().to_numpy(),
        rule,
    )


def _speed(
    photos: pl.DataFrame, original: Detector, bundle: Detector, manifest: Manifest, progress: Progress
) -> Speed | None:
    """One photo at a time through both, on the same photos."""
    rows = photos.gather_every(max(1, photos.height // TIMED_PHOTOS)).head(TIMED_PHOTOS)
    if rows.is_empty():
        return None
    files = {file.path: file for file in photo_files(rows)}
    stream = manifest.stream_settings(batch=1, workers=1)
    with progress.task("timing both", 2 * (len(files) + WARMUP)) as task:

        def timed(detector: Detector) -> float:
            def look(path: Path) -> None:
                next(look_at([files[path]], detector, stream))
                task.advance()

            return round(measure(look, list(files)).median_ms, 2)

        before, after = timed(original), timed(bundle)
    device = original.info.device
    if os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1):
        device += ", while the machine was busy with other work"
    if bundle.info.device != device:
        device = f"{device}; bundle: {bundle.info.device}"
    return Speed(original_ms=before, bundle_ms=after, photos=len(files), device=device)


def _note(comparison: Comparison, speed: Speed | None) -> ParityNote:
    high = comparison.flipped.high
    return ParityNote(
        result="passed" if comparison.passed else "forced",
        photos=comparison.photos,
        flipped=len(comparison.flips),
        flipped_high=1.0 if high is None else high,
        max_flips=comparison.max_flips,
        score_shift_max=comparison.score_shift_max,
        speed=speed,
    )


def _refused(comparison: Comparison) -> ParityError:
    photos: Sequence[str] = [flip.photo for flip in comparison.flips]
    if not comparison.photos:
        return ParityError(
            "the bundle is not written: there is no validation photo to compare it with the original on"
            + (f" ({len(comparison.unread)} could not be read)" if comparison.unread else ""),
            remedy="put the study's photos back where they were, or write it unchecked with --force, which marks it",
        )
    return ParityError(
        f"the bundle is not written: it does not decide as the original does: {comparison.why}",
        remedy="choose another target, leave out --int8, allow more with --max-flips, or write it all the same with "
        "--force, which marks it",
        photos=photos,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
