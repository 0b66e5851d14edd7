"""The files of ``report/`` that hold figures, as text: JSON, CSV, Markdown, and every single decision.

Everything here returns a string; whoever calls writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import polars as pl

from wreckognize.evaluation.comparison import Comparison, SystemFigures
from wreckognize.evaluation.image_level import FoundAt, is_called_vehicle
from wreckognize.spreadsheet import rows_to_csv, table_to_csv

DECISION_SCHEMA = pl.Schema(
    {
        "photo": pl.String,
        "role": pl.String,
        "truth": pl.String,  # "vehicle" or "no vehicle"
        "system": pl.String,
        "score": pl.Float32,
        "threshold": pl.Float64,
        "decision": pl.String,  # as truth
        "correct": pl.Boolean,
        "third_answer": pl.String,  # "vehicle", "no_vehicle" or "to_a_person", by two thresholds of its own
    }
)

_UNKNOWN = "–"
_MEANING = """\
* **Threshold**: a photo is called a vehicle if its highest vehicle confidence is at or above it.
* **Accuracy, precision, recall, F1**: at the threshold, for the class vehicle; accuracy over both classes.
* **Missed (FN)**: vehicles called no vehicle. **False alarms (FP)**: photos without a vehicle called vehicle.
* **Damaged found at 1, 2.5, 5 % FA**: share of damaged cars found at the lowest threshold at which at most
  that share of backgrounds is called a vehicle. It compares systems at equal cost, whatever their thresholds.
