"""``wreckognize predict``: photos to verdicts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import typer

from wreckognize import images
from wreckognize.boxes import as_boxes
from wreckognize.cli.console import Console
from wreckognize.collect.walk import PHOTO_SUFFIXES
from wreckognize.detectors.port import EngineName
from wreckognize.errors import InputError, UsageError
from wreckognize.evidence.person import ThirdAnswer
from wreckognize.files import atomic_write
from wreckognize.inference.stream import Look, PhotoFile, StreamSettings, look_at
from wreckognize.spreadsheet import rows_to_csv
from wreckognize.stages.finished import Finished, finished_system, usable_weights
from wreckognize.stages.looking import Looker
from wreckognize.study.paths import is_glob, matches
from wreckognize.urls import url_of

DEFAULT_THRESHOLD, DEFAULT_IMGSZ = 0.10, 640
MIN_CONFIDENCE_SHOWN = 0.10
CHUNK = 256  # photos looked at before their lines are written
COLUMNS = ("photo", "verdict", "score", "threshold", "low", "high")


def predict_photos(
    weights: Path,
    patterns: Sequence[str],
    *,
    out: Path | None,
    threshold: float | None,
    imgsz: int | None,
    to_a_person: bool = False,
    engine: str = "torch",
    trust: Collection[str] = (),
    on: Literal["here", "ray"] = "here",
    address: str | None = None,
) -> bool:
    """Look at photos and write one line each, in the order they were named.

    Args:
        weights: a system of a run, or a weights file.
        patterns: photos, folders, globs and URLs.
        out: a ``.jsonl`` or ``.csv`` file or URL; None: standard output.
        threshold: None: the system's.
        imgsz: None: the system's.
        to_a_person: give the third answer, by the system's two thresholds.
        engine: what runs the network.
        trust: ``sha256:...`` of checkpoints that may be opened whatever they hold.
        on: who looks: this process, or a Ray cluster.
        address: of the cluster; None starts a Ray on this machine.

    Returns:
        Whether every photo could be read.

    Raises:
        UsageError: nothing to look at, or the weights are not there.
        StorageError: a URL cannot be read or written.
        ClusterError: the cluster cannot be used.
    """
    out_url = None if out is None else url_of(out)
    if out is not None and out.suffix not in (".jsonl", ".csv"):
        raise UsageError(
            f"no format is known for {out.suffix!r}", where=str(out), remedy="end the name in .jsonl or .csv"
        )
    if out is not None and out_url is None and not out.absolute().parent.is_dir():
        raise UsageError("no such folder", where=str(out.parent), remedy="make it, or choose another")
    if address is not None and on == "here":
        raise UsageError("a cluster that is not to be used", where="--address", remedy="add --on ray")
    names = list(named(patterns))
    if not names:
        raise UsageError(
            "no photo was found", where=" ".join(patterns), remedy="name photos, folders of photos, or globs"
        )
    from wreckognize.detectors.engines import Choice

    if engine not in get_args(EngineName):
        raise UsageError(
            f"no engine is called {engine!r}"
            if engine != "auto"
            else "`auto` compares engines on a study's photos",
            where="--engine",
            remedy=f"choose {' or '.join(get_args(EngineName))}",
        )
    if imgsz is not None and (imgsz < 32 or imgsz % 32):
        raise UsageError(f"{imgsz} pixels", where="--imgsz", remedy="give a multiple of 32, e.g. 640")
    if threshold is not None and not 0 <= threshold <= 1:
        raise UsageError(
            f"{threshold:g} is no confidence", where="--threshold", remedy="give a number from 0 to 1"
        )
    if to_a_person and threshold is not None:
        raise UsageError(
            "one threshold and two at once", where="--threshold, --to-a-person", remedy="give one of both options"
        )
    system = system_of(weights, to_a_person=to_a_person, trust=trust)
    decide = Decider(
        threshold=system.threshold if threshold is None else threshold,
        third=system.third_answer if to_a_person else None,
    )
    choice = Choice(cast(EngineName, engine))
    if decide.third is not None and not decide.thresholds:
        typer.echo(f"every photo goes to a person: {decide.third.why_low}; {decide.third.why_high}", err=True)
    settings = StreamSettings(imgsz or system.imgsz, confidence=min((MIN_CONFIDENCE_SHOWN, *decide.thresholds)))
    looker = Looker(system.weights, settings.imgsz, system.classes, system.merge, choice=choice)
    lines: list[dict[str, Any]] = []
    with Console().task("looking", len(names)) as task:
        if on == "here" and not any(map(url_of, names)):
            looks = looks_here([Path(name) for name in names], looker, settings, task.advance)
        else:
            looks = looks_far(names, looker, settings, on, address, task.advance)
        for name, look in zip(names, looks, strict=True):
            line = _failed(name, look.error) if look.error else _verdict(name, look, decide)
            lines.append(line)
            if out is None:
                typer.echo(json.dumps(line, ensure_ascii=False))
    if out is not None:
        _write(out, out_url, _csv(lines) if out.suffix == ".csv" else _json_lines(lines))
    failed = sum(line["error"] is not None for line in lines)
    if failed:
        typer.echo(f"{failed} of {len(lines)} photos could not be read; their lines say why", err=True)
    return not failed


def _write(out: Path, url: str | None, text: str) -> None:
    if url is None:
        atomic_write(out, text)
        return
    from wreckognize.scale.storage import Storage
    from wreckognize.stages.predicting import storage_settings

    Storage(storage_settings()).write(url, text.encode())


def named(patterns: Sequence[str]) -> Iterator[str]:
    """Photos as `expand` names them, and URLs of those in object storage; each once, in a fixed order."""
    seen: set[str] = set()
    for pattern in patterns:
        url = None if Path(pattern).exists() else url_of(pattern)
        if url is None:
            found = [str(path) for path in expand([pattern])]
        else:
            from wreckognize.stages.predicting import photos_below

            found = photos_below(url)
        yield from (name for name in dict.fromkeys(found) if name not in seen)
        seen.update(found)


def expand(patterns: Sequence[str]) -> Iterator[Path]:
    """Photos named one by one, by folder (all photos below it) or by glob; each once, in a fixed order."""
    seen: set[Path] = set()
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in PHOTO_SUFFIXES)
        else:
            found = matches(path) if is_glob(path) else [path]
        for file in found:
            if file not in seen:
                seen.add(file)
                yield file


@dataclass(frozen=True, slots=True)
class Decider:
    """How a score becomes a verdict: by one threshold, or by the two of the third answer."""

    threshold: float
    third: ThirdAnswer | None

    @property
    def thresholds(self) -> tuple[float, ...]:
        """All that a score is compared with."""
        if self.third is None:
            return (self.threshold,)
        return tuple(value for value in (self.third.low, self.third.high) if value is not None)

    def verdict(self, score: float) -> dict[str, Any]:
        """The verdict and the thresholds it was given by; never two verdicts."""
        if self.third is None:
            verdict = "vehicle" if score >= self.threshold else "no vehicle"
            return {"verdict": verdict, "threshold": self.threshold, "low": None, "high": None}
        (answer,) = self.third.answers(np.array([score], dtype=np.float32))
        verdict = str(answer).replace("_", " ")
        return {"verdict": verdict, "threshold": None, "low": self.third.low, "high": self.third.high}


def system_of(weights: Path, *, to_a_person: bool, trust: Collection[str] = ()) -> Finished:
    """The system of a run that ``weights`` names, or a weights file with this package's defaults.

    Raises:
        UsageError: there are no weights, or weights alone are asked for a third answer.
    """
    if weights.is_dir() or weights.parent.name in ("systems", "seeds"):
        return finished_system(weights, trust)
    if to_a_person:
        raise UsageError(
            "a weights file has no thresholds for the third answer",
            where="--to-a-person",
            remedy="name a system of a run, e.g. runs/STUDY/systems/ver6",
        )
    return Finished(
        weights=usable_weights(str(weights), Path.cwd(), trust),
        imgsz=DEFAULT_IMGSZ,
        classes=("car", "bus", "truck"),
        merge="max",
        threshold=DEFAULT_THRESHOLD,
        third_answer=None,
    )


def looks_here(
    paths: Sequence[Path], looker: Looker, settings: StreamSettings, tick: Callable[[int], None]
) -> Iterator[Look]:
    """A `Look` for every photo, in their order, by this process."""
    detector = looker.open()
    for start in range(0, len(paths), CHUNK):
        files: list[PhotoFile] = []
        looks: dict[str, Look] = {}
        chunk = paths[start : start + CHUNK]
        for path in chunk:
            try:
                header = images.read_header(path)
            except InputError as error:
                looks[str(path)] = Look(str(path), as_boxes([]), np.zeros(0, np.float32), None, error)
                tick(1)
            else:
                files.append(PhotoFile(str(path), path, header.width, header.height))
        for look in look_at(files, detector, settings):
            looks[look.photo] = look
            tick(1)
        yield from (looks[str(path)] for path in chunk)


def looks_far(
    names: Sequence[str],
    looker: Looker,
    settings: StreamSettings,
    on: Literal["here", "ray"],
    address: str | None,
    tick: Callable[[int], None],
) -> Iterator[Look]:
    """The same, of photos that lie in object storage, or by a cluster."""
    from wreckognize.stages.predicting import look_at_new, lookers

    urls = [name for name in names if url_of(name)]
    photos = [name if url_of(name) else str(Path(name).absolute()) for name in names]
    with lookers(on, address, urls, lambda text: typer.echo(text, err=True)) as executor:
        yield from look_at_new(photos, looker, settings, executor, tick)


def _verdict(name: str, look: Look, decide: Decider) -> dict[str, Any]:
    boxes = [
        {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "confidence": confidence}
        for (x1, y1, x2, y2), confidence in zip(
            look.boxes.round(1).tolist(), look.confidences.round(4).tolist(), strict=True
        )
    ]
    found = decide.verdict(look.score)
    return {
        "photo": _shown(name),
        "verdict": found.pop("verdict"),
        "score": round(look.score, 4),
        **found,
        "boxes": boxes,
        "error": None,
    }


def _failed(name: str, error: InputError) -> dict[str, Any]:
    nothing = dict.fromkeys(("verdict", "score", "threshold", "low", "high"))
    return {"photo": _shown(name), **nothing, "boxes": [], "error": error.reason}


def _shown(name: str) -> str:
    """A name as text, also one that is not UTF-8 on the disk."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _json_lines(lines: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _csv(lines: list[dict[str, Any]]) -> str:
    rows = ([*(line[key] for key in COLUMNS), len(line["boxes"]), line["error"]] for line in lines)
    return rows_to_csv([*COLUMNS, "boxes", "error"], rows)
