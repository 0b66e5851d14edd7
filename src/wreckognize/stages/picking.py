"""Which engine a system or a teacher runs on; for ``auto``, measured once and written down."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from wreckognize.detectors.engines import Choice, available, versions_of
from wreckognize.detectors.second_look import MARGIN
from wreckognize.evaluation.parity import Parity, compare_predictions
from wreckognize.files import atomic_write
from wreckognize.inference.passes import predictions_table
from wreckognize.inference.samples import photo_files, sample
from wreckognize.inference.stream import look_at
from wreckognize.settings import EngineSettings, SystemSettings, TeacherSettings
from wreckognize.stages.run import Run

if TYPE_CHECKING:
    from wreckognize.stages.looking import Looker

ALWAYS = (0.10, 0.25)
"""Thresholds at which figures are always given."""
PARITY_PHOTOS = 200
LEARN_FROM_PHOTOS = 128  # for int8
WIDEST_MARGIN = 0.1
"""An engine whose scores shift by more is not mended by a second look: too many photos would need it."""
_REVISION = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """One engine as it was measured.

    Attributes:
        choice: what was measured; with the margin that its scores need.
        ms: milliseconds a photo, from file to boxes, batches of photos.
        parity: against torch in float32.
    """

    choice: Choice
    ms: float
    parity: Parity


def for_teacher(run: Run, teacher: TeacherSettings, plain: Looker) -> Looker:
    """A teacher's detector on the engine that it asks for; ``plain``: the same on torch."""
    learners = [system.labels.confidence for system in run.study.systems if system.trained]
    thresholds = tuple(sorted({*ALWAYS, *learners}))
    pinned = {source.name for source in run.study.sources if source.split == "test"}
    photos = run.catalog.photos.filter(~pl.col("source").is_in(sorted(pinned)))
    learn_from = sample(photos, LEARN_FROM_PHOTOS, seed=run.study.seed)
    prepared = replace(plain, learn_from=learn_from, cache=run.path("engines"))
    if teacher.engine != "auto":
        return replace(prepared, choice=_named(teacher, thresholds))
    name = "" if teacher == run.study.teacher else f"-{_short(prepared)}"
    file = run.path("teacher", f"engine{name}.json")
    return replace(prepared, choice=_picked(run, f"engine:teacher{name}", prepared, photos, thresholds, file))


def for_system(run: Run, system: SystemSettings, number: int, plain: Looker, also: Sequence[float]) -> Looker:
    """A system's detector on the engine that it asks for; ``plain``: the same on torch."""
    rule = system.predict.threshold
    own = [rule.value] if rule.rule == "fixed" and rule.value is not None else []
    thresholds = tuple(sorted({*ALWAYS, *own}))
    train, val = run.photos_of("train").drop("split"), run.photos_of("val").drop("split")
    learn_from = sample(train if train.height else val, LEARN_FROM_PHOTOS, seed=run.study.seed)
    prepared = replace(plain, learn_from=learn_from, cache=run.path("engines"))
    if system.predict.engine != "auto":
        choice = _named(system.predict, thresholds)
    else:
        stage = f"engine:{system.name}:{number}" if number else f"engine:{system.name}"
        choice = _picked(run, stage, prepared, val, thresholds, _file(run, system, number))
    if choice.thresholds:
        choice = replace(choice, thresholds=tuple(sorted({*choice.thresholds, *also})))
    return replace(prepared, choice=choice)


def why_picked(run: Run, system: SystemSettings, number: int = 0) -> str:
    """Why a system with ``engine: auto`` runs on what it runs on, for the report."""
    return str(json.loads(_file(run, system, number).read_text(encoding="utf-8"))["why"])


def _file(run: Run, system: SystemSettings, number: int) -> Path:
    return run.trained_folder(system, number) / "predictions" / "engine.json"


def _short(looker: Looker) -> str:
    return str(looker.identity["weights"])[:8].replace(":", "-") + f"-{looker.imgsz}"


def _named(settings: EngineSettings, thresholds: tuple[float, ...]) -> Choice:
    if settings.engine == "auto" or settings.precision == "float32":
        return Choice("torch" if settings.engine == "auto" else settings.engine)
    return Choice(settings.engine, settings.precision, thresholds)