* **AUC**: the chance that a damaged car scores higher than a background, ties counted half.
* **mAP50, mAP50-95**: how well the boxes fit those people drew; crowds ignored, photos without a vehicle included.
* **ms**: median time of one photo: read, preprocess, inference and NMS, on the device named.
* **FA**: false alarms. **–**: cannot be said from this test set."""


def comparison_json(comparison: Comparison) -> str:
    """``comparison.json``: everything, for programs."""
    return json.dumps(comparison.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def comparison_csv(comparison: Comparison) -> str:
    """``comparison.csv``: one row a system, one column a figure; nested names are joined by dots."""
    rows = [_row(system) for system in comparison.systems]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return rows_to_csv(columns, ([row.get(name, "") for name in columns] for row in rows))


def comparison_markdown(comparison: Comparison) -> str:
    """``comparison.md``: the table a person reads, and what each figure means."""
    test = comparison.test
    rows = [_markdown_row(system) for system in comparison.systems]
    header = list(rows[0]) if rows else []
    lines = [
        f"# {_escape(comparison.study)}",
        "",
        f"Judged on {test.photos} test photos: {test.vehicle} with a vehicle, {test.background} without.",
        "",
    ]
    if rows:
        lines += [_line(header), _line(["---"] + ["---:"] * (len(header) - 1))]
        lines += [_line(list(row.values())) for row in rows]
        lines.append("")
    for reason in _reasons(comparison):
        lines += [reason, ""]
    return "\n".join([*lines, _MEANING, ""])


def decisions(scores: pl.DataFrame, system: str, threshold: float, answers: Sequence[str] = ()) -> pl.DataFrame:
    """What one system said of each photo.

    Args:
        scores: ``SCORE_SCHEMA``, see `photo_scores`.
        system: its name.
        threshold: vehicle if the score is at or above this, both as ``float32``.
        answers: where a person may be asked, what was answered; one for each photo, or none at all.

    Returns:
        ``DECISION_SCHEMA``, one row a photo, in the order of ``scores``.
    """
    called = pl.Series("called", is_called_vehicle(scores["score"].to_numpy(), threshold))
    return (
        scores.with_columns(called)
        .with_columns(
            truth=_in_words("has_vehicle"),
            system=pl.lit(system),
            threshold=pl.lit(threshold, dtype=pl.Float64),
            decision=_in_words("called"),
            correct=pl.col("called") == pl.col("has_vehicle"),
            third_answer=pl.Series(answers, dtype=pl.String) if answers else pl.lit(None, dtype=pl.String),
        )
        .select(DECISION_SCHEMA.names())
    )


def decisions_csv(tables: Sequence[pl.DataFrame]) -> str:
    """``decisions.csv``: the decisions of all systems, sorted by photo, systems in the order given.

    Args:
        tables: one `decisions` for each system.
    """
    return table_to_csv(pl.concat([DECISION_SCHEMA.to_frame(), *tables]).sort("photo", maintain_order=True))


def _in_words(column: str) -> pl.Expr:
    return pl.when(column).then(pl.lit("vehicle")).otherwise(pl.lit("no vehicle"))


def _row(system: SystemFigures) -> dict[str, Any]:
    values = system.to_dict()
    nothing = dict.fromkeys(part.name for part in fields(FoundAt))
    at_rates = {rate: found or nothing for rate, found in values["found_at_false_alarms"].items()}
    return _flat(values | {"found_at_false_alarms": at_rates})


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _reasons(comparison: Comparison) -> list[str]:
    """What the table shows of systems trained several times, and why a figure is not there."""
    test, said = comparison.test, []
    if any(system.seeds > 1 for system in comparison.systems):
        said.append(
            "Of a system trained several times this table shows the first training; the means over trainings stand "
            "under Intervals."
        )
    if not test.background:
        said.append(
            f"{_UNKNOWN}: no test photo is without a vehicle, so accuracy, precision, F1, false alarms, AUC and what "
            "is found at a rate of false alarms cannot be said."
        )
    elif few := [
        f"{100 * float(rate):g} %"
        for rate in dict.fromkeys(rate for system in comparison.systems for rate in system.found_at_false_alarms)
        if float(rate) * test.background < 1
    ]:
        said.append(
            f"{_UNKNOWN}: {test.background} test photos without a vehicle are too few for what is found at "
            f"{' and '.join(few)} FA (1 photo is {100 / test.background:.1f} %)."
        )
    if not test.vehicle:
        said.append(
            f"{_UNKNOWN}: no test photo shows a vehicle, so accuracy, precision, recall, F1, misses, AUC and what is "
            "found cannot be said."
        )
    return said


def _markdown_row(system: SystemFigures) -> dict[str, str]:
    at_rates = {
        f"Damaged found at {100 * float(rate):g} % FA": _share(found.damaged if found else None)
        for rate, found in system.found_at_false_alarms.items()
    }
    return {
        "System": _escape(
            system.name if system.seeds == 1 else f"{system.name} (first of {system.seeds} trainings)"
        ),
        "Threshold": f"{system.threshold:g}",
        "Accuracy": _share(system.accuracy),
        "Precision": _share(system.precision.vehicle),
        "Recall": _share(system.recall.vehicle),
        "F1": _share(system.f1.vehicle),
        "Missed (FN)": str(system.fn) if system.tp + system.fn else _UNKNOWN,
        "False alarms (FP)": str(system.fp) if system.fp + system.tn else _UNKNOWN,
        **at_rates,
        "AUC": _number(system.auc_damaged, 4),
        "mAP50": _number(system.map50, 3),
        "mAP50-95": _number(system.map50_95, 3),
        "ms": _number(system.ms_per_image, 1),
        "FPS": _number(system.fps, 1),
        "Device": _escape(_device(system)),
    }


def _device(system: SystemFigures) -> str:
    parts = [
        system.device,
        system.engine,
        system.precision_dtype,
        f"{system.imgsz} px" if system.imgsz else None,
        f"{system.threads} threads" if system.threads else None,
    ]
    return ", ".join(part for part in parts if part) or _UNKNOWN


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{100 * value:.2f} %"


def _number(value: float | None, digits: int) -> str:
    return _UNKNOWN if value is None else f"{value:.{digits}f}"


def _escape(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
