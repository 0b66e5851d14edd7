"""Photos to lines: to the screen, or to a file that is gone on with after an interruption."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from wreckognize.evidence.claims import ClaimRule
from wreckognize.files import atomic_path
from wreckognize.predicting import looking
from wreckognize.predicting.annotate import annotate
from wreckognize.predicting.claims import decide_claims
from wreckognize.predicting.lines import Line, as_text, line_of, write_lines
from wreckognize.predicting.looking import Place, looks_at
from wreckognize.predicting.model import Model
from wreckognize.predicting.unfinished import key_of, unfinished
from wreckognize.progress import Progress
from wreckognize.spreadsheet import table_to_csv


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Claims that are decided.

    Attributes:
        of: the claim of a photo; None where it has none.
        key: says where the claims come from, so that lines of other claims are not gone on with.
        rule: how the photos of a claim give one verdict.
    """

    of: Callable[[str], str | None]
    key: str
    rule: ClaimRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done.

    Attributes:
        names: paths and URLs of photos, each once.
        model: decides.
        claims: None: none are decided.
        annotated: a folder for copies with the boxes drawn in; None: none are made.
        place: who looks.
    """

    names: Sequence[str]
    model: Model
    claims: Claims | None = None
    annotated: Path | None = None
    place: Place = field(default_factory=Place)


def to_screen(job: Job, write: Callable[[str], object], progress: Progress) -> int:
    """Hand every line on as soon as it is there; return how many photos could not be read."""
    failed = 0
    with progress.task("looking", len(job.names)) as task:
        for line in _lines(job, job.names, task.advance):
            failed += line["error"] is not None
            write(as_text(line))
    return failed


def to_file(job: Job, out: Path, progress: Progress) -> int:
    """Write every line to a file, going on with what an interrupted command left; claims go beside it.

    Returns:
        How many photos could not be read.

    Raises:
        UsageError: another process is writing the same file.
    """
    size = looking.CHUNK
    with unfinished(out, _depends(job)) as kept:
        with progress.task("looking", len(job.names)) as task:
            missing: dict[int, list[bytes | None]] = {}
            for number, start in enumerate(range(0, len(job.names), size)):
                chunk = job.names[start : start + size]
                keys = [
                    key_of(name) for name in chunk
                ]  # before they are read: a photo changed meanwhile is not known
                if kept.take(number, keys):
                    task.advance(len(chunk))
                else:
                    missing[number] = keys
            names = [name for number in missing for name in job.names[number * size : (number + 1) * size]]
            lines = _lines(job, names, task.advance)
            for number, keys in missing.items():
                kept.add(number, keys, [as_text(line) for line in islice(lines, len(keys))])
        if job.claims is not None:
            claims = decide_claims(map(json.loads, kept.lines()), job.model.rule, job.claims.rule)
            _write_table(claims_file(out), claims)
        write_lines(out, kept.lines())
        return sum(json.loads(text)["error"] is not None for text in kept.lines())


def claims_file(out: Path) -> Path:
    """Where the verdicts on claims go: ``NAME.claims.csv`` beside ``NAME.csv``."""
    return out.with_name(f"{out.stem}.claims{out.suffix}")


def _write_table(out: Path, table: pl.DataFrame) -> None:
    with atomic_path(out) as part:
        if out.suffix == ".parquet":
            table.write_parquet(part)
        elif out.suffix == ".csv":
            part.write_text(table_to_csv(table), encoding="utf-8")
        else:
            table.write_ndjson(part)


def _lines(job: Job, names: Sequence[str], tick: Callable[[int], None]) -> Iterator[Line]:
    version, rule = job.model.version, job.model.rule
    for name, look in zip(names, looks_at(names, job.model, job.place, tick), strict=True):
        claim = job.claims.of(name) if job.claims else None
        line = line_of(name, look, rule, version=version, claim=claim)
        if job.annotated is not None and line["error"] is None:
            annotate(name, line, job.annotated)
        yield line


def _depends(job: Job) -> dict[str, Any]:
    return {
        **job.model.key,
        "claims": job.claims.key if job.claims else None,
        "annotated": str(job.annotated.absolute()) if job.annotated else None,
        "chunk": looking.CHUNK,
    }