def _picked(
    run: Run, stage: str, plain: Looker, photos: pl.DataFrame, thresholds: tuple[float, ...], file: Path
) -> Choice:
    """The choice of ``engine: auto``: made once, and kept as long as weights, photos and what is installed stay."""
    drawn = sample(photos, PARITY_PHOTOS, seed=run.study.seed)
    from wreckognize.detectors.ultralytics import device_name

    choices = available(on_gpu=device_name(plain.device) != "cpu")

    def action() -> None:
        run.progress.say(f"  choosing an engine for {stage.removeprefix('engine:')}: {len(choices)} to try")
        candidates = measure(plain, choices, drawn, thresholds)
        best, why = pick(candidates)
        record = {
            "picked": asdict(best.choice),
            "why": why,
            "photos": drawn.height,
            "candidates": [
                {
                    "engine": one.choice.engine,
                    "precision": one.choice.precision,
                    "versions": versions_of(one.choice),
                    "margin": one.choice.margin if one.choice.thresholds else None,
                    "ms_per_photo": round(one.ms, 3),
                    "parity": one.parity.to_dict(),
                }
                for one in candidates
            ],
        }
        atomic_write(file, json.dumps(record, indent=1, allow_nan=False))
        run.progress.say(f"  {best.choice.in_words}: {why}")

    inputs = {
        "revision": _REVISION,
        "looker": plain.identity,
        "photos": drawn.select("photo", "sha256").rows(),
        "thresholds": thresholds,
        "choices": [[choice.in_words, versions_of(choice)] for choice in choices],
    }
    run.workspace.run_stage(stage, inputs, [file], action)
    picked: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["picked"]
    return Choice(**{**picked, "thresholds": tuple(picked["thresholds"])})


def measure(
    plain: Looker, choices: Sequence[Choice], photos: pl.DataFrame, thresholds: tuple[float, ...]
) -> list[Candidate]:
    """Every choice over the same photos, compared with the first, which is torch in float32.

    A precision below float32 is first looked at as it is: the largest shift of a score says how wide a margin its
    second look needs. What is timed and judged then is the two together, as they would be used.
    """
    names = photos["photo"].to_list()
    reference, ms, random = _seen(replace(plain, choice=choices[0]), photos)

    def compared(table: pl.DataFrame) -> Parity:
        return compare_predictions(names, reference, table, thresholds=thresholds, random_weights=random)

    candidates = [Candidate(choices[0], ms, compared(reference))]
    if random:
        return candidates
    for choice in choices[1:]:
        table, ms, _ = _seen(replace(plain, choice=choice), photos)
        parity = compared(table)
        if choice.precision != "float32":
            margin = max(MARGIN, parity.score_shift_max)
            choice = replace(choice, thresholds=thresholds, margin=margin)
            if margin <= WIDEST_MARGIN:
                table, ms, _ = _seen(replace(plain, choice=choice), photos)
                parity = compared(table)
        candidates.append(Candidate(choice, ms, parity))
    return candidates


def pick(candidates: Sequence[Candidate]) -> tuple[Candidate, str]:
    """The fastest that passed parity, and why in words; the first, torch in float32, is its own reference."""
    reference = candidates[0]
    if reference.parity.passed is None:
        return reference, f"picked without a comparison: {reference.parity.why}"
    passed = [one for one in candidates if one.parity.passed and not _shifts_too_far(one)]
    best = min(passed, key=lambda one: one.ms)
    ratio = reference.ms / best.ms
    number, photos = len(candidates), best.parity.photos
    why = f"picked as the fastest of {len(passed)} of {number} that passed parity on {photos} photos"
    return best, why + (f", {ratio:.2f}x torch in float32" if best is not reference else "")


def _shifts_too_far(one: Candidate) -> bool:
    return bool(one.choice.thresholds) and one.choice.margin > WIDEST_MARGIN


def _seen(looker: Looker, photos: pl.DataFrame) -> tuple[pl.DataFrame, float, bool]:
    """Predictions of these photos, milliseconds a photo after a warm-up, and whether the weights are random."""
    detector, files = looker.open(), photo_files(photos)
    for _ in look_at(files[: looker.stream.batch], detector, looker.stream):
        pass
    began = time.perf_counter()
    looks = list(look_at(files, detector, looker.stream))
    ms = (time.perf_counter() - began) / max(1, len(files)) * 1000
    table = predictions_table(sorted(looks, key=lambda look: look.photo))
    return table, ms, detector.info.random_weights
