"""``wreckognize predict``: photos to verdicts."""

from __future__ import annotations

import csv
import glob
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import typer

from wreckognize import images
from wreckognize.cli.console import Console
from wreckognize.collect.walk import PHOTO_SUFFIXES
from wreckognize.detectors.port import Detector, EngineName
from wreckognize.errors import InputError, UsageError
from wreckognize.evidence.person import ThirdAnswer
from wreckognize.evidence.thresholds import FrozenThreshold
from wreckognize.files import atomic_write
from wreckognize.inference.stream import Look, PhotoFile, StreamSettings, look_at
from wreckognize.study import resolve_weights

DEFAULT_THRESHOLD, DEFAULT_IMGSZ = 0.10, 640
MIN_CONFIDENCE_SHOWN = 0.10
CHUNK = 256  # photos looked at before their lines are written


def predict_photos(
    weights: Path,
    patterns: Sequence[str],
    *,
    out: Path | None,
    threshold: float | None,
    imgsz: int | None,
    engine: str = "torch",
) -> None:
    """Look at photos and write one line each, in the order they were named.

    Raises:
        UsageError: nothing to look at, or the weights are not there.
    """
    if out is not None and out.suffix not in (".jsonl", ".csv"):
        raise UsageError(
            f"no format is known for {out.suffix!r}", where=str(out), remedy="end the name in .jsonl or .csv"
        )
    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError("no such folder", where=str(out.parent), remedy="make it, or choose another")
    paths = list(expand(patterns))
    if not paths:
        raise UsageError(
            "no photo was found", where=" ".join(patterns), remedy="name photos, folders of photos, or globs"
        )
    from wreckognize.detectors.engines import Choice, open_engine

    if engine not in get_args(EngineName):
        raise UsageError(
            f"no engine is called {engine!r}",
            where="--engine",
            remedy=f"choose {' or '.join(get_args(EngineName))}",
        )
    if imgsz is not None and (imgsz < 32 or imgsz % 32):
        raise UsageError(f"{imgsz} pixels", where="--imgsz", remedy="give a multiple of 32, e.g. 640")
    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(
            f"{threshold:g} is no confidence", where="--threshold", remedy="give a number from 0 to 1"
        )
    file, found_threshold, found_imgsz = settings_of(weights)
    third = third_answer_of(weights) if threshold is None else None
    threshold = found_threshold if threshold is None else threshold
    choice = Choice(cast(EngineName, engine))
    detector = open_engine(str(file.absolute()), choice, classes=("car", "bus", "truck"))
    lowest = [MIN_CONFIDENCE_SHOWN, threshold, *([third.low] if third and third.low is not None else [])]
    settings = StreamSettings(found_imgsz if imgsz is None else imgsz, confidence=min(lowest))
    lines: list[dict[str, Any]] = []
    with Console().task("looking", len(paths)) as task:
        for start in range(0, len(paths), CHUNK):
            for line in _lines(paths[start : start + CHUNK], detector, settings, threshold, third):
                lines.append(line)
                task.advance()
                if out is None:
                    typer.echo(json.dumps(line, ensure_ascii=False))
    if out is not None:
        atomic_write(out, _csv(lines) if out.suffix == ".csv" else _json_lines(lines))


def expand(patterns: Sequence[str]) -> Iterator[Path]:
    """Photos named one by one, by folder (all photos below it) or by glob; each once, in a fixed order."""
    seen: set[Path] = set()
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in PHOTO_SUFFIXES)
        elif path.exists() or not glob.has_magic(pattern):
            found = [path]
        else:
            found = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207
        for file in found:
            if file not in seen:
                seen.add(file)
                yield file


def settings_of(weights: Path) -> tuple[Path, float, int]:
    """The weights file that ``weights`` means, its decision threshold, and the size photos are looked at.

    Raises:
        UsageError: there are no weights.
    """
    if weights.is_dir():
        file = weights / "weights" / "best.safetensors"
        if not file.exists():
            raise UsageError(
                "the folder holds no trained weights",
                where=str(weights),
                remedy="name a trained system of a run, e.g. runs/STUDY/systems/ver6, or a weights file",
            )
        metrics = weights / "metrics.json"
        if metrics.exists():
            figures = json.loads(metrics.read_text(encoding="utf-8"))
            return file, float(figures["threshold"]), int(figures["imgsz"])
        return file, DEFAULT_THRESHOLD, DEFAULT_IMGSZ
    return Path(resolve_weights(str(weights), Path.cwd())), DEFAULT_THRESHOLD, DEFAULT_IMGSZ


def third_answer_of(weights: Path) -> ThirdAnswer | None:
    """The two thresholds between which a system's photos go to a person; None where none were chosen."""
    file = weights / "threshold.json"
    if not file.exists():
        return None
    return FrozenThreshold.from_dict(json.loads(file.read_text(encoding="utf-8"))).third_answer


def _lines(
    paths: Sequence[Path],
    detector: Detector,
    settings: StreamSettings,
    threshold: float,
    third: ThirdAnswer | None,
) -> Iterator[dict[str, Any]]:
    files: list[PhotoFile] = []
    answers: dict[str, dict[str, Any]] = {}
    for path in paths:
        try:
            header = images.read_header(path)
        except InputError as error:
            answers[str(path)] = _failed(path, error)
        else:
            files.append(PhotoFile(str(path), path, header.width, header.height))
    for look in look_at(files, detector, settings):
        answers[look.photo] = (
            _failed(Path(look.photo), look.error) if look.error else _verdict(look, threshold, third)
        )
    yield from (answers[str(path)] for path in paths)


def _verdict(look: Look, threshold: float, third: ThirdAnswer | None) -> dict[str, Any]:
    boxes = [
        {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "confidence": confidence}
        for (x1, y1, x2, y2), confidence in zip(
            look.boxes.round(1).tolist(), look.confidences.round(4).tolist(), strict=True
        )
    ]
    verdict = "vehicle" if look.score >= threshold else "no vehicle"
    return {
        "photo": look.photo,
        "verdict": verdict,
        "score": round(look.score, 4),
        "threshold": threshold,
        "answer": str(third.answers(np.array([look.score], dtype=np.float32))[0]) if third else None,
        "boxes": boxes,
        "error": None,
    }


def _failed(path: Path, error: InputError) -> dict[str, Any]:
    return {
        "photo": str(path),
        "verdict": None,
        "score": None,
        "threshold": None,
        "answer": None,
        "boxes": [],
        "error": error.reason,
    }


def _json_lines(lines: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _csv(lines: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["photo", "verdict", "score", "threshold", "answer", "boxes", "error"])
    for line in lines:
        writer.writerow(
            [
                *(line[key] for key in ("photo", "verdict", "score", "threshold", "answer")),
                len(line["boxes"]),
                line["error"],
            ]
        )
    return text.getvalue()
