"""What is said about one photo, and how it is written: JSON lines, CSV, Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from wreckognize.errors import InputError, UsageError
from wreckognize.exporting.verdicts import Rule, answer_of
from wreckognize.files import PART_SUFFIX, atomic_path
from wreckognize.inference.stream import Look
from wreckognize.predicting.photos import shown
from wreckognize.spreadsheet import row_to_csv
from wreckognize.urls import url_of

Line = dict[str, Any]

_BOX = pl.Struct({name: pl.Float64 for name in ("x1", "y1", "x2", "y2", "confidence")})
_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "photo": pl.String,
    "claim": pl.String,  # null where none is known, or none was asked for
    "verdict": pl.String,  # null where the photo could not be read
    "score": pl.Float64,
    "threshold": pl.Float64,  # that decided; null where two did
    "low": pl.Float64,
    "high": pl.Float64,
    "boxes": pl.List(_BOX),  # pixels of the photo as shown, best first
    "error": pl.String,
    "model": pl.String,  # version of what decided
}
LINE_SCHEMA = pl.Schema(_COLUMNS)
"""One line a photo, in the order in which they were named."""
SUFFIXES = (".jsonl", ".csv", ".parquet")


def line_of(name: str, look: Look, rule: Rule, *, version: str, claim: str | None) -> Line:
    """What is said about one photo.

    Args:
        name: of the photo, as it was named.
        look: at it.
        rule: decides.
        version: of what decides.
        claim: that the photo belongs to; None where it has none.
    """
    said = _failed(look.error) if look.error else _decided(look, rule)
    said |= {"photo": shown(name), "claim": claim, "model": version}
    return {column: said[column] for column in LINE_SCHEMA}


def _decided(look: Look, rule: Rule) -> Line:
    answer = answer_of(look, rule)
    boxes = [
        {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "confidence": confidence}
        for (x1, y1, x2, y2), confidence in zip(
            _rounded(answer.boxes, 1), _rounded(answer.confidences, 4), strict=True
        )
    ]
    band = rule.band
    return {
        "verdict": answer.verdict,
        "score": round(answer.score, 4),
        "threshold": rule.threshold if band is None else None,
        "low": None if band is None else band.low,
        "high": None if band is None else band.high,
        "boxes": boxes,
        "error": None,
    }


def _failed(error: InputError) -> Line:
    return {**dict.fromkeys(("verdict", "score", "threshold", "low", "high")), "boxes": [], "error": error.reason}


def _rounded(values: Any, places: int) -> list[Any]:
    rounded: list[Any] = values.astype(float).round(places).tolist()
    return rounded


def as_text(line: Line) -> str:
    """A line of JSON, without its end."""
    return json.dumps(line, ensure_ascii=False)


def require_format(out: Path) -> None:
    """Refuse a file that cannot be written, before anything is looked at.

    Raises:
        UsageError: its ending says no format that is known, or its folder is not there.
    """
    if out.suffix not in SUFFIXES:
        raise UsageError(
            f"no format is known for {out.suffix!r}",
            where=str(out),
            remedy=f"end the name in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}",
        )
    if url_of(out) is None and not out.absolute().parent.is_dir():
        raise UsageError("no such folder", where=str(out.parent), remedy="make it, or choose another")


def write_lines(out: Path, lines: Iterable[str]) -> None:
    """Write lines of JSON in the format that the file's ending says, whole or not at all, one line at a time.

    Args:
        out: ``.jsonl``, ``.csv`` or ``.parquet``.
        lines: each without its end.
    """
    if out.suffix == ".parquet":
        _write_parquet(out, lines)
        return
    with atomic_path(out) as part, part.open("w", encoding="utf-8", newline="") as file:
        if out.suffix == ".jsonl":
            file.writelines(f"{line}\n" for line in lines)
            return
        file.write(row_to_csv(LINE_SCHEMA.names()))
        for text in lines:
            line: Line = json.loads(text)
            line["boxes"] = len(line["boxes"])
            file.write(row_to_csv(line[column] for column in LINE_SCHEMA))


def _write_parquet(out: Path, lines: Iterable[str]) -> None:
    """By way of JSON lines on the disk, so that no more than a part of them is in memory."""
    between = out.with_name(f"{out.name}.jsonl{PART_SUFFIX}")
    try:
        with between.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        with atomic_path(out) as part:
            pl.scan_ndjson(between, schema=LINE_SCHEMA).sink_parquet(part)
    finally:
        between.unlink(missing_ok=True)
