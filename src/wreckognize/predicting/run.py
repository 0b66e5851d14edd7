"""Photos to lines: in chunks, to the screen or to a file that is gone on with after an interruption."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from wreckognize.detectors.port import Detector
from wreckognize.evaluation.writers import csv_cell
from wreckognize.evidence.claims import ClaimRule
from wreckognize.files import atomic_path
from wreckognize.predicting.annotate import annotate
from wreckognize.predicting.claims import decide_claims
from wreckognize.predicting.lines import Line, as_text, lines_of, write_lines
from wreckognize.predicting.model import Model
from wreckognize.predicting.unfinished import key_of, unfinished
from wreckognize.progress import Progress, Task

CHUNK = 256  # photos looked at before their lines are written


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Claims that are decided.

    Attributes:
        of: the claim of a photo; None where it has none.
        key: says where the claims come from, so that lines of other claims are not gone on with.
        rule: how the photos of a claim give one verdict.
        out: the file for the verdicts: ``.jsonl``, ``.csv`` or ``.parquet``.
    """

    of: Callable[[str], str | None]
    key: str
    rule: ClaimRule
    out: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done.

    Attributes:
        names: paths of photos, each once.
        model: decides.
        claims: None: none are decided.
        annotated: a folder for copies with the boxes drawn in; None: none are made.
    """

    names: Sequence[str]
    model: Model
    claims: Claims | None = None
    annotated: Path | None = None


def to_screen(job: Job, write: Callable[[str], object], progress: Progress) -> int:
    """Hand every line on as soon as its chunk was looked at; return how many photos could not be read."""
    detector, failed = job.model.open(), 0
    with progress.task("looking", len(job.names)) as task:
        for chunk in _chunks(job.names):
            for line in _looked(job, chunk, detector, task):
                failed += line["error"] is not None
                write(as_text(line))
    return failed


def to_file(job: Job, out: Path, progress: Progress) -> int:
    """Write every line to a file, going on with what an interrupted command left.

    Returns:
        How many photos could not be read.

    Raises:
        UsageError: another process is writing the same file.
    """
    detector: Detector | None = None
    with unfinished(out, _depends(job)) as lines:
        with progress.task("looking", len(job.names)) as task:
            for chunk in _chunks(job.names):
                keys = [
                    key_of(name) for name in chunk
                ]  # before they are read: a photo changed meanwhile is not known
                if lines.take(keys):
                    task.advance(len(chunk))
                    continue
                detector = detector or job.model.open()
                lines.add(keys, [as_text(line) for line in _looked(job, chunk, detector, task)])
        if job.claims is not None:
            write_table_as(
                job.claims.out, decide_claims(map(json.loads, lines.lines()), job.model.rule, job.claims.rule)
            )
        write_lines(out, lines.lines())
        return sum(json.loads(text)["error"] is not None for text in lines.lines())


def write_table_as(out: Path, table: pl.DataFrame) -> None:
    """Write a small table in the format that the file's ending says."""
    with atomic_path(out) as part:
        if out.suffix == ".parquet":
            table.write_parquet(part)
        elif out.suffix == ".csv":
            texts = [name for name, kind in table.schema.items() if kind == pl.String]
            safe = [pl.col(name).map_elements(csv_cell, return_dtype=pl.String) for name in texts]
            table.with_columns(safe).write_csv(part)
        else:
            table.write_ndjson(part)


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), CHUNK):
        yield names[start : start + CHUNK]


def _looked(job: Job, chunk: Sequence[str], detector: Detector, task: Task) -> Iterator[Line]:
    folder = job.annotated

    def draw(name: str, line: Line) -> None:
        if folder is not None:
            annotate(name, line, folder)

    for line in lines_of(
        chunk,
        detector,
        job.model.settings,
        job.model.rule,
        version=job.model.version,
        claim_of=job.claims.of if job.claims else _no_claim,
        seen=draw,
    ):
        task.advance()
        yield line


def _no_claim(_name: str) -> None:
    return None


def _depends(job: Job) -> dict[str, Any]:
    return {
        **job.model.key,
        "claims": job.claims.key if job.claims else None,
        "annotated": str(job.annotated.absolute()) if job.annotated else None,
        "chunk": CHUNK,
    }
